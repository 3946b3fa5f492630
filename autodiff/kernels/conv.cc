#include "autodiff/kernels/conv.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "autodiff/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/conv.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "autodiff/kernels/few_channels-inl.h"
#include "autodiff/kernels/gemm-inl.h"
#include "autodiff/kernels/patches-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {

// What the three products have in common.
template <typename T>
struct ConvProduct {
  static constexpr bool packs_left = true;
  static constexpr int64_t kSize = sizeof(T);

  Patches<T> patches;
  const T* right = nullptr;
  int64_t right_stride = 0;
  T* out = nullptr;

  LeftPanel<T> Left(int64_t, int64_t) const { return {}; }  // never in place
  RightPanel<T> Right(int64_t j, int64_t k0) const { return {right + k0 * right_stride + j, right_stride}; }
};

// One row of the result per pixel: the product of its patch with a matrix.
template <typename T>
struct PatchesTimes : ConvProduct<T> {
  int64_t image_stride, row_stride, column_stride;  // of the pixels of the result

  void PackLeft(int64_t i, int64_t rows, int64_t k0, int64_t kc, T* panels) const {
    PackPatches(this->patches, i, rows, k0, kc, panels);
  }
  Region LeftRegion(int64_t i, int64_t rows, int64_t, int64_t) const { return this->patches.Span(i, i + rows - 1); }
  void Rows(int64_t i, int count, int64_t j, T** rows) const {
    Pixel pixel(i, this->patches.rows, this->patches.columns);
    for (int r = 0; r < count; ++r) {
      rows[r] = this->out + pixel.image * image_stride + pixel.row * row_stride + pixel.column * column_stride + j;
      pixel.Advance(this->patches.rows, this->patches.columns);
    }
  }
};

// y: the matrix is w, [kh * kw * c, o].
template <typename T>
struct ForwardProduct : PatchesTimes<T> {
  static constexpr bool packs_right = true, right_transposed = false;

  const T* Source(const RightBlock& block) const { return this->right + block.k0 * this->right_stride + block.n; }
  template <class D>
  void PackRight(D d, const RightBlock& block, int64_t begin, int64_t end, T* panels) const {
    PackRightRows(d, Source(block), this->right_stride, block, begin, end, panels);
  }
  Region RightRegion(const RightBlock& block) const {
    return {Source(block), block.kc, block.columns * this->kSize, this->right_stride * this->kSize};
  }
};

// The input adjoint within one phase of the strides: pixels see g through every stride-th tap, in reverse; the matrix
// is made of these taps, each [c, o], transposed.
template <typename T>
struct InputProduct : PatchesTimes<T> {
  static constexpr bool packs_right = true, right_transposed = true;

  int64_t o;
  int64_t taps_w;        // taps per row of taps, in this phase
  int64_t tap_h, tap_w;  // elements of w between a tap and the one before it (taps run backwards)
  const T* TapOf(int64_t k) const {
    const int64_t tap = k / o;
    return this->right - tap / taps_w * tap_h - tap % taps_w * tap_w;
  }
  template <class D>
  void PackRight(D d, const RightBlock& block, int64_t begin, int64_t end, T* panels) const {
    const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(d));
    for (int64_t j = begin; j < end; j += kTransposed<T>) {
      T* to = panels + j / width * width * block.kc + j % width;
      for (int64_t k = block.k0; k < block.k0 + block.kc;) {
        const int64_t length = std::min(o - k % o, block.k0 + block.kc - k);
        const T* tap = TapOf(k) + k % o;
        const T* columns[kTransposed<T>];
        for (int64_t i = 0; i < kTransposed<T>; ++i) {
          columns[i] = j + i < block.columns ? tap + (block.n + j + i) * o : kZeroRow<T>;
        }
        PackTransposed(columns, kTransposed<T>, length, to + (k - block.k0) * width, width);
        k += length;
      }
    }
  }
  Region RightRegion(const RightBlock& block) const {
    return {TapOf(block.k0) + block.k0 % o + block.n * o, block.columns, std::min(block.kc, o) * this->kSize,
            o * this->kSize};
  }
};

// The weight adjoint: one row per element of a patch, summed over pixels; the matrix is g, [pixels, o].
template <typename T>
struct WeightProduct : ConvProduct<T> {
  static constexpr bool right_transposed = false;

  bool packs_right;                  // needed if g's pixels do not all follow one another
  int64_t image_stride, row_stride;  // of g in elements; its pixels lie right_stride = o apart
  int64_t o;

  void PackLeft(int64_t i, int64_t rows, int64_t k0, int64_t kc, T* panels) const {
    PackPatchElements(this->patches, i, rows, k0, kc, panels);
  }
  Region LeftRegion(int64_t, int64_t, int64_t k0, int64_t kc) const { return this->patches.Span(k0, k0 + kc - 1); }
  const T* Source(const Pixel& pixel) const {
    return this->right + pixel.image * image_stride + pixel.row * row_stride + pixel.column * this->right_stride;
  }
  template <class D>
  void PackRight(D d, const RightBlock& block, int64_t begin, int64_t end, T* panels) const {
    const int64_t columns = this->patches.columns;
    Pixel pixel(block.k0 + begin, this->patches.rows, columns);
    for (int64_t k = begin; k < end;) {  // the pixels of one row of the grid lie together
      const int64_t length = std::min(columns - pixel.column, end - k);
      PackRightRows(d, Source(pixel) + block.n - k * this->right_stride, this->right_stride, block, k, k + length,
                    panels);
      k += length;
      pixel.column += length - 1;
      pixel.Advance(this->patches.rows, columns);
    }
  }
  Region RightRegion(const RightBlock& block) const {
    return {Source(Pixel(block.k0, this->patches.rows, this->patches.columns)) + block.n, block.kc,
            block.columns * this->kSize, this->right_stride * this->kSize};
  }
  void Rows(int64_t i, int count, int64_t j, T** rows) const {
    for (int r = 0; r < count; ++r) rows[r] = this->out + (i + r) * o + j;
  }
};

// Positions [begin, end) of the output for which tap `tap` reads inside an image of `extent` positions.
struct Range {
  int64_t begin, end;
};
inline Range Inside(int64_t tap, int64_t pad, int64_t stride, int64_t extent, int64_t out) {
  const int64_t first = DivideUp(std::max<int64_t>(pad - tap, 0), stride);
  const int64_t last = extent - 1 + pad - tap;
  return {first, std::max(first, last < 0 ? 0 : std::min(out, last / stride + 1))};
}

// Whether to multiply tap by tap, each over the pixels for which it is inside: worth it when padding is a good part of
// all work and a tap's own product is large enough.
inline bool SkipsPadding(const ConvShape& s) {
  int64_t inside_h = 0, inside_w = 0;
  for (int64_t p = 0; p < s.kh; ++p) {
    const Range r = Inside(p, s.pad_top, s.stride_h, s.h, s.ho());
    inside_h += r.end - r.begin;
  }
  for (int64_t q = 0; q < s.kw; ++q) {
    const Range r = Inside(q, s.pad_left, s.stride_w, s.w, s.wo());
    inside_w += r.end - r.begin;
  }
  return s.c >= 64 && s.o >= 64 && 16 * inside_h * inside_w < 15 * s.kh * s.kw * s.ho() * s.wo();
}

// Calls fn(p, q, rows, columns) for every tap that is inside the image somewhere.
template <class Fn>
void ForEachTap(const ConvShape& s, const Fn& fn) {
  for (int64_t p = 0; p < s.kh; ++p) {
    const Range rows = Inside(p, s.pad_top, s.stride_h, s.h, s.ho());
    for (int64_t q = 0; q < s.kw; ++q) {
      fn(p, q, rows, Inside(q, s.pad_left, s.stride_w, s.w, s.wo()));
    }
  }
}

// The patches that output pixels of a rectangle see through taps [p, p + patch_h) x [q, q + patch_w).
template <typename T>
Patches<T> InputPatches(const ConvShape& s, const T* x, int64_t p, int64_t q, int64_t patch_h, int64_t patch_w,
                        Range rows, Range columns) {
  return {.image = x,
          .h = s.h,
          .w = s.w,
          .c = s.c,
          .rows = rows.end - rows.begin,
          .columns = columns.end - columns.begin,
          .step_h = s.stride_h,
          .step_w = s.stride_w,
          .first_h = rows.begin * s.stride_h + p - s.pad_top,
          .first_w = columns.begin * s.stride_w + q - s.pad_left,
          .patch_h = patch_h,
          .patch_w = patch_w};
}

template <typename T>
void ForwardPiece(const ConvShape& s, const T* x, const T* w, T* y, bool accumulate, int part, int parts,
                  std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t ho = s.ho(), wo = s.wo(), pixels = s.n * ho * wo;
  ForwardProduct<T> product;
  product.right_stride = s.o;
  product.image_stride = ho * wo * s.o;
  product.row_stride = wo * s.o;
  product.column_stride = s.o;
  if (!SkipsPadding(s)) {
    product.patches = InputPatches(s, x, 0, 0, s.kh, s.kw, Range{0, ho}, Range{0, wo});
    product.right = w;
    product.out = y;
    const Piece piece = PieceOf(pixels, s.o, product.patches.size(), part, parts);
    if (!piece.empty()) MultiplyPiece(d, product, piece, product.patches.size(), accumulate, scratch);
    return;
  }
  // A part owns the same outputs for every tap: some columns of the product, or some images.
  const bool by_columns = s.o >= 32 * parts;
  int64_t n0 = 0, n1 = s.o, b0 = 0, b1 = s.n;
  if (by_columns) {
    std::tie(n0, n1) = Split(s.o, 16, part, parts);
  } else {
    std::tie(b0, b1) = Split(s.n, 1, part, parts);
  }
  if (n0 >= n1 || b0 >= b1) return;
  if (!accumulate) {
    for (int64_t i = b0 * ho * wo; i < b1 * ho * wo; ++i) std::fill(y + i * s.o + n0, y + i * s.o + n1, T{0});
  }
  ForEachTap(s, [&](int64_t p, int64_t q, Range rows, Range columns) {
    const Piece piece{0, (b1 - b0) * (rows.end - rows.begin) * (columns.end - columns.begin), n0, n1};
    if (piece.empty()) return;
    product.patches = InputPatches(s, x + b0 * s.h * s.w * s.c, p, q, 1, 1, rows, columns);
    product.right = w + (p * s.kw + q) * s.c * s.o;
    product.out = y + ((b0 * ho + rows.begin) * wo + columns.begin) * s.o;
    MultiplyPiece(d, product, piece, s.c, true, scratch);
  });
}

template <typename T>
void WeightPiece(const ConvShape& s, const T* x, const T* g, T* w, bool accumulate, int part, int parts,
                 std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t ho = s.ho(), wo = s.wo();
  WeightProduct<T> product;
  product.right_stride = product.o = s.o;
  product.image_stride = ho * wo * s.o;
  product.row_stride = wo * s.o;
  const auto multiply = [&](int64_t p, int64_t q, int64_t patch_h, int64_t patch_w, Range rows, Range columns) {
    product.patches = InputPatches(s, x, p, q, patch_h, patch_w, rows, columns);
    product.right = g + (rows.begin * wo + columns.begin) * s.o;
    product.out = w + (p * s.kw + q) * s.c * s.o;
    const int64_t pixels = s.n * product.patches.rows * product.patches.columns;
    const Piece piece = PieceOf(product.patches.size(), s.o, pixels, part, parts);
    if (piece.empty()) return;
    product.packs_right = product.patches.columns < wo || product.patches.rows < ho || piece.m1 - piece.m0 > kTileRows;
    if (pixels > 0) return MultiplyPiece(d, product, piece, pixels, accumulate, scratch);
    if (accumulate) return;  // a tap that lies in the padding everywhere
    for (int64_t i = piece.m0; i < piece.m1; ++i) {
      std::fill(product.out + i * s.o + piece.n0, product.out + i * s.o + piece.n1, T{0});
    }
  };
  if (!SkipsPadding(s)) return multiply(0, 0, s.kh, s.kw, Range{0, ho}, Range{0, wo});
  ForEachTap(s, [&](int64_t p, int64_t q, Range rows, Range columns) { multiply(p, q, 1, 1, rows, columns); });
}

template <typename T>
void InputPiece(const ConvShape& s, const T* g, const T* w, T* x, bool accumulate, int part, int parts,
                std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t ho = s.ho(), wo = s.wo();
  if (s.c <= 4 && s.o % static_cast<int64_t>(hn::Lanes(d)) == 0) {
    const Piece piece = PieceOf(s.n * s.h * s.w, s.c, s.kh * s.kw * s.o, part, parts);
    if (piece.empty()) return;
    switch (s.c) {
      case 1:
        return InputDots<1>(s, g, w, x, accumulate, piece.m0, piece.m1);
      case 2:
        return InputDots<2>(s, g, w, x, accumulate, piece.m0, piece.m1);
      case 3:
        return InputDots<3>(s, g, w, x, accumulate, piece.m0, piece.m1);
      default:
        return InputDots<4>(s, g, w, x, accumulate, piece.m0, piece.m1);
    }
  }
  // Pixels whose position has the same remainder modulo the strides see the same taps: a convolution of stride 1 of g.
  for (int64_t phase_h = 0; phase_h < s.stride_h; ++phase_h) {
    for (int64_t phase_w = 0; phase_w < s.stride_w; ++phase_w) {
      const auto first = [](int64_t phase, int64_t pad,
                            int64_t stride) {  // least y >= 0 with (y + pad) % stride == phase
        return (phase - pad % stride + stride) % stride;
      };
      const int64_t y0 = first(phase_h, s.pad_top, s.stride_h), x0 = first(phase_w, s.pad_left, s.stride_w);
      const int64_t rows = y0 < s.h ? DivideUp(s.h - y0, s.stride_h) : 0;
      const int64_t columns = x0 < s.w ? DivideUp(s.w - x0, s.stride_w) : 0;
      const int64_t taps_h = phase_h < s.kh ? DivideUp(s.kh - phase_h, s.stride_h) : 0;
      const int64_t taps_w = phase_w < s.kw ? DivideUp(s.kw - phase_w, s.stride_w) : 0;
      const int64_t k = taps_h * taps_w * s.o;
      const Piece piece = PieceOf(s.n * rows * columns, s.c, k, part, parts);
      if (piece.empty()) continue;
      InputProduct<T> product;
      product.patches = {.image = g,
                         .h = ho,
                         .w = wo,
                         .c = s.o,
                         .rows = rows,
                         .columns = columns,
                         .step_h = 1,
                         .step_w = 1,
                         .first_h = (y0 + s.pad_top) / s.stride_h - taps_h + 1,
                         .first_w = (x0 + s.pad_left) / s.stride_w - taps_w + 1,
                         .patch_h = taps_h,
                         .patch_w = taps_w};
      product.out = x + (y0 * s.w + x0) * s.c;
      product.image_stride = s.h * s.w * s.c;
      product.row_stride = s.stride_h * s.w * s.c;
      product.column_stride = s.stride_w * s.c;
      if (k == 0) {
        for (int64_t i = piece.m0; i < piece.m1 && !accumulate; ++i) {
          T* row;
          product.Rows(i, 1, piece.n0, &row);
          std::fill(row, row + piece.n1 - piece.n0, T{0});
        }
        continue;
      }
      product.o = s.o;
      product.taps_w = taps_w;
      product.tap_w = s.stride_w * s.c * s.o;
      product.tap_h = s.stride_h * s.kw * s.c * s.o;
      product.right =
          w + ((phase_h + (taps_h - 1) * s.stride_h) * s.kw + phase_w + (taps_w - 1) * s.stride_w) * s.c * s.o;
      MultiplyPiece(d, product, piece, k, accumulate, scratch);
    }
  }
}

void ForwardF32(const ConvShape& s, const float* x, const float* w, float* y, bool accumulate, int part, int parts,
                std::byte* scratch) {
  ForwardPiece(s, x, w, y, accumulate, part, parts, scratch);
}
void ForwardF64(const ConvShape& s, const double* x, const double* w, double* y, bool accumulate, int part, int parts,
                std::byte* scratch) {
  ForwardPiece(s, x, w, y, accumulate, part, parts, scratch);
}
void InputAdjointF32(const ConvShape& s, const float* g, const float* w, float* x, bool accumulate, int part, int parts,
                     std::byte* scratch) {
  InputPiece(s, g, w, x, accumulate, part, parts, scratch);
}
void InputAdjointF64(const ConvShape& s, const double* g, const double* w, double* x, bool accumulate, int part,
                     int parts, std::byte* scratch) {
  InputPiece(s, g, w, x, accumulate, part, parts, scratch);
}
void WeightAdjointF32(const ConvShape& s, const float* x, const float* g, float* w, bool accumulate, int part,
                      int parts, std::byte* scratch) {
  WeightPiece(s, x, g, w, accumulate, part, parts, scratch);
}
void WeightAdjointF64(const ConvShape& s, const double* x, const double* g, double* w, bool accumulate, int part,
                      int parts, std::byte* scratch) {
  WeightPiece(s, x, g, w, accumulate, part, parts, scratch);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(ForwardF32);
HWY_EXPORT(ForwardF64);
HWY_EXPORT(InputAdjointF32);
HWY_EXPORT(InputAdjointF64);
HWY_EXPORT(WeightAdjointF32);
HWY_EXPORT(WeightAdjointF64);

int64_t ConvScratchBytes(const ConvShape& s, DType dtype) {
  const int64_t pixels = s.n * s.ho() * s.wo(), taps = s.kh * s.kw;
  return std::max({BlockScratchBytes(pixels, s.o, taps * s.c, dtype),
                   BlockScratchBytes(s.n * s.h * s.w, s.c, taps * s.o, dtype),
                   BlockScratchBytes(taps * s.c, s.o, pixels, dtype)});
}

template <typename T>
void ConvForward(const ConvShape& s, const T* x, const T* w, T* y, bool accumulate, int part, int parts,
                 std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(ForwardF32)(s, x, w, y, accumulate, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(ForwardF64)(s, x, w, y, accumulate, part, parts, scratch);
  }
}

template <typename T>
void ConvInputAdjoint(const ConvShape& s, const T* g, const T* w, T* x, bool accumulate, int part, int parts,
                      std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(InputAdjointF32)(s, g, w, x, accumulate, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(InputAdjointF64)(s, g, w, x, accumulate, part, parts, scratch);
  }
}

template <typename T>
void ConvWeightAdjoint(const ConvShape& s, const T* x, const T* g, T* w, bool accumulate, int part, int parts,
                       std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(WeightAdjointF32)(s, x, g, w, accumulate, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(WeightAdjointF64)(s, x, g, w, accumulate, part, parts, scratch);
  }
}

template void ConvForward(const ConvShape&, const float*, const float*, float*, bool, int, int, std::byte*);
template void ConvForward(const ConvShape&, const double*, const double*, double*, bool, int, int, std::byte*);
template void ConvInputAdjoint(const ConvShape&, const float*, const float*, float*, bool, int, int, std::byte*);
template void ConvInputAdjoint(const ConvShape&, const double*, const double*, double*, bool, int, int, std::byte*);
template void ConvWeightAdjoint(const ConvShape&, const float*, const float*, float*, bool, int, int, std::byte*);
template void ConvWeightAdjoint(const ConvShape&, const double*, const double*, double*, bool, int, int, std::byte*);

}  // namespace autodiff
#endif  // HWY_ONCE
