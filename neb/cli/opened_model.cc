#include "neb/cli/opened_model.h"

#include <filesystem>
#include <utility>

#include "absl/flags/flag.h"
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
  if (const auto m = file->metadata.find("measurements"); m != file->metadata.end() && m->second != "1") {
    return absl::UnimplementedError(
        absl::StrCat(path, ": a model of ", m->second, " measurements; this command takes models of one"));
  }
  absl::StatusOr<Model> model = LoadModel(path);
  if (!model.ok()) return model.status();
  return OpenedModel{.path = path, .model = *std::move(model), .metadata = std::move(file->metadata)};
}

absl::StatusOr<RunFolder> OutFolder(const OpenedModel& opened, const std::string& name) {
  const std::string out = absl::GetFlag(FLAGS_out);
  if (!out.empty()) return RunFolder::Create(UserPath(out));
  return RunFolder::Create((std::filesystem::path(opened.path).parent_path() / name).string());
}

}  // namespace neb
