// What the commands that take a model share: opening it, and where they write.
//
//   absl::StatusOr<OpenedModel> opened = OpenModel("runs/mnist");
//   absl::StatusOr<RunFolder> out = OutFolder(*opened, "sample");       // --out, or runs/mnist/sample
#ifndef NEB_NEB_CLI_OPENED_MODEL_H_
#define NEB_NEB_CLI_OPENED_MODEL_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "neb/cli/run_folder.h"
#include "neb/model.h"

namespace neb {

struct OpenedModel {
  std::string path;  // of the file
  Model model;
  std::map<std::string, std::string> metadata;  // of the file, "energy" and "data" among them
  // The model's points are M noisy copies of an item side by side (measurements.h); 1 as a rule.
  int64_t measurements = 1;
  autodiff::Shape item_shape = {};  // of an item of the data: the model's, without the measurements

  int64_t item_size() const { return item_shape.num_elements(); }
};

// `argument`: a model file as `neb train` writes it, or the folder of a run. Errors are one line that names the file.
absl::StatusOr<OpenedModel> OpenModel(const std::string& argument);

// The folder of --out; without that flag, the folder `name` beside the model.
absl::StatusOr<RunFolder> OutFolder(const OpenedModel& opened, const std::string& name);

}  // namespace neb

#endif  // NEB_NEB_CLI_OPENED_MODEL_H_
