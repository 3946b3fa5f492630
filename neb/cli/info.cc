// neb info: what a model file holds.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/safetensors.h"

namespace neb {

namespace {

absl::Status RunInfo(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected one model, got ", arguments.size(), " arguments"));
  }
  absl::StatusOr<TensorFile> file = ReadSafetensors(ModelFile(arguments[0]));
  if (!file.ok()) return file.status();
  for (const auto& [key, value] : file->metadata) std::printf("%-16s %s\n", key.c_str(), value.c_str());
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file->tensors) {
    numbers += tensor.shape().num_elements();
    std::printf("%-40s %s%s\n", name.c_str(), Name(tensor.dtype()), tensor.shape().ToString().c_str());
  }
  std::printf("%d tensors, %lld numbers\n", static_cast<int>(file->tensors.size()), static_cast<long long>(numbers));
  return absl::OkStatus();
}

}  // namespace

const Command kInfo = {.name = "info",
                       .arguments = "MODEL",
                       .summary = "says what a model file holds",
                       .description =
                           "Prints the settings and the tensors of a model, as written by `neb train`.\n\n"
                           "  neb info runs/mnist",
                       .files = {"neb/cli/info.cc"},
                       .run = RunInfo};

}  // namespace neb
