// Images of which one half is known, completed by walks on which that half is clamped.
//
//   bazel run -c opt //examples:inpainting             # trains for less than a minute, writes inpainting.png
//   bazel run -c opt //examples:inpainting -- --steps=10000
//
// After the default's short training the walks complete shapes, with grain in them.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/run_folder.h"
#include "neb/dataset.h"
#include "neb/image.h"
#include "neb/image_grid.h"
#include "neb/neb.h"
#include "neb/read_data.h"

ABSL_FLAG(std::string, images, "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
          "an IDX file (plain or .gz), or a folder of PNG or JPEG files of one size");
ABSL_FLAG(std::string, out, "inpainting.png", "the picture to write");
ABSL_FLAG(double, sigma, 0.4, "standard deviation of the noise");
ABSL_FLAG(int64_t, steps, 1200, "minibatches to train on");
ABSL_FLAG(int64_t, iterations, 400, "of the walks");

namespace {

using neb::Tensor;

constexpr int64_t kRows = 6, kChains = 6;

absl::Status Run() {
  const double sigma = absl::GetFlag(FLAGS_sigma);
  absl::StatusOr<neb::Dataset> data = neb::ReadData(neb::UserPath(absl::GetFlag(FLAGS_images)));
  if (!data.ok()) return data.status();
  const absl::StatusOr<neb::TrainHeldOut> parts = neb::Split(*std::move(data), /*held_out=*/kRows, /*seed=*/1);
  if (!parts.ok()) return parts.status();
  const int64_t d = parts->train.item_shape.num_elements();
  autodiff::ThreadPool pool(0);
  const absl::StatusOr<neb::Energy> energy =
      neb::ResidualConv({}, parts->train.item_shape, neb::MeasureScales(parts->train.x, sigma));
  if (!energy.ok()) return energy.status();
  absl::StatusOr<neb::Model> model = neb::Model::Create(*energy, parts->train.item_shape, sigma);
  if (!model.ok()) return model.status();
  const absl::StatusOr<neb::TrainResult> trained = neb::Train(*model, parts->train.x, nullptr,
                                                              {.steps = absl::GetFlag(FLAGS_steps),
                                                               .batch = 64,
                                                               .learning_rate = 2e-3,
                                                               .far_fraction = 1.0 / 16,
                                                               .pool = &pool});
  if (!trained.ok()) return trained.status();

  Tensor mask({d});  // the upper half of the rows is known
  for (int64_t j = 0; j < d / 2; ++j) mask.set(j, 1);
  std::vector<float> cells;
  auto append = [&cells](const Tensor& x) {
    cells.insert(cells.end(), x.data<float>().begin(), x.data<float>().end());
  };
  for (int64_t row = 0; row < kRows; ++row) {
    Tensor image({d});
    for (int64_t j = 0; j < d; ++j) image.set(j, parts->held_out.x.at(row * d + j));
    const absl::StatusOr<neb::Known> known = neb::NoisyKnown(image, mask, sigma, /*seed=*/static_cast<uint64_t>(row));
    if (!known.ok()) return known.status();
    absl::StatusOr<neb::Model> clamped = neb::ClampModel(*model, *known);
    if (!clamped.ok()) return clamped.status();
    absl::StatusOr<neb::Walk> walk = neb::Walk::Create(*clamped, neb::UniformStarts(kChains, *clamped, /*seed=*/1),
                                                       {.sampler = neb::Sampler::kBaoab, .pool = &pool});
    if (!walk.ok()) return walk.status();
    if (absl::Status s = walk->Run(absl::GetFlag(FLAGS_iterations)); !s.ok()) return s;
    const Tensor y = neb::FillIn(walk->y(), *known);
    Tensor x_hat(y.shape());
    if (absl::Status s = model->Evaluate(y.data<float>(), {.x_hat = x_hat.data<float>()}); !s.ok()) return s;
    // What is known is shown as it is known: x̂ there is a denoised v.
    for (int64_t i = 0; i < x_hat.num_elements(); ++i) {
      if (mask.at(i % d) != 0) x_hat.set(i, image.at(i % d));
    }
    Tensor half = image;
    for (int64_t j = d / 2; j < d; ++j) half.set(j, 0.5);
    append(image);
    append(half);
    append(x_hat);
  }
  const int64_t columns = 2 + kChains;
  const absl::StatusOr<neb::Image> grid = neb::Grid(
      Tensor::From<float>({kRows * columns, d}, cells), parts->train.item_shape, kRows, static_cast<int>(columns),
      {.title = absl::StrFormat("Completed by six clamped walks each; σ = %g", sigma),
       .column_labels = {"image", "known"}});
  if (!grid.ok()) return grid.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, *grid); !s.ok()) return s;
  std::printf("trained %.0f s; wrote %s\n", trained->seconds, path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Completes images of which the upper half is known.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "inpainting: %s\n", std::string(status.message()).c_str());
  return 1;
}
