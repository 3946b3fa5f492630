// What a product asks the memory for ahead of time: while the tiles of one block are multiplied, the next block
// arrives.
//
//   Fetch fetch;
//   fetch.Plan(left_region, right_region, tiles, steps);
//   for (...) {  // each tile
//     for (int64_t turn = 0; turn < steps / kFetchSteps; ++turn) {
//       hwy::Prefetch(fetch.left.base + fetch.left.offsets[turn]);  // and right; then kFetchSteps steps of k
//     }
//     fetch.NextTile();
//   }
#ifndef NEB_AUTODIFF_KERNELS_FETCH_H_
#define NEB_AUTODIFF_KERNELS_FETCH_H_

#include <algorithm>
#include <cstdint>

#include "autodiff/kernels/blocking.h"

namespace autodiff {

// Memory that will be read: `rows` rows of `bytes` bytes, `stride` bytes apart, the first `split` of them from p on and
// the others from `rest` on.
struct Region {
  const void* p = nullptr;
  int64_t rows = 0, bytes = 0, stride = 0;
  const void* rest = nullptr;
  int64_t split = kNever;

  static constexpr int64_t kNever = int64_t{1} << 62;

  // Adds the rows of another region; those of a third one, or of another stride, are forgotten.
  void Append(const Region& more) {
    if (rows == 0) {
      *this = more;
    } else if (rest == nullptr && stride == more.stride) {
      rest = more.p;
      split = rows;
      rows += more.rows;
    }
  }
};

// `count` elements in a row, but for what is left of them after pieces of a few lines.
template <typename T>
Region Contiguous(const T* p, int64_t count) {
  constexpr int64_t kBytes = 512;
  return {p, count * static_cast<int64_t>(sizeof(T)) / kBytes, kBytes, kBytes};
}

// What the tiles of one block ask for on behalf of the next one: tile t wants its share of each region's rows, a line
// of each region every kFetchSteps steps of k, spread over the tile: all at once they would fill the queue of
// outstanding misses and hold up the tile's own loads. Only what will be read is asked for: an address that is not
// mapped costs a walk of the page tables, any other one a line of somebody else's cache.
inline constexpr int64_t kFetchSteps = 4;

struct Fetch {
  static constexpr int64_t kMaxTurns = kMaxKBlock<float> / kFetchSteps;
  static constexpr int64_t kNothing[kMaxTurns] = {};

  // In turn i of a tile the line at base + offsets[i] is asked for.
  struct Stream {
    const char* base = reinterpret_cast<const char*>(kNothing);
    const int64_t* offsets = kNothing;
    int64_t rows = 0;  // of a slice

    Stream() {}  // `lines` is not read before Start fills it.

    // Lines for which there is no turn are not asked for.
    void Start(const Region& region, int64_t tiles, int64_t turns) {
      rows = DivideUp(region.rows, tiles);
      if (rows == 0 || turns == 0) return Stop();
      left = region.rows;
      base = static_cast<const char*>(region.p);
      rest = static_cast<const char*>(region.rest);
      split = region.split;
      stride = region.stride;
      const int64_t row_lines = DivideUp(region.bytes, 64), count = std::min(rows * row_lines, turns);
      offsets = lines;
      // `count` lines in even steps over the turns; one without a line of its own asks for the last one again.
      int64_t row = 0, line = 0, due = 0;
      for (int64_t turn = 0; turn < turns; ++turn) {
        lines[turn] = row + line * 64;
        due += count;
        if (due >= turns) {
          due -= turns;
          if (++line == row_lines) line = 0, row += stride;
        }
      }
    }
    void Next() {
      left -= rows;
      if (left <= 0) return Stop();
      base += rows * stride;
      split -= rows;
      if (split <= 0) {
        base = rest - split * stride;
        split = Region::kNever;
      }
    }

   private:
    void Stop() {
      left = 0;
      base = reinterpret_cast<const char*>(kNothing);
      offsets = kNothing;
    }

    int64_t left = 0;                // rows not yet asked for
    int64_t stride = 0;              // between rows, in bytes
    int64_t split = Region::kNever;  // rows left before base goes on at `rest`
    const char* rest = nullptr;
    int64_t lines[kMaxTurns];
  };
  Stream left, right;

  void Plan(const Region& left_region, const Region& right_region, int64_t tiles, int64_t steps) {
    left.Start(left_region, tiles, steps / kFetchSteps);
    right.Start(right_region, tiles, steps / kFetchSteps);
  }
  void NextTile() {
    left.Next();
    right.Next();
  }
};

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_FETCH_H_
