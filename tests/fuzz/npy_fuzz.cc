// ReadNpy on any bytes: an error, or an array whose size the file accounts for.
#include "neb/npy.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const neb::InputFile file(data, size);
  const absl::StatusOr<autodiff::Tensor> all = neb::ReadNpy(file.path()), some = neb::ReadNpy(file.path(), 2);
  neb::Check(all.ok() == some.ok(), "the first rows are readable, or the whole is, but not both");
  if (!all.ok()) {
    neb::CheckError(all.status(), file.path());
    return 0;
  }
  // A byte becomes four.
  neb::Check(static_cast<uint64_t>(all->num_bytes()) <= 4 * size, "an array larger than its file");
  neb::Check(some->num_elements() <= all->num_elements(), "more elements in the first rows than in all");
  return 0;
}
