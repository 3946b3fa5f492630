// The safetensors file format (Hugging Face): named arrays that every framework reads and no file can abuse.
// Format: 8 bytes, the little-endian length of the header; the header, a JSON object that gives for each name its
// {"dtype", "shape", "data_offsets": [begin, end]} and under "__metadata__" a map of strings, padded with spaces; then
// the arrays' little-endian elements, row-major, without holes.
//
//   absl::Status written = WriteSafetensors("phi.safetensors", {.tensors = {{"w", w}, {"b", b}}});
//   absl::StatusOr<TensorFile> file = ReadSafetensors("phi.safetensors");
//   const autodiff::Tensor* w = file->Find("w");
#ifndef NEB_NEB_SAFETENSORS_H_
#define NEB_NEB_SAFETENSORS_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/tensor.h"

namespace neb {

struct TensorFile {
  std::vector<std::pair<std::string, autodiff::Tensor>> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;

  // The tensor of that name, or null. Linear in the number of tensors.
  const autodiff::Tensor* Find(std::string_view name) const;
};

// What is to be written, where it is: the tensors must live until it is, and are not copied.
struct TensorFileView {
  std::vector<std::pair<std::string, const autodiff::Tensor*>> tensors;
  std::map<std::string, std::string> metadata;
};
// Of its own, and of another's, tensors.
TensorFileView ViewOf(const TensorFile& file);
TensorFile CopyOf(const TensorFileView& view);

// Writes dtypes F32 and F64, F64 data first so that every array is aligned (the header keeps the order of `tensors`).
// A reader, also after a crash, sees the old file or the new one: the bytes go to a temporary file beside `path`, which
// is flushed to the disk and renamed. On failure the temporary file is removed and the old file stays. A symbolic link
// at `path` is replaced, not followed. Errors: a name that occurs twice, is "__metadata__" or is not UTF-8; a header
// above 100 MB; what the system reports, with the path.
absl::Status WriteSafetensors(const std::string& path, const TensorFile& file);
absl::Status WriteSafetensorsView(const std::string& path, const TensorFileView& file);

// Reads a whole file. The file is not trusted: memory grows with its size, never with what the header claims, and all
// of it must be accounted for. Checked: the header's length (at most 100 MB), its JSON and UTF-8, no name or field
// twice; for each array a product of extents that fits and equals the byte length; offsets in range, without overlap or
// hole. Unknown fields of an array are ignored, as by the reference implementation. Errors are one line, naming the
// file, the offset and what was expected there: NotFound without a file, Unimplemented for dtypes other than F32 and
// F64, else InvalidArgument, or Unknown when the system cannot read.
absl::StatusOr<TensorFile> ReadSafetensors(const std::string& path);

}  // namespace neb

#endif  // NEB_NEB_SAFETENSORS_H_
