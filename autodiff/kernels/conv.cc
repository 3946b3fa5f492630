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
#include "autodiff/kernels/conv_products-inl.h"
#include "autodiff/kernels/direct-inl.h"
#include "autodiff/kernels/few_channels-inl.h"
#include "autodiff/kernels/gemm-inl.h"
#include "autodiff/kernels/patches-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {

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
PaddedImages<T> PaddedInput(const ConvShape& s, const T* x, int64_t columns) {
  return {.image = x,
          .h = s.h,
          .w = s.w,
          .c = s.c,
          .first_h = -s.pad_top,
          .first_w = -s.pad_left,
          .width = (columns - 1) * s.stride_w + s.kw,
          .step_h = s.stride_h,
          .step_w = s.stride_w,
          .reach = s.kh};
}

template <typename T>
void ForwardDirect(const ConvShape& s, const T* x, const T* w, T* y, int part, int parts, std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(d));
  const int64_t ho = s.ho(), wo = s.wo(), k = s.kh * s.kw * s.c;
  const Piece piece = PieceOf(s.n * ho, 1, wo * k * s.o, part, parts);
  if (piece.empty()) return;
  T* const panels = reinterpret_cast<T*>(scratch);
  T* const copy = panels + k * RoundUp(s.o, width);
  const bool packs = s.o != width;
  if (packs) PackRightRows(d, w, s.o, RightBlock{0, s.o, 0, k}, 0, k, panels);
  const PaddedImages<T> padded = PaddedInput(s, x, RoundUp(wo, GroupFor(wo)));
  const PixelProduct<T> product{.rows = ho,
                                .columns = wo,
                                .first_h = 0,
                                .first_w = 0,
                                .patch_h = s.kh,
                                .run = s.kw * s.c,
                                .panels = packs ? panels : w,
                                .out = y,
                                .image_stride = ho * wo * s.o,
                                .row_stride = wo * s.o,
                                .column_stride = s.o};
  ForEachChunk(piece.m0, piece.m1, ho, padded.MaxRows(ho), [&](const Chunk& chunk) {
    padded.Copy(chunk, copy);
    MultiplyPixels(d, padded, chunk, copy, product, s.o, GroupFor(wo));
  });
}

template <typename T>
void WeightDirect(const ConvShape& s, const T* x, const T* g, T* w, bool accumulate, int part, int parts,
                  std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t ho = s.ho(), wo = s.wo(), run = s.kw * s.c;
  const Piece piece = PieceOf(s.kh * run, s.o, s.n * ho * wo, part, parts);
  if (piece.empty()) return;
  const PaddedImages<T> padded = PaddedInput(s, x, wo);
  T* const panel = reinterpret_cast<T*>(scratch);
  T* const copy = panel + kTileVectors * static_cast<int64_t>(hn::Lanes(d)) * std::max(wo, kChunkPixels);
  const int64_t max_rows = std::min(padded.MaxRows(ho), std::max<int64_t>(1, kChunkPixels / wo));
  const int64_t rows = max_rows < ho ? DivideUp(ho, DivideUp(ho, max_rows)) : max_rows;
  bool add = accumulate;
  ForEachChunk(0, s.n * ho, ho, rows, [&](const Chunk& chunk) {
    padded.Copy(chunk, copy);
    MultiplyElements(d, padded, chunk, copy, wo, run, piece, g + (chunk.image * ho + chunk.row) * wo * s.o, s.o, add, w,
                     panel);
    add = true;
  });
}

template <typename T>
void ForwardPiece(const ConvShape& s, const T* x, const T* w, T* y, int part, int parts, std::byte* scratch) {
  if (IsDirect(s, static_cast<int64_t>(sizeof(T)))) return ForwardDirect(s, x, w, y, part, parts, scratch);
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
    if (!piece.empty()) MultiplyPiece(d, product, piece, product.patches.size(), false, scratch);
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
  for (int64_t i = b0 * ho * wo; i < b1 * ho * wo; ++i) std::fill(y + i * s.o + n0, y + i * s.o + n1, T{0});
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
  if (IsDirect(s, static_cast<int64_t>(sizeof(T)))) return WeightDirect(s, x, g, w, accumulate, part, parts, scratch);
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

// Pixels of x whose position has the same remainder modulo the strides see the same taps of w, backwards: a convolution
// of stride 1 of g. Of these pixels, and of what they see:
struct Phase {
  int64_t y, x, rows, columns;        // first pixel, and how many
  int64_t first_tap, taps_h, taps_w;  // in w; the first of them all
  int64_t first_h, first_w;           // where in g the first pixel's patch begins
};
template <class Fn>
void ForEachPhase(const ConvShape& s, const Fn& fn) {
  const auto first = [](int64_t phase, int64_t pad, int64_t stride) {  // least y >= 0 with (y + pad) % stride == phase
    return (phase - pad % stride + stride) % stride;
  };
  for (int64_t phase_h = 0; phase_h < s.stride_h; ++phase_h) {
    for (int64_t phase_w = 0; phase_w < s.stride_w; ++phase_w) {
      Phase phase;
      phase.y = first(phase_h, s.pad_top, s.stride_h);
      phase.x = first(phase_w, s.pad_left, s.stride_w);
      phase.rows = phase.y < s.h ? DivideUp(s.h - phase.y, s.stride_h) : 0;
      phase.columns = phase.x < s.w ? DivideUp(s.w - phase.x, s.stride_w) : 0;
      phase.taps_h = phase_h < s.kh ? DivideUp(s.kh - phase_h, s.stride_h) : 0;
      phase.taps_w = phase_w < s.kw ? DivideUp(s.kw - phase_w, s.stride_w) : 0;
      phase.first_tap = (phase_h + (phase.taps_h - 1) * s.stride_h) * s.kw + phase_w + (phase.taps_w - 1) * s.stride_w;
      phase.first_h = (phase.y + s.pad_top) / s.stride_h - phase.taps_h + 1;
      phase.first_w = (phase.x + s.pad_left) / s.stride_w - phase.taps_w + 1;
      fn(phase);
    }
  }
}

template <typename T>
InputProduct<T> InputProductOf(const ConvShape& s, const Phase& phase, const T* g, const T* w, T* x) {
  InputProduct<T> product;
  product.patches = {.image = g,
                     .h = s.ho(),
                     .w = s.wo(),
                     .c = s.o,
                     .rows = phase.rows,
                     .columns = phase.columns,
                     .step_h = 1,
                     .step_w = 1,
                     .first_h = phase.first_h,
                     .first_w = phase.first_w,
                     .patch_h = phase.taps_h,
                     .patch_w = phase.taps_w};
  product.out = x + (phase.y * s.w + phase.x) * s.c;
  product.image_stride = s.h * s.w * s.c;
  product.row_stride = s.stride_h * s.w * s.c;
  product.column_stride = s.stride_w * s.c;
  product.o = s.o;
  product.taps_w = phase.taps_w;
  product.tap_w = s.stride_w * s.c * s.o;
  product.tap_h = s.stride_h * s.kw * s.c * s.o;
  product.right = w + phase.first_tap * s.c * s.o;
  return product;
}

template <typename T>
void InputDirect(const ConvShape& s, const T* g, const T* w, T* x, int part, int parts, std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(d));
  int64_t rows = 0, columns = 0, top = s.ho(), left = s.wo(), bottom = 0, right = 0;
  ForEachPhase(s, [&](const Phase& phase) {
    rows = std::max(rows, phase.rows);
    columns = std::max(columns, phase.columns);
    if (phase.taps_h == 0 || phase.taps_w == 0) return;
    top = std::min(top, phase.first_h);
    left = std::min(left, phase.first_w);
    bottom = std::max(bottom, phase.first_h + phase.taps_h);
    right = std::max(right, phase.first_w + phase.taps_w);
  });
  const Piece piece = PieceOf(s.n * rows, 1, columns * s.c * s.kh * s.kw * s.o, part, parts);
  if (piece.empty()) return;
  const PaddedImages<T> padded{.image = g,
                               .h = s.ho(),
                               .w = s.wo(),
                               .c = s.o,
                               .first_h = top,
                               .first_w = left,
                               .width = RoundUp(columns, GroupFor(columns)) - 1 + right - left,
                               .step_h = 1,
                               .step_w = 1,
                               .reach = bottom - top};
  T* panels = reinterpret_cast<T*>(scratch);
  T* const copy = panels + s.kh * s.kw * s.o * RoundUp(s.c, width);
  ForEachPhase(s, [&](const Phase& phase) {
    const int64_t k = phase.taps_h * phase.taps_w * s.o;
    if (k > 0) InputProductOf(s, phase, g, w, x).PackRight(d, {0, s.c, 0, k}, 0, RoundUp(s.c, width), panels);
    panels += k * RoundUp(s.c, width);
  });
  ForEachChunk(piece.m0, piece.m1, rows, padded.MaxRows(rows), [&](const Chunk& chunk) {
    padded.Copy(chunk, copy);
    const T* phase_panels = reinterpret_cast<T*>(scratch);
    ForEachPhase(s, [&](const Phase& phase) {
      const InputProduct<T> packed = InputProductOf(s, phase, g, w, x);
      const bool taps = phase.taps_h > 0 && phase.taps_w > 0;
      const PixelProduct<T> product{.rows = phase.rows,
                                    .columns = phase.columns,
                                    .first_h = taps ? phase.first_h - top : 0,
                                    .first_w = taps ? phase.first_w - left : 0,
                                    .patch_h = taps ? phase.taps_h : 0,
                                    .run = phase.taps_w * s.o,
                                    .panels = phase_panels,
                                    .out = packed.out,
                                    .image_stride = packed.image_stride,
                                    .row_stride = packed.row_stride,
                                    .column_stride = packed.column_stride};
      MultiplyPixels(d, padded, chunk, copy, product, s.c, GroupFor(columns));
      phase_panels += product.patch_h * product.run * RoundUp(s.c, width);
    });
  });
}

template <typename T>
void InputPiece(const ConvShape& s, const T* g, const T* w, T* x, int part, int parts, std::byte* scratch) {
  const hn::ScalableTag<T> d;
  if (s.c <= 4 && s.o % static_cast<int64_t>(hn::Lanes(d)) == 0) {
    const Piece piece = PieceOf(s.n * s.h * s.w, s.c, s.kh * s.kw * s.o, part, parts);
    if (piece.empty()) return;
    switch (s.c) {
      case 1:
        return InputDots<1>(s, g, w, x, piece.m0, piece.m1);
      case 2:
        return InputDots<2>(s, g, w, x, piece.m0, piece.m1);
      case 3:
        return InputDots<3>(s, g, w, x, piece.m0, piece.m1);
      default:
        return InputDots<4>(s, g, w, x, piece.m0, piece.m1);
    }
  }
  if (IsDirect(s, static_cast<int64_t>(sizeof(T)))) return InputDirect(s, g, w, x, part, parts, scratch);
  ForEachPhase(s, [&](const Phase& phase) {
    const InputProduct<T> product = InputProductOf(s, phase, g, w, x);
    const int64_t k = product.patches.size();
    const Piece piece = PieceOf(s.n * phase.rows * phase.columns, s.c, k, part, parts);
    if (piece.empty()) return;
    if (k > 0) return MultiplyPiece(d, product, piece, k, false, scratch);
    for (int64_t i = piece.m0; i < piece.m1; ++i) {
      T* row;
      product.Rows(i, 1, piece.n0, &row);
      std::fill(row, row + piece.n1 - piece.n0, T{0});
    }
  });
}

void ForwardF32(const ConvShape& s, const float* x, const float* w, float* y, int part, int parts, std::byte* scratch) {
  ForwardPiece(s, x, w, y, part, parts, scratch);
}
void ForwardF64(const ConvShape& s, const double* x, const double* w, double* y, int part, int parts,
                std::byte* scratch) {
  ForwardPiece(s, x, w, y, part, parts, scratch);
}
void InputAdjointF32(const ConvShape& s, const float* g, const float* w, float* x, int part, int parts,
                     std::byte* scratch) {
  InputPiece(s, g, w, x, part, parts, scratch);
}
void InputAdjointF64(const ConvShape& s, const double* g, const double* w, double* x, int part, int parts,
                     std::byte* scratch) {
  InputPiece(s, g, w, x, part, parts, scratch);
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
  // Weights in panels, or a panel of an adjoint's columns; and the copy of some images. Widest tile of any target: 32
  // columns; most pixels in a group: 7.
  const int64_t size = SizeOf(dtype), reach_h = std::max(s.kh, s.kh / s.stride_h + 2);
  const int64_t panels = taps * std::max(s.c * (s.o + 32), s.o * (s.c + 32));
  const int64_t panel = 32 * std::max(s.wo(), kChunkPixels);
  const int64_t input_row = s.kh * ((s.wo() + 6) * s.stride_w + s.kw) * s.c;
  const int64_t output_row = reach_h * (DivideUp(s.w, s.stride_w) + 8 + s.kw) * s.o;
  const int64_t copy = std::max({kChunkBytes, input_row * size, output_row * size}) + kSlack * size;
  const int64_t direct = IsDirect(s, size) ? PaddedBytes(std::max(panels, panel) * size + copy) : 0;
  return std::max({direct, BlockScratchBytes(pixels, s.o, taps * s.c, dtype),
                   BlockScratchBytes(s.n * s.h * s.w, s.c, taps * s.o, dtype),
                   BlockScratchBytes(taps * s.c, s.o, pixels, dtype)});
}

template <typename T>
void ConvForward(const ConvShape& s, const T* x, const T* w, T* y, int part, int parts, std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(ForwardF32)(s, x, w, y, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(ForwardF64)(s, x, w, y, part, parts, scratch);
  }
}

template <typename T>
void ConvInputAdjoint(const ConvShape& s, const T* g, const T* w, T* x, int part, int parts, std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(InputAdjointF32)(s, g, w, x, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(InputAdjointF64)(s, g, w, x, part, parts, scratch);
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

template void ConvForward(const ConvShape&, const float*, const float*, float*, int, int, std::byte*);
template void ConvForward(const ConvShape&, const double*, const double*, double*, int, int, std::byte*);
template void ConvInputAdjoint(const ConvShape&, const float*, const float*, float*, int, int, std::byte*);
template void ConvInputAdjoint(const ConvShape&, const double*, const double*, double*, int, int, std::byte*);
template void ConvWeightAdjoint(const ConvShape&, const float*, const float*, float*, bool, int, int, std::byte*);
template void ConvWeightAdjoint(const ConvShape&, const double*, const double*, double*, bool, int, int, std::byte*);

}  // namespace autodiff
#endif  // HWY_ONCE
