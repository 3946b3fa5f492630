// SIMD inner loops of random.h. They work on whole tiles so that an element's value cannot depend on where a caller's
// range begins or on the vector length: a tile is 16 Philox blocks, the widest vector of 32-bit lanes, and its draws
// are stored word by word (first word of blocks 0-15, second word of blocks 0-15, ...), which needs no shuffles.
//
//   PhiloxBase base{.key = {seed, 0}, .counter = {0, 0, step, stream}};
//   float z[2 * kTileDraws<float>];
//   NormalTiles(base, /*tile=*/5, /*tiles=*/2, z);     // draws 5 * 64 .. 7 * 64 - 1
#ifndef NEB_AUTODIFF_KERNELS_RANDOM_KERNELS_H_
#define NEB_AUTODIFF_KERNELS_RANDOM_KERNELS_H_

#include <array>
#include <cstdint>

namespace autodiff {

inline constexpr int64_t kTileBlocks = 16;
// A draw takes as many bits as its type: a block gives four floats or two doubles.
template <typename T>
inline constexpr int64_t kTileDraws = kTileBlocks * 16 / static_cast<int64_t>(sizeof(T));

// Everything but the block number, whose 48 bits (words 0 and half of word 1) are zero here.
struct PhiloxBase {
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> counter;
};

// Write tiles * kTileDraws values from tile number `tile` on; no alignment is required.
void NormalTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out);
void NormalTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out);
void UniformTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out);
void UniformTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_RANDOM_KERNELS_H_
