// The command `neb`: sub-commands, each a file with its flags and one function.
//
//   const Command kInfo = {.name = "info", .arguments = "MODEL", .summary = "says what a model file holds",
//                          .description = "...", .files = {"neb/cli/info.cc"}, .run = RunInfo};
//   int main(int argc, char** argv) { return RunCommands({&kTrain, &kInfo}, argc, argv); }
//
// Flags are Abseil's, so --flagfile=FILE works, and so do --no... and --flag value. A command takes those of its own
// `files`, which --help lists. Exit codes: 0 done, 1 failed (one line on standard error says why), 2 no such command,
// 130 and the like when a signal stopped it and it saved its work.
#ifndef NEB_NEB_CLI_COMMAND_H_
#define NEB_NEB_CLI_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace neb {

struct Command {
  std::string name;
  std::string arguments;           // as shown after the name, e.g. "MODEL"; empty: none
  std::string summary;             // half a line, in the list of commands
  std::string description;         // for --help: what it does, what it writes, an example
  std::vector<std::string> files;  // sources whose flags it takes; kCommonFlags among them or not
  // `arguments`: what is not a flag, the command's name left out.
  std::function<absl::Status(const std::vector<std::string>& arguments)> run;
};

// Finds the command that argv names, parses its flags, runs it, and returns the exit code. Prints help for `help`,
// `--help` and `COMMAND --help` on standard output.
int RunCommands(const std::vector<const Command*>& commands, int argc, char** argv);

extern const Command kTrain;    // train.cc
extern const Command kSample;   // sample.cc
extern const Command kDenoise;  // denoise.cc
extern const Command kRecall;   // recall.cc
extern const Command kSpheres;  // spheres.cc
extern const Command kInfo;     // info.cc

}  // namespace neb

#endif  // NEB_NEB_CLI_COMMAND_H_
