// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a bijection of
// 128-bit counters for each 64-bit key, whose outputs on any sequence of counters pass for random.
//
//   std::array<uint32_t, 4> words = Philox4x32({0, 0, 0, 0}, {1, 2});
#ifndef NEB_AUTODIFF_KERNELS_PHILOX_H_
#define NEB_AUTODIFF_KERNELS_PHILOX_H_

#include <array>
#include <cstdint>

namespace autodiff {

inline constexpr int kPhiloxRounds = 10;
inline constexpr std::array<uint32_t, 2> kPhiloxMultipliers = {0xD2511F53, 0xCD9E8D57};
// Added to the key after each round: the fractional parts of the golden ratio and of sqrt(3).
inline constexpr std::array<uint32_t, 2> kPhiloxWeyl = {0x9E3779B9, 0xBB67AE85};

// One block: four random words.
constexpr std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t product0 = uint64_t{kPhiloxMultipliers[0]} * counter[0];
    const uint64_t product1 = uint64_t{kPhiloxMultipliers[1]} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key = {key[0] + kPhiloxWeyl[0], key[1] + kPhiloxWeyl[1]};
  }
  return counter;
}

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_PHILOX_H_
