// What a learned energy must beat: estimators in closed form.
//
//   absl::StatusOr<LinearEstimator> wiener = LinearEstimator::Fit(train.x, sigma);
//   absl::StatusOr<double> loss = wiener->Loss(held_out.x);
#ifndef NEB_NEB_REFERENCE_H_
#define NEB_NEB_REFERENCE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

// E‖X − Y‖² = σ² d: what doing nothing (φ = 0) costs per sample.
double NoModelLoss(double sigma, int64_t d);

// The best linear estimator of x from y = x + σε, x̂ = μ + Σ(Σ + σ²I)⁻¹ (y − μ), with the mean μ and the covariance Σ of
// some samples (Wiener). Exact for Gaussian data.
class LinearEstimator {
 public:
  // From samples x [n, d], float32, n >= 1. O(n d² + d³) time, O(d²) memory; d is limited to kMaxDimension.
  static absl::StatusOr<LinearEstimator> Fit(const autodiff::Tensor& x, double sigma,
                                             autodiff::ThreadPool* pool = nullptr);
  static constexpr int64_t kMaxDimension = 4096;

  // E‖x − x̂(x + σε)‖², exact over the noise, mean over the rows of x [n, d].
  absl::StatusOr<double> Loss(const autodiff::Tensor& x, autodiff::ThreadPool* pool = nullptr) const;

 private:
  double sigma_ = 0;
  std::vector<double> mean_;      // μ, [d]
  std::vector<double> residual_;  // σ² (Σ + σ²I)⁻¹ = I − A, [d, d]
};

}  // namespace neb

#endif  // NEB_NEB_REFERENCE_H_
