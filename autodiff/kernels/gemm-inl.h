// The blocked product shared by gemm.cc and conv.cc, once per SIMD target: C's tile is held in registers while a panel
// of A and a panel of B, packed so that both are read with unit stride, stream past it. What A, B and C are is up to
// the caller's Product, so an operand need not exist as a matrix.
//
//   struct Product {                     // over one block [k0, k0 + kc) of the summed axis
//     bool packs_left, packs_right;      // false: used in place, but for edge tiles
//     void PackLeft(int64_t i, int64_t rows, int64_t k0, int64_t kc, T* panels) const;  // of kTileRows rows each
//     bool right_transposed;             // it is the columns of B, not its steps of k, that lie along memory
//     Region LeftRegion(int64_t i, int64_t rows, int64_t k0, int64_t kc) const;  // what packing will read
//     Region RightRegion(const RightBlock& block) const;
//     void PackRight(D d, const RightBlock& block, int64_t begin, int64_t end, T* panels) const;  // of those rows
//     LeftPanel<T> Left(int64_t i, int64_t k0) const;    // when !packs_left
//     RightPanel<T> Right(int64_t j, int64_t k0) const;  // when !packs_right
//     bool right_ready;  // B was packed before: its panels are read where they are, from
//     const T* ReadyRight(const RightBlock& block) const;
//     void Rows(int64_t i, int count, int64_t j, T** rows) const;  // addresses of C[i, j], C[i + 1, j], ...
//   };
#if defined(NEB_AUTODIFF_KERNELS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_GEMM_INL_H_
#undef NEB_AUTODIFF_KERNELS_GEMM_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_GEMM_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "autodiff/kernels/blocking.h"
#include "autodiff/kernels/fetch.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The tile is as large as the registers allow: its sums, a row of B and one broadcast element of A.
#if HWY_TARGET == HWY_SCALAR
inline constexpr int kTileRows = 4, kTileVectors = 2;
#elif HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64  // 32 registers
inline constexpr int kTileRows = 12, kTileVectors = 2;
#else                                             // 16 registers
inline constexpr int kTileRows = 4, kTileVectors = 3;
#endif
static_assert(kMaxRowBlock % kTileRows == 0 && kTileRows <= kTallestTile);

// Columns of a panel of B.
template <typename T>
HWY_INLINE int64_t TileWidth() {
  return kTileVectors * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
}

// Rows of A: element (i, k) is p[i * row + k * step].
template <typename T>
struct LeftPanel {
  const T* p;
  int64_t row, step;
};
// Columns of B: element (k, j) is p[k * step + j].
template <typename T>
struct RightPanel {
  const T* p;
  int64_t step;
};
// A block of B: `columns` columns from n on, over kc steps of k from k0 on.
struct RightBlock {
  int64_t n, columns, k0, kc;
};
// Where a tile goes: element (i, j) is rows[i][j * column]; of the tile, num_rows x num_columns exist.
template <typename T>
struct Destination {
  T* rows[kTallestTile];
  int64_t column = 1;
  int num_rows = 0;
  int64_t num_columns = 0;
  bool add = false;
};

// One tile: k steps of kRows x kVectors fused multiply-adds. kUnitRow: a.row is 1.
template <int kRows, int kVectors, bool kUnitRow, class D, typename T = hn::TFromD<D>>
HWY_NOINLINE void Tile(D d, int64_t k, const LeftPanel<T>& a, const RightPanel<T>& b, const Destination<T>& c,
                       const Fetch& fetch) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kRows][kVectors];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(d);
  }
  const T* HWY_RESTRICT ap = a.p;
  const T* HWY_RESTRICT bp = b.p;
  const int64_t row = kUnitRow ? 1 : a.row;
  const auto step = [&]() HWY_ATTR {
    hn::Vec<D> right[kVectors];
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, bp + v * lanes);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      const auto left = hn::Set(d, ap[i * row]);
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(left, right[v], sum[i][v]);
    }
    ap += a.step;
    bp += b.step;
  };
  // C is needed only at the end: a row of it is asked for per turn. All at once its lines, which come from beyond the
  // second-level cache when there are many blocks of k, would fill the queue of outstanding misses.
  const int64_t turns = k / kFetchSteps, last_row = c.num_rows - 1;
  for (int64_t turn = 0; turn < turns; ++turn) {
    hwy::Prefetch(fetch.left.base + fetch.left.offsets[turn]);
    hwy::Prefetch(fetch.right.base + fetch.right.offsets[turn]);
    const T* out = c.rows[std::min(turn, last_row)];
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) hwy::Prefetch(out + v * lanes);
    HWY_UNROLL(4)
    for (int s = 0; s < kFetchSteps; ++s) step();
  }
  for (int64_t rest = k % kFetchSteps; rest > 0; --rest) step();
  if (c.num_columns == kVectors * lanes && c.column == 1) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      if (i < c.num_rows) {
        HWY_UNROLL(8)
        for (int v = 0; v < kVectors; ++v) {
          T* out = c.rows[i] + v * lanes;
          hn::StoreU(c.add ? hn::Add(hn::LoadU(d, out), sum[i][v]) : sum[i][v], d, out);
        }
      }
    }
    return;
  }
  HWY_ALIGN T row_sums[kVectors * hn::MaxLanes(d)];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    if (i < c.num_rows) {
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) hn::Store(sum[i][v], d, row_sums + v * lanes);
      T* out = c.rows[i];
      for (int64_t j = 0; j < c.num_columns; ++j, out += c.column) *out = c.add ? *out + row_sums[j] : row_sums[j];
    }
  }
}

// The smallest tile with at least c.num_rows rows and c.num_columns columns.
template <int kVectors, bool kUnitRow, class D, typename T = hn::TFromD<D>>
HWY_INLINE void TileOfWidth(D d, int64_t k, const LeftPanel<T>& a, const RightPanel<T>& b, const Destination<T>& c,
                            const Fetch& fetch) {
#if HWY_TARGET == HWY_SCALAR
  if (c.num_rows == 1) return Tile<1, kVectors, kUnitRow>(d, k, a, b, c, fetch);
#else
  if constexpr (kTileRows > 4) {
    if (c.num_rows > 8) return Tile<12, kVectors, kUnitRow>(d, k, a, b, c, fetch);
    if (c.num_rows > 4) return Tile<8, kVectors, kUnitRow>(d, k, a, b, c, fetch);
  }
#endif
  Tile<4, kVectors, kUnitRow>(d, k, a, b, c, fetch);
}

template <bool kUnitRow, class D, typename T = hn::TFromD<D>>
HWY_INLINE void AnyTile(D d, int64_t k, const LeftPanel<T>& a, const RightPanel<T>& b, const Destination<T>& c,
                        const Fetch& fetch) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if constexpr (kTileVectors > 2) {
    if (c.num_columns > 2 * lanes) return TileOfWidth<3, kUnitRow>(d, k, a, b, c, fetch);
  }
  if (c.num_columns > lanes) return TileOfWidth<2, kUnitRow>(d, k, a, b, c, fetch);
  TileOfWidth<1, kUnitRow>(d, k, a, b, c, fetch);
}

// A row of zeros, as long as any block of k.
template <typename T>
inline constexpr T kZeroRow[kMaxKBlock<T>] = {};

// Rows or columns that PackTransposed takes at once: a full vector.
#if HWY_TARGET == HWY_SCALAR
template <typename T>
inline constexpr int64_t kTransposed = 1;
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
template <typename T>
inline constexpr int64_t kTransposed = 64 / sizeof(T);
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
template <typename T>
inline constexpr int64_t kTransposed = 32 / sizeof(T);
#else
template <typename T>
inline constexpr int64_t kTransposed = 16 / sizeof(T);
#endif

#if HWY_TARGET != HWY_SCALAR
// 128-bit block b of the vector is at rows[b * (elements of a block)] + k. Gathering blocks while loading leaves only
// transposes within them: half of the shuffles, which would wait for the ports that multiply.
template <size_t kLanes, typename T>
HWY_INLINE hn::Vec<hn::FixedTag<T, kLanes>> LoadBlocks(const T* const* rows, int64_t k) {
  const hn::FixedTag<T, kLanes> d;
  if constexpr (kLanes * sizeof(T) == 16) {
    return hn::LoadU(d, rows[0] + k);
  } else {
    return hn::Combine(d, LoadBlocks<kLanes / 2>(rows + kLanes / 2, k), LoadBlocks<kLanes / 2>(rows, k));
  }
}

// kLanes rows at once; see PackTransposed.
template <size_t kLanes, typename T>
HWY_INLINE void TransposeRows(const T* const* rows, int64_t kc, T* HWY_RESTRICT out, int64_t width) {
  const hn::FixedTag<T, kLanes> d;
  constexpr int64_t kBlock = 16 / sizeof(T);
  int64_t k = 0;
  for (; k + kBlock <= kc; k += kBlock, out += kBlock * width) {
    const auto r0 = LoadBlocks<kLanes>(rows, k), r1 = LoadBlocks<kLanes>(rows + 1, k);
    const auto low01 = hn::InterleaveLower(d, r0, r1), high01 = hn::InterleaveUpper(d, r0, r1);
    if constexpr (kBlock == 4) {
      const auto r2 = LoadBlocks<kLanes>(rows + 2, k), r3 = LoadBlocks<kLanes>(rows + 3, k);
      const auto low23 = hn::InterleaveLower(d, r2, r3), high23 = hn::InterleaveUpper(d, r2, r3);
      const hn::RepartitionToWide<decltype(d)> pairs;
      const auto store = [&](auto a, auto b, T* to) HWY_ATTR {
        const auto p = hn::BitCast(pairs, a), q = hn::BitCast(pairs, b);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, p, q)), d, to);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, p, q)), d, to + width);
      };
      store(low01, low23, out);
      store(high01, high23, out + 2 * width);
    } else {
      hn::StoreU(low01, d, out);
      hn::StoreU(high01, d, out + width);
    }
  }
  for (; k < kc; ++k, out += width) {
    for (size_t lane = 0; lane < kLanes; ++lane) out[lane] = rows[lane][k];
  }
}
#endif

// panel[k * width + i] = rows[i][k] for k < kc and i < count, a multiple of 16 bytes' elements.
template <typename T>
HWY_INLINE void PackTransposed(const T* const* rows, int64_t count, int64_t kc, T* HWY_RESTRICT panel, int64_t width) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < kc; ++k) panel[k * width + i] = rows[i][k];
  }
#else
  constexpr int64_t kWide = kTransposed<T>, kBlock = 16 / sizeof(T);
  int64_t i = 0;
  for (; i + kWide <= count; i += kWide) TransposeRows<kWide>(rows + i, kc, panel + i, width);
  if constexpr (kWide >= 4 * kBlock) {
    for (; i + 2 * kBlock <= count; i += 2 * kBlock) TransposeRows<2 * kBlock>(rows + i, kc, panel + i, width);
  }
  for (; i < count; i += kBlock) TransposeRows<kBlock>(rows + i, kc, panel + i, width);
#endif
}

// panel[k * width + i] = source[k * stride + i] for i < count, then zeros up to `width`.
template <typename T>
HWY_INLINE void PackRows(const T* source, int64_t stride, int64_t count, int64_t kc, T* HWY_RESTRICT panel,
                         int64_t width) {
  const hn::CappedTag<T, 16 / sizeof(T)> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = count / lanes * lanes;
  if (count < width) std::fill(panel, panel + kc * width, T{0});
  for (int64_t k = 0; k < kc; ++k) {
    for (int64_t i = 0; i < whole; i += lanes) {
      hn::StoreU(hn::LoadU(d, source + k * stride + i), d, panel + k * width + i);
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    for (int64_t k = 0; k < kc; ++k) panel[k * width + i] = source[k * stride + i];
  }
}

// Steps [begin, end) of k of the panels of a block whose steps of k lie `stride` apart at `source`. Panels follow one
// another; each row of the block is read once, along memory.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void PackRightRows(D d, const T* source, int64_t stride, const RightBlock& block, int64_t begin, int64_t end,
                              T* HWY_RESTRICT panels) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = kTileVectors * lanes;
  const int64_t whole = block.columns / width * width;
  for (int64_t k = begin; k < end; ++k) {
    const T* from = source + k * stride;
    T* to = panels + k * width;
    for (int64_t j = 0; j < whole; j += width, from += width, to += block.kc * width) {
      HWY_UNROLL(4)
      for (int v = 0; v < kTileVectors; ++v) hn::StoreU(hn::LoadU(d, from + v * lanes), d, to + v * lanes);
    }
  }
  if (whole < block.columns && begin < end) {
    PackRows(source + begin * stride + whole, stride, block.columns - whole, end - begin,
             panels + whole * block.kc + begin * width, width);
  }
}

// Steps [at, at + length) of k of columns [begin, end) of the same panels, when it is the columns that lie `stride`
// apart, the first with step `at` at `source`: both bounds are multiples of the number of columns PackTransposed takes
// at once.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void PackRightColumns(D d, const T* source, int64_t stride, const RightBlock& block, int64_t at,
                                 int64_t length, int64_t begin, int64_t end, T* HWY_RESTRICT panels) {
  const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = begin; j < end; j += kTransposed<T>) {
    const T* columns[kTransposed<T>];
    for (int64_t i = 0; i < kTransposed<T>; ++i) {
      columns[i] = j + i < block.columns ? source + (j + i) * stride : kZeroRow<T>;
    }
    T* to = panels + j / width * width * block.kc + at * width + j % width;
    PackTransposed(columns, kTransposed<T>, length, to, width);
  }
}

// C = A B or C += A B on one piece; `scratch` as BlockScratchBytes says.
template <class D, class Product, typename T = hn::TFromD<D>>
void MultiplyPiece(D d, const Product& product, const Piece& piece, int64_t k, bool accumulate, std::byte* scratch) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = kTileVectors * lanes;
  const int64_t rows = piece.m1 - piece.m0, columns = piece.n1 - piece.n0;
  int64_t group = std::max<int64_t>(1, kGroupBytes / static_cast<int64_t>(sizeof(T)) / width) * width;
  const bool ready = product.right_ready, packs_right = product.packs_right && !ready;
  // Tiles of one vector of columns have too few sums to hide how long a multiply-add takes, where there are few rows.
  const int64_t rest = columns % group;
  if (kTileRows <= 4 && columns > group && rest > 0 && rest <= lanes) {
    group = RoundUp(DivideUp(columns, DivideUp(columns, group)), ready ? width : lanes);
  }
  const int64_t row_block = RoundUp(DivideUp(rows, DivideUp(rows, kMaxRowBlock)), kTileRows);
  const int64_t k_block = KBlock<T>(k);
  const auto padded_bytes = [](int64_t elements) { return PaddedBytes(elements * static_cast<int64_t>(sizeof(T))); };
  T* const left_panels = reinterpret_cast<T*>(scratch);
  T* right_panels = reinterpret_cast<T*>(scratch + padded_bytes(row_block * k_block));
  T* next_panels = reinterpret_cast<T*>(reinterpret_cast<std::byte*>(right_panels) +
                                        padded_bytes(RoundUp(std::min(columns, group), width) * k_block));

  // What B's memory has most of: steps of k, or (padded) columns.
  const int64_t grain = product.right_transposed ? kTransposed<T> : 1;
  const auto right_rows = [&](const RightBlock& b) {
    return product.right_transposed ? RoundUp(b.columns, width) : b.kc;
  };
  // One block of B, or two, stay where they are for all rows of A.
  const bool keeps_right = DivideUp(columns, group) * DivideUp(k, k_block) <= 2;
  const bool alternates = DivideUp(columns, group) * DivideUp(k, k_block) > 1;
  int64_t m = piece.m0;
  RightBlock block{piece.n0, std::min(group, columns), 0, std::min(k_block, k)};
  if (packs_right) product.PackRight(d, block, 0, right_rows(block), right_panels);
  Fetch fetch;
  while (true) {
    const int64_t m_end = std::min(m + row_block, piece.m1);
    if (block.n == piece.n0) {
      const int64_t tail = (m_end - m) % kTileRows;  // packed if it is not a whole tile of some height
      const int64_t in_place = product.packs_left ? 0 : tail % 4 != 0 ? m_end - m - tail : m_end - m;
      product.PackLeft(m + in_place, m_end - m - in_place, block.k0, block.kc, left_panels + in_place * block.kc);
    }
    // The next block of B is fetched a slice per tile, and packed as soon as it has been: the arithmetic hides the
    // wait.
    RightBlock next = block;
    int64_t next_m = m;
    next.n += block.columns;
    if (next.n == piece.n1) {
      next.n = piece.n0;
      next.k0 += block.kc;
    }
    if (next.k0 == k) {
      next.k0 = 0;
      next_m = m_end;
    }
    const bool last = next_m == piece.m1;
    next.columns = std::min(group, piece.n1 - next.n);
    next.kc = std::min(k_block, k - next.k0);
    int64_t next_rows = 0, fetched = 0, packed = 0;
    if (!last) {
      const int64_t tiles = DivideUp(block.columns, width) * DivideUp(m_end - m, kTileRows);
      Region left_region, right_region;
      if (next.n == piece.n0) {
        left_region = product.LeftRegion(next_m, std::min(row_block, piece.m1 - next_m), next.k0, next.kc);
      }
      if (!(keeps_right && next_m > piece.m0)) {
        if (ready) {
          right_region = Contiguous(product.ReadyRight(next), RoundUp(next.columns, width) * next.kc);
        } else if (packs_right) {
          next_rows = right_rows(next);
          right_region = product.RightRegion(next);
        }
      }
      fetch.Plan(left_region, right_region, tiles, block.kc);
    }
    const T* const panels = ready ? product.ReadyRight(block) : right_panels;
    for (int64_t j = 0; j < block.columns; j += width) {
      Destination<T> c;
      c.num_columns = std::min(width, block.columns - j);
      c.add = accumulate || block.k0 > 0;
      RightPanel<T> right{panels + j * block.kc, width};
      if (!product.packs_right) {
        if (c.num_columns == width) {
          right = product.Right(block.n + j, block.k0);
        } else {
          const RightBlock edge{block.n + j, c.num_columns, block.k0, block.kc};
          product.PackRight(d, edge, 0, right_rows(edge), right_panels + j * block.kc);
        }
      }
      for (int64_t i = m; i < m_end; i += kTileRows) {
        c.num_rows = static_cast<int>(std::min<int64_t>(kTileRows, m_end - i));
        product.Rows(i, c.num_rows, block.n + j, c.rows);
        if (const int64_t end = std::min(fetched / grain * grain, next_rows); packed < end) {
          product.PackRight(d, next, packed, end, next_panels);
          packed = end;
        }
        if (product.packs_left || c.num_rows % 4 != 0) {
          AnyTile<true>(d, block.kc, LeftPanel<T>{left_panels + (i - m) * block.kc, 1, kTileRows}, right, c, fetch);
        } else {
          const LeftPanel<T> left = product.Left(i, block.k0);
          if (left.row == 1) {
            AnyTile<true>(d, block.kc, left, right, c, fetch);
          } else {
            AnyTile<false>(d, block.kc, left, right, c, fetch);
          }
        }
        fetched += fetch.right.rows;
        fetch.NextTile();
      }
    }
    if (packed < next_rows) product.PackRight(d, next, packed, next_rows, next_panels);
    if (last) return;
    block = next;
    m = next_m;
    if (alternates) std::swap(right_panels, next_panels);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
