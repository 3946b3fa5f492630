// Every draw against Philox and the Box-Muller formula in long double, and the extreme words, which no feasible number
// of draws would reach: Philox is a bijection, so the counter that produces them can be computed.
#include "autodiff/kernels/random_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <type_traits>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autodiff/kernels/philox.h"
#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"

namespace autodiff {
namespace {

using Words = std::array<uint32_t, 4>;

Words BlockWords(const PhiloxBase& base, uint64_t block) {
  Words counter = base.counter;
  counter[0] = static_cast<uint32_t>(block);
  counter[1] |= static_cast<uint32_t>(block >> 32);
  return Philox4x32(counter, base.key);
}

// Two random numbers of the type's width, as fractions of 2^32 or 2^64.
struct Pair {
  uint64_t radius, angle;
};
template <typename T>
Pair PairOf(const Words& w, size_t pair) {
  if constexpr (sizeof(T) == 4) return {w[2 * pair], w[2 * pair + 1]};
  return {uint64_t{w[1]} << 32 | w[0], uint64_t{w[3]} << 32 | w[2]};
}

// z = sqrt(-2 ln u) (cos a, sin a). u: the middle of its cell of 2^-32 (2^-64), upper half first. a: a quarter turn
// about one of four directions; the middle of a cell four wide.
template <typename T>
std::array<long double, 2> BoxMuller(const Pair& p) {
  const long double cells = sizeof(T) == 4 ? 0x1p32L : 0x1p64L;
  const auto as_signed = [](uint64_t bits) {
    return sizeof(T) == 4 ? static_cast<long double>(static_cast<int32_t>(static_cast<uint32_t>(bits)))
                          : static_cast<long double>(static_cast<int64_t>(bits));
  };
  const long double t = (as_signed(p.radius) + 0.5L) / cells;
  const long double radius = std::sqrt(-2 * (t < 0 ? std::log1p(t) : std::log(t)));
  const long double angle = (as_signed(p.angle & ~uint64_t{3}) + 2) / (cells / 2) * std::numbers::pi_v<long double> / 4;
  const long double cos = (p.angle & 2) != 0 ? -std::cos(angle) : std::cos(angle);
  const long double sin = std::sin(angle);
  return (p.angle & 1) != 0 ? std::array{radius * sin, radius * cos} : std::array{radius * cos, radius * sin};
}

template <typename T>
class RandomKernelsTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RandomKernelsTest, Types);

constexpr PhiloxBase kBase{.key = {0x12345678, 0x9abcdef0}, .counter = {0, 0xcafe0000, 0xdeadbeef, 0x03000007}};

template <typename T>
constexpr long double kTolerance = sizeof(T) == 4 ? 4e-7L : 8e-16L;  // relative

TYPED_TEST(RandomKernelsTest, NormalsAreBoxMullerOfPhilox) {
  using T = TypeParam;
  // The second start crosses a multiple of 2^32 blocks.
  for (const int64_t first : {int64_t{3}, (int64_t{1} << 28) - 1}) {
    constexpr int64_t kTiles = 200;
    ForEachTarget([&] {
      std::vector<T> z(static_cast<size_t>(kTiles * kTileDraws<T>));
      NormalTiles(kBase, first, kTiles, z.data());
      long double worst = 0;
      for (int64_t block = 0; block < kTiles * kTileBlocks; ++block) {
        const Words words = BlockWords(kBase, static_cast<uint64_t>(first * kTileBlocks + block));
        const T* tile = z.data() + block / kTileBlocks * kTileDraws<T> + block % kTileBlocks;
        for (size_t pair = 0; pair < 8 / sizeof(T); ++pair) {
          const std::array<long double, 2> expected = BoxMuller<T>(PairOf<T>(words, pair));
          for (size_t k = 0; k < 2; ++k) {
            const long double got = tile[static_cast<size_t>(kTileBlocks) * (2 * pair + k)];
            worst = std::max(worst, std::abs(got / expected[k] - 1));
          }
        }
      }
      EXPECT_LT(worst, kTolerance<T>);
    });
  }
}

TYPED_TEST(RandomKernelsTest, UniformsAreTheTopBitsOfPhilox) {
  using T = TypeParam;
  constexpr int64_t kFirst = (int64_t{1} << 28) - 1, kTiles = 3;
  ForEachTarget([] {
    std::vector<T> u(static_cast<size_t>(kTiles * kTileDraws<T>));
    UniformTiles(kBase, kFirst, kTiles, u.data());
    for (int64_t block = 0; block < kTiles * kTileBlocks; ++block) {
      const Words w = BlockWords(kBase, static_cast<uint64_t>(kFirst * kTileBlocks + block));
      const T* tile = u.data() + block / kTileBlocks * kTileDraws<T> + block % kTileBlocks;
      for (size_t k = 0; k < 16 / sizeof(T); ++k) {
        const double expected = sizeof(T) == 4
                                    ? static_cast<double>(w[k] >> 8) * 0x1p-24
                                    : static_cast<double>((uint64_t{w[2 * k + 1]} << 32 | w[2 * k]) >> 11) * 0x1p-53;
        EXPECT_EQ(static_cast<double>(tile[static_cast<size_t>(kTileBlocks) * k]), expected);
      }
    }
  });
}

// The inverse of an odd number modulo 2^32; each of Newton's steps doubles the number of right bits.
uint32_t Inverse(uint32_t odd) {
  uint32_t x = odd;  // right to 3 bits
  for (int i = 0; i < 4; ++i) x *= 2 - odd * x;
  return x;
}

// The counter that Philox4x32 maps to `words`.
Words PhiloxInverse(Words words, std::array<uint32_t, 2> key) {
  for (uint32_t round = 10; round-- > 0;) {
    const uint32_t c2 = words[1] * Inverse(0xCD9E8D57), c0 = words[3] * Inverse(0xD2511F53);
    const uint32_t high1 = static_cast<uint32_t>(uint64_t{0xCD9E8D57} * c2 >> 32);
    const uint32_t high0 = static_cast<uint32_t>(uint64_t{0xD2511F53} * c0 >> 32);
    const uint32_t key0 = key[0] + round * 0x9E3779B9, key1 = key[1] + round * 0xBB67AE85;
    words = {c0, words[0] ^ high1 ^ key0, c2, words[2] ^ high0 ^ key1};
  }
  return words;
}

TYPED_TEST(RandomKernelsTest, ExtremeWordsGiveFiniteAccurateNormals) {
  using T = TypeParam;
  constexpr uint64_t kOnes = sizeof(T) == 4 ? 0xffffffff : ~uint64_t{0};
  constexpr uint64_t kTop = kOnes / 2 + 1;
  const uint64_t sqrt_half = static_cast<uint64_t>(std::sqrt(0.5L) * (static_cast<long double>(kOnes) + 1));
  const uint64_t radii[] = {0,         1,    2, kTop - 1, kTop, kTop + 1, sqrt_half - 1, sqrt_half, sqrt_half + 1,
                            kOnes - 1, kOnes};
  const uint64_t angles[] = {0, 1, 2, 3, 4, 7, kTop - 1, kTop, kTop + 1, kTop + 2, kOnes - 4, kOnes};
  const std::array<uint32_t, 2> key = {1, 2};
  ForEachTarget([&] {
    T largest = 0;
    for (const uint64_t radius : radii) {
      for (const uint64_t angle : angles) {
        Words words = {static_cast<uint32_t>(radius), static_cast<uint32_t>(angle), 5, 6};
        if (sizeof(T) == 8) {
          words = {static_cast<uint32_t>(radius), static_cast<uint32_t>(radius >> 32), static_cast<uint32_t>(angle),
                   static_cast<uint32_t>(angle >> 32)};
        }
        const Words counter = PhiloxInverse(words, key);
        ASSERT_EQ(Philox4x32(counter, key), words);
        const PhiloxBase base{.key = key, .counter = {0, counter[1] & 0xffff0000, counter[2], counter[3]}};
        const int64_t block = static_cast<int64_t>(uint64_t{counter[1] & 0xffff} << 32 | counter[0]);
        std::array<T, static_cast<size_t>(kTileDraws<T>)> z;
        NormalTiles(base, block / kTileBlocks, 1, z.data());
        const std::array<long double, 2> expected = BoxMuller<T>({radius, angle});
        for (size_t k = 0; k < 2; ++k) {
          const T got = z[static_cast<size_t>(block % kTileBlocks + kTileBlocks * static_cast<int64_t>(k))];
          ASSERT_TRUE(std::isfinite(got));
          ASSERT_NE(got, 0);
          EXPECT_LT(std::abs(got / expected[k] - 1), kTolerance<T>) << radius << " " << angle;
          largest = std::max(largest, std::abs(got));
        }
      }
    }
    // The limits that random.h states: sqrt(66 ln 2) and sqrt(130 ln 2).
    EXPECT_GT(largest, sizeof(T) == 4 ? 6.76 : 9.49);
    EXPECT_LT(largest, sizeof(T) == 4 ? 6.77 : 9.5);
  });
}

}  // namespace
}  // namespace autodiff
