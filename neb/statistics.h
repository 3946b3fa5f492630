// Sums over samples, in float64.
#ifndef NEB_NEB_STATISTICS_H_
#define NEB_NEB_STATISTICS_H_

#include <vector>

#include "autodiff/tensor.h"

namespace neb {

// The mean of the rows of x [n, d], float32, n >= 1 -> [d].
std::vector<double> Mean(const autodiff::Tensor& x);

}  // namespace neb

#endif  // NEB_NEB_STATISTICS_H_
