// Copies of a few images at a time, with the zeros that a convolution's padding stands for.
//
//   const PaddedImages<T> padded{.image = x, .h = 28, .w = 28, .c = 32, .first_h = -1, .first_w = -1, .width = 30,
//                                .step_h = 1, .step_w = 1, .reach = 3};
//   ForEachChunk(0, n * rows, rows, padded.MaxRows(), [&](const Chunk& chunk) { padded.Copy(chunk, scratch); ... });
#ifndef NEB_AUTODIFF_KERNELS_PADDED_H_
#define NEB_AUTODIFF_KERNELS_PADDED_H_

#include <algorithm>
#include <cstdint>

#include "autodiff/kernels/conv.h"

namespace autodiff {

// Whether a convolution and its adjoints read patches in place: the weights, in panels, stay in L2.
inline bool IsDirect(const ConvShape& s, int64_t element_bytes) {
  return s.kh * s.kw * s.c * s.o * element_bytes <= 327680;
}

// Rows [row, row + rows) of the result for each of some images; all of them when there are several.
struct Chunk {
  int64_t image, images, row, rows;
};

// Cuts rows [begin, end) of a batch, `rows` of them per image, into chunks of at most max_rows rows.
template <class Fn>
void ForEachChunk(int64_t begin, int64_t end, int64_t rows, int64_t max_rows, const Fn& fn) {
  while (begin < end) {
    Chunk chunk{begin / rows, 1, begin % rows, 0};
    if (chunk.row == 0 && max_rows >= rows && end - begin >= rows) {
      chunk.images = std::min(max_rows, end - begin) / rows;
      chunk.rows = rows;
    } else {
      chunk.rows = std::min({rows - chunk.row, max_rows, end - begin});
    }
    fn(chunk);
    begin += chunk.images * chunk.rows;
  }
}

// The copy of a chunk takes about this much at most, or what one row of the result needs: a part of L2.
inline constexpr int64_t kChunkBytes = 131072;
// Pixels of a chunk over which a weight adjoint sums in one go, unless one row has more.
inline constexpr int64_t kChunkPixels = 256;
// Elements behind the copy that may be read, and are zero.
inline constexpr int64_t kSlack = 16;

// Images [*, h, w, c]. Row i of the result needs `reach` rows, from first_h + i * step_h on, of `width` pixels, from
// first_w on.
template <typename T>
struct PaddedImages {
  const T* image;
  int64_t h, w, c;
  int64_t first_h, first_w, width;
  int64_t step_h, step_w, reach;

  int64_t SlotElements(const Chunk& chunk) const { return ((chunk.rows - 1) * step_h + reach) * width * c; }
  // Rows of the result whose copy fits a chunk, at least one: whole images of `rows` rows if it can be.
  int64_t MaxRows(int64_t rows) const {
    const int64_t elements = kChunkBytes / static_cast<int64_t>(sizeof(T)), row = width * c;
    const int64_t image_elements = ((rows - 1) * step_h + reach) * row;
    if (image_elements <= elements) return elements / image_elements * rows;
    return std::max<int64_t>(1, (elements / row - reach) / step_h + 1);
  }
  void Copy(const Chunk& chunk, T* to) const {
    const int64_t left = std::clamp<int64_t>(-first_w, 0, width);
    const int64_t right = std::clamp<int64_t>(w - first_w, left, width);
    for (int64_t b = chunk.image; b < chunk.image + chunk.images; ++b) {
      for (int64_t i = 0; i < (chunk.rows - 1) * step_h + reach; ++i, to += width * c) {
        const int64_t y = first_h + chunk.row * step_h + i;
        if (y < 0 || y >= h) {
          std::fill_n(to, width * c, T{0});
          continue;
        }
        std::fill_n(to, left * c, T{0});
        std::copy_n(image + ((b * h + y) * w + first_w + left) * c, (right - left) * c, to + left * c);
        std::fill_n(to + right * c, (width - right) * c, T{0});
      }
    }
    std::fill_n(to, kSlack, T{0});
  }
};

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_PADDED_H_
