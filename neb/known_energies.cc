#include "neb/known_energies.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "neb/statistics.h"

namespace neb {

using autodiff::DType;

namespace {

double LogNormalizer(int64_t d, double variance) {
  return 0.5 * static_cast<double>(d) * std::log(2 * M_PI * variance);
}

void Append(const std::vector<double>& from, std::vector<double>& to) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

Energy QuadraticEnergy(Tensor mean, double variance, double sigma) {
  const double smoothed = variance + sigma * sigma;
  return [mean = std::move(mean), smoothed](Var y, Params& p) {
    const Var off = y - p.Fixed("mean", mean);
    return (0.5 / smoothed) * squared_norm(off, {1}) + LogNormalizer(y.dim(1), smoothed);
  };
}

Energy GaussianMixtureEnergy(const SmoothedMixture& mixture) {
  const int64_t d = mixture.d(), count = static_cast<int64_t>(mixture.components().size());
  const bool isotropic = std::all_of(mixture.components().begin(), mixture.components().end(),
                                     [](const SmoothedMixture::Component& c) { return c.axes.empty(); });
  std::vector<double> all_means, all_whitening, all_factors;
  for (const SmoothedMixture::Component& c : mixture.components()) {
    Append(c.mean, all_means);
    all_factors.push_back(c.log_factor);
    if (isotropic || !c.axes.empty()) {
      Append(c.whitening, all_whitening);
    } else {
      for (int64_t i = 0; i < d * d; ++i) all_whitening.push_back(i % (d + 1) == 0 ? c.whitening[0] : 0);
    }
  }
  const autodiff::Shape shape = isotropic ? autodiff::Shape{count} : autodiff::Shape{count, d, d};
  return GaussianMixtureEnergy(Tensor::From<double>({count, d}, all_means), Tensor::From<double>(shape, all_whitening),
                               Tensor::From<double>({count}, all_factors));
}

Energy GaussianMixtureEnergy(Tensor means, Tensor whitening, Tensor log_factors) {
  return
      [means = std::move(means), whitening = std::move(whitening), factors = std::move(log_factors)](Var y, Params& p) {
        const int64_t count = means.shape()[0], d = means.shape()[1];
        const Var off = y - reshape(p.Fixed("means", means), {count, 1, d});  // [K, batch, d]
        const Var scale = p.Fixed("whitening", whitening);
        const bool isotropic = whitening.shape().rank() == 1;
        const Var white = isotropic ? off * reshape(scale, {count, 1, 1}) : matmul(off, scale);
        const Var logs = reshape(p.Fixed("log_factors", factors), {count, 1}) - 0.5 * squared_norm(white, {2});
        return -logsumexp(logs, {0});
      };
}

Energy KernelDensityEnergy(const Tensor& x, double sigma) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const std::vector<double> centre = Mean(x);
  Tensor samples(x.shape(), DType::kF64);
  for (int64_t i = 0; i < n * d; ++i) samples.set(i, x.at(i) - centre[static_cast<size_t>(i % d)]);
  return KernelDensityEnergy(std::move(samples), Tensor::From<double>({d}, centre), sigma);
}

Energy KernelDensityEnergy(Tensor samples, Tensor mean, double sigma) {
  return [samples = std::move(samples), mean = std::move(mean), variance = sigma * sigma](Var y, Params& p) {
    const Var z = y - p.Fixed("mean", mean), points = p.Fixed("samples", samples);
    // −‖z − x‖²/2σ² without ‖z‖², which comes out of the sum: what is left is of the size of its result.
    const Var logs = matmul(z, points, {.transpose_b = true}) - 0.5 * squared_norm(points, {1});
    const double constant = std::log(static_cast<double>(points.dim(0))) + LogNormalizer(points.dim(1), variance);
    return (0.5 / variance) * squared_norm(z, {1}) - logsumexp(logs * (1 / variance), {1}) + constant;
  };
}

}  // namespace neb
