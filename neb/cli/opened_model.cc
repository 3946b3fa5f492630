#include "neb/cli/opened_model.h"

#include <filesystem>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "neb/cli/common_flags.h"
#include "neb/energy_spec.h"
#include "neb/safetensors.h"

namespace neb {

absl::StatusOr<OpenedModel> OpenModel(const std::string& argument) {
  const std::string path = ModelFile(argument);
  absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(absl::StrCat(file.status().message(), "; `neb train` makes a model"));
  }
  if (!file.ok()) return file.status();
  absl::StatusOr<Model> model = LoadModel(path);
  if (!model.ok()) return model.status();
  OpenedModel opened{.path = path, .model = *std::move(model), .metadata = std::move(file->metadata)};
  opened.item_shape = opened.model.item_shape();
  // LoadModel has checked that it is a number, and the first extent.
  const auto m = opened.metadata.find("measurements");
  if (m != opened.metadata.end() && absl::SimpleAtoi(m->second, &opened.measurements) && opened.measurements > 1) {
    opened.item_shape = autodiff::Shape(opened.item_shape.dims().subspan(1));
  }
  return opened;
}

absl::StatusOr<RunFolder> OutFolder(const OpenedModel& opened, const std::string& name) {
  const std::string out = absl::GetFlag(FLAGS_out);
  if (!out.empty()) return RunFolder::Create(UserPath(out));
  return RunFolder::Create((std::filesystem::path(opened.path).parent_path() / name).string());
}

}  // namespace neb
