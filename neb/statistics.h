// Sums over samples, in float64.
#ifndef NEB_NEB_STATISTICS_H_
#define NEB_NEB_STATISTICS_H_

#include <span>
#include <vector>

#include "autodiff/tensor.h"

namespace neb {

// The mean of the rows of x [n, d], float32, n >= 1 -> [d].
std::vector<double> Mean(const autodiff::Tensor& x);

// ‖a − b‖² of two points of equal size, differences and their sum in float64.
double SquaredDistance(std::span<const float> a, std::span<const float> b);

}  // namespace neb

#endif  // NEB_NEB_STATISTICS_H_
