#include "neb/cli/common_flags.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "neb/cli/run_folder.h"

ABSL_FLAG(std::string, out, "", "folder for what is written; empty: the command's own, see above");
ABSL_FLAG(uint64_t, seed, 1, "of everything random: a result is a function of the flags, not of the threads");
ABSL_FLAG(int, threads, 0, "threads; 0: one for each processor");

namespace neb {

absl::StatusOr<int> ThreadsFlag() {
  const int threads = absl::GetFlag(FLAGS_threads);
  if (threads < 0) return absl::InvalidArgumentError(absl::StrCat("--threads must be >= 0, got ", threads));
  return threads;
}

std::string ModelFile(const std::string& path) {
  const std::string user = UserPath(path);
  std::error_code error;
  return std::filesystem::is_directory(user, error) ? user + "/model.safetensors" : user;
}

}  // namespace neb
