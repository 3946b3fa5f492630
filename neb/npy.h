// NumPy's .npy files: one array each, readable everywhere.
//
//   absl::StatusOr<autodiff::Tensor> x = ReadNpy("x.npy");   // numpy.save("x.npy", x)
//   absl::Status written = WriteNpy("x_hat.npy", x_hat);      // numpy.load("x_hat.npy")
//
//   absl::StatusOr<NpyWriter> path = NpyWriter::Create("walk.npy", {chains, d}, autodiff::DType::kF32);
//   while (…) status = path->Append(walk->y());               // the file is [kept, chains, d]
//   status = path->Close();
#ifndef NEB_NEB_NPY_H_
#define NEB_NEB_NPY_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"

namespace neb {

// Reads float32, float64, and unsigned bytes, which are pixels here and become float32 byte/255, as in every reader of
// images. Versions 1.0 to 3.0 of the format; elements in Fortran's order are put into C's. max_rows >= 0 keeps only the
// first ones of the first axis. NaN and infinities are read as they are.
//
// The file is not trusted: its size must be what the header says before any of it is stored. It is read a chunk at a
// time, so memory is that of the array, at most about four times the file's size (unsigned bytes become four bytes
// each). Errors are one line, naming the file, the offset
// and what was expected there: NotFound without a file; Unimplemented for another dtype, big-endian ones included; else
// InvalidArgument, or Unknown when the system cannot read.
absl::StatusOr<autodiff::Tensor> ReadNpy(const std::string& path,
                                         int64_t max_rows = std::numeric_limits<int64_t>::max());

// An array as samples in rows, whatever its dtype and rank.
struct NpyRows {
  autodiff::Tensor x;     // float32 [n, d]: n the first extent, d the product of the others (1 x 1 of a single number)
  autodiff::Shape shape;  // of the array
};
// As ReadNpy, but all numbers become float32, rounded to nearest, and there is no other array of that size on the way.
// InvalidArgument, naming item and value, also for the first number that is not finite, or beyond float32's range.
absl::StatusOr<NpyRows> ReadNpyRows(const std::string& path, int64_t max_rows = std::numeric_limits<int64_t>::max());

// Writes a whole array, byte for byte as numpy.save does; the old file or the new one (see file.h). Errors name the
// path and the system's reason.
absl::Status WriteNpy(const std::string& path, const autodiff::Tensor& tensor);

// Writes an array of a length that is not known yet, row by row. After every Append the file is complete: a program
// that is killed leaves all rows but the one it was writing, and they can be looked at while it runs.
class NpyWriter {
 public:
  // Replaces the file at `path` by an array of shape [0, row_shape…]. A reader of the old file keeps that. Errors:
  // extents that are negative or absurd; what is there and no regular file; what the system reports.
  static absl::StatusOr<NpyWriter> Create(const std::string& path, const autodiff::Shape& row_shape,
                                          autodiff::DType dtype = autodiff::DType::kF32);
  NpyWriter(NpyWriter&& other) noexcept;
  NpyWriter& operator=(NpyWriter&&) = delete;
  // Closes the file if Close was not called, without a word of what goes wrong.
  ~NpyWriter();

  // Appends one row, of the row shape, or many, [k, row_shape…]. InvalidArgument when shape or dtype are others.
  // After a failed write (a full disk) the rows before are kept, and each later call returns the same error.
  absl::Status Append(const autodiff::Tensor& rows);

  int64_t rows() const { return rows_; }

  // Flushes the file to the disk and closes it; nothing can be appended after. The first error, also of earlier calls.
  absl::Status Close();

 private:
  NpyWriter(std::string path, int fd, const autodiff::Shape& row_shape, autodiff::DType dtype)
      : path_(std::move(path)), fd_(fd), row_shape_(row_shape), dtype_(dtype) {}
  std::string Header(int64_t rows) const;
  absl::Status WriteAt(int64_t offset, const void* bytes, int64_t count);

  std::string path_;
  int fd_;  // -1 when closed
  autodiff::Shape row_shape_;
  autodiff::DType dtype_;
  int64_t rows_ = 0;
  absl::Status status_;
};

}  // namespace neb

#endif  // NEB_NEB_NPY_H_
