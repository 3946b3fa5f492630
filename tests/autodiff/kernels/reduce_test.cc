#include "autodiff/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"

namespace autodiff {
namespace {

template <typename T>
std::vector<T> Normals(int64_t n, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<T> normal;
  std::vector<T> x(static_cast<size_t>(n));
  for (T& v : x) v = normal(bits);
  return x;
}

template <typename T>
std::vector<T> ReduceAll(Reduction reduction, const std::vector<T>& x, int64_t outer, int64_t reduce, int64_t inner) {
  std::vector<T> y(static_cast<size_t>(outer * inner));
  Reduce(reduction, x.data(), outer, reduce, inner, y.data(), 0, outer * inner);
  return y;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <typename T>
void CheckShape(int64_t outer, int64_t reduce, int64_t inner) {
  SCOPED_TRACE(testing::Message() << "[" << outer << ", " << reduce << ", " << inner << "] f" << 8 * sizeof(T));
  const std::vector<T> x = Normals<T>(outer * reduce * inner, static_cast<uint64_t>(outer + 7 * reduce + 31 * inner));
  const std::vector<T> sum = ReduceAll(Reduction::kSum, x, outer, reduce, inner);
  const std::vector<T> max = ReduceAll(Reduction::kMax, x, outer, reduce, inner);
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t k = 0; k < inner; ++k) {
      long double want = 0, magnitude = 0, largest = -INFINITY;
      for (int64_t j = 0; j < reduce; ++j) {
        const long double v = x[static_cast<size_t>((i * reduce + j) * inner + k)];
        want += v;
        magnitude += std::fabs(v);
        largest = std::max(largest, v);
      }
      const size_t at = static_cast<size_t>(i * inner + k);
      // One rounding of the result, and what the long double reference itself may have lost.
      const long double tolerance = std::fabs(want) * std::numeric_limits<T>::epsilon() * 0.5000001L +
                                    magnitude * static_cast<long double>(reduce) * 0x1p-63L +
                                    (sizeof(T) == 4 ? magnitude * 0x1p-50L : 0.0L);
      ASSERT_LE(std::fabs(sum[at] - want), tolerance) << "output " << at;
      ASSERT_EQ(max[at], largest) << "output " << at;
    }
  }
  // Any split gives the same bits, and nothing outside its range is written.
  std::mt19937_64 bits(3);
  for (int trial = 0; trial < 4; ++trial) {
    std::vector<T> split_sum(sum.size(), T(7)), split_max(sum.size(), T(7));
    for (int64_t begin = 0; begin < outer * inner;) {
      const int64_t end = std::min(outer * inner, begin + 1 + static_cast<int64_t>(bits() % 23));
      std::vector<T> part(sum.size(), T(7));
      Reduce(Reduction::kSum, x.data(), outer, reduce, inner, part.data(), begin, end);
      for (int64_t i = 0; i < outer * inner; ++i) {
        const T v = part[static_cast<size_t>(i)];
        if (i >= begin && i < end) {
          split_sum[static_cast<size_t>(i)] = v;
        } else {
          ASSERT_EQ(v, T(7));
        }
      }
      Reduce(Reduction::kMax, x.data(), outer, reduce, inner, split_max.data(), begin, end);
      begin = end;
    }
    EXPECT_TRUE(SameBits(split_sum, sum));
    EXPECT_TRUE(SameBits(split_max, max));
  }
}

TEST(Reduce, MatchesLongDoubleForAnyShapeAndSplit) {
  ForEachTarget([] {
    for (const int64_t reduce : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 67, 100, 131}) {
      for (const int64_t inner : {1, 2, 3, 5, 8, 17, 33, 70}) {
        CheckShape<float>(3, reduce, inner);
        CheckShape<double>(3, reduce, inner);
      }
    }
    CheckShape<float>(1, 5, 1100);
    CheckShape<double>(1, 5, 1100);
    CheckShape<float>(2, 1000, 1);
    CheckShape<double>(2, 1000, 1);
  });
}

// The order of summation must not cost digits: both along a row and down a column.
template <typename T>
void CheckMillionTerms() {
  constexpr int64_t kTerms = 1000000;
  std::mt19937_64 bits(11);
  std::uniform_real_distribution<T> uniform(0, 1);
  std::vector<T> x(kTerms);
  long double want = 0;
  for (T& v : x) want += v = uniform(bits);
  const T row = ReduceAll(Reduction::kSum, x, 1, kTerms, 1)[0];
  EXPECT_LE(std::fabs(row - want), want * std::numeric_limits<T>::epsilon() * 0.501L);
  std::vector<T> columns(2 * kTerms);
  for (size_t i = 0; i < x.size(); ++i) columns[2 * i] = columns[2 * i + 1] = x[i];
  for (const T sum : ReduceAll(Reduction::kSum, columns, 1, kTerms, 2)) {
    EXPECT_LE(std::fabs(sum - want), want * std::numeric_limits<T>::epsilon() * 0.501L);
  }
}
TEST(Reduce, AMillionTermsAreSummedAsWellAsAHundred) {
  ForEachTarget([] {
    CheckMillionTerms<float>();
    CheckMillionTerms<double>();
  });
}

// 1e16 + 1 - 1e16 is 1 although 1e16 + 1 is not a double.
TEST(Reduce, CancellationKeepsTheSmallTerm) {
  ForEachTarget([] {
    EXPECT_EQ(ReduceAll<double>(Reduction::kSum, {1e16, 1, -1e16}, 1, 3, 1)[0], 1);
    EXPECT_EQ(ReduceAll<double>(Reduction::kSum, {1e16, 1, 1, 1, -1e16, 1}, 1, 3, 2), (std::vector<double>{1, 3}));
  });
}

template <typename T>
void CheckNonFinite() {
  constexpr T kInf = std::numeric_limits<T>::infinity();
  for (const int64_t n : {1, 5, 9, 40, 80}) {
    for (int64_t at = 0; at < n; ++at) {
      for (const int64_t inner : {1, 2, 20}) {
        for (const T special : {kInf, -kInf, std::numeric_limits<T>::quiet_NaN()}) {
          std::vector<T> x(static_cast<size_t>(n * inner), T(1));
          x[static_cast<size_t>(at * inner + inner - 1)] = special;
          const T sum = ReduceAll(Reduction::kSum, x, 1, n, inner).back();
          const T max = ReduceAll(Reduction::kMax, x, 1, n, inner).back();
          if (std::isnan(special)) {
            EXPECT_TRUE(std::isnan(sum) && std::isnan(max));
          } else {
            EXPECT_EQ(sum, special);
            EXPECT_EQ(max, special > 0 || n == 1 ? special : T(1));
          }
        }
      }
    }
  }
  EXPECT_TRUE(std::isnan(ReduceAll<T>(Reduction::kSum, {kInf, 1, -kInf}, 1, 3, 1)[0]));
  const T most = std::numeric_limits<T>::max();
  EXPECT_EQ(ReduceAll<T>(Reduction::kSum, {most, most}, 1, 2, 1)[0], kInf);
  EXPECT_EQ(ReduceAll<T>(Reduction::kSum, {}, 3, 0, 1), (std::vector<T>{0, 0, 0}));
  EXPECT_EQ(ReduceAll<T>(Reduction::kMax, {}, 1, 0, 2), (std::vector<T>{-kInf, -kInf}));
}
TEST(Reduce, InfinityNanAndNothing) {
  ForEachTarget([] {
    CheckNonFinite<float>();
    CheckNonFinite<double>();
  });
}

}  // namespace
}  // namespace autodiff
