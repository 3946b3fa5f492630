// Where noisy samples are: a thin manifold of data becomes a sphere as the dimension around it grows.
//
//   bazel run -c opt //examples:concentration          # prints a table, writes concentration.png
//
// X is Gaussian on 10 of d directions, Y = X + σε ("manifold disintegration–expansion", [NEB] §3).
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "neb/cli/run_folder.h"
#include "neb/concentration.h"
#include "neb/image.h"
#include "neb/plot.h"

ABSL_FLAG(std::string, out, "concentration.png", "the picture to write");
ABSL_FLAG(int64_t, draws, 4000, "points for each dimension");

namespace {

absl::Status Run() {
  const int64_t k = 10, draws = absl::GetFlag(FLAGS_draws);
  std::printf("           ‖y − x‖ / σ√d               ‖y‖², mean            spread of ‖y‖², relative\n");
  std::printf("    d   found ± spread, theory     found    theory         found   theory\n");
  neb::Series noise{.name = "‖y − x‖², the noise alone", .markers = true};
  neb::Series found{.name = "‖y‖²", .markers = true}, theory{.name = "in theory"}, noise_theory{.name = "√(2/d)"};
  for (const int64_t d : {10, 20, 50, 100, 200, 500, 1000, 2000, 5000}) {
    const absl::StatusOr<neb::Concentration> radius = neb::NoiseRadius(d, draws, /*seed=*/1);
    if (!radius.ok()) return radius.status();
    const absl::StatusOr<neb::Concentration> norms =
        neb::Expansion({.d = d, .k = k, .stddev = 3, .sigma = 1}, draws, /*seed=*/1);
    if (!norms.ok()) return norms.status();
    const double spread = norms->measured.stddev / norms->measured.mean;
    const double predicted = norms->predicted.stddev / norms->predicted.mean;
    std::printf("%5d   %.4f ± %.4f, %.4f   %7.1f   %7.1f        %.4f   %.4f\n", static_cast<int>(d),
                radius->measured.mean, radius->measured.stddev, radius->predicted.stddev, norms->measured.mean,
                norms->predicted.mean, spread, predicted);
    const auto x = static_cast<double>(d);
    found.x.push_back(x), found.y.push_back(spread);
    theory.x.push_back(x), theory.y.push_back(predicted);
    noise.x.push_back(x), noise.y.push_back(2 * radius->measured.stddev / radius->measured.mean);
    noise_theory.x.push_back(x), noise_theory.y.push_back(std::sqrt(2 / x));
  }
  const absl::StatusOr<neb::Image> plot =
      neb::LinePlot({found, theory, noise, noise_theory},
                    {.title = "A 10-dimensional manifold with noise becomes a sphere",
                     .x_label = "dimension d",
                     .y_label = "spread / mean",
                     .log_x = true,
                     .log_y = true,
                     .references = {{std::sqrt(2.0 / static_cast<double>(k)), "‖x‖², without noise"}}});
  if (!plot.ok()) return plot.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, *plot); !s.ok()) return s;
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures how lengths concentrate as the dimension grows.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "concentration: %s\n", std::string(status.message()).c_str());
  return 1;
}
