// Several noisy measurements of one sample: the mean of M has the error σ²d/M, the learned estimate less.
//
//   bazel run -c opt //examples:measurements          # prints a table, writes measurements.png
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
#include "neb/kernel_density.h"
#include "neb/known_energies.h"
#include "neb/neb.h"
#include "neb/plot.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, out, "measurements.png", "the picture to write");
ABSL_FLAG(int64_t, steps, 3000, "minibatches to train each energy on");

namespace {

using neb::Tensor;

constexpr double kSigma = 0.5;

// ‖x − estimate‖², mean over the rows.
double Error(const Tensor& x, const Tensor& estimate) {
  double sum = 0;
  for (int64_t i = 0; i < x.num_elements(); ++i) sum += std::pow(x.at(i) - estimate.at(i), 2);
  return sum / static_cast<double>(x.shape()[0]);
}

// One row in sixteen, to draw: the points of the moons are in their order along them.
std::vector<neb::Point> Some(const Tensor& x) {
  const std::vector<neb::Point> all = neb::PointsOf(x);
  std::vector<neb::Point> some;
  for (size_t i = 0; i < all.size(); i += 16) some.push_back(all[i]);
  return some;
}

absl::Status Run() {
  const absl::StatusOr<neb::Dataset> train = neb::TwoMoons(/*n=*/10000, /*seed=*/1, {.noise = 0.02});
  const absl::StatusOr<neb::Dataset> fresh = neb::TwoMoons(/*n=*/4000, /*seed=*/2, {.noise = 0.02});
  if (!train.ok()) return train.status();
  if (!fresh.ok()) return fresh.status();
  std::printf("       ‖x − estimate‖² of fresh points\n  M    σ²d/M   mean ȳ   learned x̂   kernel density x̂\n");
  std::vector<neb::Image> panels;
  for (const int64_t m : {1, 4, 16}) {
    // All that M measurements say of x is in their mean, whose noise has the level σ/√M.
    const double level = kSigma / std::sqrt(static_cast<double>(m));
    const absl::StatusOr<neb::Energy> of_mean =
        neb::MlpEnergy({.hidden = {128, 128}}, neb::MeasureScales(train->x, level));
    if (!of_mean.ok()) return of_mean.status();
    absl::StatusOr<neb::Model> model = neb::Model::Create(neb::JointEnergy(*of_mean, m, kSigma), {m, 2}, kSigma);
    if (!model.ok()) return model.status();
    const absl::StatusOr<neb::TrainResult> trained =
        neb::Train(*model, train->x, nullptr, {.steps = absl::GetFlag(FLAGS_steps), .batch = 256, .measurements = m});
    if (!trained.ok()) return trained.status();

    const Tensor y = neb::NoisyStarts(*neb::Repeat(fresh->x, m), *model, /*seed=*/3);  // [4000, 2M]
    Tensor jumps(y.shape());
    if (absl::Status s = model->Evaluate(y.data<float>(), {.x_hat = jumps.data<float>()}); !s.ok()) return s;
    const Tensor mean = *neb::MeanOfMeasurements(y, m), x_hat = *neb::MeanOfMeasurements(jumps, m);
    const absl::StatusOr<neb::KernelDensity> density = neb::KernelDensity::Create(train->x, level);
    if (!density.ok()) return density.status();
    const absl::StatusOr<neb::Smoothed> best = density->Evaluate(mean);
    if (!best.ok()) return best.status();
    std::printf(" %2d   %.4f   %.4f     %.4f         %.4f\n", static_cast<int>(m),
                2 * kSigma * kSigma / static_cast<double>(m), Error(fresh->x, mean), Error(fresh->x, x_hat),
                Error(fresh->x, best->x_hat));

    absl::StatusOr<neb::Model> exact = neb::Model::Create(neb::KernelDensityEnergy(train->x, level), {2}, level);
    if (!exact.ok()) return exact.status();
    const absl::StatusOr<neb::Field> field = neb::EnergyField(*exact, {-2.2, 3.2, -1.8, 2.3});
    if (!field.ok()) return field.status();
    const std::vector<neb::Point> means = Some(mean), estimates = Some(x_hat);
    const absl::StatusOr<neb::Image> panel =
        neb::HeatMap(*field, {.title = absl::StrFormat("M = %d: the mean (white), x̂ (orange)", m),
                              .high = 10,
                              .contours = 6,
                              .points = {{.points = means, .colour = neb::kWhite, .radius = 1.3},
                                         {.points = estimates, .colour = neb::SeriesColour(1), .radius = 1.8}},
                              .width = 400});
    if (!panel.ok()) return panel.status();
    panels.push_back(*panel);
  }
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, examples::SideBySide(panels, 3)); !s.ok()) return s;
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Learns joint energies of 1, 4 and 16 noisy measurements of points in the plane.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "measurements: %s\n", std::string(status.message()).c_str());
  return 1;
}
