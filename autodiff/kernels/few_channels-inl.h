// The input adjoint of a convolution whose image has few channels, a picture's own: each element is a sum of dot
// products along o, so that neither g nor w needs packing. Once per SIMD target.
//
//   InputDots<1>(shape, g, w, x, begin, end);  // pixels [begin, end) of the batch, in row-major order
#if defined(NEB_AUTODIFF_KERNELS_FEW_CHANNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_FEW_CHANNELS_INL_H_
#undef NEB_AUTODIFF_KERNELS_FEW_CHANNELS_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_FEW_CHANNELS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "autodiff/kernels/blocking.h"
#include "autodiff/kernels/conv.h"
#include "hwy/highway.h"
#include "autodiff/kernels/patches-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// kPixels pixels, x_step apart in x and adjacent in g, that see the same rows x taps taps. `g` and `w` are what the
// first of them sees through the first tap; the next tap is w_tap (the next row, w_row) further in w, and back in g.
// Each pixel's sum runs over rows, then vectors of o, then taps from the last: with kTaps = taps, a vector of g is
// loaded once for all the pixels that see it; 0 takes any number of taps.
template <int kTaps, int kPixels, int kChannels, class D, typename T = hn::TFromD<D>>
HWY_NOINLINE void DotPixels(D d, int64_t o_end, const T* g, int64_t g_row, const T* w, int64_t w_row, int64_t w_tap,
                            int64_t rows, int64_t taps, T* x, int64_t x_step) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kPixels][kChannels];
  HWY_UNROLL(8)
  for (int i = 0; i < kPixels; ++i) {
    HWY_UNROLL(4)
    for (int c = 0; c < kChannels; ++c) sum[i][c] = hn::Zero(d);
  }
  for (int64_t a = 0; a < rows; ++a, g -= g_row, w += w_row) {
    for (int64_t o = 0; o < o_end; o += lanes) {
      if constexpr (kTaps > 0) {
        hn::Vec<D> weight[kTaps][kChannels];
        HWY_UNROLL(4)
        for (int b = 0; b < kTaps; ++b) {
          HWY_UNROLL(4)
          for (int c = 0; c < kChannels; ++c) weight[b][c] = hn::LoadU(d, w + b * w_tap + c * o_end + o);
        }
        HWY_UNROLL(16)
        for (int m = 1 - kTaps; m < kPixels; ++m) {  // pixel i sees it through tap i - m
          const auto value = hn::LoadU(d, g + m * o_end + o);
          HWY_UNROLL(4)
          for (int b = 0; b < kTaps; ++b) {
            if (m + b < 0 || m + b >= kPixels) continue;
            HWY_UNROLL(4)
            for (int c = 0; c < kChannels; ++c) sum[m + b][c] = hn::MulAdd(value, weight[b][c], sum[m + b][c]);
          }
        }
      } else {
        for (int64_t b = taps - 1; b >= 0; --b) {
          HWY_UNROLL(8)
          for (int i = 0; i < kPixels; ++i) {
            const auto value = hn::LoadU(d, g + (i - b) * o_end + o);
            HWY_UNROLL(4)
            for (int c = 0; c < kChannels; ++c) {
              sum[i][c] = hn::MulAdd(value, hn::LoadU(d, w + b * w_tap + c * o_end + o), sum[i][c]);
            }
          }
        }
      }
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < kPixels; ++i) {
    HWY_UNROLL(4)
    for (int c = 0; c < kChannels; ++c) x[i * x_step + c] = hn::GetLane(hn::SumOfLanes(d, sum[i][c]));
  }
}

// The same for as many taps as there are.
template <int kPixels, int kChannels, class D, typename T = hn::TFromD<D>>
HWY_INLINE void DotPixelsOfTaps(D d, int64_t o_end, const T* g, int64_t g_row, const T* w, int64_t w_row, int64_t w_tap,
                                int64_t rows, int64_t taps, T* x, int64_t x_step) {
  switch (taps) {
    case 2:
      return DotPixels<2, kPixels, kChannels>(d, o_end, g, g_row, w, w_row, w_tap, rows, taps, x, x_step);
    case 3:
      return DotPixels<3, kPixels, kChannels>(d, o_end, g, g_row, w, w_row, w_tap, rows, taps, x, x_step);
    default:
      return DotPixels<0, kPixels, kChannels>(d, o_end, g, g_row, w, w_row, w_tap, rows, taps, x, x_step);
  }
}

// s.c is kChannels and s.o a multiple of the vector's lanes.
template <int kChannels, typename T>
void InputDots(const ConvShape& s, const T* g, const T* w, T* x, int64_t begin, int64_t end) {
  const hn::ScalableTag<T> d;
  const int64_t ho = s.ho(), wo = s.wo();
  constexpr int kMany = 8 / kChannels < 4 ? 4 : 8 / kChannels;  // as many sums as the registers hold
  while (begin < end) {
    const Pixel pixel(begin, s.h, s.w);
    const int64_t row_end = std::min(s.w, pixel.column + end - begin);
    // Tap p of row y sees row (y + pad_top - p) / stride_h of g, for p = phase_h + a * stride_h.
    const int64_t t_h = (pixel.row + s.pad_top) / s.stride_h, phase_h = (pixel.row + s.pad_top) % s.stride_h;
    const int64_t a0 = std::max<int64_t>(0, t_h - ho + 1);
    const int64_t a1 = std::min(t_h + 1, DivideUp(s.kh - phase_h, s.stride_h));
    T* const x_row = x + (pixel.image * s.h + pixel.row) * s.w * s.c;
    const T* const g_rows = g + pixel.image * ho * wo * s.o;
    for (int64_t phase = 0; phase < s.stride_w; ++phase) {
      // The columns of this phase, and their taps q = phase_w + b * stride_w.
      int64_t column = pixel.column + phase;
      const int64_t phase_w = (column + s.pad_left) % s.stride_w;
      const int64_t all_taps = DivideUp(s.kw - phase_w, s.stride_w);
      int64_t done = 0;  // pixels of this row and phase that see all taps
      while (column < row_end) {
        const int64_t t_w = (column + s.pad_left) / s.stride_w;
        const int64_t b0 = std::max<int64_t>(0, t_w - wo + 1), b1 = std::min(t_w + 1, all_taps);
        const int64_t rows = std::max<int64_t>(0, a1 - a0), taps = rows == 0 ? 0 : std::max<int64_t>(0, b1 - b0);
        const T* g_first = taps == 0 ? g : g_rows + ((t_h - a0) * wo + t_w - b0) * s.o;
        const T* w_first =
            taps == 0 ? w : w + ((phase_h + a0 * s.stride_h) * s.kw + phase_w + b0 * s.stride_w) * s.c * s.o;
        const int64_t w_row = s.stride_h * s.kw * s.c * s.o, w_tap = s.stride_w * s.c * s.o;
        // Pixels that see all taps go several at once, the last few of them together with some that are done already.
        int64_t inside = 0;
        if (taps > 0 && b0 == 0 && b1 == all_taps) {
          inside = std::min(wo - t_w, DivideUp(row_end - column, s.stride_w));
        }
        const int64_t x_step = s.stride_w * s.c;
        const int64_t back = inside > 0 && inside < 4 && inside + done >= 4 ? 4 - inside : 0;
        g_first -= back * s.o;
        T* const x_first = x_row + column * s.c - back * x_step;
        int64_t count = 1;
        if (inside >= kMany) {
          count = kMany;
          DotPixelsOfTaps<kMany, kChannels>(d, s.o, g_first, wo * s.o, w_first, w_row, w_tap, rows, taps, x_first,
                                            x_step);
        } else if (inside + back >= 4) {
          count = 4 - back;
          DotPixelsOfTaps<4, kChannels>(d, s.o, g_first, wo * s.o, w_first, w_row, w_tap, rows, taps, x_first, x_step);
        } else {
          DotPixels<0, 1, kChannels>(d, s.o, g_first, wo * s.o, w_first, w_row, w_tap, rows, taps, x_first, x_step);
        }
        if (inside > 0) done += count;
        column += count * s.stride_w;
      }
    }
    begin += row_end - pixel.column;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
