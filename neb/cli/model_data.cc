#include "neb/cli/model_data.h"

#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "neb/cli/data_flags.h"
#include "neb/cli/data_source.h"
#include "neb/idx.h"
#include "neb/read_data.h"

namespace neb {

namespace {

absl::StatusOr<std::optional<DataSource>> SourceOf(const OpenedModel& opened) {
  if (!absl::GetFlag(FLAGS_data).empty()) {
    absl::StatusOr<DataSource> source = DataSourceFlags();
    if (!source.ok()) return source.status();
    return *std::move(source);
  }
  const auto found = opened.metadata.find("data");
  if (found == opened.metadata.end()) return std::nullopt;
  absl::StatusOr<DataSource> source = ParseDataSource(found->second);
  if (!source.ok()) return absl::InvalidArgumentError(absl::StrCat(opened.path, ": ", source.status().message()));
  return *std::move(source);
}

// The labels beside a file of images, if they are as many.
std::vector<int> LabelsOf(const std::string& images, int64_t expected) {
  const std::optional<std::string> path = LabelsSibling(images);
  if (!path.has_value()) return {};
  absl::StatusOr<std::vector<int>> labels = ReadIdxLabels(*path, expected);
  if (!labels.ok() || static_cast<int64_t>(labels->size()) != expected) return {};
  return *std::move(labels);
}

}  // namespace

absl::StatusOr<std::optional<ModelData>> ReadModelData(const OpenedModel& opened) {
  const absl::StatusOr<std::optional<DataSource>> source = SourceOf(opened);
  if (!source.ok()) return source.status();
  if (!source->has_value()) return std::nullopt;
  absl::StatusOr<TrainHeldOut> parts = ReadTrainHeldOut(**source);
  if (!parts.ok()) return parts.status();
  if (!(parts->train.item_shape == opened.item_shape)) {
    return absl::InvalidArgumentError(absl::StrCat((*source)->data, ": items of shape ",
                                                   parts->train.item_shape.ToString(), ", but the model's are ",
                                                   opened.item_shape.ToString()));
  }
  ModelData data{.parts = *std::move(parts)};
  // A random split has no order that labels could follow.
  std::optional<std::string> held_out = HeldOutSibling((*source)->data);
  if (double share = 0; !(*source)->held_out.empty()) {
    held_out = (*source)->held_out;
    if (absl::SimpleAtod(*held_out, &share)) held_out.reset();
  }
  if (held_out.has_value()) {
    data.train_labels = LabelsOf((*source)->data, data.parts.train.size());
    data.held_out_labels = LabelsOf(*held_out, data.parts.held_out.size());
  }
  return data;
}

absl::StatusOr<ModelData> RequireModelData(const OpenedModel& opened) {
  absl::StatusOr<std::optional<ModelData>> data = ReadModelData(opened);
  if (!data.ok()) return data.status();
  if (!data->has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(opened.path, " does not say what it was trained on: give --data"));
  }
  return **std::move(data);
}

}  // namespace neb
