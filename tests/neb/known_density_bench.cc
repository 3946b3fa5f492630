// How near training comes to the truth where the truth is known: densities in 2, 10 and 100 dimensions, σ the data's
// standard deviation per coordinate, every sample seen once, everything else at its default.
//
//   bazel run -c opt //tests/neb:known_density_bench -- --energy=mlp
//
// Columns: the least loss (MMSE); by how much the trained energy's loss is above it, E‖x̂ − E[X|Y]‖² over p_Y, in per
// cent of it; and the relative root mean square error of ∇φ as −∇ log p_Y.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "autodiff/parallel.h"
#include "neb/closed_form.h"
#include "neb/neb.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, energy, "mlp", "energy_spec.h's name or JSON");
ABSL_FLAG(int64_t, steps, 10000, "of training, each on fresh samples");
ABSL_FLAG(uint64_t, seed, 1, "of the samples, the weights and the noise");
ABSL_FLAG(int, threads, 0, "0: one for each processor");

namespace {

struct Case {
  std::string name;
  std::vector<neb::GaussianComponent> components;
};

// A Gaussian whose axes lie in no coordinate's direction, with variances from 0.1 to 10 in equal ratios: far from the
// isotropic one that energies start from. Its mean is not zero either.
absl::StatusOr<Case> Gaussian(int64_t d) {
  absl::StatusOr<autodiff::Tensor> frame = neb::RandomFrame(d, d, /*seed=*/5);
  if (!frame.ok()) return frame.status();
  neb::GaussianComponent g;
  g.mean.assign(static_cast<size_t>(d), 1);
  g.covariance.assign(static_cast<size_t>(d * d), 0);
  const std::span<const double> f = std::as_const(*frame).data<double>();
  for (int64_t k = 0; k < d; ++k) {
    const double variance = std::pow(10.0, -1 + 2 * static_cast<double>(k) / static_cast<double>(d - 1));
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t j = 0; j < d; ++j) {
        g.covariance[static_cast<size_t>(i * d + j)] +=
            variance * f[static_cast<size_t>(k * d + i)] * f[static_cast<size_t>(k * d + j)];
      }
    }
  }
  for (int64_t i = 0; i < d; ++i) {  // rounding made it unsymmetric
    for (int64_t j = 0; j < i; ++j) {
      g.covariance[static_cast<size_t>(i * d + j)] = g.covariance[static_cast<size_t>(j * d + i)];
    }
  }
  return Case{absl::StrCat("Gaussian, d = ", d), {std::move(g)}};
}

// Five heaps on a circle, of different weights and widths.
Case Mixture() {
  Case c{"mixture of 5, d = 2", {}};
  for (int k = 0; k < 5; ++k) {
    const double angle = 2 * M_PI * k / 5;
    c.components.push_back({.weight = 1.0 + k,
                            .mean = {2 * std::cos(angle), 2 * std::sin(angle)},
                            .covariance = {0.01 * (1 + k), 0, 0, 0.05}});
  }
  return c;
}

// The root mean square, over the coordinates, of the standard deviation.
double StandardDeviation(const autodiff::Tensor& x) { return neb::MeasureScales(x, 1).stddev; }

absl::Status Measure(const Case& c, autodiff::ThreadPool& pool) {
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  neb::TrainOptions options{.steps = absl::GetFlag(FLAGS_steps), .seed = seed, .pool = &pool};
  absl::StatusOr<neb::SmoothedMixture> clean = neb::SmoothedMixture::Create(c.components, 1);
  if (!clean.ok()) return clean.status();
  absl::StatusOr<autodiff::Tensor> x = clean->Sample(options.steps * options.batch, seed);
  if (!x.ok()) return x.status();
  const double sigma = StandardDeviation(*x);
  const neb::SmoothedMixture truth = *neb::SmoothedMixture::Create(c.components, sigma);

  absl::StatusOr<neb::EnergySpec> spec = neb::ParseEnergySpec(absl::GetFlag(FLAGS_energy));
  if (!spec.ok()) return spec.status();
  absl::StatusOr<neb::Energy> energy = neb::MakeEnergy(*spec, {truth.d()}, neb::MeasureScales(*x, sigma));
  if (!energy.ok()) return energy.status();
  absl::StatusOr<neb::Model> model = neb::Model::Create(*energy, {truth.d()}, sigma, seed);
  if (!model.ok()) return model.status();
  absl::StatusOr<neb::TrainResult> result = neb::Train(*model, *x, nullptr, options);
  if (!result.ok()) return result.status();

  constexpr int64_t kPoints = 20000;
  const autodiff::Tensor y = neb::NoisyStarts(*truth.Sample(kPoints, seed + 1), *model, seed + 1);
  const neb::Smoothed exact = *truth.Evaluate(y);
  std::vector<float> gradient(static_cast<size_t>(kPoints * truth.d()));
  absl::Status s = model->Evaluate(y.data<float>(), {.gradient = gradient}, &pool);
  if (!s.ok()) return s;
  double error = 0, size = 0;
  const std::span<const double> score = exact.gradient.data<double>();
  for (size_t i = 0; i < gradient.size(); ++i) {
    error += (gradient[i] - score[i]) * (gradient[i] - score[i]) / kPoints;
    size += score[i] * score[i] / kPoints;
  }
  const neb::LossEstimate mmse = *truth.Mmse(kPoints, seed + 2);
  std::printf("%-20s %7.4f %9.4f %9.3f%% %12.2f%% %8.0f s\n", c.name.c_str(), sigma, mmse.mean,
              100 * std::pow(sigma, 4) * error / mmse.mean, 100 * std::sqrt(error / size), result->seconds);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run() {
  autodiff::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  std::printf("%-20s %7s %9s %10s %13s\n", "density", "sigma", "MMSE", "loss over", "score error");
  absl::Status s = Measure(Mixture(), pool);
  for (const int64_t d : {2, 10, 100}) {
    const absl::StatusOr<Case> c = Gaussian(d);
    if (!c.ok()) return c.status();
    s.Update(Measure(*c, pool));
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::Status s = Run();
  if (s.ok()) return 0;
  std::fprintf(stderr, "known_density_bench: %s\n", std::string(s.message()).c_str());
  return 1;
}
