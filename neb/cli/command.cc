#include "neb/cli/command.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <span>
#include <string_view>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "neb/cli/interrupt.h"

namespace neb {

namespace {

constexpr size_t kWidth = 100;  // columns of the help

using Flags = std::map<std::string, absl::CommandLineFlag*>;

bool Defines(const std::string& file, const absl::CommandLineFlag& flag) {
  return absl::EndsWith(flag.Filename(), file);
}

Flags FlagsOf(const Command& command) {
  Flags flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    const bool own = std::any_of(command.files.begin(), command.files.end(),
                                 [&, f = flag](const std::string& file) { return Defines(file, *f); });
    if (own) flags[std::string(name)] = flag;
  }
  return flags;
}

// Text in lines of at most kWidth columns, each after `indent` spaces but the first.
std::string Wrap(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  for (const auto& word : absl::StrSplit(absl::string_view(text.data(), text.size()), ' ')) {
    if (column > indent && column + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, "\n", std::string(indent, ' '));
      column = indent;
    }
    if (column > indent) out += ' ', ++column;
    absl::StrAppend(&out, word);
    column += word.size();
  }
  return out;
}

void PrintFlag(const std::string& name, const absl::CommandLineFlag& flag) {
  constexpr size_t kIndent = 24;
  std::string head = absl::StrCat("  --", name, "=", flag.DefaultValue());
  if (head.size() + 2 > kIndent) {
    head += "\n" + std::string(kIndent, ' ');
  } else {
    head.resize(kIndent, ' ');
  }
  std::printf("%s%s\n", head.c_str(), Wrap(flag.Help(), kIndent).c_str());
}

void PrintCommandHelp(const Command& command) {
  std::printf("neb %s%s%s [flags]: %s\n\n%s\n\nFlags, with their defaults:\n", command.name.c_str(),
              command.arguments.empty() ? "" : " ", command.arguments.c_str(), command.summary.c_str(),
              command.description.c_str());
  for (const auto& [name, flag] : FlagsOf(command)) PrintFlag(name, *flag);
  std::printf("  --flagfile=FILE       reads flags from a file, one in a line\n");
}

void PrintHelp(const std::vector<const Command*>& commands) {
  std::printf("neb: Neural Empirical Bayes. Learns the energy of noisy data; walks, jumps and descends on it.\n\n");
  for (const Command* command : commands)
    std::printf("  neb %-9s %s\n", command->name.c_str(), command->summary.c_str());
  std::printf("\n`neb COMMAND --help` has the flags and an example.\n");
}

bool AsksForHelp(std::string_view argument) {
  return argument == "--help" || argument == "-help" || argument == "-h" || argument == "help";
}

// A flag that only another command knows would be taken in silence: it is registered for the whole program.
absl::Status CheckFlags(const Command& command, const std::vector<const Command*>& commands) {
  const Flags own = FlagsOf(command);
  for (const Command* other : commands) {
    for (const auto& [name, flag] : FlagsOf(*other)) {
      if (own.count(name) != 0 || flag->CurrentValue() == flag->DefaultValue()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, " is a flag of `neb ", other->name, "`, not of `neb ", command.name, "`"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int RunCommands(const std::vector<const Command*>& commands, int argc, char** argv) {
  const std::span<char*> all(argv, static_cast<size_t>(argc));
  const std::vector<std::string> words(all.begin() + std::min<std::ptrdiff_t>(1, argc), all.end());
  if (words.empty() || AsksForHelp(words[0])) {
    PrintHelp(commands);
    return 0;
  }
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const Command* c) { return c->name == words[0]; });
  if (found == commands.end()) {
    std::fprintf(stderr, "neb: no command \"%s\"; `neb --help` lists them\n", words[0].c_str());
    return 2;
  }
  const Command& command = **found;
  if (std::any_of(words.begin() + 1, words.end(), AsksForHelp)) {
    PrintCommandHelp(command);
    return 0;
  }
  absl::SetProgramUsageMessage(absl::StrCat("neb ", command.name, ": see `neb ", command.name, " --help`"));
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  absl::Status status = CheckFlags(command, commands);
  // The program's and the command's names come first.
  if (status.ok()) status = command.run({rest.begin() + 2, rest.end()});
  if (status.ok()) return 0;
  std::fprintf(stderr, "neb %s: %s\n", command.name.c_str(), std::string(status.message()).c_str());
  return absl::IsCancelled(status) ? Interrupt::ExitCode() : 1;
}

}  // namespace neb
