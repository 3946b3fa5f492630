// Energies are added, weighted and mixed as densities are multiplied, cooled and averaged.
//
//   bazel run -c opt //examples:composition          # writes composition.png
//
// For each composition, the moments of a walk beside those of exp(−φ), summed over a grid. They differ for the cold
// one: barriers grow with φ, and chains stay in the blob where they came down.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "autodiff/random.h"
#include "examples/side_by_side.h"
#include "neb/cli/plane.h"
#include "neb/cli/run_folder.h"
#include "neb/known_energies.h"
#include "neb/neb.h"
#include "neb/plot.h"

ABSL_FLAG(std::string, out, "composition.png", "the picture to write");

namespace {

using neb::Energy;
using neb::Params;
using neb::Tensor;
using neb::Var;

constexpr double kSigma = 0.4;
constexpr neb::PlaneBox kWindow = {-5, 5, -5, 5};

// −log(½ e^−φ₁ + ½ e^−φ₂), the mean of two densities. Unlike a product it needs energies with their constants, which
// those of known_energies.h have.
Energy Mixture(const Energy& first, const Energy& second) {
  return [first, second](Var y, Params& p) {
    Params a = p.Scope("first"), b = p.Scope("second");
    return std::log(2.0) - logsumexp(autodiff::stack({-first(y, a), -second(y, b)}), {0});
  };
}

// Six blobs on a circle, and a bar across it: p_X, of which the energies are those with noise of level σ.
Energy Blobs() {
  std::vector<neb::GaussianComponent> blobs;
  for (int k = 0; k < 6; ++k) {
    const double angle = (k + 0.5) * M_PI / 3;
    blobs.push_back({.mean = {2.5 * std::cos(angle), 2.5 * std::sin(angle)}, .covariance = {0.09}});
  }
  return neb::GaussianMixtureEnergy(*neb::SmoothedMixture::Create(blobs, kSigma));
}
Energy Bar() {
  return neb::GaussianMixtureEnergy(
      *neb::SmoothedMixture::Create({{.mean = {0.5, 0}, .covariance = {3, 2, 2, 3}}}, kSigma));
}

struct Composition {
  const char* title;
  Energy energy;
};

// E y₁, E y₂, E ‖y‖² under weights.
struct Moments {
  double mass = 0, y1 = 0, y2 = 0, squares = 0;
  void Add(double weight, double a, double b) {
    mass += weight, y1 += weight * a, y2 += weight * b, squares += weight * (a * a + b * b);
  }
};
Moments Exact(const neb::Field& field) {
  Moments m;
  const int64_t ny = field.values.shape()[0], nx = field.values.shape()[1];
  for (int64_t i = 0; i < ny; ++i) {
    for (int64_t j = 0; j < nx; ++j) {
      m.Add(std::exp(-field.values.at(i * nx + j)),
            field.x_low + (field.x_high - field.x_low) * static_cast<double>(j) / static_cast<double>(nx - 1),
            field.y_low + (field.y_high - field.y_low) * static_cast<double>(i) / static_cast<double>(ny - 1));
    }
  }
  return m;
}

absl::Status Run() {
  const std::vector<Composition> compositions = {
      {"φ₁: six blobs", Blobs()},
      {"φ₂: a bar", Bar()},
      {"φ₁ + φ₂: their product", neb::Sum({{"blobs", Blobs()}, {"bar", Bar()}})},
      {"mixture: their mean", Mixture(Blobs(), Bar())},
      {"φ₁ / 4: hot", neb::Scale(0.25, Blobs())},
      {"2 (φ₁ + φ₂): cold", neb::Scale(2, neb::Sum({{"blobs", Blobs()}, {"bar", Bar()}}))},
  };
  std::vector<neb::Image> panels;
  std::printf("   E y₁     E y₂   E ‖y‖²:  exact, and of 4000 chains    accepted\n");
  for (const Composition& c : compositions) {
    absl::StatusOr<neb::Model> model = neb::Model::Create(c.energy, {2}, kSigma);
    if (!model.ok()) return model.status();
    const absl::StatusOr<neb::Field> field = neb::EnergyField(*model, kWindow);
    if (!field.ok()) return field.status();
    const absl::StatusOr<neb::Field> wide = neb::EnergyField(*model, {-10, 10, -10, 10});
    if (!wide.ok()) return wide.status();
    // MALA samples the composed density without bias; starts all over the picture find every blob.
    Tensor start({4000, 2});
    autodiff::FillUniform({.seed = 1, .stream = autodiff::kStarts}, 0, start.data<float>());
    for (float& v : start.data<float>()) v = 10 * v - 5;
    absl::StatusOr<neb::Walk> walk =
        neb::Walk::Create(*model, start, {.sampler = neb::Sampler::kMala, .step_size = 1.5 * kSigma});
    if (!walk.ok()) return walk.status();
    absl::Status s = walk->BurnIn(500);
    s.Update(walk->Run(1000));
    if (!s.ok()) return s;
    const Moments exact = Exact(*wide);
    Moments seen;
    for (const neb::Point& y : neb::PointsOf(walk->y())) seen.Add(1, y.x, y.y);
    for (const Moments& m : {exact, seen}) {
      std::printf(" %7.3f  %7.3f  %7.3f   ", m.y1 / m.mass, m.y2 / m.mass, m.squares / m.mass);
    }
    std::printf("  %.2f   %s\n", walk->mean_acceptance(), c.title);

    std::vector<neb::Point> some = neb::PointsOf(walk->y());
    some.resize(300);
    const absl::StatusOr<neb::Image> panel =
        neb::HeatMap(*field, {.title = c.title,
                              .high = 10,
                              .contours = 8,
                              .points = {{.points = some, .colour = neb::kWhite, .radius = 1.4}},
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
  absl::SetProgramUsageMessage("Adds, weighs and mixes energies of the plane, and walks on the results.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "composition: %s\n", std::string(status.message()).c_str());
  return 1;
}
