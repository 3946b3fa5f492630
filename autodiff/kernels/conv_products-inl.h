// The three products that a convolution and its adjoints are, for gemm-inl.h's MultiplyPiece: the left factor is packed
// from an image's patches, the right one from the weights or from an image. Once per SIMD target.
#if defined(NEB_AUTODIFF_KERNELS_CONV_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_CONV_PRODUCTS_INL_H_
#undef NEB_AUTODIFF_KERNELS_CONV_PRODUCTS_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_CONV_PRODUCTS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "autodiff/kernels/gemm-inl.h"
#include "autodiff/kernels/patches-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {

// What the three products have in common.
template <typename T>
struct ConvProduct {
  static constexpr bool packs_left = true, right_ready = false;
  static constexpr int64_t kSize = sizeof(T);

  Patches<T> patches;
  const T* right = nullptr;
  int64_t right_stride = 0;
  T* out = nullptr;

  LeftPanel<T> Left(int64_t, int64_t) const { return {}; }  // never in place
  const T* ReadyRight(const RightBlock&) const { return nullptr; }
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
        const int64_t length = std::min({o - k % o, block.k0 + block.kc - k, kMaxKBlock<T>});
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

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
