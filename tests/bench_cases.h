// Test only: the networks that the benchmark measures, and their FLOPs.
#ifndef NEB_TESTS_BENCH_CASES_H_
#define NEB_TESTS_BENCH_CASES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "neb/neb.h"

namespace neb::bench {

inline constexpr double kSigma = 0.5;

struct Layer {
  int64_t flops;  // of one sample, forward
  bool single_output = false;
};

struct Case {
  std::string name;
  autodiff::Shape item_shape;
  neb::Energy energy;
  int64_t batch;
  std::vector<int64_t> chains;
  std::vector<Layer> layers;
};

inline Case MlpCase(std::string name, const std::vector<int64_t>& sizes, int64_t batch, std::vector<int64_t> chains) {
  Case c{std::move(name), {sizes[0]}, {}, batch, std::move(chains), {}};
  for (size_t i = 0; i + 1 < sizes.size(); ++i) c.layers.push_back({2 * sizes[i] * sizes[i + 1], sizes[i + 1] == 1});
  const std::vector<int64_t> units(sizes.begin() + 1, sizes.end());
  const bool residual = sizes.back() != 1;
  c.energy = [units, residual](Var y, Params& p) {
    const Var out = neb::Mlp(p, y, units);
    return residual ? squared_norm(y - out, {1}) * (0.5 / (kSigma * kSigma)) : reshape(out, {-1});
  };
  return c;
}

struct ConvLayer {
  int64_t channels, stride;
};

inline Case ConvCase(std::string name, const std::vector<ConvLayer>& convolutions, const std::vector<int64_t>& units,
                     int64_t batch, std::vector<int64_t> chains) {
  Case c{std::move(name), {28, 28, 1}, {}, batch, std::move(chains), {}};
  int64_t size = 28, channels = 1;
  for (const ConvLayer& layer : convolutions) {
    size = (size - 1) / layer.stride + 1;
    c.layers.push_back({2 * 9 * channels * layer.channels * size * size});
    channels = layer.channels;
  }
  int64_t in = channels * size * size;
  for (int64_t u : units) {
    c.layers.push_back({2 * in * u, u == 1});
    in = u;
  }
  c.energy = [convolutions, units](Var y, Params& p) {
    Var h = reshape(y, {-1, 28, 28, 1});
    for (size_t i = 0; i < convolutions.size(); ++i) {
      h = silu(
          neb::Conv2d(p, absl::StrCat("conv", i), h, convolutions[i].channels, {.stride = convolutions[i].stride}));
    }
    return reshape(neb::Mlp(p.Scope("head"), reshape(h, {y.dim(0), -1}), units), {-1});
  };
  return c;
}

inline std::vector<Case> AllCases() {
  return {MlpCase("a", {2, 128, 128, 128, 1}, 512, {4096}),
          MlpCase("b", {784, 1024, 1024, 1024, 1}, 128, {128, 1024}),
          ConvCase("c", {{32, 1}, {64, 2}, {128, 2}}, {128, 1}, 64, {128}),
          ConvCase("d", {{256, 2}, {512, 2}, {1024, 2}}, {10, 1}, 16, {32}),
          MlpCase("e", {784, 1024, 1024, 784}, 128, {128}),
          MlpCase("tiny", {2, 16, 16, 1}, 32, {32})};
}

// FLOPs of one step on n samples or chains: products only, see bench.cc.
inline double Flops(const Case& c, bool train, int64_t n) {
  int64_t total = 0;
  for (size_t i = 0; i < c.layers.size(); ++i) {
    const int64_t f = c.layers[i].flops;
    if (!train) {
      total += c.layers[i].single_output ? f : 2 * f;
    } else {
      total += c.layers[i].single_output ? 2 * f : i == 0 ? 5 * f : 6 * f;
    }
  }
  return static_cast<double>(total * n);
}

}  // namespace neb::bench

#endif  // NEB_TESTS_BENCH_CASES_H_
