#include "neb/statistics.h"

#include <cstdint>
#include <span>

namespace neb {

std::vector<double> Mean(const autodiff::Tensor& x) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const std::span<const float> values = x.data<float>();
  std::vector<double> mean(static_cast<size_t>(d), 0.0);
  for (size_t i = 0; i < values.size(); ++i) mean[i % mean.size()] += static_cast<double>(values[i]);
  for (double& m : mean) m /= static_cast<double>(n);
  return mean;
}

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t j = 0; j < a.size(); ++j) {
    const double difference = static_cast<double>(a[j]) - b[j];
    sum += difference * difference;
  }
  return sum;
}

}  // namespace neb
