// Densities whose smoothing is known in closed form, in float64: Gaussians and their mixtures. What a learned energy is
// compared with where the truth is known.
//
//   absl::StatusOr<SmoothedMixture> p = SmoothedMixture::Create(
//       {{.weight = 0.3, .mean = {-2, 0}, .covariance = {0.25}}, {.weight = 0.7, .mean = {2, 1}}}, /*sigma=*/0.5);
//   absl::StatusOr<Smoothed> at = p->Evaluate(y);        // φ, ∇φ, x̂ at y [n, 2]
//   absl::StatusOr<LossEstimate> mmse = p->Mmse(10000, /*seed=*/1);
//
// X ~ Σ_k w_k N(μ_k, Σ_k) gives Y = X + σε ~ Σ_k w_k N(μ_k, Σ_k + σ²I) (METHOD.md §6).
#ifndef NEB_NEB_CLOSED_FORM_H_
#define NEB_NEB_CLOSED_FORM_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"

namespace neb {

// A smoothed density at n points, float64.
struct Smoothed {
  autodiff::Tensor energy;    // φ(y) = −log p_Y(y), constant included, [n]
  autodiff::Tensor gradient;  // ∇φ(y), [n, d]
  autodiff::Tensor x_hat;     // E[X | Y = y] = y − σ² ∇φ(y), [n, d]
};

// A mean loss ‖x − x̂‖², summed over coordinates, and how well it is known.
struct LossEstimate {
  double mean = 0;
  double standard_error = 0;
};
// Of independent losses, 2 or more.
LossEstimate EstimateOf(const std::vector<double>& losses);

struct GaussianComponent {
  double weight = 1;                     // positive; weights are divided by their sum
  std::vector<double> mean = {};         // μ, [d]
  std::vector<double> covariance = {0};  // Σ, [d, d], symmetric, no negative eigenvalue; or one number v: v·I
};

class SmoothedMixture {
 public:
  // Errors: no component; sizes that do not fit, named; a weight or σ that is not positive; a covariance that is not
  // symmetric or has a negative eigenvalue.
  static absl::StatusOr<SmoothedMixture> Create(const std::vector<GaussianComponent>& components, double sigma);

  int64_t d() const { return d_; }
  double sigma() const { return sigma_; }

  // y [n, d], float32 or float64.
  absl::StatusOr<Smoothed> Evaluate(const autodiff::Tensor& y) const;

  // Clean samples [n, d], float32, n >= 1.
  absl::StatusOr<autodiff::Tensor> Sample(int64_t n, uint64_t seed) const;

  // The least loss that any estimator can have, E‖X − E[X|Y]‖² = E tr Cov[X|Y], by the mean of tr Cov[X|y] over
  // `draws` >= 2 draws of y. That varies less than ‖x − x̂‖² does; for a single Gaussian not at all.
  absl::StatusOr<LossEstimate> Mmse(int64_t draws, uint64_t seed) const;

  // Component k of p_Y: log w_k + log N(y; μ, Σ + σ²I) = log_factor − ½ ‖(y − μ) whitening‖². For expressing it
  // elsewhere.
  struct Component {
    std::vector<double> mean;       // [d]
    std::vector<double> variances;  // eigenvalues of Σ, ascending, [d]
    std::vector<double> axes;       // its eigenvectors in columns, [d, d]; empty for a multiple of I
    std::vector<double> whitening;  // axes · diag(1/√(variances + σ²)), [d, d]; one number for a multiple of I
    double log_weight = 0;
    double log_factor = 0;
  };
  const std::vector<Component>& components() const { return components_; }

 private:
  // At one point: also tr Cov[X|y].
  double EvaluateAt(std::span<const double> y, double& energy, std::span<double> gradient,
                    std::span<double> x_hat) const;

  int64_t d_ = 0;
  double sigma_ = 1;
  std::vector<Component> components_;
};

// E‖X − E[X|Y]‖² of X ~ N(μ, Σ): tr(Σ) − tr(Σ(Σ + σ²I)⁻¹Σ) = Σ λσ²/(λ + σ²) over the eigenvalues. `variances`: the
// eigenvalues of Σ, each >= 0.
double GaussianMmse(std::span<const double> variances, double sigma);

}  // namespace neb

#endif  // NEB_NEB_CLOSED_FORM_H_
