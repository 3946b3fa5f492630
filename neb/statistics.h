// Sums over samples, in float64.
//
//   const std::vector<double> mean = Mean(x), covariance = SecondMoment(x, mean, autodiff::DType::kF64);
#ifndef NEB_NEB_STATISTICS_H_
#define NEB_NEB_STATISTICS_H_

#include <span>
#include <vector>

#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

// The mean of the rows of x [n, d], float32, n >= 1 -> [d].
std::vector<double> Mean(const autodiff::Tensor& x);

// Σ w_i x_i / Σ w_i over the rows of x [n, d], float32: weights [n], none negative, not all 0 -> [d].
std::vector<double> WeightedMean(const autodiff::Tensor& x, std::span<const double> weights);

// (1/n) Σ (x_i − c)(x_i − c)ᵀ over the rows of x [n, d], float32, n >= 1: the covariance if c [d] is their mean. [d,
// d], symmetric to the last bit. With weights [n], none negative, not all 0: Σ w_i (x_i − c)(x_i − c)ᵀ / Σ w_i.
// Products of blocks of rows are of the precision `products`, and are added in float64: kF32 is twice as fast, but
// leaves eigenvalues of −1e-7 of the largest where there should be zeros. O(n d²), where rows of weight 0 do not count.
std::vector<double> SecondMoment(const autodiff::Tensor& x, const std::vector<double>& c, autodiff::DType products,
                                 autodiff::ThreadPool* pool = nullptr, std::span<const double> weights = {});

// ‖a − b‖² of two points of equal size, differences and their sum in float64.
double SquaredDistance(std::span<const float> a, std::span<const float> b);

}  // namespace neb

#endif  // NEB_NEB_STATISTICS_H_
