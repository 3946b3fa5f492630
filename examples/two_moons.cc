// A density in the plane, learned from points: the energy as a heat map, with jumps of a walk on it.
//
//   bazel run -c opt //examples:two_moons        # writes two_moons.png
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "neb/cli/plane.h"
#include "neb/cli/run_folder.h"
#include "neb/image.h"
#include "neb/neb.h"
#include "neb/plot.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, out, "two_moons.png", "the picture to write");
ABSL_FLAG(double, sigma, 0.15, "standard deviation of the noise");
ABSL_FLAG(int64_t, steps, 5000, "minibatches to train on");

namespace {

using neb::Params;
using neb::Tensor;
using neb::Var;

// A network on top of a bowl: the bowl wins far away, so that walks come back from everywhere.
Var Phi(Var y, Params& p) { return 0.5 * squared_norm(y, {1}) + reshape(neb::Mlp(p, y, {128, 128, 1}), {-1}); }

absl::Status Run() {
  const absl::StatusOr<neb::Dataset> moons = neb::TwoMoons(/*n=*/10000, /*seed=*/1, {.noise = 0.02});
  if (!moons.ok()) return moons.status();
  absl::StatusOr<neb::Model> model = neb::Model::Create(Phi, moons->item_shape, absl::GetFlag(FLAGS_sigma));
  if (!model.ok()) return model.status();
  absl::StatusOr<neb::TrainResult> trained =
      neb::Train(*model, moons->x, nullptr, {.steps = absl::GetFlag(FLAGS_steps), .batch = 256});
  if (!trained.ok()) return trained.status();

  absl::StatusOr<neb::Walk> walk =
      neb::Walk::Create(*model, neb::UniformStarts(/*chains=*/400, *model, /*seed=*/1), {});
  if (!walk.ok()) return walk.status();
  if (absl::Status s = walk->Run(2000); !s.ok()) return s;
  absl::StatusOr<Tensor> x_hat = walk->Jump();
  if (!x_hat.ok()) return x_hat.status();

  absl::StatusOr<neb::Field> field = neb::EnergyField(*model, {-1.8, 2.8, -1.4, 1.9});
  if (!field.ok()) return field.status();
  absl::StatusOr<neb::Image> picture = neb::HeatMap(
      *field, {.title = absl::StrFormat("Two moons: the learned energy and 400 jumps, σ = %g", model->sigma()),
               .value_label = "φ − min φ",
               .high = neb::kHighEnergy,
               .contours = 10,
               .points = {{.points = neb::PointsOf(*x_hat)}}});
  if (!picture.ok()) return picture.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, *picture); !s.ok()) return s;
  std::printf("loss %.5f (no model: %.5f); wrote %s\n", trained->history.empty() ? 0.0 : trained->history.back().loss,
              2 * model->sigma() * model->sigma(), path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Learns the energy of two moons in the plane and draws it with samples.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "two_moons: %s\n", std::string(status.message()).c_str());
  return 1;
}
