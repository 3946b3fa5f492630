#include "neb/inner_samples.h"

#include <cstddef>
#include <span>
#include <vector>

namespace neb {

void ShrinkNoise(double fraction, const autodiff::NoiseKey& key, autodiff::Tensor& noise) {
  const size_t batch = static_cast<size_t>(noise.shape()[0]), d = static_cast<size_t>(noise.shape()[1]);
  std::vector<float> factors(static_cast<size_t>(fraction * static_cast<double>(batch)));
  FillUniform(key, 0, std::span<float>(factors));
  // The last rows: the first ones may be far samples.
  const std::span<float> inner = noise.data<float>().last(factors.size() * d);
  for (size_t i = 0; i < inner.size(); ++i) inner[i] *= factors[i / d];
}

}  // namespace neb
