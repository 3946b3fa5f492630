// Runs the command `neb` as a user does.
#ifndef NEB_TESTS_NEB_CLI_RUN_NEB_H_
#define NEB_TESTS_NEB_CLI_RUN_NEB_H_

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "tests/neb/test_files.h"

namespace neb {

struct Outcome {
  int exit_code = -1;  // -1: ended by a signal
  std::string out, err;
};

// Bazel starts tests where the workspace's files are. `arguments` go through a shell.
inline Outcome RunNeb(const std::string& arguments, const std::string& environment = "") {
  const std::string folder = NewFolder("output");
  const std::string command =
      environment + " ./neb/cli/neb " + arguments + " >" + folder + "/out 2>" + folder + "/err </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Slurp(folder + "/out"), Slurp(folder + "/err")};
}

inline std::set<std::string> FilesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

}  // namespace neb

#endif  // NEB_TESTS_NEB_CLI_RUN_NEB_H_
