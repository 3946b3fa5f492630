// Test only: energies and data that are known in closed form, and shorthands to look at a model.
//
//   absl::StatusOr<Model> model = Model::Create(Gaussian(2.0), {3}, 0.5);
//   const std::vector<float> x_hat = XHatOf(*model, {1, 2, 3});
#ifndef NEB_TESTS_NEB_TEST_ENERGIES_H_
#define NEB_TESTS_NEB_TEST_ENERGIES_H_

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "autodiff/random.h"
#include "gtest/gtest.h"
#include "neb/energy.h"
#include "neb/layers.h"
#include "neb/model.h"
#include "neb/residual_denoiser.h"

namespace neb {

// φ = 0: no model at all, x̂(y) = y.
inline Energy NoEnergy() {
  return [](Var y, Params&) { return y.tape()->Constant(0.0, {y.dim(0)}); };
}

// φ(y) = ‖y‖² / (2 variance): the smoothed density is N(0, variance · I).
inline Energy Gaussian(double variance) {
  return [variance](Var y, Params&) { return (0.5 / variance) * squared_norm(y, {1}); };
}

// The exact energy of the stored samples x [n, d] with noise: −log Σ_i exp(−‖y − x_i‖²/2σ²), whose jump is the
// kernel-density estimate of METHOD.md §6.
inline Energy KernelDensity(const Tensor& x, double sigma) {
  return [x, sigma](Var y, Params& p) {
    const Var stored = p.Fixed("stored", x);
    const Var overlap = matmul(y, stored, {.transpose_b = true}) - 0.5 * squared_norm(stored, {1});
    return (0.5 / (sigma * sigma)) * squared_norm(y, {1}) - logsumexp(overlap * (1 / (sigma * sigma)), {1});
  };
}

// The energy of N(0, v I) with v = 1 / exp(log_precision) to be learned.
inline Var LearnedGaussian(Var y, Params& p) {
  return 0.5 * exp(p("log_precision", {}, autodiff::Zeros())) * squared_norm(y, {1});
}

// A residual denoiser whose network is random everywhere, also in its last layer, so that nothing cancels.
inline Energy RandomDenoiser(Scales scales, int64_t hidden) {
  const int64_t d = scales.mean.num_elements();
  return ResidualDenoiser([d, hidden](Var z, Params& p) { return Mlp(p, z, {hidden, hidden, d}); }, std::move(scales));
}

// Independent draws from N(mean, stddev²).
inline Tensor NormalTensor(const autodiff::Shape& shape, double mean, double stddev, uint64_t seed) {
  Tensor t(shape);
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kSynthetic, .step = 0}, nullptr, t);
  for (float& v : t.data<float>()) v = static_cast<float>(mean + stddev * v);
  return t;
}

inline std::vector<float> EnergyOf(Model& model, const std::vector<float>& y, autodiff::ThreadPool* pool = nullptr) {
  std::vector<float> out(y.size() / static_cast<size_t>(model.d()));
  const absl::Status s = model.Evaluate(y, {.energy = out, .gradient = {}, .x_hat = {}}, pool);
  EXPECT_TRUE(s.ok()) << s;
  return out;
}
inline std::vector<float> GradientOf(Model& model, const std::vector<float>& y, autodiff::ThreadPool* pool = nullptr) {
  std::vector<float> out(y.size());
  const absl::Status s = model.Evaluate(y, {.energy = {}, .gradient = out, .x_hat = {}}, pool);
  EXPECT_TRUE(s.ok()) << s;
  return out;
}
inline std::vector<float> XHatOf(Model& model, const std::vector<float>& y, autodiff::ThreadPool* pool = nullptr) {
  std::vector<float> out(y.size());
  const absl::Status s = model.Evaluate(y, {.energy = {}, .gradient = {}, .x_hat = out}, pool);
  EXPECT_TRUE(s.ok()) << s;
  return out;
}

inline std::vector<float> Values(const Tensor& t) {
  return std::vector<float>(t.data<float>().begin(), t.data<float>().end());
}

// The values of all parameters, one after the other.
inline std::vector<float> ParameterValues(const Model& model) {
  std::vector<float> all;
  for (int i = 0; i < model.params().size(); ++i) {
    const std::vector<float> v = Values(model.params()[i].value);
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

// Equal to the last bit.
inline testing::AssertionResult SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " numbers, not " << b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) {
      return testing::AssertionFailure() << "number " << i << " of " << a.size() << " is " << a[i] << ", not " << b[i];
    }
  }
  return testing::AssertionSuccess();
}

// The MNIST file of that name, if the variable NEB_SHARED says where the data are.
inline std::optional<std::string> MnistFile(const std::string& name) {
  const char* const shared = std::getenv("NEB_SHARED");
  if (shared == nullptr || *shared == '\0') return std::nullopt;
  return std::string(shared) + "/data/mnist/" + name;
}

}  // namespace neb

#endif  // NEB_TESTS_NEB_TEST_ENERGIES_H_
