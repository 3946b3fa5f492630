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

// (1/n) Σ (x_i − c)(x_i − c)ᵀ over the rows of x [n, d], float32, n >= 1: the covariance if c [d] is their mean. [d,
// d], symmetric to the last bit. Products of blocks of rows are of this precision, and are added in float64: kF32 is
// twice as fast, but leaves eigenvalues of −1e-7 of the largest where there should be zeros. O(n d²).
std::vector<double> SecondMoment(const autodiff::Tensor& x, const std::vector<double>& c, autodiff::DType products,
                                 autodiff::ThreadPool* pool = nullptr);

// ‖a − b‖² of two points of equal size, differences and their sum in float64.
double SquaredDistance(std::span<const float> a, std::span<const float> b);

}  // namespace neb

#endif  // NEB_NEB_STATISTICS_H_
