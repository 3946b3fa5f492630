// Statistics of the random streams, far beyond what a unit test can draw, as p-values: a correct generator gives
// numbers evenly spread over 0 to 1, and one below 10⁻⁶ is a finding.
//
//   bazel run -c opt //tests/autodiff:random_bench -- [draws, 100000000] [seed, 1]
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "autodiff/random.h"

namespace autodiff {
namespace {

constexpr size_t kChunk = size_t{1} << 20;
constexpr std::array<size_t, 12> kLags = {1, 2, 3, 4, 8, 15, 16, 17, 32, 64, 784, 4096};
double smallest = 1;
int tests = 0;

void Report(const std::string& what, double statistic, double p) {
  std::printf("  %-46s %10.4f   p = %.4g\n", what.c_str(), statistic, p);
  smallest = std::min(smallest, p);
  ++tests;
}
// Of a number that should be standard normal.
void ReportZ(const std::string& what, double z) { Report(what, z, std::erfc(std::abs(z) / std::numbers::sqrt2)); }

// The chance that √n times the Kolmogorov–Smirnov distance exceeds x.
double KolmogorovTail(double x) {
  if (x < 0.3) return 1;  // where the series converges slowly, and its value is 1 to five digits
  double sum = 0;
  for (int k = 1; k <= 100; ++k) sum += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return std::clamp(sum, 0.0, 1.0);
}

// Counts in bins of equal probability.
class Bins {
 public:
  void Add(double u) { ++counts_[std::min(kBins - 1, static_cast<size_t>(u * kBins))]; }

  // The Kolmogorov–Smirnov distance at the bins' borders, which misses at most √n/kBins of it; and Pearson's χ², as a
  // normal number by Wilson and Hilferty's cube root.
  void ReportAs(const std::string& name) const {
    double n = 0, below = 0, distance = 0, chi2 = 0;
    for (const int64_t c : counts_) n += static_cast<double>(c);
    for (size_t i = 0; i < kBins; ++i) {
      below += static_cast<double>(counts_[i]);
      distance = std::max(distance, std::abs(below / n - static_cast<double>(i + 1) / kBins));
      const double expected = n / kBins, off = static_cast<double>(counts_[i]) - expected;
      chi2 += off * off / expected;
    }
    const double ks = distance * std::sqrt(n), freedom = kBins - 1;
    Report(name + ": Kolmogorov-Smirnov", ks, KolmogorovTail(ks));
    const double c = 2 / (9 * freedom);
    ReportZ(name + ": chi-squared", (std::cbrt(chi2 / freedom) - (1 - c)) / std::sqrt(c));
  }

 private:
  static constexpr size_t kBins = size_t{1} << 16;
  std::vector<int64_t> counts_ = std::vector<int64_t>(kBins);
};

template <typename T>
void Fill(bool normal, const NoiseKey& key, int64_t begin, std::span<T> out) {
  normal ? FillNormal(key, begin, out) : FillUniform(key, begin, out);
}

// A variable of mean 0 and variance 1; of the uniform numbers, √12 (u − ½).
struct Law {
  bool normal;
  std::array<double, 4> moment, variance;  // of x, x², x³, x⁴

  template <typename T>
  double Standard(T v) const {
    return normal ? static_cast<double>(v) : std::sqrt(12.0) * (static_cast<double>(v) - 0.5);
  }
  double Cdf(double x) const { return normal ? 0.5 * std::erfc(-x / std::numbers::sqrt2) : x / std::sqrt(12.0) + 0.5; }
};
constexpr Law kNormal{true, {0, 1, 0, 3}, {1, 2, 15, 96}};
// E x^2k = 3^k / (2k + 1).
constexpr Law kUniform{false, {0, 1, 0, 9.0 / 5}, {1, 4.0 / 5, 27.0 / 7, 9 - 81.0 / 25}};

// Moments, distribution and correlations along one stream, and with its neighbours.
template <typename T>
void Test(const Law& law, const std::string& name, int64_t draws, uint64_t seed) {
  std::printf("%s, %lld draws\n", name.c_str(), static_cast<long long>(draws));
  const NoiseKey key{.seed = seed, .stream = kWalkNoise, .step = 7};
  const std::array<NoiseKey, 4> others = {
      NoiseKey{seed + 1, key.stream, key.step}, NoiseKey{seed, key.stream + 1, key.step},
      NoiseKey{seed, key.stream, key.step + 1}, NoiseKey{seed, key.stream, key.step + (uint64_t{1} << 32)}};
  constexpr std::array<const char*, 4> kOthers = {"next seed", "next stream", "next step", "step + 2^32"};
  std::array<double, 4> sums{};
  std::array<double, kLags.size()> along{}, along_squares{};
  std::array<double, 4> across{}, across_squares{};
  double pairs[kLags.size()] = {};
  Bins bins;
  std::vector<T> raw(kChunk);
  std::vector<double> x(kChunk), y(kChunk);
  for (int64_t begin = 0; begin < draws; begin += static_cast<int64_t>(kChunk)) {
    const size_t n = static_cast<size_t>(std::min(draws - begin, static_cast<int64_t>(kChunk)));
    Fill<T>(law.normal, key, begin, std::span(raw).first(n));
    for (size_t i = 0; i < n; ++i) {
      const double v = x[i] = law.Standard(raw[i]);
      double power = 1;
      for (size_t k = 0; k < 4; ++k) sums[k] += (power *= v) - law.moment[k];
      bins.Add(law.Cdf(v));
    }
    for (size_t l = 0; l < kLags.size(); ++l) {
      double sum = 0, squares = 0;
      for (size_t i = kLags[l]; i < n; ++i) {
        const double a = x[i], b = x[i - kLags[l]];
        sum += a * b;
        squares += (a * a - 1) * (b * b - 1);
      }
      along[l] += sum;
      along_squares[l] += squares;
      pairs[l] += n > kLags[l] ? static_cast<double>(n - kLags[l]) : 0;
    }
    for (size_t o = 0; o < others.size(); ++o) {
      Fill<T>(law.normal, others[o], begin, std::span(raw).first(n));
      for (size_t i = 0; i < n; ++i) {
        const double a = x[i], b = law.Standard(raw[i]);
        across[o] += a * b;
        across_squares[o] += (a * a - 1) * (b * b - 1);
      }
    }
  }
  const double n = static_cast<double>(draws), square_variance = law.variance[1];
  for (size_t k = 0; k < 4; ++k) {
    ReportZ("moment " + std::to_string(k + 1), sums[k] / std::sqrt(law.variance[k] * n));
  }
  bins.ReportAs("distribution");
  for (size_t l = 0; l < kLags.size(); ++l) {
    const std::string lag = "lag " + std::to_string(kLags[l]);
    ReportZ(lag + ": correlation", along[l] / std::sqrt(pairs[l]));
    ReportZ(lag + ": of squares", along_squares[l] / (square_variance * std::sqrt(pairs[l])));
  }
  for (size_t o = 0; o < others.size(); ++o) {
    ReportZ(std::string(kOthers[o]) + ": correlation", across[o] / std::sqrt(n));
    ReportZ(std::string(kOthers[o]) + ": of squares", across_squares[o] / (square_variance * std::sqrt(n)));
  }
}

}  // namespace
}  // namespace autodiff

int main(int argc, char** argv) {
  using namespace autodiff;  // NOLINT: this file's own
  const int64_t draws = argc > 1 ? std::atoll(argv[1]) : 100000000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  if (draws < 1) {
    std::fprintf(stderr, "usage: random_bench [draws] [seed]\n");
    return 2;
  }
  Test<float>(kNormal, "normal float32", draws, seed);
  Test<double>(kNormal, "normal float64", draws, seed);
  Test<float>(kUniform, "uniform float32", draws, seed);
  Test<double>(kUniform, "uniform float64", draws, seed);
  // The smallest of so many even p-values is below p with probability 1 − (1 − p)^tests.
  std::printf("smallest of %d p-values: %.3g, which a correct generator goes below with probability %.2g\n", tests,
              smallest, -std::expm1(tests * std::log1p(-smallest)));
  return smallest < 1e-6 ? 1 : 0;
}
