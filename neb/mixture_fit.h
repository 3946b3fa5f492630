// A Gaussian mixture fitted to samples by expectation maximisation (Dempster, Laird, Rubin 1977), begun from k-means++
// (Arthur, Vassilvitskii 2007).
//
//   absl::StatusOr<MixtureFit> fit = FitMixture(train.x, /*sigma=*/0.3, {.components = 10}, &pool);
//   absl::StatusOr<SmoothedMixture> p = SmoothedMixture::Create(fit->components, /*sigma=*/0.3);
//
// Likelihoods of samples alone have no maximum: a component that shrinks to one sample makes them infinite. Here the
// mixture is to explain the samples with noise of τ = σ/10, finer than what shows in the density smoothed with σ. With
// C_k = Σ_k + τ²I and shares that do not depend on the noise, the mean log-likelihood over all noise is at least
//
//   F = mean_i log Σ_k w_k N(x_i; μ_k, C_k) exp(−τ²/2 · tr C_k⁻¹),
//
// which no iteration lowers: shares r_ik in proportion to the terms of that sum, then w_k, μ_k and Σ_k the weight, mean
// and covariance of the samples in these shares. One component is FitGaussian's.
#ifndef NEB_NEB_MIXTURE_FIT_H_
#define NEB_NEB_MIXTURE_FIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "neb/closed_form.h"

namespace neb {

struct GaussianMixtureOptions {
  int64_t components = 10;          // K >= 1
  std::string covariance = "full";  // or "spherical": Σ_k a multiple of I, for any d
  int64_t seed = 1;                 // of k-means++: another one may end in a better optimum
};

struct MixtureFit {
  // K, or fewer: samples that are alike, and components left without samples.
  std::vector<GaussianComponent> components;
  std::vector<double> bounds;  // F after each iteration, nats, of those with the covariances asked for
  bool converged = false;      // F's last rise was below 1e-4 d nats; if not, after 200 iterations
};

inline constexpr int64_t kMaxMixtureDimension = 1024;  // with full covariances

// x [n, d], float32, finite, n and d >= 1 (not checked); σ > 0 (not checked). InvalidArgument: options out of range, d
// beyond kMaxMixtureDimension. An iteration takes O(n K d²) time, a spherical one O(n K d); memory is O(n K + K d²).
// Results do not depend on the pool.
absl::StatusOr<MixtureFit> FitMixture(const autodiff::Tensor& x, double sigma, const GaussianMixtureOptions& options,
                                      autodiff::ThreadPool* pool = nullptr);

}  // namespace neb

#endif  // NEB_NEB_MIXTURE_FIT_H_
