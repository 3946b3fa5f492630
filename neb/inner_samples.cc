#include "neb/inner_samples.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace neb {

void ShrinkNoise(double fraction, const autodiff::NoiseKey& key, autodiff::Tensor& noise) {
  const size_t batch = static_cast<size_t>(noise.shape()[0]), d = static_cast<size_t>(noise.shape()[1]);
  const size_t inner = static_cast<size_t>(fraction * static_cast<double>(batch));
  for (size_t i = 0; i < inner; ++i) {
    float factor = 0;
    FillUniform(key, static_cast<int64_t>(i), std::span<float>(&factor, 1));
    // The last rows: the first ones may be far samples.
    for (float& e : noise.data<float>().subspan((batch - inner + i) * d, d)) e *= factor;
  }
}

}  // namespace neb
