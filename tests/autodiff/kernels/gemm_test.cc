#include "autodiff/kernels/gemm.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/tensor.h"
#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"

namespace autodiff {
namespace {

// A matrix inside a larger one: every element around it, `offset` before the first and the ends of its rows, is a NaN
// that must not be read into a result and must still be there afterwards.
template <typename T>
struct Matrix {
  int64_t rows, columns, ld, offset;
  std::vector<T> storage;

  Matrix(int64_t r, int64_t c, int64_t slack, int64_t o)
      : rows(r),
        columns(c),
        ld(c + slack),
        offset(o),
        storage(static_cast<size_t>(o + std::max<int64_t>(0, r * (c + slack) - slack)),
                std::numeric_limits<T>::quiet_NaN()) {}
  T* data() { return storage.data() + offset; }
  T& at(int64_t i, int64_t j) { return storage[static_cast<size_t>(offset + i * ld + j)]; }
  void Fill(std::mt19937& random) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) at(i, j) = static_cast<T>(uniform(random));
    }
  }
  int64_t CountNan() const {
    return std::count_if(storage.begin(), storage.end(), [](T x) { return std::isnan(x); });
  }
};

template <typename T>
void Multiply(const GemmArgs<T>& args, int parts) {
  // The caller's promise is this many bytes and no more: a sanitizer sees one too many.
  int64_t k = args.k;
  for (const GemmTerm<T>& term : args.also) k += term.k;
  const AlignedBytes scratch = AllocateAligned(GemmScratchBytes(args.m, args.n, k, DTypeOf<T>()));
  for (int part = parts - 1; part >= 0; --part) Gemm(args, part, parts, scratch.get());
}

// Compares with sums in float64 of the rounded factors, within the worst case of k rounded additions.
template <typename T>
void ExpectProduct(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, bool accumulate,
                   int64_t slack) {
  SCOPED_TRACE(absl::StrCat(Name(DTypeOf<T>()), " m=", m, " n=", n, " k=", k, " ta=", transpose_a, " tb=", transpose_b,
                            " accumulate=", accumulate, " slack=", slack));
  std::mt19937 random(static_cast<uint32_t>(m * 10007 + n * 101 + k));
  Matrix<T> a(transpose_a ? k : m, transpose_a ? m : k, slack, 1),
      b(transpose_b ? n : k, transpose_b ? k : n, slack, 3);
  Matrix<T> c(m, n, slack, 1);
  a.Fill(random);
  b.Fill(random);
  if (accumulate) c.Fill(random);
  const Matrix<T> before = c;
  GemmArgs<T> args{.m = m,
                   .n = n,
                   .k = k,
                   .a = a.data(),
                   .lda = a.ld,
                   .transpose_a = transpose_a,
                   .b = b.data(),
                   .ldb = b.ld,
                   .transpose_b = transpose_b,
                   .c = c.data(),
                   .ldc = c.ld,
                   .accumulate = accumulate};
  Multiply(args, 1);
  EXPECT_EQ(c.CountNan(), static_cast<int64_t>(c.storage.size()) - m * n) << "stored outside C";
  const double tolerance = std::numeric_limits<T>::epsilon() * static_cast<double>(k + 2);
  Matrix<T> start = before;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = accumulate ? static_cast<double>(start.at(i, j)) : 0, scale = 1;
      for (int64_t p = 0; p < k; ++p) {
        const double term = static_cast<double>(transpose_a ? a.at(p, i) : a.at(i, p)) *
                            static_cast<double>(transpose_b ? b.at(j, p) : b.at(p, j));
        sum += term;
        scale += std::abs(term);
      }
      ASSERT_NEAR(c.at(i, j), sum, tolerance * scale) << "at " << i << ", " << j;
    }
  }
  for (int parts = 2; parts <= 4; ++parts) {
    Matrix<T> shared = before;
    args.c = shared.data();
    Multiply(args, parts);
    ASSERT_EQ(std::memcmp(shared.storage.data(), c.storage.data(), c.storage.size() * sizeof(T)), 0)
        << "differs in bits with " << parts << " parts";
  }
  for (int parts = 1; parts <= 3; ++parts) {
    const AlignedBytes packed = AllocateAligned(PackedElements(k, n) * static_cast<int64_t>(sizeof(T)));
    T* const elements = reinterpret_cast<T*>(packed.get());
    for (int part = parts - 1; part >= 0; --part) {
      PackB<T>({.n = n, .k = k, .b = b.data(), .ldb = b.ld, .transpose_b = transpose_b}, elements, part, parts);
    }
    Matrix<T> again = before;
    args.c = again.data();
    args.packed_b = elements;
    Multiply(args, 4 - parts);
    ASSERT_EQ(std::memcmp(again.storage.data(), c.storage.data(), c.storage.size() * sizeof(T)), 0)
        << "differs in bits when B is packed before, in " << parts << " parts";
  }
}

struct Size {
  int64_t m, n, k;
};

// Around every tile edge of every target, few rows or columns, none, and more than one block of k and of rows.
const Size kSizes[] = {
    {0, 5, 3},    {5, 0, 3},     {1, 1, 1},     {5, 7, 0},      {1, 1, 33},     {3, 1, 300},
    {1, 37, 5},   {1, 130, 70},  {2, 70, 19},   {3, 200, 9},    {4, 33, 41},    {4, 4, 4},
    {45, 1, 17},  {70, 2, 35},   {33, 3, 64},   {130, 4, 19},   {5, 5, 5},      {7, 17, 2},
    {8, 16, 32},  {12, 32, 16},  {13, 33, 17},  {11, 31, 1},    {25, 24, 9},    {32, 16, 2},
    {24, 64, 65}, {6, 48, 257},  {37, 65, 33},  {50, 129, 71},  {130, 150, 20}, {66, 7, 300},
    {9, 300, 37}, {397, 21, 11}, {61, 90, 521}, {21, 126, 130}, {37, 300, 700}, {21, 301, 333},
};

TEST(Gemm, AgreesWithSumsInDouble) {
  ForEachTarget([] {
    for (const Size& s : kSizes) {
      for (int flags = 0; flags < 8; ++flags) {
        ExpectProduct<float>(s.m, s.n, s.k, flags & 1, flags & 2, flags & 4, flags % 3 == 0 ? 0 : 5);
        ExpectProduct<double>(s.m, s.n, s.k, flags & 1, flags & 2, flags & 4, flags % 3 == 0 ? 0 : 5);
      }
    }
  });
}

// A sum of products of one shape is the product of their factors side by side: [A1 A2 A3] [B1; B2; B3]. To the bit
// where sums run over one axis, which products of few rows or columns do term by term.
template <typename T>
void ExpectTermsInARow(int64_t m, int64_t n, const std::vector<int64_t>& ks, bool transpose_a, bool transpose_b,
                       bool accumulate) {
  int64_t k = 0;
  for (const int64_t length : ks) k += length;
  SCOPED_TRACE(absl::StrCat(Name(DTypeOf<T>()), " m=", m, " n=", n, " k=", k, " ta=", transpose_a, " tb=", transpose_b,
                            " accumulate=", accumulate));
  std::mt19937 random(static_cast<uint32_t>(m * 10007 + n * 101 + k));
  Matrix<T> a(transpose_a ? k : m, transpose_a ? m : k, 0, 1), b(transpose_b ? n : k, transpose_b ? k : n, 0, 3);
  Matrix<T> whole(m, n, 2, 1);
  a.Fill(random);
  b.Fill(random);
  whole.Fill(random);
  const Matrix<T> before = whole;
  Multiply<T>({.m = m,
               .n = n,
               .k = k,
               .a = a.data(),
               .lda = a.ld,
               .transpose_a = transpose_a,
               .b = b.data(),
               .ldb = b.ld,
               .transpose_b = transpose_b,
               .c = whole.data(),
               .ldc = whole.ld,
               .accumulate = accumulate},
              1);
  // Each term is a matrix of its own, apart from the others and of another row length.
  std::vector<Matrix<T>> as, bs;
  int64_t first = 0;
  for (const int64_t length : ks) {
    const int64_t slack = static_cast<int64_t>(as.size()) % 2 * 3;
    as.emplace_back(transpose_a ? length : m, transpose_a ? m : length, slack, 2);
    bs.emplace_back(transpose_b ? n : length, transpose_b ? length : n, slack, 1);
    for (int64_t p = 0; p < length; ++p) {
      for (int64_t i = 0; i < m; ++i) {
        (transpose_a ? as.back().at(p, i) : as.back().at(i, p)) = transpose_a ? a.at(first + p, i) : a.at(i, first + p);
      }
      for (int64_t j = 0; j < n; ++j) {
        (transpose_b ? bs.back().at(j, p) : bs.back().at(p, j)) = transpose_b ? b.at(j, first + p) : b.at(first + p, j);
      }
    }
    first += length;
  }
  std::vector<GemmTerm<T>> also;
  for (size_t t = 1; t < ks.size(); ++t) {
    also.push_back({.k = ks[t], .a = as[t].data(), .lda = as[t].ld, .b = bs[t].data(), .ldb = bs[t].ld});
  }
  for (int parts = 1; parts <= 3; ++parts) {
    Matrix<T> c = before;
    Multiply<T>({.m = m,
                 .n = n,
                 .k = ks[0],
                 .a = as[0].data(),
                 .lda = as[0].ld,
                 .transpose_a = transpose_a,
                 .b = bs[0].data(),
                 .ldb = bs[0].ld,
                 .transpose_b = transpose_b,
                 .c = c.data(),
                 .ldc = c.ld,
                 .accumulate = accumulate,
                 .also = also},
                parts);
    const double tolerance = std::min(m, n) > 4 ? 0
                                                : static_cast<double>(k + 2) * static_cast<double>(k + 2) *
                                                      static_cast<double>(std::numeric_limits<T>::epsilon());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) ASSERT_NEAR(c.at(i, j), whole.at(i, j), tolerance) << "at " << i << ", " << j;
    }
  }
}

TEST(Gemm, TermsAreSummedAsOneAxis) {
  ForEachTarget([] {
    for (int flags = 0; flags < 8; ++flags) {
      const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0, accumulate = (flags & 4) != 0;
      for (const std::vector<int64_t>& ks : {std::vector<int64_t>{13, 7}, {128, 128}, {5, 0, 300, 33}, {0, 9}}) {
        ExpectTermsInARow<float>(50, 129, ks, ta, tb, accumulate);
        ExpectTermsInARow<double>(37, 65, ks, ta, tb, accumulate);
        ExpectTermsInARow<float>(5, 16, ks, ta, tb, accumulate);
        ExpectTermsInARow<float>(3, 70, ks, ta, tb, accumulate);
        ExpectTermsInARow<double>(45, 1, ks, ta, tb, accumulate);
      }
    }
    ExpectTermsInARow<float>(397, 150, {100, 100}, true, false, false);
  });
}

// Rows of A that are equal give rows of C that are equal, wherever they fall in a tile or a block; so with B's columns.
template <typename T>
void ExpectPlaceDoesNotMatter(int64_t m, int64_t n, int64_t k) {
  std::mt19937 random(7);
  Matrix<T> a(1, k, 0, 0), b(1, k, 0, 0), rows(m, k, 0, 0), columns(n, k, 0, 0), c(m, n, 0, 0);
  a.Fill(random);
  b.Fill(random);
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t i = 0; i < m; ++i) rows.at(i, p) = a.at(0, p);
    for (int64_t j = 0; j < n; ++j) columns.at(j, p) = b.at(0, p);
  }
  Multiply<T>({.m = m,
               .n = n,
               .k = k,
               .a = rows.data(),
               .lda = k,
               .b = columns.data(),
               .ldb = k,
               .transpose_b = true,
               .c = c.data(),
               .ldc = n},
              3);
  for (const T x : c.storage) ASSERT_EQ(x, c.at(0, 0));
}

TEST(Gemm, ValueDoesNotDependOnPlace) {
  ForEachTarget([] {
    for (const Size& s : {Size{61, 90, 521}, {401, 37, 29}, {1, 70, 45}, {90, 3, 45}, {3, 90, 45}, {5, 300, 300}}) {
      ExpectPlaceDoesNotMatter<float>(s.m, s.n, s.k);
      ExpectPlaceDoesNotMatter<double>(s.m, s.n, s.k);
    }
  });
}

// A NaN or an infinity in A is in its row of C, one in B in its column, and nowhere else; also beside the padding of
// tiles, and whichever factor is transposed.
template <typename T>
void ExpectNonFiniteStays(const Size& s, bool transpose_a, bool transpose_b) {
  SCOPED_TRACE(
      absl::StrCat(Name(DTypeOf<T>()), " m=", s.m, " n=", s.n, " k=", s.k, " ta=", transpose_a, " tb=", transpose_b));
  for (const T special : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    for (const int64_t p : {int64_t{0}, s.k / 2, s.k - 1}) {
      for (const bool in_a : {true, false}) {
        Matrix<T> a(transpose_a ? s.k : s.m, transpose_a ? s.m : s.k, 2, 1),
            b(transpose_b ? s.n : s.k, transpose_b ? s.k : s.n, 2, 3), c(s.m, s.n, 0, 0);
        std::mt19937 random(3);
        a.Fill(random);
        b.Fill(random);
        const int64_t line = in_a ? s.m - 1 : s.n - 1;
        const bool transposed = in_a ? transpose_a : !transpose_b;
        (transposed ? (in_a ? a : b).at(p, line) : (in_a ? a : b).at(line, p)) = special;
        Multiply<T>({.m = s.m,
                     .n = s.n,
                     .k = s.k,
                     .a = a.data(),
                     .lda = a.ld,
                     .transpose_a = transpose_a,
                     .b = b.data(),
                     .ldb = b.ld,
                     .transpose_b = transpose_b,
                     .c = c.data(),
                     .ldc = s.n},
                    2);
        for (int64_t i = 0; i < s.m; ++i) {
          for (int64_t j = 0; j < s.n; ++j) {
            ASSERT_EQ(!std::isfinite(c.at(i, j)), (in_a ? i : j) == line) << i << ", " << j << " in_a " << in_a;
          }
        }
      }
    }
  }
}

TEST(Gemm, NonFiniteStaysInItsRowOrColumn) {
  ForEachTarget([] {
    for (const Size& s : {Size{32, 16, 2}, {32, 1, 16}, {1, 33, 16}, {30, 40, 50}, {13, 35, 300}, {5, 3, 7}}) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          ExpectNonFiniteStays<float>(s, ta, tb);
          ExpectNonFiniteStays<double>(s, ta, tb);
        }
      }
    }
  });
}

}  // namespace
}  // namespace autodiff
