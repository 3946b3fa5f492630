// What stands before the elements of a .npy file (NumPy Enhancement Proposal 1; numpy.lib.format): "\x93NUMPY", the
// version, the length of what follows, and a Python dictionary padded with spaces, such as
//
//   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
#ifndef NEB_NEB_NPY_HEADER_H_
#define NEB_NEB_NPY_HEADER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"
#include "neb/file_reader.h"

namespace neb {

struct NpyHeader {
  std::string descr;           // the dtype as NumPy writes it: byte order, kind, size
  bool fortran_order = false;  // whether the first axis, instead of the last, is innermost
  autodiff::Shape shape;       // extents up to kMaxExtent, at most kMaxRank of them
  uint64_t data_begin = 0;     // offset of the first element in the file
  uint64_t descr_begin = 0;    // offset of the dtype, for errors
};

// Reads versions 1.0, 2.0 and 3.0. Only the three keys above, each once, in any order. A dictionary of more than 10,000
// bytes is refused, as by numpy.load, and so are structured dtypes (Unimplemented).
absl::StatusOr<NpyHeader> ReadNpyHeader(const FileReader& reader);

// A whole header of version 1.0, byte for byte as numpy.save writes it. Its length does not depend on the first extent:
// NumPy leaves room for that to grow.
std::string FormatNpyHeader(autodiff::DType dtype, const autodiff::Shape& shape);

}  // namespace neb

#endif  // NEB_NEB_NPY_HEADER_H_
