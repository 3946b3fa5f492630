// How a product is cut: into pieces for threads, and each piece into blocks that fit the caches. Block sizes along the
// summed axis depend on nothing but its length, so they cannot make an element depend on the piece it is in.
//
//   const Piece p = PieceOf(m, n, k, part, parts);   // rows p.m0 .. p.m1-1, columns p.n0 .. p.n1-1 of C
//   for (int64_t k0 = 0; k0 < k; k0 += KBlock<float>(k)) ...
#ifndef NEB_AUTODIFF_KERNELS_BLOCKING_H_
#define NEB_AUTODIFF_KERNELS_BLOCKING_H_

#include <algorithm>
#include <cstdint>

#include "autodiff/tensor.h"

namespace autodiff {

constexpr int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUp(int64_t a, int64_t b) { return DivideUp(a, b) * b; }

// Products of so few rows or columns go other ways than through tiles.
inline constexpr int64_t kFew = 4;
// Rows of the tallest tile of any target.
inline constexpr int64_t kTallestTile = 12;
// Columns of a piece come in multiples of this, or of a packed panel's width.
inline constexpr int64_t kColumnGrain = 16;

// A panel of A (a tile's rows over one block of k) stays in L1; a panel of B, as many columns as a tile is wide,
// nearly.
template <typename T>
inline constexpr int64_t kMaxKBlock = 1280 / static_cast<int64_t>(sizeof(T));
// A block of A, this many rows by kMaxKBlock, takes less than half of a 1 MiB L2. A multiple of every tile height.
inline constexpr int64_t kMaxRowBlock = 288;
// Columns of B packed at once, in bytes of one row: whole cache lines of each row are read together.
inline constexpr int64_t kGroupBytes = 512;

// Length of the blocks of the summed axis (the last may be shorter): equal ones, at most kMaxKBlock.
template <typename T>
int64_t KBlock(int64_t k) {
  return std::max<int64_t>(1, RoundUp(DivideUp(k, std::max<int64_t>(1, DivideUp(k, kMaxKBlock<T>))), 4));
}

// A rectangle of C.
struct Piece {
  int64_t m0 = 0, m1 = 0, n0 = 0, n1 = 0;
  bool empty() const { return m0 >= m1 || n0 >= n1; }
};

// Part `part` of `parts` of an m x n product over k. The pieces are disjoint and cover C; row bounds are multiples of 4
// and column bounds of `column_grain`. A product too small to share is part 0 alone.
Piece PieceOf(int64_t m, int64_t n, int64_t k, int part, int parts, int64_t column_grain = kColumnGrain);

// Scratch for one thread's blocks of A and B, whatever its piece.
int64_t BlockScratchBytes(int64_t m, int64_t n, int64_t k, DType dtype);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_BLOCKING_H_
