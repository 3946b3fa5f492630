#include "autodiff/kernels/blocking.h"

#include <cstdint>

#include "autodiff/parallel.h"

namespace autodiff {
namespace {

// Below this many multiply-adds per part, waking another core costs more than it saves.
constexpr int64_t kMinWork = 16384;
constexpr int64_t kRowGrain = 4;

}  // namespace

Piece PieceOf(int64_t m, int64_t n, int64_t k, int part, int parts, int64_t column_grain) {
  const int64_t work = m * n * std::max<int64_t>(k, 1);
  const int used = static_cast<int>(std::clamp<int64_t>(work / kMinWork, 1, parts));
  if (part >= used) return {};
  // Among the grids of `used` pieces, the one whose largest piece is cheapest. Packing an element of A (transposed)
  // costs about as much as 4 multiply-adds of a full vector's lane, one of B half of that, once per block of rows.
  int rows = 1;
  int64_t least = -1;
  for (int r = 1; r <= used; ++r) {
    if (used % r != 0) continue;
    const int64_t piece_m = std::min(m, RoundUp(DivideUp(m, r), kRowGrain));
    const int64_t piece_n = std::min(n, RoundUp(DivideUp(n, used / r), column_grain));
    const int64_t cost =
        piece_m * RoundUp(piece_n, column_grain) + 4 * piece_m + 2 * piece_n * DivideUp(piece_m, kMaxRowBlock);
    if (least < 0 || cost < least) {
      least = cost;
      rows = r;
    }
  }
  const int columns = used / rows;
  const auto [m0, m1] = Split(m, kRowGrain, part / columns, rows);
  const auto [n0, n1] = Split(n, column_grain, part % columns, columns);
  return {m0, m1, n0, n1};
}

int64_t BlockScratchBytes(int64_t m, int64_t n, int64_t k, DType dtype) {
  const int64_t size = SizeOf(dtype);
  const int64_t kc = std::min(k + 4, dtype == DType::kF32 ? kMaxKBlock<float> : kMaxKBlock<double>);
  // Rounded up to the tallest and widest tile of any target.
  const int64_t rows = std::min(m + 12, kMaxRowBlock);  // two groups of columns: one in use, one being packed
  const int64_t columns = std::min(n, kGroupBytes / size) + 64;
  return PaddedBytes(rows * kc * size) + 2 * PaddedBytes(columns * kc * size);
}

}  // namespace autodiff
