#include "autodiff/kernels/gemm.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "autodiff/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/gemm.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "autodiff/kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {

template <typename T>
struct MatrixProduct {
  GemmArgs<T> args;
  bool packs_left, packs_right, right_transposed, right_ready;  // more than one term: both are packed
  static constexpr int64_t kSize = sizeof(T);

  // Calls fn(term, k, at, length) for each stretch of steps [k0, k0 + kc) of the terms in a row that lies within one
  // term: `length` steps from its own step k on, `at` steps into the block.
  template <class Fn>
  void ForEachStretch(int64_t k0, int64_t kc, const Fn& fn) const {
    const int64_t end = k0 + kc;
    GemmTerm<T> term{args.k, args.a, args.lda, args.b, args.ldb};
    int64_t first = 0;
    for (size_t t = 0;; term = args.also[t++]) {
      const int64_t from = std::max(k0, first), to = std::min(end, first + term.k);
      if (from < to) fn(term, from - first, from - k0, to - from);
      first += term.k;
      if (first >= end || t == args.also.size()) return;
    }
  }
  const T* LeftSource(const GemmTerm<T>& term, int64_t i, int64_t k) const {
    return args.transpose_a ? term.a + k * term.lda + i : term.a + i * term.lda + k;
  }
  const T* RightSource(const GemmTerm<T>& term, int64_t j, int64_t k) const {
    return args.transpose_b ? term.b + j * term.ldb + k : term.b + k * term.ldb + j;
  }
  void PackLeft(int64_t first, int64_t count, int64_t k0, int64_t kc, T* panels) const {
    ForEachStretch(k0, kc, [&](const GemmTerm<T>& term, int64_t k, int64_t at, int64_t length) HWY_ATTR {
      T* to = panels + at * kTileRows;
      for (int64_t i = first; i < first + count; i += kTileRows, to += kTileRows * kc) {
        const int64_t height = std::min<int64_t>(kTileRows, first + count - i);
        const T* source = LeftSource(term, i, k);
        if (args.transpose_a) {
          PackRows(source, term.lda, height, length, to, kTileRows);
        } else {
          const T* rows[kTileRows];
          for (int64_t r = 0; r < kTileRows; ++r) rows[r] = r < height ? source + r * term.lda : kZeroRow<T>;
          PackTransposed(rows, kTileRows, length, to, kTileRows);
        }
      }
    });
  }
  template <class D>
  void PackRight(D d, const RightBlock& block, int64_t begin, int64_t end, T* panels) const {
    if (args.transpose_b) {
      ForEachStretch(block.k0, block.kc, [&](const GemmTerm<T>& term, int64_t k, int64_t at, int64_t length) HWY_ATTR {
        PackRightColumns(d, RightSource(term, block.n, k), term.ldb, block, at, length, begin, end, panels);
      });
    } else {
      ForEachStretch(block.k0 + begin, end - begin,
                     [&](const GemmTerm<T>& term, int64_t k, int64_t at, int64_t n) HWY_ATTR {
                       const int64_t first = begin + at;
                       PackRightRows(d, RightSource(term, block.n, k) - first * term.ldb, term.ldb, block, first,
                                     first + n, panels);
                     });
    }
  }
  // Of a block that spans terms, two are fetched, or one when their rows are not read one after another.
  Region LeftRegion(int64_t i, int64_t rows, int64_t k0, int64_t kc) const {
    Region region;
    ForEachStretch(k0, kc, [&](const GemmTerm<T>& term, int64_t k, int64_t, int64_t length) {
      const T* from = LeftSource(term, i, k);
      if (args.transpose_a) {
        region.Append({from, length, rows * kSize, term.lda * kSize});
      } else {
        if (region.rows == 0) region = {from, rows, length * kSize, term.lda * kSize};
      }
    });
    return region;
  }
  Region RightRegion(const RightBlock& block) const {
    Region region;
    ForEachStretch(block.k0, block.kc, [&](const GemmTerm<T>& term, int64_t k, int64_t, int64_t length) {
      const T* from = RightSource(term, block.n, k);
      if (args.transpose_b) {
        if (region.rows == 0) region = {from, block.columns, length * kSize, term.ldb * kSize};
      } else {
        region.Append({from, length, block.columns * kSize, term.ldb * kSize});
      }
    });
    return region;
  }
  const T* ReadyRight(const RightBlock& block) const {
    return args.packed_b + block.k0 * RoundUp(args.n, TileWidth<T>()) + block.n * block.kc;
  }
  LeftPanel<T> Left(int64_t i, int64_t k0) const {
    if (args.transpose_a) return {args.a + k0 * args.lda + i, 1, args.lda};
    return {args.a + i * args.lda + k0, args.lda, 1};
  }
  RightPanel<T> Right(int64_t j, int64_t k0) const { return {args.b + k0 * args.ldb + j, args.ldb}; }
  void Rows(int64_t i, int count, int64_t j, T** rows) const {
    for (int r = 0; r < count; ++r) rows[r] = args.c + (i + r) * args.ldc + j;
  }
};

// Few columns: each element is a dot product along k, so that A streams through once, unpacked. C's element (i, j) is
// c[i * row + j * column]; x holds kColumns rows of length k.
template <int kRows, int kColumns, class D, typename T = hn::TFromD<D>>
HWY_NOINLINE void DotTile(D d, int64_t k, const T* a, int64_t lda, const T* x, int64_t ldx, bool add, T* c, int64_t row,
                          int64_t column) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[kRows][kColumns];
  HWY_UNROLL(4)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(4)
    for (int j = 0; j < kColumns; ++j) sum[i][j] = hn::Zero(d);
  }
  const auto step = [&](const T* ap, int64_t lda_step, const T* xp, int64_t ldx_step) HWY_ATTR {
    hn::Vec<D> right[kColumns];
    HWY_UNROLL(4)
    for (int j = 0; j < kColumns; ++j) right[j] = hn::LoadU(d, xp + j * ldx_step);
    HWY_UNROLL(4)
    for (int i = 0; i < kRows; ++i) {
      const auto left = hn::LoadU(d, ap + i * lda_step);
      HWY_UNROLL(4)
      for (int j = 0; j < kColumns; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
    }
  };
  int64_t done = 0;
  for (; done + lanes <= k; done += lanes) step(a + done, lda, x + done, ldx);
  if (done < k) {
    constexpr int64_t kMaxLanes = static_cast<int64_t>(hn::MaxLanes(d));
    HWY_ALIGN T a_tail[kRows * kMaxLanes] = {};
    HWY_ALIGN T x_tail[kColumns * kMaxLanes] = {};
    for (int i = 0; i < kRows; ++i) std::copy_n(a + i * lda + done, k - done, a_tail + i * kMaxLanes);
    for (int j = 0; j < kColumns; ++j) std::copy_n(x + j * ldx + done, k - done, x_tail + j * kMaxLanes);
    step(a_tail, kMaxLanes, x_tail, kMaxLanes);
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      T* out = c + i * row + j * column;
      const T value = hn::GetLane(hn::SumOfLanes(d, sum[i][j]));
      *out = add ? *out + value : value;
    }
  }
}

template <int kColumns, class D, typename T = hn::TFromD<D>>
void DotRows(D d, int64_t rows, int64_t k, const T* a, int64_t lda, const T* x, int64_t ldx, bool add, T* c,
             int64_t row, int64_t column) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) DotTile<4, kColumns>(d, k, a + i * lda, lda, x, ldx, add, c + i * row, row, column);
  for (; i < rows; ++i) DotTile<1, kColumns>(d, k, a + i * lda, lda, x, ldx, add, c + i * row, row, column);
}

// C[i, j] = <row i of a, row j of x>, j < columns <= kMaxDots. When `gathers`, x is stored transposed.
template <typename T>
void Dots(int64_t rows, int64_t columns, int64_t k, const T* a, int64_t lda, const T* x, int64_t ldx, bool gathers,
          bool add, T* c, int64_t row, int64_t column, std::byte* scratch) {
  if (gathers && (columns > 1 || ldx > 1)) {
    T* packed = reinterpret_cast<T*>(scratch);
    for (int64_t kk = 0; kk < k; ++kk) {
      for (int64_t j = 0; j < columns; ++j) packed[j * k + kk] = x[kk * ldx + j];
    }
    x = packed;
    ldx = k;
  }
  const hn::ScalableTag<T> d;
  switch (columns) {
    case 1:
      return DotRows<1>(d, rows, k, a, lda, x, ldx, add, c, row, column);
    case 2:
      return DotRows<2>(d, rows, k, a, lda, x, ldx, add, c, row, column);
    case 3:
      return DotRows<3>(d, rows, k, a, lda, x, ldx, add, c, row, column);
    default:
      return DotRows<4>(d, rows, k, a, lda, x, ldx, add, c, row, column);
  }
}

// Few rows against a row-major B, which is read once, in place, a wide strip at a time. C's element (i, j) is
// c[i * row + j * column].
template <int kRows, int kVectors, class D, typename T = hn::TFromD<D>>
int64_t Strips(D d, int64_t kc, LeftPanel<T> a, RightPanel<T> b, int64_t j, int64_t end, bool add, T* c, int64_t row,
               int64_t column) {
  const int64_t width = kVectors * static_cast<int64_t>(hn::Lanes(d));
  Fetch fetch;
  for (; j + width <= end; j += width) {
    Destination<T> out;
    for (int i = 0; i < kRows; ++i) out.rows[i] = c + i * row + j * column;
    out.column = column;
    out.num_rows = kRows;
    out.num_columns = width;
    out.add = add;
    Tile<kRows, kVectors, false>(d, kc, a, {b.p + j, b.step}, out, fetch);
  }
  return j;
}

template <int kRows, typename T>
void FewRows(int64_t n0, int64_t n1, int64_t k, LeftPanel<T> a, RightPanel<T> b, bool accumulate, T* c, int64_t row,
             int64_t column, std::byte* scratch) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int kWide = kRows == 1 ? 8 : kTileRows > 4 ? 4 : 2;
  const int64_t k_block = KBlock<T>(k);
  for (int64_t k0 = 0; k0 < k; k0 += k_block) {
    const int64_t kc = std::min(k_block, k - k0);
    const LeftPanel<T> left{a.p + k0 * a.step, a.row, a.step};
    const RightPanel<T> right{b.p + k0 * b.step, b.step};
    const bool add = accumulate || k0 > 0;
    int64_t j = Strips<kRows, kWide>(d, kc, left, right, n0, n1, add, c, row, column);
    j = Strips<kRows, 1>(d, kc, left, right, j, n1, add, c, row, column);
    if (j < n1) {
      T* panel = reinterpret_cast<T*>(scratch);
      PackRows(right.p + j, right.step, n1 - j, kc, panel, lanes);
      Fetch fetch;
      Destination<T> out;
      for (int i = 0; i < kRows; ++i) out.rows[i] = c + i * row + j * column;
      out.column = column;
      out.num_rows = kRows;
      out.num_columns = n1 - j;
      out.add = add;
      Tile<kRows, 1, false>(d, kc, left, {panel, lanes}, out, fetch);
    }
  }
}

// `rows` <= kMaxFewRows rows of A against columns [n0, n1) of a row-major B.
template <typename T>
void FewRowsOf(int64_t rows, int64_t n0, int64_t n1, int64_t k, LeftPanel<T> a, RightPanel<T> b, bool accumulate, T* c,
               int64_t row, int64_t column, std::byte* scratch) {
  switch (rows) {
    case 1:
      return FewRows<1>(n0, n1, k, a, b, accumulate, c, row, column, scratch);
    case 2:
      return FewRows<2>(n0, n1, k, a, b, accumulate, c, row, column, scratch);
    case 3:
      return FewRows<3>(n0, n1, k, a, b, accumulate, c, row, column, scratch);
    default:
      return FewRows<4>(n0, n1, k, a, b, accumulate, c, row, column, scratch);
  }
}

// A piece of a product of few rows or columns, whose only term is its first. The shape of the whole product picks the
// path, never the piece: the order of summation differs between paths.
template <typename T>
void FewPiece(const GemmArgs<T>& g, const Piece& piece, std::byte* scratch) {
  const int64_t rows = piece.m1 - piece.m0, columns = piece.n1 - piece.n0;
  T* const c = g.c + piece.m0 * g.ldc + piece.n0;
  const LeftPanel<T> a =
      g.transpose_a ? LeftPanel<T>{g.a + piece.m0, 1, g.lda} : LeftPanel<T>{g.a + piece.m0 * g.lda, g.lda, 1};
  if (g.n <= kFew && !g.transpose_a) {
    const T* x = g.b + piece.n0 * (g.transpose_b ? g.ldb : 1);
    return Dots(rows, columns, g.k, a.p, g.lda, x, g.ldb, !g.transpose_b, g.accumulate, c, g.ldc, int64_t{1}, scratch);
  }
  if (g.m <= kFew && g.transpose_b) {
    return Dots(columns, rows, g.k, g.b + piece.n0 * g.ldb, g.ldb, a.p, g.lda, g.transpose_a, g.accumulate, c,
                int64_t{1}, g.ldc, scratch);
  }
  if (g.m <= kFew) {
    return FewRowsOf(rows, int64_t{0}, columns, g.k, a, {g.b + piece.n0, g.ldb}, g.accumulate, c, g.ldc, int64_t{1},
                     scratch);
  }
  // C' = B' A', and A' is row-major.
  const LeftPanel<T> b =
      g.transpose_b ? LeftPanel<T>{g.b + piece.n0 * g.ldb, g.ldb, 1} : LeftPanel<T>{g.b + piece.n0, 1, g.ldb};
  FewRowsOf(columns, int64_t{0}, rows, g.k, b, {g.a + piece.m0, g.lda}, g.accumulate, c, int64_t{1}, g.ldc, scratch);
}

template <typename T>
void GemmPiece(const GemmArgs<T>& g, int part, int parts, std::byte* scratch) {
  int64_t k = g.k;
  for (const GemmTerm<T>& term : g.also) k += term.k;
  const bool ready = g.packed_b != nullptr && std::min(g.m, g.n) > kFew;
  const Piece piece = PieceOf(g.m, g.n, k, part, parts, ready ? TileWidth<T>() : kColumnGrain);
  if (piece.empty()) return;
  if (k == 0) {
    if (!g.accumulate) {
      for (int64_t i = piece.m0; i < piece.m1; ++i) {
        std::fill(g.c + i * g.ldc + piece.n0, g.c + i * g.ldc + piece.n1, T{0});
      }
    }
    return;
  }
  if (std::min(g.m, g.n) <= kFew) {
    GemmArgs<T> one = g;
    for (size_t t = 0;; ++t) {
      if (one.k > 0) {
        FewPiece(one, piece, scratch);
        one.accumulate = true;
      }
      if (t == g.also.size()) return;
      const GemmTerm<T>& term = g.also[t];
      one.k = term.k, one.a = term.a, one.lda = term.lda, one.b = term.b, one.ldb = term.ldb;
    }
  }
  // An operand that stays in L1, or that is used only once or twice, is not worth packing; terms in a row are not one
  // operand before they are packed.
  const int64_t rows = piece.m1 - piece.m0, columns = piece.n1 - piece.n0;
  const int64_t size = static_cast<int64_t>(sizeof(T));
  const int64_t left_bytes = (g.transpose_a ? g.k : rows) * g.lda * size;
  const int64_t right_bytes = g.k * g.ldb * size;
  constexpr int64_t kSmall = 16384;
  const bool joined = !g.also.empty();
  const MatrixProduct<T> product{
      .args = g,
      .packs_left = joined || (left_bytes > kSmall && columns > (g.transpose_a ? 32 : 256)),
      .packs_right = joined || ready || g.transpose_b || (right_bytes > kSmall && rows > kTileRows),
      .right_transposed = g.transpose_b,
      .right_ready = ready,
  };
  MultiplyPiece(hn::ScalableTag<T>(), product, piece, k, g.accumulate, scratch);
}

// Block after block of k, each with all of B's columns: where ReadyRight looks for them.
template <typename T>
void PackAll(const PackArgs<T>& args, T* packed, int part, int parts) {
  const hn::ScalableTag<T> d;
  const int64_t width = TileWidth<T>();
  const MatrixProduct<T> product{
      .args = {.n = args.n, .k = args.k, .b = args.b, .ldb = args.ldb, .transpose_b = args.transpose_b},
      .packs_left = false,
      .packs_right = true,
      .right_transposed = args.transpose_b,
      .right_ready = false};
  const auto [begin, end] = Split(args.n, width, part, parts);
  if (begin == end) return;
  const int64_t k_block = KBlock<T>(args.k);
  for (int64_t k0 = 0; k0 < args.k; k0 += k_block) {
    const RightBlock block{begin, end - begin, k0, std::min(k_block, args.k - k0)};
    product.PackRight(d, block, 0, args.transpose_b ? RoundUp(block.columns, width) : block.kc,
                      packed + k0 * RoundUp(args.n, width) + begin * block.kc);
  }
}

void PackF32(const PackArgs<float>& args, float* packed, int part, int parts) { PackAll(args, packed, part, parts); }
void PackF64(const PackArgs<double>& args, double* packed, int part, int parts) { PackAll(args, packed, part, parts); }

void GemmF32(const GemmArgs<float>& args, int part, int parts, std::byte* scratch) {
  GemmPiece(args, part, parts, scratch);
}
void GemmF64(const GemmArgs<double>& args, int part, int parts, std::byte* scratch) {
  GemmPiece(args, part, parts, scratch);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(GemmF32);
HWY_EXPORT(GemmF64);
HWY_EXPORT(PackF32);
HWY_EXPORT(PackF64);

int64_t GemmScratchBytes(int64_t m, int64_t n, int64_t k, DType dtype) {
  // The few columns or rows of a product of dots are made contiguous.
  const int64_t dots = std::min(m, n) <= kFew ? kFew * k * SizeOf(dtype) : 0;
  return std::max(BlockScratchBytes(m, n, k, dtype), PaddedBytes(dots));
}

bool GainsByPackedB(int64_t m, int64_t n, bool transpose_b) {
  return std::min(m, n) > kFew && (transpose_b || m > kTallestTile);
}

template <typename T>
void Gemm(const GemmArgs<T>& args, int part, int parts, std::byte* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(GemmF32)(args, part, parts, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(GemmF64)(args, part, parts, scratch);
  }
}
template void Gemm(const GemmArgs<float>&, int, int, std::byte*);
template void Gemm(const GemmArgs<double>&, int, int, std::byte*);

template <typename T>
void PackB(const PackArgs<T>& args, T* packed, int part, int parts) {
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(PackF32)(args, packed, part, parts);
  } else {
    HWY_DYNAMIC_DISPATCH(PackF64)(args, packed, part, parts);
  }
}
template void PackB(const PackArgs<float>&, float*, int, int);
template void PackB(const PackArgs<double>&, double*, int, int);

}  // namespace autodiff
#endif  // HWY_ONCE
