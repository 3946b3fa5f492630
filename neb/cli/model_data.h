// The data that a model was trained on, found again by what its file says, or what --data names instead.
//
//   absl::StatusOr<std::optional<ModelData>> data = ReadModelData(*opened);
//   if (data.ok() && data->has_value()) NearestSamples(jumps, (*data)->parts.train.x);
#ifndef NEB_NEB_CLI_MODEL_DATA_H_
#define NEB_NEB_CLI_MODEL_DATA_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "neb/cli/opened_model.h"
#include "neb/dataset.h"

namespace neb {

struct ModelData {
  TrainHeldOut parts;
  // One for each item, of IDX images beside which a file of labels lies; else empty.
  std::vector<int> train_labels = {};
  std::vector<int> held_out_labels = {};
};

// None when neither the flags nor the model's file name any data. Errors: those of reading it; data of another shape
// than the model's.
absl::StatusOr<std::optional<ModelData>> ReadModelData(const OpenedModel& opened);
// The same where data is needed: none is an error that says to give --data.
absl::StatusOr<ModelData> RequireModelData(const OpenedModel& opened);

}  // namespace neb

#endif  // NEB_NEB_CLI_MODEL_DATA_H_
