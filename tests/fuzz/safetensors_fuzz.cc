// ReadSafetensors on any bytes: an error, or tensors that are, together, the data of the file.
#include "neb/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const neb::InputFile file(data, size);
  const absl::StatusOr<neb::TensorFile> read = neb::ReadSafetensors(file.path());
  if (!read.ok()) {
    neb::CheckError(read.status(), file.path());
    return 0;
  }
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : read->tensors) {
    bytes += static_cast<uint64_t>(tensor.num_bytes());
    neb::Check(read->Find(name) != nullptr, "a tensor that is not found by its name");
  }
  neb::Check(bytes <= size, "tensors larger than their file");
  return 0;
}
