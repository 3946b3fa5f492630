// Empirical Bayes with the data themselves as the prior (Robbins 1956; METHOD.md §6): the smoothed density of n samples
// is p̂_Y = (1/n) Σ N(y; x_i, σ²I), and its estimate is an average of the samples,
//
//   x̂(y) = Σ x_i softmax_i(−‖y − x_i‖² / 2σ²).
//
// What a learned energy must beat on held-out data, and the exact energy of the training data.
//
//   absl::StatusOr<KernelDensity> kde = KernelDensity::Create(train.x, /*sigma=*/0.3);
//   absl::StatusOr<Smoothed> at = kde->Evaluate(y, &pool);
//   absl::StatusOr<LossEstimate> loss = kde->Loss(held_out.x, /*seed=*/1, &pool);
#ifndef NEB_NEB_KERNEL_DENSITY_H_
#define NEB_NEB_KERNEL_DENSITY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "neb/closed_form.h"

namespace neb {

class KernelDensity {
 public:
  // x [n, d], float32, finite, n and d >= 1; σ > 0. Keeps the samples.
  static absl::StatusOr<KernelDensity> Create(autodiff::Tensor x, double sigma);

  int64_t n() const { return x_.shape()[0]; }
  int64_t d() const { return x_.shape()[1]; }
  double sigma() const { return sigma_; }

  // At y [m, d], float32 or float64, in float64. O(m n d) time in blocked products, memory beside the results O(d)
  // megabytes, whatever n and m are. A point's results do not depend on m, nor on the pool's threads.
  absl::StatusOr<Smoothed> Evaluate(const autodiff::Tensor& y, autodiff::ThreadPool* pool = nullptr) const;

  // ‖x − x̂(x + σε)‖², mean over the rows of x [m, d], float32, m >= 2, one draw of noise each.
  absl::StatusOr<LossEstimate> Loss(const autodiff::Tensor& x, uint64_t seed,
                                    autodiff::ThreadPool* pool = nullptr) const;

 private:
  autodiff::Tensor x_;
  double sigma_ = 1;
  std::vector<double> centre_;         // mean of the samples: the products are of deviations from it
  std::vector<double> squared_norms_;  // ‖x_i − centre‖², [n]
};

}  // namespace neb

#endif  // NEB_NEB_KERNEL_DENSITY_H_
