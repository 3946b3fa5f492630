#include "autodiff/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autodiff/kernels/philox.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"

namespace autodiff {
namespace {

// Draws per statistic, and how many standard deviations of the statistic are allowed: seeds are fixed, so a test that
// passes stays passing; a correct generator fails a new seed with probability 7e-6 per statistic.
#ifdef __OPTIMIZE__
constexpr size_t kDraws = 1000000;
#else
constexpr size_t kDraws = 100000;
#endif
constexpr double kSigmas = 4.5;

template <typename T>
std::vector<T> Normal(const NoiseKey& key, int64_t begin, size_t count) {
  std::vector<T> out(count);
  FillNormal(key, begin, std::span<T>(out));
  return out;
}
template <typename T>
std::vector<T> Uniform(const NoiseKey& key, int64_t begin, size_t count) {
  std::vector<T> out(count);
  FillUniform(key, begin, std::span<T>(out));
  return out;
}

double NormalCdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// sqrt(n) times the largest distance between the empirical distribution and cdf. Kolmogorov: the probability that it
// exceeds x is about 2 exp(-2 x^2), 7e-6 (4.5 sigma) at x = 2.51.
template <typename T>
double KolmogorovSmirnov(std::vector<T> x, absl::FunctionRef<double(double)> cdf) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double p = cdf(static_cast<double>(x[i]));
    const double below = static_cast<double>(i) / n;
    distance = std::max({distance, p - below, below + 1 / n - p});
  }
  return std::sqrt(n) * distance;
}

// The mean of f(x[i], y[i]) in units of its standard deviation, that of one term being `sd`.
template <typename T, typename F>
double MeanInSigmas(std::span<const T> x, std::span<const T> y, double sd, const F& f) {
  const size_t n = std::min(x.size(), y.size());
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += f(static_cast<double>(x[i]), static_cast<double>(y[i]));
  return sum / (sd * std::sqrt(static_cast<double>(n)));
}

// For independent standard normals x y has variance 1 and (x^2 - 1)(y^2 - 1) variance 4.
template <typename T>
void ExpectUncorrelated(std::span<const T> x, std::span<const T> y) {
  EXPECT_LT(std::abs(MeanInSigmas(x, y, 1, [](double a, double b) { return a * b; })), kSigmas);
  EXPECT_LT(std::abs(MeanInSigmas(x, y, 2, [](double a, double b) { return (a * a - 1) * (b * b - 1); })), kSigmas);
}

template <typename T>
class FillTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FillTest, Types);

// E z^k = 0, 1, 0, 3; the variances of z, z^2, z^3, z^4 are 1, 2, 15, 96.
TYPED_TEST(FillTest, NormalMoments) {
  ForEachTarget([] {
    const std::vector<TypeParam> z = Normal<TypeParam>({.seed = 1}, 0, kDraws);
    const std::array<double, 4> mean = {0, 1, 0, 3}, variance = {1, 2, 15, 96};
    for (size_t k = 0; k < 4; ++k) {
      const auto term = [&](double a, double) { return std::pow(a, static_cast<double>(k + 1)) - mean[k]; };
      EXPECT_LT(std::abs(MeanInSigmas<TypeParam>(z, z, std::sqrt(variance[k]), term)), kSigmas) << "moment " << k + 1;
    }
  });
}

TYPED_TEST(FillTest, NormalDistribution) {
  ForEachTarget([] {
    EXPECT_LT(KolmogorovSmirnov(Normal<TypeParam>({.seed = 2}, 0, kDraws), NormalCdf), 2.51);
    // The tails, which the Kolmogorov-Smirnov distance hardly sees.
    const std::vector<TypeParam> z = Normal<TypeParam>({.seed = 3}, 0, 4 * kDraws);
    for (const double bound : {1.0, 2.0, 3.0, 4.0, 4.5}) {
      const double p = std::erfc(bound / std::sqrt(2.0)), n = static_cast<double>(z.size());
      const auto count = std::count_if(z.begin(), z.end(), [&](TypeParam a) { return std::abs(a) > bound; });
      EXPECT_LT(std::abs(static_cast<double>(count) - n * p), kSigmas * std::sqrt(n * p)) << "|z| > " << bound;
      const auto above = std::count_if(z.begin(), z.end(), [&](TypeParam a) { return a > bound; });
      EXPECT_LT(std::abs(static_cast<double>(above) - n * p / 2), kSigmas * std::sqrt(n * p / 2)) << "z > " << bound;
    }
  });
}

// Lags include those of the storage order: 16 between the two normals of one transform, 64 between tiles.
TYPED_TEST(FillTest, NormalsAreUncorrelatedAtAnyLag) {
  ForEachTarget([] {
    const std::vector<TypeParam> z = Normal<TypeParam>({.seed = 4, .step = 9}, 0, kDraws);
    for (const size_t lag : std::initializer_list<size_t>{1, 2, 3, 4, 5, 8, 15, 16, 17, 32, 48, 64, 784, 4096}) {
      SCOPED_TRACE(lag);
      ExpectUncorrelated<TypeParam>(z, std::span(z).subspan(lag));
    }
  });
}

TYPED_TEST(FillTest, KeysAreUncorrelated) {
  const std::vector<TypeParam> z = Normal<TypeParam>({.seed = 5, .stream = 1, .step = 1}, 0, kDraws);
  const NoiseKey others[] = {{.seed = 6, .stream = 1, .step = 1},
                             {.seed = 5, .stream = 2, .step = 1},
                             {.seed = 5, .stream = 1, .step = 2},
                             {.seed = 5, .stream = 1, .step = 0},
                             {.seed = 5 | uint64_t{1} << 32, .stream = 1, .step = 1},
                             {.seed = 5, .stream = 1, .step = 1 | uint64_t{1} << 32}};
  for (const NoiseKey& other : others) {
    SCOPED_TRACE("seed " + std::to_string(other.seed) + " stream " + std::to_string(other.stream) + " step " +
                 std::to_string(other.step));
    ExpectUncorrelated<TypeParam>(z, Normal<TypeParam>(other, 0, kDraws));
  }
  // The other function and the other type on the same key: sqrt(12) (u - 1/2) has mean 0 and variance 1.
  std::vector<TypeParam> u = Uniform<TypeParam>({.seed = 5, .stream = 1, .step = 1}, 0, kDraws);
  const auto product = [](double a, double b) { return a * std::sqrt(12.0) * (b - 0.5); };
  EXPECT_LT(std::abs(MeanInSigmas<TypeParam>(z, u, 1, product)), kSigmas);
  const std::vector<float> f = Normal<float>({.seed = 7}, 0, kDraws);
  const std::vector<double> d = Normal<double>({.seed = 7}, 0, kDraws);
  ExpectUncorrelated<double>(std::vector<double>(f.begin(), f.end()), d);
}

TYPED_TEST(FillTest, UniformDistribution) {
  const std::vector<TypeParam> best = Uniform<TypeParam>({.seed = 8}, 0, kDraws);
  EXPECT_LT(KolmogorovSmirnov(best, [](double u) { return u; }), 2.51);
  const double scale = std::is_same_v<TypeParam, float> ? 0x1p24 : 0x1p53;
  bool odd = false;
  for (const TypeParam u : best) {
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    const double multiple = static_cast<double>(u) * scale;
    ASSERT_EQ(multiple, std::floor(multiple));
    odd = odd || std::fmod(multiple, 2) == 1;
  }
  EXPECT_TRUE(odd) << "the last of the promised bits is never set";
  ForEachTarget([&] { EXPECT_EQ(Uniform<TypeParam>({.seed = 8}, 0, kDraws), best); });
}

// Draw begin + i does not depend on how a range is cut, nor on where it starts or on the alignment of the output.
TYPED_TEST(FillTest, AnySplitGivesTheSameBits) {
  const NoiseKey key{.seed = 9, .stream = kWalkNoise, .step = 3};
  constexpr size_t kCount = 3000;
  // The last start makes the block number cross 2^32 for float and for double.
  for (const int64_t start :
       {int64_t{0}, int64_t{5}, int64_t{1} << 34, (int64_t{1} << 34) - 77, (int64_t{1} << 33) - 77}) {
    ForEachTarget([&] {
      const std::vector<TypeParam> normal = Normal<TypeParam>(key, start, kCount);
      const std::vector<TypeParam> uniform = Uniform<TypeParam>(key, start, kCount);
      std::vector<TypeParam> z(kCount), u(kCount);
      size_t begin = 0;
      for (int64_t part = 0; begin < kCount; ++part) {
        const size_t n = std::min(static_cast<size_t>(RandomInteger({.seed = 10}, part, 200)), kCount - begin);
        const int64_t first = start + static_cast<int64_t>(begin);
        FillNormal(key, first, std::span(z).subspan(begin, n));
        FillUniform(key, first, std::span(u).subspan(begin, n));
        begin += n;
      }
      EXPECT_EQ(z, normal);
      EXPECT_EQ(u, uniform);
    });
  }
}

TEST(RandomTest, AnyNumberOfThreadsGivesTheSameBits) {
  const NoiseKey key{.seed = 11};
  const std::vector<float> expected = Normal<float>(key, 0, 10007);
  for (int threads = 1; threads <= 5; ++threads) {
    ThreadPool pool(threads);
    std::vector<float> z(expected.size());
    pool.For(static_cast<int64_t>(z.size()), 1, [&](int64_t begin, int64_t end) {
      FillNormal(key, begin, std::span(z).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    });
    EXPECT_EQ(z, expected);
  }
}

TEST(RandomTest, TensorsAreFilledWithTheDrawsOfTheirType) {
  const NoiseKey key{.seed = 11, .step = 2};
  ThreadPool threads(3);
  for (ThreadPool* const pool : {static_cast<ThreadPool*>(nullptr), &threads}) {
    Tensor f({7, 3001}), d({7, 3001}, DType::kF64);
    FillNormal(key, pool, f);
    FillNormal(key, pool, d);
    EXPECT_TRUE(std::ranges::equal(f.data<float>(), Normal<float>(key, 0, 7 * 3001)));
    EXPECT_TRUE(std::ranges::equal(d.data<double>(), Normal<double>(key, 0, 7 * 3001)));
  }
}

// The layout that random.h documents, with bits chosen so that every field of the counter is used.
TEST(RandomTest, BitsArePhiloxOfTheDocumentedCounter) {
  const NoiseKey key{.seed = 0x0123456789abcdef, .stream = 0xfedcba, .step = 0x123456789abc};
  const int64_t block = 0x5678'9abcdef0;
  const std::array<uint32_t, 4> words =
      Philox4x32({0x9abcdef0, 0x12345678, 0x56789abc, 0x00fedcba}, {0x89abcdef, 0x01234567});
  EXPECT_EQ(RandomBits(key, 2 * block), uint64_t{words[1]} << 32 | words[0]);
  EXPECT_EQ(RandomBits(key, 2 * block + 1), uint64_t{words[3]} << 32 | words[2]);
}

// No two keys of one seed share a block. Under one key Philox is a bijection, so blocks are equal when and only when
// their counters are; the fields are tried at both ends and around every border between them.
TEST(RandomTest, StreamsStepsAndDrawsNeverMeet) {
  constexpr uint64_t kOne = 1;
  std::set<std::array<uint64_t, 2>> blocks;
  size_t count = 0;
  for (const uint64_t stream : {uint64_t{0}, kOne, kOne << 8, kOne << 16, kOne << 23, (kOne << 24) - 1}) {
    for (const uint64_t step :
         {uint64_t{0}, kOne, kOne << 16, kOne << 31, (kOne << 32) - 1, kOne << 32, kOne << 47, (kOne << 48) - 1}) {
      for (const uint64_t block : {uint64_t{0}, kOne, kOne << 15, kOne << 16, kOne << 31, (kOne << 32) - 1, kOne << 32,
                                   kOne << 46, (kOne << 47) - 1}) {
        const NoiseKey key{.seed = 21, .stream = stream, .step = step};
        const int64_t draw = static_cast<int64_t>(2 * block);
        blocks.insert({RandomBits(key, draw), RandomBits(key, draw + 1)});
        ++count;
      }
    }
  }
  EXPECT_EQ(blocks.size(), count);
}

TEST(RandomTest, IntegersAreUniform) {
  constexpr int64_t kBound = 10, kCount = 100000;
  std::array<double, kBound> counts = {};
  for (int64_t i = 0; i < kCount; ++i) {
    const int64_t k = RandomInteger({.seed = 12}, i, kBound);
    ASSERT_GE(k, 0);
    ASSERT_LT(k, kBound);
    ++counts[static_cast<size_t>(k)];
  }
  double chi2 = 0;  // 9 degrees of freedom: mean 9, P(> 40.4) = 7e-6
  for (const double c : counts) chi2 += (c - kCount / kBound) * (c - kCount / kBound) / (kCount / kBound);
  EXPECT_LT(chi2, 40.4);
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(RandomInteger({.seed = 12}, i, 1), 0);
}

// bound = 3/8 of 2^64: a bare remainder would fall below 2^62 with probability 3/4 instead of 2/3.
TEST(RandomTest, IntegersHaveNoModuloBias) {
  constexpr int64_t kBound = int64_t{3} << 61;
  constexpr int kCount = 20000;
  int low = 0;
  for (int i = 0; i < kCount; ++i) low += RandomInteger({.seed = 13}, i, kBound) < int64_t{1} << 62 ? 1 : 0;
  EXPECT_LT(std::abs(low - kCount * 2 / 3.0), kSigmas * std::sqrt(kCount * 2 / 9.0));
}

TEST(RandomTest, EveryOrderIsEquallyLikely) {
  constexpr double kPerOrder = 1000;
  std::vector<double> counts(256);  // by the order's digits in base 4
  for (uint64_t step = 0; step < 24000; ++step) {
    std::array<int64_t, 4> v = {0, 1, 2, 3};
    Shuffle({.seed = 14, .stream = kShuffling, .step = step}, v);
    ++counts[static_cast<size_t>(((v[0] * 4 + v[1]) * 4 + v[2]) * 4 + v[3])];
  }
  std::array<int64_t, 4> order = {0, 1, 2, 3};
  double chi2 = 0;  // 23 degrees of freedom: P(> 65.6) = 7e-6
  double total = 0;
  do {
    const double c = counts[static_cast<size_t>(((order[0] * 4 + order[1]) * 4 + order[2]) * 4 + order[3])];
    chi2 += (c - kPerOrder) * (c - kPerOrder) / kPerOrder;
    total += c;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(total, 24000) << "something that is no permutation came out";
  EXPECT_LT(chi2, 65.6);
}

TEST(RandomTest, ShuffleIsAPermutationAndRepeatable) {
  std::vector<int64_t> a(10000);
  std::iota(a.begin(), a.end(), 0);
  std::vector<int64_t> sorted = a, b = a;
  Shuffle({.seed = 15, .step = 1}, a);
  Shuffle({.seed = 15, .step = 1}, b);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, sorted);
  std::sort(b.begin(), b.end());
  EXPECT_EQ(b, sorted);
  Shuffle({}, {});
  Shuffle({}, std::span(a).first(1));
}

TEST(RandomDeathTest, KeysBeyondTheLimitsAbort) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  std::array<float, 2> out;
  EXPECT_DEATH(FillNormal({.stream = uint64_t{1} << 24}, 0, out), "stream 16777216");
  EXPECT_DEATH(FillUniform({.step = uint64_t{1} << 48}, 0, out), "step 281474976710656");
  EXPECT_DEATH(FillNormal({}, -1, out), "index -1");
  EXPECT_DEATH(FillNormal({}, (int64_t{1} << 48) - 1, out), "index 281474976710655, count 2");
  EXPECT_DEATH(RandomBits({}, int64_t{1} << 48), "index 281474976710656");
  EXPECT_DEATH(RandomInteger({}, 0, 0), "bound 0");
}

}  // namespace
}  // namespace autodiff
