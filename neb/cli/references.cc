#include "neb/cli/references.h"

#include <optional>

#include "neb/closed_form.h"
#include "neb/reference.h"
#include "neb/synthetic.h"

namespace neb {

namespace {

constexpr int64_t kDraws = 100000;  // for the least loss of a mixture

absl::StatusOr<LossEstimate> MixtureMmse(const absl::StatusOr<IsotropicMixture>& mixture, double sigma, uint64_t seed) {
  if (!mixture.ok()) return mixture.status();
  std::vector<GaussianComponent> components;
  for (int64_t k = 0; k < mixture->components(); ++k) {
    const auto mean = mixture->means.begin() + k * mixture->d;
    components.push_back({.weight = mixture->weights[static_cast<size_t>(k)],
                          .mean = {mean, mean + mixture->d},
                          .covariance = {mixture->stddev * mixture->stddev}});
  }
  const absl::StatusOr<SmoothedMixture> smoothed = SmoothedMixture::Create(components, sigma);
  if (!smoothed.ok()) return smoothed.status();
  return smoothed->Mmse(kDraws, seed);
}

// Of the synthetic sets that are Gaussian; none for other data.
absl::StatusOr<std::optional<LossEstimate>> LeastLoss(const DataSource& source, double sigma) {
  std::optional<absl::StatusOr<LossEstimate>> least;
  if (source.data == "eight_gaussians") least = MixtureMmse(GaussianRing(), sigma, source.seed);
  if (source.data == "twenty_five_gaussians") least = MixtureMmse(GaussianGrid(), sigma, source.seed);
  if (source.data == "gaussian_manifold") {
    std::vector<double> variances = GaussianManifoldOptions().stddevs;
    for (double& v : variances) v *= v;
    least = LossEstimate{.mean = GaussianMmse(variances, sigma)};
  }
  if (!least.has_value()) return std::optional<LossEstimate>();
  if (!least->ok()) return least->status();
  return std::optional<LossEstimate>(**least);
}

}  // namespace

absl::StatusOr<std::vector<Reference>> References(const TrainHeldOut& data, const DataSource& source, double sigma,
                                                  autodiff::ThreadPool* pool) {
  std::vector<Reference> references;
  const absl::StatusOr<std::optional<LossEstimate>> least = LeastLoss(source, sigma);
  if (!least.ok()) return least.status();
  if (least->has_value()) references.push_back({"least possible", (*least)->mean, (*least)->standard_error});
  const int64_t d = data.train.item_shape.num_elements();
  if (d <= LinearEstimator::kMaxDimension) {
    const absl::StatusOr<LinearEstimator> wiener = LinearEstimator::Fit(data.train.x, sigma, pool);
    if (!wiener.ok()) return wiener.status();
    const absl::StatusOr<double> loss = wiener->Loss(data.held_out.x, pool);
    if (!loss.ok()) return loss.status();
    references.push_back({"linear (Wiener)", *loss});
  }
  references.push_back({"no model (σ²d)", NoModelLoss(sigma, d)});
  return references;
}

}  // namespace neb
