// neb train: learns the energy of some data.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "autodiff/parallel.h"
#include "neb/checkpoint.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/data_flags.h"
#include "neb/cli/data_source.h"
#include "neb/cli/denoise_grid.h"
#include "neb/cli/folder_training.h"
#include "neb/cli/items.h"
#include "neb/cli/loss_curve.h"
#include "neb/cli/plane_picture.h"
#include "neb/cli/progress.h"
#include "neb/cli/references.h"
#include "neb/cli/run_folder.h"
#include "neb/cli/sigma_choice.h"
#include "neb/cli/time_budget.h"
#include "neb/energy_spec.h"
#include "neb/image.h"
#include "neb/neb.h"
#include "neb/safetensors.h"
#include "neb/version.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(
    std::string, energy, "",
    absl::StrCat("the form of φ: ", absl::StrJoin(neb::EnergyForms(), ", "),
                 "; or JSON with the form's options, as {\"form\": \"mlp\", \"hidden\": [128, 128]}; empty: "
                 "residual_conv for images, else mlp. Those from quadratic on are fitted to the data, not trained; "
                 "kernel_density stores the training items in the model, so --max_items decides its size"));
ABSL_FLAG(std::string, sigma, "",
          "standard deviation of the noise: a number, or from the geometry of the data: sigma_c, chi(0.5), or a "
          "multiple, 1.5*sigma_c; empty: 0.3 for images, else 0.15 of the data's standard deviation");
ABSL_FLAG(int64_t, steps, 10000, "minibatches to train on");
ABSL_FLAG(double, minutes, 0, "trains for about so long instead, in as many steps as fit");
ABSL_FLAG(int64_t, batch, 128, "items in a minibatch");
ABSL_FLAG(double, lr, 1e-3, "peak learning rate");
ABSL_FLAG(double, ema, 0.999, "decay of the running average of the parameters, which is the model; 0: no average");
ABSL_FLAG(double, clip_norm, 0,
          "scales the gradient down to this norm where it is longer, 0: never; 1 calms a run whose loss jumps");
ABSL_FLAG(int64_t, measurements, 1, "M > 1: the energy is that of M noisy copies of each item side by side");
ABSL_FLAG(double, inner_fraction, 0,
          "share of each minibatch with less noise than σ, for a small stored set that `neb recall` is to recall");
ABSL_FLAG(bool, resume, false, "goes on from the checkpoint in --out, to the same bits as if it had never stopped");
ABSL_FLAG(double, checkpoint_seconds, 60, "between checkpoints");
ABSL_FLAG(std::string, far_fraction, "auto",
          "share of each minibatch that is moved off the data, so that walks find back; auto: 0.0625 for images, else "
          "0");

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kImageSigma = 0.3;
constexpr double kPointSigma = 0.15;  // of the data's standard deviation
constexpr double kImageFarFraction = 0.0625;

// --- Flags ---

struct Flags {
  DataSource source = {};
  std::string energy = {};  // empty: chosen by the data
  std::string sigma = {};
  std::string far_fraction = {};
  double minutes = 0;
  TrainOptions train = {};
};

absl::Status OutOfRange(const char* flag, const std::string& range, double got) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " must be ", range, ", got ", got));
}

absl::StatusOr<Flags> ReadFlags() {
  absl::StatusOr<DataSource> source = DataSourceFlags();
  if (!source.ok()) return source.status();
  Flags flags{.source = *std::move(source),
              .energy = absl::GetFlag(FLAGS_energy),
              .sigma = absl::GetFlag(FLAGS_sigma),
              .far_fraction = absl::GetFlag(FLAGS_far_fraction),
              .minutes = absl::GetFlag(FLAGS_minutes)};
  flags.train = {.steps = absl::GetFlag(FLAGS_steps),
                 .batch = absl::GetFlag(FLAGS_batch),
                 .learning_rate = absl::GetFlag(FLAGS_lr),
                 .adam = {.clip_norm = absl::GetFlag(FLAGS_clip_norm), .ema_decay = absl::GetFlag(FLAGS_ema)},
                 .measurements = absl::GetFlag(FLAGS_measurements),
                 .inner_fraction = absl::GetFlag(FLAGS_inner_fraction),
                 .seed = absl::GetFlag(FLAGS_seed)};
  const TrainOptions& t = flags.train;
  if (t.steps < 0) return OutOfRange("steps", ">= 0", static_cast<double>(t.steps));
  if (t.batch < 1) return OutOfRange("batch", ">= 1", static_cast<double>(t.batch));
  if (!(t.learning_rate > 0 && std::isfinite(t.learning_rate))) return OutOfRange("lr", "positive", t.learning_rate);
  if (!(t.adam.ema_decay >= 0 && t.adam.ema_decay < 1)) return OutOfRange("ema", "in [0, 1)", t.adam.ema_decay);
  if (!(t.adam.clip_norm >= 0 && std::isfinite(t.adam.clip_norm))) {
    return OutOfRange("clip_norm", ">= 0", t.adam.clip_norm);
  }
  if (t.measurements < 1 || t.measurements > kMaxMeasurements) {
    return OutOfRange("measurements", absl::StrCat("in [1, ", kMaxMeasurements, "]"),
                      static_cast<double>(t.measurements));
  }
  if (!(t.inner_fraction >= 0 && t.inner_fraction <= 0.5))
    return OutOfRange("inner_fraction", "in [0, 0.5]", t.inner_fraction);
  if (!(absl::GetFlag(FLAGS_checkpoint_seconds) > 0)) {
    return OutOfRange("checkpoint_seconds", "positive", absl::GetFlag(FLAGS_checkpoint_seconds));
  }
  if (!(flags.minutes >= 0 && std::isfinite(flags.minutes))) return OutOfRange("minutes", ">= 0", flags.minutes);
  if (double share = 0;
      flags.far_fraction != "auto" && !(absl::SimpleAtod(flags.far_fraction, &share) && share >= 0 && share <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--far_fraction must be auto or in [0, 0.5], got \"", flags.far_fraction, "\""));
  }
  if (!flags.energy.empty()) {
    if (const auto spec = ParseEnergySpec(flags.energy); !spec.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--energy: ", spec.status().message()));
    }
  }
  if (!flags.sigma.empty()) {
    if (const auto sigma = ParseSigma(flags.sigma); !sigma.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--sigma: ", sigma.status().message()));
    }
  }
  return flags;
}

// --- What the data decides ---

std::string ItemName(const Dataset& data) { return IsPicture(data.item_shape) ? "image" : "point"; }

// σ, and half a line that says where it comes from, empty when the user gave it.
struct Sigma {
  double value = 0;
  std::string why = {};
};
absl::StatusOr<Sigma> DecideSigma(const Flags& flags, const Dataset& train, autodiff::ThreadPool* pool) {
  if (flags.sigma.empty()) {
    if (IsPicture(train.item_shape)) return Sigma{kImageSigma, "the default for images; pixels are in [0, 1]"};
    const double stddev = MeasureScales(train.x, 1).stddev;
    if (!(stddev > 0)) {
      return absl::InvalidArgumentError("all items are equal: --sigma must be given");
    }
    return Sigma{kPointSigma * stddev,
                 absl::StrFormat("%g of the data's standard deviation, %.4g", kPointSigma, stddev)};
  }
  const absl::StatusOr<SigmaText> text = ParseSigma(flags.sigma);
  if (!text.ok()) return text.status();
  const absl::StatusOr<double> sigma = ChooseSigma(*text, train.x, pool);
  if (!sigma.ok())
    return absl::InvalidArgumentError(absl::StrCat("--sigma=", flags.sigma, ": ", sigma.status().message()));
  if (std::holds_alternative<double>(*text)) return Sigma{*sigma};
  const bool part = train.size() > kGeometryRows;
  return Sigma{*sigma, absl::StrCat(flags.sigma, " of ", part ? "the first " : "all ",
                                    part ? kGeometryRows : train.size(), " items")};
}

struct Run {
  Flags flags;
  TrainHeldOut data;
  Sigma sigma;
  EnergySpec spec;

  // M noisy copies of an item are as good as one at this level.
  double effective_sigma() const { return sigma.value / std::sqrt(static_cast<double>(flags.train.measurements)); }
};

// The untrained model, or the fitted one.
absl::StatusOr<Model> CreateModel(const Run& run, autodiff::ThreadPool* pool) {
  const Dataset& train = run.data.train;
  const int64_t measurements = run.flags.train.measurements;
  absl::StatusOr<Energy> energy = FitEnergy(run.spec, train.item_shape, train.x, run.effective_sigma(), pool);
  if (!energy.ok()) {
    const bool too_many = absl::IsResourceExhausted(energy.status());
    const char* const flag = IsSynthetic(run.flags.source) ? "--points" : "--max_items";
    return absl::InvalidArgumentError(absl::StrCat("--energy: ", energy.status().message(),
                                                   too_many ? absl::StrCat(": ", flag, " takes fewer") : ""));
  }
  if (measurements == 1) return Model::Create(*energy, train.item_shape, run.sigma.value, run.flags.train.seed);
  std::vector<int64_t> shape = {measurements};
  shape.insert(shape.end(), train.item_shape.begin(), train.item_shape.end());
  return Model::Create(JointEnergy(*std::move(energy), measurements, run.sigma.value), autodiff::Shape(shape),
                       run.sigma.value, run.flags.train.seed);
}

// What the model file knows besides the model itself: enough to use it, and to train it again.
std::map<std::string, std::string> Metadata(const Run& run, const TrainOptions& options, double held_out_loss) {
  std::map<std::string, std::string> metadata = {{"neb", kVersion},
                                                 {"data", ToJson(run.flags.source)},
                                                 {"measurements", absl::StrCat(options.measurements)},
                                                 {"training_items", absl::StrCat(run.data.train.size())},
                                                 {"held_out_items", absl::StrCat(run.data.held_out.size())},
                                                 {"held_out_loss", absl::StrFormat("%.9g", held_out_loss)}};
  if (!IsFitted(run.spec)) {
    metadata.insert({{"steps", absl::StrCat(options.steps)},
                     {"batch", absl::StrCat(options.batch)},
                     {"learning_rate", absl::StrCat(options.learning_rate)},
                     {"ema_decay", absl::StrCat(options.adam.ema_decay)},
                     {"clip_norm", absl::StrCat(options.adam.clip_norm)},
                     {"far_fraction", absl::StrCat(options.far_fraction)},
                     {"inner_fraction", absl::StrCat(options.inner_fraction)}});
  }
  return metadata;
}

Json Settings(const Run& run, const TrainOptions& options, int threads) {
  const autodiff::Shape& shape = run.data.train.item_shape;
  Json settings = {{"command", "train"},
                   {"neb", kVersion},
                   {"data", Json::parse(ToJson(run.flags.source))},
                   {"item_shape", std::vector<int64_t>(shape.begin(), shape.end())},
                   {"training_items", run.data.train.size()},
                   {"held_out_items", run.data.held_out.size()},
                   {"energy", Json::parse(ToJson(run.spec))},
                   {"sigma", run.sigma.value},
                   {"sigma_from", run.sigma.why.empty() ? "--sigma" : run.sigma.why},
                   {"measurements", options.measurements},
                   {"seed", options.seed},
                   {"threads", threads}};
  if (!IsFitted(run.spec)) {
    settings.update({{"steps", options.steps},
                     {"batch", options.batch},
                     {"learning_rate", options.learning_rate},
                     {"warmup", options.warmup},
                     {"ema_decay", options.adam.ema_decay},
                     {"clip_norm", options.adam.clip_norm},
                     {"far_fraction", options.far_fraction},
                     {"inner_fraction", options.inner_fraction}});
  }
  return settings;
}

absl::Status WriteImage(const std::string& path, const absl::StatusOr<Image>& image) {
  return image.ok() ? WritePng(path, *image) : image.status();
}

// The pictures, and their names as the last line lists them.
absl::StatusOr<std::string> DrawPictures(const Run& run, const RunFolder& out, const TrainOptions& options,
                                         const TrainResult& result, const std::vector<Reference>& references,
                                         Model& model) {
  const std::string title = absl::StrFormat("%s, σ = %.4g", ShortName(run.flags.source), model.sigma());
  std::vector<std::string> names;
  absl::Status s;
  const auto write = [&](const char* name, const absl::StatusOr<Image>& image) {
    names.emplace_back(name);
    s.Update(WriteImage(out.Path(name), image));
  };
  if (IsPicture(run.data.train.item_shape)) {
    write("denoise.png", DenoiseGrid(model, run.data.held_out, {.seed = options.seed, .pool = options.pool}));
  } else if (model.d() == 2) {
    const PlanePictureOptions look{.title = title, .seed = options.seed, .pool = options.pool};
    write("energy.png", EnergyPicture(model, run.data.held_out.x, look));
    write("basins.png", BasinsPicture(model, run.data.held_out.x, look));
  }
  if (!IsFitted(run.spec)) {
    write("loss.png",
          LossCurve(result.history, references,
                    {.title = title, .item = ItemName(run.data.train), .far_samples = options.far_fraction > 0}));
  }
  if (!s.ok()) return s;
  if (names.size() < 2) return names.empty() ? "model.safetensors" : names[0];
  const std::string last = names.back();
  names.pop_back();
  return absl::StrCat(absl::StrJoin(names, ", "), " and ", last);
}

void PrintLosses(const Run& run, double loss, const std::vector<Reference>& references) {
  const int64_t d = run.data.train.item_shape.num_elements();
  std::printf("Held-out loss per %s, ‖x − x̂‖² summed over %lld %s, mean of all %lld %ss:\n",
              ItemName(run.data.train).c_str(), static_cast<long long>(d),
              IsPicture(run.data.train.item_shape) ? "pixels" : "coordinates",
              static_cast<long long>(run.data.held_out.size()), ItemName(run.data.train).c_str());
  std::fputs(LossTable(loss, references).c_str(), stdout);
}

// As many as fit, or those of the run that is resumed: the machine may be faster or slower by now.
absl::StatusOr<int64_t> StepsInMinutes(double minutes, const Model& model, const Tensor& x, const TrainOptions& options,
                                       const RunFolder& out) {
  if (absl::GetFlag(FLAGS_resume)) {
    const absl::StatusOr<TensorFile> checkpoint = ReadSafetensors(CheckpointFile(out));
    if (checkpoint.ok()) return StepsOf(*checkpoint);
    if (!absl::IsNotFound(checkpoint.status())) return checkpoint.status();
  }
  const absl::StatusOr<double> seconds = SecondsPerStep(model, x, options);
  if (!seconds.ok()) return seconds.status();
  const int64_t steps = StepsWithin(60 * minutes, *seconds);
  std::printf("%.3g ms a step: %lld steps in about %s\n", 1e3 * *seconds, static_cast<long long>(steps),
              HumanDuration(60 * minutes).c_str());
  return steps;
}

// The training; of a fitted energy there is none, and the folder gets its settings only.
absl::StatusOr<TrainResult> TrainOrFit(const Run& run, const TrainOptions& options, const RunFolder& out,
                                       Model& model) {
  const Json settings = Settings(run, options, options.pool->threads());
  if (IsFitted(run.spec)) {
    if (absl::Status s = out.WriteSettings(settings); !s.ok()) return s;
    return TrainResult();
  }
  return TrainInFolder(model, run.data, options,
                       {.out = out,
                        .settings = settings,
                        .items = ItemName(run.data.train) + "s",
                        .metadata = {{"energy", ToJson(run.spec)}},
                        .checkpoint_seconds = absl::GetFlag(FLAGS_checkpoint_seconds),
                        .resume = absl::GetFlag(FLAGS_resume),
                        .save = [&](const Progress& p) {
                          return SaveModel(out.Path("model.safetensors"), model, run.spec,
                                           Metadata(run, options, p.held_out_loss));
                        }});
}

absl::Status RunTrain(const std::vector<std::string>& arguments) {
  if (!arguments.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument \"", arguments[0], "\""));
  }
  absl::StatusOr<Flags> flags = ReadFlags();
  if (!flags.ok()) return flags.status();
  const absl::StatusOr<int> threads = ThreadsFlag();
  if (!threads.ok()) return threads.status();
  absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(flags->source);
  if (!data.ok()) return data.status();
  Run run{.flags = *std::move(flags), .data = *std::move(data), .sigma = {}, .spec = {}};
  const Dataset& train = run.data.train;
  autodiff::ThreadPool pool(*threads);

  absl::StatusOr<Sigma> sigma = DecideSigma(run.flags, train, &pool);
  if (!sigma.ok()) return sigma.status();
  run.sigma = *std::move(sigma);
  absl::StatusOr<EnergySpec> spec = ParseEnergySpec(!run.flags.energy.empty()     ? run.flags.energy
                                                    : IsPicture(train.item_shape) ? "residual_conv"
                                                                                  : "mlp");
  if (!spec.ok()) return spec.status();
  run.spec = *std::move(spec);
  for (const bool given : {absl::GetFlag(FLAGS_resume), run.flags.minutes > 0}) {
    if (!given || !IsFitted(run.spec)) continue;
    return absl::InvalidArgumentError(absl::StrCat("--resume and --minutes are for energies that are trained; ",
                                                   ToJson(run.spec), " is fitted, not trained"));
  }
  absl::StatusOr<Model> model = CreateModel(run, &pool);
  if (!model.ok()) return model.status();

  TrainOptions options = run.flags.train;
  options.pool = &pool;
  // Points are cheap to measure, and may be sorted.
  if (!IsPicture(train.item_shape)) options.held_out_samples = run.data.held_out.size();
  options.far_fraction = IsPicture(train.item_shape) ? kImageFarFraction : 0;
  if (run.flags.far_fraction != "auto" && !absl::SimpleAtod(run.flags.far_fraction, &options.far_fraction)) {
    return absl::InternalError("--far_fraction was checked");
  }
  const std::string out_flag = absl::GetFlag(FLAGS_out);
  const absl::StatusOr<RunFolder> out = RunFolder::Create(
      UserPath(out_flag.empty() ? "runs/" + ShortName(run.flags.source) : out_flag), absl::GetFlag(FLAGS_resume));
  if (!out.ok()) return out.status();

  std::printf("%s: %lld training and %lld held-out %ss of %s\n", train.name.c_str(),
              static_cast<long long>(train.size()), static_cast<long long>(run.data.held_out.size()),
              ItemName(train).c_str(), train.item_shape.ToString().c_str());
  std::printf("σ = %.4g%s\n", run.sigma.value, run.sigma.why.empty() ? "" : (", " + run.sigma.why).c_str());
  if (options.measurements > 1) {
    std::printf("%lld measurements of each %s: together as good as one at σ/√%lld = %.4g\n",
                static_cast<long long>(options.measurements), ItemName(train).c_str(),
                static_cast<long long>(options.measurements), run.effective_sigma());
  }
  std::printf(
      "%s, %s; %d thread%s\n", ToJson(run.spec).c_str(),
      IsFitted(run.spec) ? "fitted to the data" : absl::StrCat(model->params().num_trainable(), " parameters").c_str(),
      pool.threads(), pool.threads() == 1 ? "" : "s");
  if (run.flags.minutes > 0) {
    const absl::StatusOr<int64_t> steps = StepsInMinutes(run.flags.minutes, *model, train.x, options, *out);
    if (!steps.ok()) return steps.status();
    options.steps = *steps;
  }
  std::fflush(stdout);

  const absl::StatusOr<TrainResult> result = TrainOrFit(run, options, *out, *model);
  if (!result.ok()) return result.status();
  const absl::StatusOr<double> loss =
      MeasureLoss(*model, run.data.held_out.x, run.data.held_out.size(), options.seed, &pool, options.measurements);
  if (!loss.ok()) return loss.status();
  absl::Status saved = SaveModel(out->Path("model.safetensors"), *model, run.spec, Metadata(run, options, *loss));
  if (!saved.ok()) return saved;
  const absl::StatusOr<std::vector<Reference>> references =
      References(run.data, run.flags.source, run.effective_sigma(), &pool);
  if (!references.ok()) return references.status();
  const absl::StatusOr<std::string> pictures = DrawPictures(run, *out, options, *result, *references, *model);
  if (!pictures.ok()) return pictures.status();

  PrintLosses(run, *loss, *references);
  if (!IsFitted(run.spec)) std::printf("Trained for %s. ", HumanDuration(result->seconds).c_str());
  std::printf("See %s in\n  %s\nNext: neb sample %s\n", pictures->c_str(), out->Path("").c_str(),
              out->Path("").c_str());
  return absl::OkStatus();
}

}  // namespace

const Command kTrain = {
    .name = "train",
    .arguments = "",
    .summary = "learns the energy of images or points",
    .description =
        "Adds noise of level σ to the data and learns the energy φ whose estimate x̂(y) = y − σ²∇φ(y) takes it off\n"
        "again. Writes to --out (by default runs/ and the name of the data)\n\n"
        "  model.safetensors       the model, for the other commands\n"
        "  settings.json           all settings;  metrics.jsonl: losses, a line every 100 steps\n"
        "  checkpoint.safetensors  for --resume, should the run be stopped\n"
        "  loss.png                the losses as curves\n"
        "  denoise.png             of images: held-out ones, clean, noisy, and x̂\n"
        "  energy.png              of points in the plane: φ, the way down, data, attractors;  basins.png: descents\n\n"
        "  neb train                                              Fashion-MNIST (Debian's dataset-fashion-mnist)\n"
        "  neb train --data=photos/ --size=32 --energy=residual_conv --minutes=30 --out=runs/photos\n"
        "  neb train --data=two_moons --sigma=0.15\n"
        "  neb train --data=two_moons --energy=kernel_density     fitted, not trained: no metrics, loss.png, "
        "checkpoint",
    .files = {"neb/cli/train.cc", kDataFlags, kCommonFlags},
    .run = RunTrain};

}  // namespace neb
