// Two-dimensional convolution as in machine learning (cross-correlation, zero padding) and its two adjoints, on plain
// memory: the three kernels a convolution and all its derivatives are made of. Each is a matrix product whose left
// factor is read from the image: in place from a padded copy of a few images while the weights fit L2, else as it is
// packed. No unrolled image is ever stored, and no zero inserted by a stride multiplied.
//
//   x [n, h, w, c], w [kh, kw, c, o], y [n, ho, wo, o]
//   y[b, i, j, o] = sum over p, q, c of x[b, i * stride_h + p - pad_top, j * stride_w + q - pad_left, c] w[p, q, c, o]
//
//   const ConvShape s{.n = 64, .h = 28, .w = 28, .c = 1, .kh = 3, .kw = 3, .o = 32, .pad_top = 1, ...};
//   ConvForward(s, x, w, y, thread, threads, scratch);
#ifndef NEB_AUTODIFF_KERNELS_CONV_H_
#define NEB_AUTODIFF_KERNELS_CONV_H_

#include <cstddef>
#include <cstdint>

#include "autodiff/tensor.h"

namespace autodiff {

struct ConvShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t kh = 0, kw = 0, o = 0;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

  // Extents of y; >= 1 is the caller's duty.
  int64_t ho() const { return (h + pad_top + pad_bottom - kh) / stride_h + 1; }
  int64_t wo() const { return (w + pad_left + pad_right - kw) / stride_w + 1; }
};

// What any of the three needs at `scratch` (aligned to kAlignment) for any part.
int64_t ConvScratchBytes(const ConvShape& shape, DType dtype);

// Each computes part `part` of `parts` of its result. The parts are disjoint and
// cover the result; threads need no synchronisation. On a given SIMD target an element has the same bits whatever
// `parts` is and whichever image of the batch it belongs to. A padded tap may or may not be multiplied (by zero).
// Arrays are dense and unaligned; nothing is touched outside them.

// y = conv(x, w)
template <typename T>
void ConvForward(const ConvShape& shape, const T* x, const T* w, T* y, int part, int parts, std::byte* scratch);

// The x-shaped adjoint: <ConvInputAdjoint(g, w), x> = <g, conv(x, w)> for g of y's shape.
template <typename T>
void ConvInputAdjoint(const ConvShape& shape, const T* g, const T* w, T* x, int part, int parts, std::byte* scratch);

// The w-shaped adjoint: <ConvWeightAdjoint(x, g), w> = <g, conv(x, w)> for g of y's shape; added to w when
// `accumulate`.
template <typename T>
void ConvWeightAdjoint(const ConvShape& shape, const T* x, const T* g, T* w, bool accumulate, int part, int parts,
                       std::byte* scratch);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_CONV_H_
