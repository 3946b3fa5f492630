// Convolutions with small kernels, once per SIMD target: a few images at a time are copied with their padding, so that
// every pixel sees whole patches equally far apart, and the products' tiles read those patches in place. Nothing is
// unrolled or transposed but the weights, once. gemm-inl.h's product, which packs both factors, wins when the
// weights no longer stay in L2.
//
//   const PaddedImages<T> padded{.image = x, .h = 28, .w = 28, .c = 32, .first_h = -1, .first_w = -1, ...};
//   ForEachChunk(begin, end, rows, padded.MaxRows(), [&](const Chunk& chunk) {
//     padded.Copy(chunk, scratch);
//     MultiplyPixels(d, padded, chunk, scratch, product, columns);  // or MultiplyElements
//   });
#if defined(NEB_AUTODIFF_KERNELS_DIRECT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_DIRECT_INL_H_
#undef NEB_AUTODIFF_KERNELS_DIRECT_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_DIRECT_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "autodiff/kernels/blocking.h"
#include "autodiff/kernels/padded.h"
#include "hwy/highway.h"
#include "autodiff/kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A tile of pixels is two groups, each of adjacent pixels in a row: 7 divides the rows of 28, 14 and 7 that pictures of
// 28 x 28 shrink to, and twice 7 times two vectors of sums just fit 32 registers.
inline constexpr bool kManyRegisters = kTileRows == 12;
inline int64_t GroupFor(int64_t columns) {
  if (!kManyRegisters) return 2;
  return RoundUp(columns, 7) <= RoundUp(columns, 4) ? 7 : 4;
}
// Steps of k between a row of B and the one that is fetched with it.
inline constexpr int64_t kFetchAhead = 8;

// Columns [0, columns) of a row of C, from `sums` if they are not whole vectors.
template <int kVectors, class D, typename T = hn::TFromD<D>>
HWY_INLINE void StoreSums(D d, const hn::Vec<D> (&sum)[kVectors], int64_t columns, bool add, T* out) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (HWY_LIKELY(columns == kVectors * lanes)) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(add ? hn::Add(hn::LoadU(d, out + v * lanes), sum[v]) : sum[v], d, out + v * lanes);
    }
    return;
  }
  HWY_ALIGN T row[kVectors * hn::MaxLanes(d)];
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) hn::Store(sum[v], d, row + v * lanes);
  for (int64_t j = 0; j < columns; ++j) out[j] = add ? out[j] + row[j] : row[j];
}

// Two groups of pixels, `step` elements apart, times the same columns of B: `rows` runs of `run` steps of k, a run
// being row_step elements behind the one before it.
template <typename T>
struct PixelTile {
  const T* pixels[2];
  int64_t step, rows, run, row_step;
  RightPanel<T> right;
  T* out[2];
  int64_t out_step;
  int64_t counts[2];  // of the pixels in each group that exist
  int64_t columns;
};

template <int kGroup, int kVectors, class D, typename T = hn::TFromD<D>>
HWY_NOINLINE void MultiplyPixelTile(D d, const PixelTile<T>& tile) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[2][kGroup][kVectors];
  HWY_UNROLL(8)
  for (int i = 0; i < kGroup; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sum[0][i][v] = sum[1][i][v] = hn::Zero(d);
  }
  const T* HWY_RESTRICT right = tile.right.p;
  const int64_t right_step = tile.right.step, step = tile.step;
  for (int64_t p = 0; p < tile.rows; ++p) {
    const T* HWY_RESTRICT first = tile.pixels[0] + p * tile.row_step;
    const T* HWY_RESTRICT second = tile.pixels[1] + p * tile.row_step;
    for (const T* const end = first + tile.run; first != end; ++first, ++second, right += right_step) {
      hn::Vec<D> b[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) b[v] = hn::LoadU(d, right + v * lanes);
      hwy::Prefetch(right + kFetchAhead * right_step);
      HWY_UNROLL(8)
      for (int i = 0; i < kGroup; ++i) {
        const auto a = hn::Set(d, first[i * step]);
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sum[0][i][v] = hn::MulAdd(a, b[v], sum[0][i][v]);
      }
      HWY_UNROLL(8)
      for (int i = 0; i < kGroup; ++i) {
        const auto a = hn::Set(d, second[i * step]);
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sum[1][i][v] = hn::MulAdd(a, b[v], sum[1][i][v]);
      }
    }
  }
  const int64_t columns = tile.columns, out_step = tile.out_step;
  T* const outs[2] = {tile.out[0], tile.out[1]};
  if (HWY_LIKELY(tile.counts[0] == kGroup && tile.counts[1] == kGroup && columns == kVectors * lanes)) {
    HWY_UNROLL(2)
    for (int g = 0; g < 2; ++g) {
      HWY_UNROLL(8)
      for (int i = 0; i < kGroup; ++i) {
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[g][i][v], d, outs[g] + i * out_step + v * lanes);
      }
    }
    return;
  }
  HWY_UNROLL(2)
  for (int g = 0; g < 2; ++g) {
    HWY_UNROLL(8)
    for (int i = 0; i < kGroup; ++i) {
      if (i < tile.counts[g]) StoreSums(d, sum[g][i], columns, false, outs[g] + i * out_step);
    }
  }
}

// Rows of C that belong to kGroups runs of a patch, kGroup adjacent elements of each, summed over a grid of pixels. The
// grid's rows of B follow one another.
template <typename T>
struct ElementTile {
  const T* patch;      // the first element of the first pixel's patch
  int64_t group_step;  // elements of the image between two runs of a patch
  int64_t images, rows, columns;
  int64_t image_step, row_step, step;  // elements between the pixels of the grid
  RightPanel<T> right;
  T* out;
  int64_t out_group, out_step;
  int64_t count;  // of the elements in each group that exist
  int64_t out_columns;
  bool add;
};

template <int kGroups, int kGroup, int kVectors, class D, typename T = hn::TFromD<D>>
HWY_NOINLINE void MultiplyElementTile(D d, const ElementTile<T>& tile) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kGroups][kGroup][kVectors];
  HWY_UNROLL(4)
  for (int g = 0; g < kGroups; ++g) {
    HWY_UNROLL(16)
    for (int i = 0; i < kGroup; ++i) {
      if (i < tile.count) hwy::Prefetch(tile.out + g * tile.out_group + i * tile.out_step);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[g][i][v] = hn::Zero(d);
    }
  }
  const T* HWY_RESTRICT right = tile.right.p;
  const int64_t right_step = tile.right.step, step = tile.step, group_step = tile.group_step;
  for (int64_t image = 0; image < tile.images; ++image) {
    for (int64_t row = 0; row < tile.rows; ++row) {
      const T* HWY_RESTRICT patch = tile.patch + image * tile.image_step + row * tile.row_step;
      for (int64_t column = 0; column < tile.columns; ++column, patch += step, right += right_step) {
        hn::Vec<D> b[kVectors];
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) b[v] = hn::LoadU(d, right + v * lanes);
        HWY_UNROLL(4)
        for (int g = 0; g < kGroups; ++g) {
          HWY_UNROLL(16)
          for (int i = 0; i < kGroup; ++i) {
            const auto a = hn::Set(d, patch[g * group_step + i]);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v) sum[g][i][v] = hn::MulAdd(a, b[v], sum[g][i][v]);
          }
        }
      }
    }
  }
  HWY_UNROLL(4)
  for (int g = 0; g < kGroups; ++g) {
    HWY_UNROLL(16)
    for (int i = 0; i < kGroup; ++i) {
      if (i < tile.count) {
        StoreSums(d, sum[g][i], tile.out_columns, tile.add, tile.out + g * tile.out_group + i * tile.out_step);
      }
    }
  }
}

// Calls fn(std::integral_constant<int, vectors>) for the fewest vectors that hold `columns` columns.
template <class D, class Fn>
HWY_INLINE void WithVectors(D d, int64_t columns, const Fn& fn) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if constexpr (kTileVectors > 2) {
    if (columns > 2 * lanes) return fn(std::integral_constant<int, 3>());
  }
  if (columns > lanes) return fn(std::integral_constant<int, 2>());
  fn(std::integral_constant<int, 1>());
}

// What the pixels of a grid make of their patches: out = patch times a matrix [rows * run, columns] in panels.
template <typename T>
struct PixelProduct {
  int64_t rows, columns;     // of the grid
  int64_t first_h, first_w;  // where the first pixel's patch begins, in the padded image
  int64_t patch_h, run;      // rows of a patch, and their elements
  const T* panels;           // the matrix, kTileVectors vectors of columns at a time
  T* out;
  int64_t image_stride, row_stride, column_stride;
};

// A row of groups of pixels, from `column` on.
struct Strip {
  int64_t image, row, column;
};

// The chunk's rows of the result; `copy` holds the chunk's images.
template <int kGroup, class D, typename T = hn::TFromD<D>>
void MultiplyPixelsInGroups(D d, const PaddedImages<T>& padded, const Chunk& chunk, const T* copy,
                            const PixelProduct<T>& product, int64_t columns) {
  const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(d));
  const int64_t slot = padded.SlotElements(chunk), k = product.patch_h * product.run;
  const int64_t rows = std::min(chunk.row + chunk.rows, product.rows) - chunk.row;
  PixelTile<T> tile;
  tile.step = padded.step_w * padded.c;
  tile.run = product.run;
  tile.row_step = padded.width * padded.c;
  tile.out_step = product.column_stride;
  // `groups` tiles of a group from either strip; `second` may be missing.
  const auto multiply = [&](const Strip& first, const Strip& second, bool has_second, int64_t groups) {
    // Rows of the patches that are padding in both strips are skipped; `second` is not above `first`.
    const int64_t top = padded.first_h + product.first_h + (chunk.row + first.row) * padded.step_h;  // in the image
    const int64_t second_top = top + (second.row - first.row) * padded.step_h;
    const int64_t begin = std::clamp<int64_t>(-second_top, 0, product.patch_h);
    tile.rows = std::max<int64_t>(0, std::min(product.patch_h, padded.h - top) - begin);
    const T* const panels = product.panels + begin * product.run * width;
    const auto pixels = [&](const Strip& strip) {
      return copy + strip.image * slot +
             ((product.first_h + strip.row * padded.step_h + begin) * padded.width + product.first_w +
              strip.column * padded.step_w) *
                 padded.c;
    };
    const auto out = [&](const Strip& strip) {
      return product.out + (chunk.image + strip.image) * product.image_stride +
             (chunk.row + strip.row) * product.row_stride + strip.column * product.column_stride;
    };
    tile.pixels[0] = pixels(first);
    tile.pixels[1] = pixels(second);
    T* first_out = out(first);
    T* second_out = out(second);
    for (int64_t column = 0; column < groups * kGroup; column += kGroup) {
      tile.counts[0] = std::min<int64_t>(kGroup, product.columns - first.column - column);
      tile.counts[1] = has_second ? std::min<int64_t>(kGroup, product.columns - second.column - column) : 0;
      for (int64_t j = 0; j < columns; j += width) {
        tile.columns = std::min(width, columns - j);
        tile.right = {panels + j * k, width};
        tile.out[0] = first_out + j;
        tile.out[1] = second_out + j;
        WithVectors(d, tile.columns, [&](auto vectors) { MultiplyPixelTile<kGroup, vectors()>(d, tile); });
      }
      tile.pixels[0] += kGroup * tile.step;
      tile.pixels[1] += kGroup * tile.step;
      first_out += kGroup * tile.out_step;
      second_out += kGroup * tile.out_step;
    }
  };
  // Side by side: the halves of a row, or the rows of two images, or two rows of the last image.
  const int64_t groups = DivideUp(product.columns, kGroup);
  for (int64_t image = 0; image < chunk.images; ++image) {
    if (groups % 2 == 0) {
      for (int64_t row = 0; row < rows; ++row) {
        multiply({image, row, 0}, {image, row, groups / 2 * kGroup}, true, groups / 2);
      }
    } else if (image + 1 < chunk.images) {
      for (int64_t row = 0; row < rows; ++row) multiply({image, row, 0}, {image + 1, row, 0}, true, groups);
      ++image;
    } else {
      for (int64_t row = 0; row < rows; row += 2) {
        const bool has_second = row + 1 < rows;
        multiply({image, row, 0}, {image, has_second ? row + 1 : row, 0}, has_second, groups);
      }
    }
  }
}

template <class D, typename T = hn::TFromD<D>>
void MultiplyPixels(D d, const PaddedImages<T>& padded, const Chunk& chunk, const T* copy,
                    const PixelProduct<T>& product, int64_t columns, int64_t group) {
  if constexpr (kManyRegisters) {
    if (group == 7) return MultiplyPixelsInGroups<7>(d, padded, chunk, copy, product, columns);
    return MultiplyPixelsInGroups<4>(d, padded, chunk, copy, product, columns);
  }
  MultiplyPixelsInGroups<2>(d, padded, chunk, copy, product, columns);
}

// out[e, j] (+)= the sum over the chunk's pixels of element e of their patch times g[pixel, j], for elements [m0, m1)
// and columns [n0, n1). `copy` holds the chunk's images, `panel` a tile's columns of g.
template <class D, typename T = hn::TFromD<D>>
void MultiplyElements(D d, const PaddedImages<T>& padded, const Chunk& chunk, const T* copy, int64_t columns,
                      int64_t run, const Piece& piece, const T* g, int64_t o, bool add, T* out, T* panel) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = kTileVectors * lanes;
  const int64_t pixels = chunk.images * chunk.rows * columns;
  // The runs of a small patch together fill a tile.
  const bool three_by_three = kManyRegisters && run == 3 && piece.m0 == 0 && piece.m1 == 9;
  const bool used_once = three_by_three || piece.m1 - piece.m0 <= kTileRows;
  ElementTile<T> tile;
  tile.group_step = padded.width * padded.c;
  tile.images = chunk.images;
  tile.rows = chunk.rows;
  tile.columns = columns;
  tile.image_step = padded.SlotElements(chunk);
  tile.row_step = padded.step_h * padded.width * padded.c;
  tile.step = padded.step_w * padded.c;
  tile.out_group = run * o;
  tile.out_step = o;
  tile.add = add;
  for (int64_t j = piece.n0; j < piece.n1; j += width) {
    tile.out_columns = std::min(width, piece.n1 - j);
    if (tile.out_columns % lanes == 0 && (used_once || o == width)) {
      tile.right = {g + j, o};
    } else {
      PackRightRows(d, g + j, o, RightBlock{0, tile.out_columns, 0, pixels}, 0, pixels, panel);
      tile.right = {panel, width};
    }
    WithVectors(d, tile.out_columns, [&](auto vectors) {
      constexpr int kVectors = vectors();
      if constexpr (kManyRegisters) {
        if (three_by_three) {
          tile.patch = copy;
          tile.out = out + j;
          tile.count = 3;
          return MultiplyElementTile<3, 3, kVectors>(d, tile);
        }
      }
      for (int64_t e = piece.m0; e < piece.m1; e += tile.count) {
        const int64_t p = e / run;
        tile.count = std::min<int64_t>({kTileRows, piece.m1 - e, (p + 1) * run - e});
        tile.patch = copy + p * tile.group_step + e % run;
        tile.out = out + e * o + j;
        if constexpr (kManyRegisters) {
          if (tile.count > 8) {
            MultiplyElementTile<1, 12, kVectors>(d, tile);
            continue;
          }
          if (tile.count > 4) {
            MultiplyElementTile<1, 8, kVectors>(d, tile);
            continue;
          }
        }
        MultiplyElementTile<1, 4, kVectors>(d, tile);
      }
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
