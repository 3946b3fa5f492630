#include "neb/far_samples.h"

#include <array>
#include <span>
#include <vector>

#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

FarSamples::FarSamples(const Tensor& x, double fraction) : mean_({x.shape()[1]}), fraction_(fraction) {
  const std::vector<double> mean = Mean(x);
  for (size_t j = 0; j < mean.size(); ++j) mean_.data<float>()[j] = static_cast<float>(mean[j]);
}

void FarSamples::FillShift(const Tensor& samples, const autodiff::NoiseKey& key, Tensor& shift) const {
  const size_t batch = static_cast<size_t>(samples.shape()[0]), d = static_cast<size_t>(samples.shape()[1]);
  const size_t far = static_cast<size_t>(fraction_ * static_cast<double>(batch));
  const std::span<const float> x = samples.data<float>(), mean = mean_.data<float>();
  for (size_t i = 0; i < far; ++i) {
    std::array<float, 3> u{};
    FillUniform(key, static_cast<int64_t>(3 * i), std::span<float>(u));
    const bool faded = u[0] < 0.5f;
    const std::span<const float> other = x.subspan((faded ? i : i + far) * d, d);
    const float factor = faded ? 0.75f * u[1] - 1 : 0.3f + 0.7f * u[1];
    const float centre = faded ? u[2] : 1;
    const std::span<float> out = shift.data<float>().subspan(i * d, d);
    for (size_t j = 0; j < d; ++j) out[j] = factor * (other[j] - centre * mean[j]);
  }
}

}  // namespace neb
