#include "autodiff/random.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "autodiff/kernels/philox.h"
#include "autodiff/kernels/random_kernels.h"

namespace autodiff {
namespace {

// Bits 24-31 of counter word 3.
enum Function : uint32_t { kBits = 0, kUniformF32 = 1, kUniformF64 = 2, kNormalF32 = 3, kNormalF64 = 4, kInteger = 16 };
// kInteger .. kInteger + kAttempts - 1 are the attempts of the rejection loop.
constexpr uint32_t kAttempts = 128;

constexpr int64_t kMaxIndex = int64_t{1} << 48;

void CheckKey(const NoiseKey& key, int64_t begin, size_t count) {
  if (key.stream < (uint64_t{1} << 24) && key.step < (uint64_t{1} << 48) && begin >= 0 && begin <= kMaxIndex &&
      count <= static_cast<size_t>(kMaxIndex - begin)) {
    return;
  }
  std::fprintf(stderr, "autodiff: noise out of range: stream %llu, step %llu, index %lld, count %zu\n",
               static_cast<unsigned long long>(key.stream), static_cast<unsigned long long>(key.step),
               static_cast<long long>(begin), count);
  std::abort();
}

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

PhiloxBase BaseOf(const NoiseKey& key, uint32_t function) {
  return {.key = {Low(key.seed), High(key.seed)},
          .counter = {0, High(key.step) << 16, Low(key.step), Low(key.stream) | function << 24}};
}

std::array<uint32_t, 4> Block(const NoiseKey& key, uint32_t function, uint64_t block) {
  PhiloxBase base = BaseOf(key, function);
  base.counter[0] = Low(block);
  base.counter[1] |= High(block);
  return Philox4x32(base.counter, base.key);
}

uint64_t Join(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

// Whole tiles go straight to `out`; the tiles that the range only touches go through a buffer.
template <typename T, typename Kernel>
void Fill(const NoiseKey& key, uint32_t function, int64_t begin, std::span<T> out, const Kernel& tiles) {
  CheckKey(key, begin, out.size());
  const PhiloxBase base = BaseOf(key, function);
  constexpr int64_t kDraws = kTileDraws<T>;
  std::array<T, static_cast<size_t>(kDraws)> buffer;
  T* to = out.data();
  for (int64_t left = static_cast<int64_t>(out.size()); left > 0;) {
    const int64_t offset = begin % kDraws;
    int64_t n;
    if (offset == 0 && left >= kDraws) {
      n = left / kDraws * kDraws;
      tiles(base, begin / kDraws, left / kDraws, to);
    } else {
      n = std::min(left, kDraws - offset);
      tiles(base, begin / kDraws, int64_t{1}, buffer.data());
      std::copy_n(buffer.data() + offset, n, to);
    }
    begin += n;
    to += n;
    left -= n;
  }
}

constexpr auto kNormal = [](const auto&... args) { NormalTiles(args...); };
constexpr auto kUniform = [](const auto&... args) { UniformTiles(args...); };

}  // namespace

void FillNormal(const NoiseKey& key, int64_t begin, std::span<float> out) {
  Fill(key, kNormalF32, begin, out, kNormal);
}
void FillNormal(const NoiseKey& key, int64_t begin, std::span<double> out) {
  Fill(key, kNormalF64, begin, out, kNormal);
}
void FillNormal(const NoiseKey& key, ThreadPool* pool, Tensor& out) {
  auto fill = [&](int64_t begin, int64_t end) {
    const size_t first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
    if (out.dtype() == DType::kF32) {
      FillNormal(key, begin, out.data<float>().subspan(first, count));
    } else {
      FillNormal(key, begin, out.data<double>().subspan(first, count));
    }
  };
  constexpr int64_t kGrain = 4096;  // draws; fewer are not worth waking a thread
  if (pool == nullptr) return fill(0, out.num_elements());
  pool->For(out.num_elements(), kGrain, fill);
}

void FillUniform(const NoiseKey& key, int64_t begin, std::span<float> out) {
  Fill(key, kUniformF32, begin, out, kUniform);
}
void FillUniform(const NoiseKey& key, int64_t begin, std::span<double> out) {
  Fill(key, kUniformF64, begin, out, kUniform);
}

uint64_t RandomBits(const NoiseKey& key, int64_t index) {
  CheckKey(key, index, 1);
  const std::array<uint32_t, 4> words = Block(key, kBits, static_cast<uint64_t>(index) / 2);
  return index % 2 == 0 ? Join(words[0], words[1]) : Join(words[2], words[3]);
}

int64_t RandomInteger(const NoiseKey& key, int64_t index, int64_t bound) {
  CheckKey(key, index, 1);
  if (bound < 1) {
    std::fprintf(stderr, "autodiff::RandomInteger: bound %lld < 1\n", static_cast<long long>(bound));
    std::abort();
  }
  const uint64_t n = static_cast<uint64_t>(bound);
  const uint64_t excess = (0 - n) % n;  // 2^64 mod n: with the lowest `excess` values rejected, n divides the rest
  for (uint32_t attempt = 0;; ++attempt) {
    const std::array<uint32_t, 4> words = Block(key, kInteger + attempt, static_cast<uint64_t>(index));
    const uint64_t x = Join(words[0], words[1]);
    // An attempt fails with probability below 1/2, so the last one is reached with probability below 2^-127.
    if (x >= excess || attempt + 1 == kAttempts) return static_cast<int64_t>(x % n);
  }
}

void Shuffle(const NoiseKey& key, std::span<int64_t> values) {
  for (size_t i = values.size(); i-- > 1;) {
    const int64_t j = RandomInteger(key, static_cast<int64_t>(i), static_cast<int64_t>(i) + 1);
    std::swap(values[i], values[static_cast<size_t>(j)]);
  }
}

}  // namespace autodiff
