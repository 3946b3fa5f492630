// Trains an energy on images, then walks and jumps to draw new ones.
//
//   bazel run -c opt //examples:images                                  # Fashion-MNIST, about five minutes
//   bazel run -c opt //examples:images -- --images=my_pictures/ --sigma=0.2 --out=runs/mine
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "autodiff/parallel.h"
#include "neb/cli/data_source.h"
#include "neb/cli/denoise_grid.h"
#include "neb/cli/folder_training.h"
#include "neb/cli/interrupt.h"
#include "neb/cli/loss_curve.h"
#include "neb/cli/progress.h"
#include "neb/cli/references.h"
#include "neb/cli/run_folder.h"
#include "neb/image.h"
#include "neb/image_grid.h"
#include "neb/neb.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, images, neb::kFashionMnist,
          "what to learn: an IDX file (plain or .gz), a .npy array [n, height, width] or [n, height, width, 3], or a "
          "folder of PNG or JPEG files");
ABSL_FLAG(int, size, 0,
          "cuts each picture of a folder to its middle square and resizes that to so many pixels a side; 0: the "
          "pictures have one size already");
ABSL_FLAG(std::string, out, "runs/images", "folder for the pictures, the model and the metrics");
ABSL_FLAG(double, sigma, 0.3, "standard deviation of the noise; pixels are in [0, 1]");
ABSL_FLAG(int64_t, steps, 10000, "minibatches to train on");
ABSL_FLAG(int64_t, batch, 128, "images in a minibatch");
ABSL_FLAG(double, lr, 1e-3, "peak learning rate");
ABSL_FLAG(std::vector<std::string>, hidden, std::vector<std::string>({"1024", "1024"}),
          "units of the network's hidden layers");
ABSL_FLAG(uint64_t, seed, 1, "of everything random: a run is a function of its flags, not of its threads");
ABSL_FLAG(
    bool, resume, false,
    "goes on with the run that --out holds, after Ctrl-C, SIGTERM, a kill or a crash, with the same flags and the "
    "same result as if it had never been stopped; starts one if there is none");
ABSL_FLAG(double, checkpoint_seconds, 60, "seconds between checkpoints: the most that a kill can cost");
ABSL_FLAG(int, threads, 0, "threads; 0: one for each processor");

namespace {

constexpr int kChains = 10;    // rows of samples.png
constexpr int kJumps = 16;     // its columns
constexpr int kBetween = 200;  // iterations of the walk between them

using neb::Params;
using neb::Tensor;
using neb::Var;

struct Settings {
  double sigma;
  std::vector<int64_t> hidden;
};

absl::StatusOr<Settings> ReadSettings() {
  Settings s{absl::GetFlag(FLAGS_sigma), {}};
  if (!(s.sigma > 0) || !std::isfinite(s.sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("--sigma must be positive, got ", s.sigma));
  }
  if (absl::GetFlag(FLAGS_steps) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--steps must be >= 0, got ", absl::GetFlag(FLAGS_steps)));
  }
  if (absl::GetFlag(FLAGS_batch) < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--batch must be >= 1, got ", absl::GetFlag(FLAGS_batch)));
  }
  if (!(absl::GetFlag(FLAGS_lr) > 0) || !std::isfinite(absl::GetFlag(FLAGS_lr))) {
    return absl::InvalidArgumentError(absl::StrCat("--lr must be positive, got ", absl::GetFlag(FLAGS_lr)));
  }
  if (absl::GetFlag(FLAGS_size) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--size must be >= 0, got ", absl::GetFlag(FLAGS_size)));
  }
  if (absl::GetFlag(FLAGS_threads) < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--threads must be >= 0, got ", absl::GetFlag(FLAGS_threads)));
  }
  for (const std::string& text : absl::GetFlag(FLAGS_hidden)) {
    int64_t units = 0;
    if (!absl::SimpleAtoi(text, &units) || units < 1) {
      return absl::InvalidArgumentError(absl::StrCat("--hidden must be positive numbers, got \"", text, "\""));
    }
    s.hidden.push_back(units);
  }
  return s;
}

// The images to train on and those to measure with: a test file that lies beside the training file, or one in ten.
absl::StatusOr<neb::TrainHeldOut> ReadImages(const neb::DataSource& source) {
  absl::StatusOr<neb::Dataset> images = neb::ReadSource(source);
  if (!images.ok()) return images.status();
  if (images->item_shape.rank() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(source.data, ": items of shape ", images->item_shape.ToString(),
                                                   ", expected images, [height, width, 1 or 3]"));
  }
  return neb::HoldOut(*std::move(images), source);
}

absl::Status Write(const std::string& path, const absl::StatusOr<neb::Image>& image) {
  return image.ok() ? neb::WritePng(path, *image) : image.status();
}

// Chains from uniform noise, seen through their jumps.
absl::Status WriteSamples(const std::string& path, neb::Model& model, autodiff::ThreadPool* pool) {
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  absl::StatusOr<neb::Walk> walk =
      neb::Walk::Create(model, neb::UniformStarts(kChains, model, seed), {.seed = seed, .pool = pool});
  if (!walk.ok()) return walk.status();
  Tensor all({kChains * kJumps, model.d()});
  std::vector<std::string> columns;
  const size_t d = static_cast<size_t>(model.d());
  for (int column = 0; column < kJumps; ++column) {
    if (absl::Status s = walk->Run(kBetween); !s.ok()) return s;
    absl::StatusOr<Tensor> x_hat = walk->Jump();
    if (!x_hat.ok()) return x_hat.status();
    for (size_t chain = 0; chain < kChains; ++chain) {
      std::copy_n(x_hat->data<float>().subspan(chain * d).begin(), d,
                  all.data<float>().subspan((chain * kJumps + static_cast<size_t>(column)) * d).begin());
    }
    columns.push_back(absl::StrCat(walk->iterations()));
  }
  absl::StatusOr<neb::Image> grid =
      neb::Grid(all, model.item_shape(), kChains, kJumps,
                {.title = "Jumps from one walk per row, by iteration", .column_labels = columns});
  return Write(path, grid);
}

absl::Status Run() {
  const absl::StatusOr<Settings> settings = ReadSettings();
  if (!settings.ok()) return settings.status();
  const neb::DataSource source{.data = neb::UserPath(absl::GetFlag(FLAGS_images)),
                               .size = absl::GetFlag(FLAGS_size),
                               .seed = absl::GetFlag(FLAGS_seed)};
  const absl::StatusOr<neb::TrainHeldOut> data = ReadImages(source);
  if (!data.ok()) return data.status();
  const neb::Dataset& train = data->train;
  const neb::Dataset& held_out = data->held_out;
  const int64_t d = train.item_shape.num_elements();
  const double sigma = settings->sigma;
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  autodiff::ThreadPool pool(absl::GetFlag(FLAGS_threads));

  // The energy ‖y − ν(y)‖²/2σ², ν a multi-layer perceptron that starts as the Wiener filter.
  std::vector<int64_t> units = settings->hidden;
  units.push_back(d);
  const neb::Energy energy = neb::ResidualDenoiser(
      [units](Var z, Params& p) { return neb::Mlp(p, z, units, {.last_weight_init = autodiff::Zeros()}); },
      neb::MeasureScales(train.x, sigma));
  absl::StatusOr<neb::Model> model = neb::Model::Create(energy, train.item_shape, sigma, seed);
  if (!model.ok()) return model.status();

  absl::StatusOr<neb::RunFolder> out =
      neb::RunFolder::Create(neb::UserPath(absl::GetFlag(FLAGS_out)), absl::GetFlag(FLAGS_resume));
  if (!out.ok()) return out.status();
  neb::TrainOptions options{.steps = absl::GetFlag(FLAGS_steps),
                            .batch = absl::GetFlag(FLAGS_batch),
                            .learning_rate = absl::GetFlag(FLAGS_lr),
                            .far_fraction = 0.0625,
                            .seed = seed,
                            .pool = &pool};
  std::printf("%s: %d training and %d held-out images of %s; %d parameters; %d threads\n", train.name.c_str(),
              static_cast<int>(train.size()), static_cast<int>(held_out.size()), train.item_shape.ToString().c_str(),
              static_cast<int>(model->params().num_trainable()), pool.threads());
  std::fflush(stdout);

  const std::string model_path = out->Path("model.safetensors");
  const absl::StatusOr<neb::TrainResult> result = neb::TrainInFolder(
      *model, *data, options,
      {.out = *out,
       .settings = {{"images", absl::GetFlag(FLAGS_images)},
                    {"item_shape", std::vector<int64_t>(train.item_shape.begin(), train.item_shape.end())},
                    {"training_images", train.size()},
                    {"held_out_images", held_out.size()},
                    {"energy", "residual denoiser, MLP"},
                    {"hidden", settings->hidden},
                    {"sigma", sigma},
                    {"steps", options.steps},
                    {"batch", options.batch},
                    {"learning_rate", options.learning_rate},
                    {"warmup", options.warmup},
                    {"ema_decay", options.adam.ema_decay},
                    {"far_fraction", options.far_fraction},
                    {"seed", seed},
                    {"threads", pool.threads()},
                    {"walk", {{"chains", kChains}, {"iterations", kJumps * kBetween}, {"step_size", sigma / 2}}}},
       .items = "images",
       .checkpoint_seconds = absl::GetFlag(FLAGS_checkpoint_seconds),
       .resume = absl::GetFlag(FLAGS_resume),
       .save = [&](const neb::Progress&) { return model->Save(model_path); }});
  if (!result.ok()) return result.status();
  if (absl::Status s = model->Save(model_path); !s.ok()) return s;

  const absl::StatusOr<double> loss = neb::MeasureLoss(*model, held_out.x, held_out.size(), seed, &pool);
  if (!loss.ok()) return loss.status();
  const absl::StatusOr<std::vector<neb::Reference>> references = neb::References(*data, source, sigma, &pool);
  if (!references.ok()) return references.status();
  absl::Status s =
      Write(out->Path("loss.png"),
            neb::LossCurve(result->history, *references,
                           {.title = absl::StrFormat("%s, σ = %g", train.name, sigma), .far_samples = true}));
  s.Update(Write(out->Path("denoise.png"), neb::DenoiseGrid(*model, held_out, {.seed = seed, .pool = &pool})));
  s.Update(WriteSamples(out->Path("samples.png"), *model, &pool));
  if (!s.ok()) return s;

  std::printf("Held-out loss per image, ‖x − x̂‖² summed over %d pixels, mean of %d images:\n", static_cast<int>(d),
              static_cast<int>(held_out.size()));
  std::fputs(neb::LossTable(*loss, *references).c_str(), stdout);
  std::printf("Trained for %s. See samples.png, denoise.png and loss.png in\n  %s\n",
              neb::HumanDuration(result->seconds).c_str(), out->Path("").c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Trains an energy on images, then walks and jumps to draw new ones. Writes samples.png, denoise.png, loss.png,\n"
      "model.safetensors, settings.json, metrics.jsonl and checkpoint.safetensors.\n\n"
      "  bazel run -c opt //examples:images -- [flags]");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      rest.size() > 1 ? absl::InvalidArgumentError(absl::StrCat("unexpected argument \"", rest[1], "\"")) : Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "images: %s\n", std::string(status.message()).c_str());
  return absl::IsCancelled(status) ? neb::Interrupt::ExitCode() : 1;
}
