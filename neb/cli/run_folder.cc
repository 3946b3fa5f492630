#include "neb/cli/run_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "neb/file.h"
#include "nlohmann/json.hpp"

namespace neb {

namespace {

// File names may be any bytes; what is not UTF-8 becomes the replacement character.
std::string ToText(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::string UserPath(const std::string& path) {
  const char* const base = std::getenv("BUILD_WORKING_DIRECTORY");
  if (base == nullptr || path.empty() || path[0] == '/') return path;
  return absl::StrCat(base, "/", path);
}

absl::StatusOr<RunFolder> RunFolder::Create(const std::string& path, bool resume) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("cannot create the folder ", path, ": ", error.message()));
  RunFolder folder(path);
  // An empty file now is better than a surprise after an hour.
  const std::string metrics = folder.Path("metrics.jsonl");
  errno = 0;
  if (!std::ofstream(metrics, resume ? std::ios::app : std::ios::trunc)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write to the folder ", path, ": ", std::strerror(errno)));
  }
  if (std::filesystem::file_size(metrics, error) == 0) std::filesystem::remove(metrics, error);
  return folder;
}

absl::Status RunFolder::WriteSettings(const nlohmann::ordered_json& settings) const {
  return WriteFile(Path("settings.json"), ToText(settings, 2) + "\n");
}

absl::Status RunFolder::AppendMetrics(const nlohmann::ordered_json& metrics) const {
  std::ofstream file(Path("metrics.jsonl"), std::ios::app);
  file << ToText(metrics, -1) << "\n" << std::flush;
  if (!file)
    return absl::UnknownError(absl::StrCat("cannot write ", Path("metrics.jsonl"), ": ", std::strerror(errno)));
  return absl::OkStatus();
}

absl::Status RunFolder::ClearMetrics() const { return WriteFile(Path("metrics.jsonl"), ""); }

}  // namespace neb
