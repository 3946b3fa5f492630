// Strided copies: what permute, slice, pad, concat and materialised broadcasts come down to.
//
//   // Transposes src, [3, 5], into dst, [5, 3].
//   const StridedCopy copy = Simplify({.dims = {5, 3}, .src_strides = {1, 5}, .dst_strides = {3, 1}});
//   CopyStrided(copy, src, dst, 0, copy.dims[0]);
#ifndef NEB_AUTODIFF_KERNELS_COPY_H_
#define NEB_AUTODIFF_KERNELS_COPY_H_

#include <cstdint>

#include "autodiff/shape.h"

namespace autodiff {

// dst[dst_offset + i · dst_strides] = src[src_offset + i · src_strides] for every index i inside dims. Strides and
// offsets count elements. A source stride of 0 repeats an element; source strides may be negative (a reversed axis).
struct StridedCopy {
  Shape dims = {};
  Shape src_strides = {};
  Shape dst_strides = {};
  int64_t src_offset = 0;
  int64_t dst_offset = 0;
};

// The same copy over as few axes as possible, at least one: axes of extent 1 go, and neighbours that are one axis in
// both arrays merge. An empty copy gets dims [0]. Do this once, before any CopyStrided.
StridedCopy Simplify(const StridedCopy& copy);

// Copies the part begin <= i[0] < end, so that callers may split the work over dims[0] (rank >= 1, as Simplify makes
// it). The arrays must not overlap. T is float or double. Does not allocate.
template <typename T>
void CopyStrided(const StridedCopy& copy, const T* src, T* dst, int64_t begin, int64_t end);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_COPY_H_
