// A walk on which one coordinate is known: the other is drawn from its conditional density.
//
//   bazel run -c opt //examples:clamped_walk          # prints a table, writes clamped_walk.png
//
// Two moons with noise, in closed form (the kernel density of 1000 points); y₁ is known, y₂ is walked.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "examples/side_by_side.h"
#include "neb/cli/plane.h"
#include "neb/cli/run_folder.h"
#include "neb/known_energies.h"
#include "neb/neb.h"
#include "neb/plot.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, out, "clamped_walk.png", "the picture to write");
ABSL_FLAG(double, known, 0.5, "the clean value of x₁");

namespace {

using neb::Tensor;

constexpr double kSigma = 0.15, kLow = -1.3, kHigh = 1.8;
constexpr int kBins = 62, kPerBin = 8;

absl::Status Run() {
  const absl::StatusOr<neb::Dataset> moons = neb::TwoMoons(/*n=*/1000, /*seed=*/1, {.noise = 0.05});
  if (!moons.ok()) return moons.status();
  absl::StatusOr<neb::Model> model = neb::Model::Create(neb::KernelDensityEnergy(moons->x, kSigma), {2}, kSigma);
  if (!model.ok()) return model.status();

  const auto x1 = static_cast<float>(absl::GetFlag(FLAGS_known));
  const absl::StatusOr<neb::Known> known =
      neb::NoisyKnown(Tensor::From<float>({2}, {x1, 0}), /*mask=*/Tensor::From<float>({2}, {1, 0}), kSigma, /*seed=*/1);
  if (!known.ok()) return known.status();
  absl::StatusOr<neb::Model> clamped = neb::ClampModel(*model, *known);
  if (!clamped.ok()) return clamped.status();
  Tensor start = neb::NoisyStarts(moons->x, *clamped, /*seed=*/2);  // 1000 chains
  absl::StatusOr<neb::Walk> walk =
      neb::Walk::Create(*clamped, start, {.sampler = neb::Sampler::kMala, .step_size = 2 * kSigma});
  if (!walk.ok()) return walk.status();

  // The walk: where y₂ is after each tenth iteration, and the mean of the jumps.
  neb::Series found{.name = "walk", .markers = true}, exact{.name = "exact"};
  std::vector<double> counts(kBins);
  double n = 0, mean = 0, squares = 0, jumps = 0;
  std::vector<neb::Point> points, estimates;
  const neb::WalkSchedule schedule{.burn_in = 200, .iterations = 300, .keep_every = 10};
  absl::Status done = neb::Observe(*walk, schedule, [&](const neb::Snapshot& at) {
    const Tensor y = neb::FillIn(*at.y, *known);  // what the walk holds in y₁ means nothing
    Tensor x_hat(y.shape());
    if (absl::Status s = model->Evaluate(y.data<float>(), {.x_hat = x_hat.data<float>()}); !s.ok()) return s;
    for (int64_t i = 0; i < y.shape()[0]; ++i) {
      const double y2 = y.at(2 * i + 1);
      n += 1, mean += y2, squares += y2 * y2, jumps += x_hat.at(2 * i + 1);
      const double bin = (y2 - kLow) / (kHigh - kLow) * kBins;
      if (bin >= 0 && bin < kBins) counts[static_cast<size_t>(bin)] += 1;
    }
    points = neb::PointsOf(y), estimates = neb::PointsOf(x_hat);
    return absl::OkStatus();
  });
  if (!done.ok()) return done;

  // The truth: exp(−φ) along the line y₁ = v.
  const double v = known->values.at(0), width = (kHigh - kLow) / kBins;
  std::vector<float> line;
  for (int i = 0; i < kBins * kPerBin; ++i) {
    line.push_back(static_cast<float>(v));
    line.push_back(static_cast<float>(kLow + (i + 0.5) * width / kPerBin));
  }
  std::vector<float> phi(line.size() / 2), x_hat(line.size());
  if (absl::Status s = model->Evaluate(line, {.energy = phi, .x_hat = x_hat}); !s.ok()) return s;
  double mass = 0, exact_mean = 0, exact_squares = 0, exact_jumps = 0;
  for (size_t i = 0; i < phi.size(); ++i) {
    const double p = std::exp(-phi[i]), y2 = line[2 * i + 1];
    mass += p, exact_mean += p * y2, exact_squares += p * y2 * y2, exact_jumps += p * x_hat[2 * i + 1];
  }
  for (size_t i = 0; i < phi.size(); ++i) {
    exact.x.push_back(line[2 * i + 1]);
    exact.y.push_back(std::exp(-phi[i]) / (mass * width / kPerBin));
  }
  for (size_t b = 0; b < counts.size(); ++b) {
    found.x.push_back(kLow + (static_cast<double>(b) + 0.5) * width);
    found.y.push_back(counts[b] / (n * width));
  }
  auto spread = [](double count, double sum, double square_sum) {
    return std::sqrt(square_sum / count - std::pow(sum / count, 2));
  };
  std::printf("x₁ = %g, with noise v = %.3f; y₂ given y₁ = v:\n            mean    spread   mean jump x̂₂\n", x1, v);
  std::printf("exact     %6.3f    %6.3f   %6.3f\n", exact_mean / mass, spread(mass, exact_mean, exact_squares),
              exact_jumps / mass);
  std::printf("the walk  %6.3f    %6.3f   %6.3f\n", mean / n, spread(n, mean, squares), jumps / n);

  const absl::StatusOr<neb::Field> field = neb::EnergyField(*model, {-1.8, 2.8, -1.5, 2});
  if (!field.ok()) return field.status();
  const absl::StatusOr<neb::Image> map =
      neb::HeatMap(*field, {.title = "y₁ is known: chains (white), jumps (orange)",
                            .high = 10,
                            .contours = 8,
                            .points = {{.points = points, .colour = neb::kWhite, .radius = 1.6},
                                       {.points = estimates, .colour = neb::SeriesColour(1), .radius = 1.8}},
                            .width = 560});
  if (!map.ok()) return map.status();
  const absl::StatusOr<neb::Image> density =
      neb::LinePlot({found, exact}, {.title = absl::StrFormat("density of y₂ where y₁ = %.3f", v),
                                     .x_label = "y₂",
                                     .width = map->width,
                                     .height = map->height});
  if (!density.ok()) return density.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, examples::SideBySide({*map, *density}, 2)); !s.ok()) return s;
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Walks on one coordinate of two moons while the other is known.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "clamped_walk: %s\n", std::string(status.message()).c_str());
  return 1;
}
