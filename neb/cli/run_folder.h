// The folder that a run leaves behind: settings.json, metrics.jsonl, pictures, the model.
//
//   absl::StatusOr<RunFolder> out = RunFolder::Create("runs/mnist");
//   out->WriteSettings({{"sigma", 0.3}, {"steps", 10000}});
//   out->AppendMetrics({{"step", 100}, {"loss", 12.5}});
//   WritePng(out->Path("samples.png"), grid);
#ifndef NEB_NEB_CLI_RUN_FOLDER_H_
#define NEB_NEB_CLI_RUN_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace neb {

// A path as the user means it: relative to where the command was typed. (`bazel run` starts programs elsewhere and
// leaves that place in BUILD_WORKING_DIRECTORY.)
std::string UserPath(const std::string& path);

class RunFolder {
 public:
  // Creates the folder and its parents, and checks that files can be written there. The metrics of an earlier run in
  // the same folder are removed, unless this one would resume it. Errors name the path and the system's reason.
  static absl::StatusOr<RunFolder> Create(const std::string& path, bool resume = false);

  std::string Path(const std::string& file) const { return path_ + "/" + file; }
  // settings.json: the resolved settings of the run, as an object.
  absl::Status WriteSettings(const nlohmann::ordered_json& settings) const;
  // One line of metrics.jsonl. NaN is written as null.
  absl::Status AppendMetrics(const nlohmann::ordered_json& metrics) const;
  // Removes all lines: a run that is resumed repeats the reports of the steps before.
  absl::Status ClearMetrics() const;

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace neb

#endif  // NEB_NEB_CLI_RUN_FOLDER_H_
