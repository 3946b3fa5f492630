// The patches of an image that a convolution multiplies, as the left factor of gemm-inl.h's product: packed straight
// from the image, by pixels or by elements of a patch, once per SIMD target.
//
//   const Patches<T> patches{.image = x, .h = 28, .w = 28, .c = 32, .rows = 14, .columns = 14, .step_h = 2, ...};
//   PackPatches(patches, i, rows, k0, kc, panels);            // row: a pixel; k: an element of its patch
//   PackPatchElements(patches, i, rows, k0, kc, panels);      // the transpose
#if defined(NEB_AUTODIFF_KERNELS_PATCHES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_PATCHES_INL_H_
#undef NEB_AUTODIFF_KERNELS_PATCHES_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_PATCHES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "autodiff/kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A pixel of a batch of images of rows x columns pixels, counted in row-major order.
struct Pixel {
  int64_t image, row, column;

  Pixel(int64_t index, int64_t rows, int64_t columns)
      : image(index / (rows * columns)), row(index / columns % rows), column(index % columns) {}
  void Advance(int64_t rows, int64_t columns) {
    if (++column < columns) return;
    column = 0;
    if (++row < rows) return;
    row = 0;
    ++image;
  }
};

// The patch that each pixel of a rows x columns grid sees of an image [*, h, w, c], zero outside the image. A row of a
// patch is a run of patch_w * c elements that lie together in memory.
template <typename T>
struct Patches {
  const T* image;
  int64_t h, w, c;
  int64_t rows, columns;                     // of the grid
  int64_t step_h, step_w, first_h, first_w;  // pixel (i, j) sees (first_h + i * step_h, first_w + j * step_w) onwards
  int64_t patch_h, patch_w;

  int64_t run() const { return patch_w * c; }
  int64_t size() const { return patch_h * run(); }

  // Element e of row p of a pixel's patch is image[start + e] for begin <= e < end, and zero for other e.
  struct Valid {
    int64_t start, begin, end;
  };
  HWY_INLINE Valid ValidRun(const Pixel& pixel, int64_t p) const {
    const int64_t y = first_h + pixel.row * step_h + p, x = first_w + pixel.column * step_w;
    if (y < 0 || y >= h) return {0, run(), run()};
    return {((pixel.image * h + y) * w + x) * c, -x * c, (w - x) * c};
  }
  // Elements [begin, end) of that row, at most kMaxKBlock: where they are, or copied to `edge`.
  HWY_INLINE const T* Run(const Pixel& pixel, int64_t p, int64_t begin, int64_t end, T* edge) const {
    const Valid valid = ValidRun(pixel, p);
    if (begin >= valid.begin && end <= valid.end) return image + (valid.start + begin);
    if (valid.begin >= end || valid.end <= begin) return kZeroRow<T>;
    for (int64_t e = begin; e < end; ++e) {
      edge[e - begin] = e >= valid.begin && e < valid.end ? image[valid.start + e] : T{0};
    }
    return edge;
  }
  // For patches of short rows: where elements [first, first + count) of a patch lie, seen from its first element ...
  void Offsets(int64_t first, int64_t count, int64_t* offsets) const {
    for (int64_t e = first; e < first + count; ++e) offsets[e - first] = e / run() * w * c + e % run();
  }
  // ... and a copy of them, one by one, `stride` apart.
  HWY_INLINE void Copy(const Pixel& pixel, int64_t first, int64_t count, const int64_t* offsets, T* to,
                       int64_t stride) const {
    const int64_t y = first_h + pixel.row * step_h, x = first_w + pixel.column * step_w;
    if (y >= 0 && y + patch_h <= h && x >= 0 && x + patch_w <= w) {
      const T* from = image + ((pixel.image * h + y) * w + x) * c;
      for (int64_t e = 0; e < count; ++e) to[e * stride] = from[offsets[e]];
      return;
    }
    for (int64_t e = 0; e < count; ++e) {
      const Valid valid = ValidRun(pixel, (first + e) / run());
      const int64_t in_run = (first + e) % run();
      to[e * stride] = in_run >= valid.begin && in_run < valid.end ? image[valid.start + in_run] : T{0};
    }
  }

  // About what the patches of pixels [first, last] cover.
  Region Span(int64_t first, int64_t last) const {
    const auto offset = [&](const Pixel& pixel, int64_t p) {
      const int64_t y = std::clamp<int64_t>(first_h + pixel.row * step_h + p, 0, h - 1);
      return (pixel.image * h + y) * w * c;
    };
    const int64_t begin = offset(Pixel(first, rows, columns), 0);
    const int64_t end = offset(Pixel(last, rows, columns), patch_h - 1) + w * c;
    return {image + begin, DivideUp((end - begin) * static_cast<int64_t>(sizeof(T)), 64), 64, 64};
  }
};

// Rows of a patch shorter than this are copied element by element.
inline constexpr int64_t kShortRun = 8;

// Left factor: one row per pixel, its patch.
template <typename T>
void PackPatches(const Patches<T>& patches, int64_t first, int64_t count, int64_t k0, int64_t kc, T* panels) {
  const int64_t run = patches.run();
  T edges[kTileRows][kMaxKBlock<T>];
  Pixel pixel(first, patches.rows, patches.columns);
  if (run < kShortRun) {
    int64_t offsets[kMaxKBlock<T>];
    patches.Offsets(k0, kc, offsets);
    for (int64_t i = 0; i < RoundUp(count, kTileRows); ++i) {
      T* to = panels + i / kTileRows * kTileRows * kc + i % kTileRows;
      if (i < count) {
        patches.Copy(pixel, k0, kc, offsets, to, kTileRows);
        pixel.Advance(patches.rows, patches.columns);
      } else {
        for (int64_t k = 0; k < kc; ++k) to[k * kTileRows] = T{0};
      }
    }
    return;
  }
  for (; count > 0; count -= kTileRows, panels += kTileRows * kc) {
    const Pixel start = pixel;
    const int64_t height = std::min<int64_t>(kTileRows, count);
    const T* sources[kTileRows];
    std::fill(sources + height, sources + kTileRows, kZeroRow<T>);
    for (int64_t k = k0; k < k0 + kc;) {
      const int64_t p = k / run, begin = k - p * run, end = std::min(run, k0 + kc - p * run);
      pixel = start;
      for (int64_t i = 0; i < height; ++i) {
        sources[i] = patches.Run(pixel, p, begin, end, edges[i]);
        pixel.Advance(patches.rows, patches.columns);
      }
      PackTransposed(sources, kTileRows, end - begin, panels + (k - k0) * kTileRows, kTileRows);
      k += end - begin;
    }
  }
}

// Left factor: one row per element of a patch, from `first` on, one step of k per pixel. A panel's rows lie together in
// a patch unless a row of the patch ends among them.
template <typename T>
void PackPatchElements(const Patches<T>& patches, int64_t first, int64_t count, int64_t k0, int64_t kc, T* panels) {
  const hn::CappedTag<T, 16 / sizeof(T)> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t run = patches.run(), last = first + count;
  if (count % kTileRows != 0) {  // rows of zeros complete the last panel
    T* panel = panels + count / kTileRows * kTileRows * kc;
    std::fill(panel, panel + kTileRows * kc, T{0});
  }
  if (run < kShortRun) {
    int64_t offsets[kTileRows];
    for (int64_t i = first; i < last; i += kTileRows) {
      const int64_t height = std::min<int64_t>(kTileRows, last - i);
      patches.Offsets(i, height, offsets);
      Pixel pixel(k0, patches.rows, patches.columns);
      for (int64_t k = 0; k < kc; ++k) {
        patches.Copy(pixel, i, height, offsets, panels + (i - first) * kc + k * kTileRows, 1);
        pixel.Advance(patches.rows, patches.columns);
      }
    }
    return;
  }
  typename Patches<T>::Valid valid[kMaxKBlock<T>];
  for (int64_t element = first; element < last;) {
    const int64_t p = element / run, run_end = std::min(run, last - p * run);
    Pixel pixel(k0, patches.rows, patches.columns);
    for (int64_t k = 0; k < kc; ++k) {
      valid[k] = patches.ValidRun(pixel, p);
      pixel.Advance(patches.rows, patches.columns);
    }
    for (int64_t begin = element - p * run; begin < run_end;) {
      const int64_t r = p * run + begin - first, row = r % kTileRows;
      const int64_t end = std::min(run_end, begin + kTileRows - row);
      T* to = panels + (r - row) * kc + row;
      for (int64_t k = 0; k < kc; ++k, to += kTileRows) {
        const typename Patches<T>::Valid& v = valid[k];
        if (begin >= v.begin && end <= v.end) {
          const T* source = patches.image + (v.start + begin);
          if (end - begin == kTileRows) {
            HWY_UNROLL(6)
            for (int64_t i = 0; i < kTileRows; i += lanes) hn::StoreU(hn::LoadU(d, source + i), d, to + i);
          } else {
            int64_t i = 0;
            for (; i + lanes <= end - begin; i += lanes) hn::StoreU(hn::LoadU(d, source + i), d, to + i);
            for (; i < end - begin; ++i) to[i] = source[i];
          }
        } else {
          for (int64_t e = begin; e < end; ++e)
            to[e - begin] = e >= v.begin && e < v.end ? patches.image[v.start + e] : T{0};
        }
      }
      begin = end;
    }
    element = p * run + run_end;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
