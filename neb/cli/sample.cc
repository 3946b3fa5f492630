// neb sample: walks on a model's energy, and jumps.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/data_flags.h"
#include "neb/cli/items.h"
#include "neb/cli/judge.h"
#include "neb/cli/model_data.h"
#include "neb/cli/opened_model.h"
#include "neb/cli/run_folder.h"
#include "neb/cli/sample_pictures.h"
#include "neb/file.h"
#include "neb/image.h"
#include "neb/neb.h"
#include "neb/npy.h"
#include "neb/read_data.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(int64_t, chains, 0, "chains that walk side by side; 0: 10, or as many as the file of --start holds");
ABSL_FLAG(int64_t, burn_in, 500, "iterations that are not looked at; mala adapts its step in them");
ABSL_FLAG(int64_t, iterations, 2000, "iterations after those");
ABSL_FLAG(int64_t, jump_every, 20, "iterations from one jump to the next");
ABSL_FLAG(int64_t, keep_every, 10, "iterations from one look at y and φ to the next; see --stream");
ABSL_FLAG(std::string, sampler, "ula", "ula, mala, baoab, aboba or half-denoising");
ABSL_FLAG(double, step_size, 0, "δ, in the units of the data; 0: σ/2");
ABSL_FLAG(double, friction, 0, "γ of baoab and aboba; 0: 1/δ");
ABSL_FLAG(std::string, start, "noise",
          "noise: U(0, 1) and noise of level σ; data: noisy training samples; or a .npy file of noisy points, one for "
          "each chain");
ABSL_FLAG(bool, stream, false, "also writes y, every --keep_every iterations, to walk.npy while the walk runs");
ABSL_FLAG(bool, judge, true, "compares the jumps with training and held-out data, if the model's file names it");

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kChains = 10;
constexpr int64_t kFilmChains = 3, kFilmFrames = 16;
constexpr size_t kPathPoints = 120;  // of a chain in the plane

struct Plan {
  WalkOptions walk;
  WalkSchedule schedule;
};

absl::StatusOr<Plan> ReadPlan() {
  const absl::StatusOr<Sampler> sampler = ParseSampler(absl::GetFlag(FLAGS_sampler));
  if (!sampler.ok()) return absl::InvalidArgumentError(absl::StrCat("--sampler: ", sampler.status().message()));
  const Plan plan{.walk = {.sampler = *sampler,
                           .step_size = absl::GetFlag(FLAGS_step_size),
                           .friction = absl::GetFlag(FLAGS_friction),
                           .seed = absl::GetFlag(FLAGS_seed)},
                  .schedule = {.burn_in = absl::GetFlag(FLAGS_burn_in),
                               .iterations = absl::GetFlag(FLAGS_iterations),
                               .keep_every = absl::GetFlag(FLAGS_keep_every),
                               .jump_every = absl::GetFlag(FLAGS_jump_every),
                               .energies = true}};
  const WalkSchedule& s = plan.schedule;
  const auto at_least = [](const char* flag, int64_t least, int64_t got) {
    return absl::InvalidArgumentError(absl::StrCat("--", flag, " must be at least ", least, ", got ", got));
  };
  if (absl::GetFlag(FLAGS_chains) < 0) return at_least("chains", 0, absl::GetFlag(FLAGS_chains));
  if (s.burn_in < 0) return at_least("burn_in", 0, s.burn_in);
  if (s.jump_every < 1) return at_least("jump_every", 1, s.jump_every);
  if (s.keep_every < 1) return at_least("keep_every", 1, s.keep_every);
  if (s.iterations < s.jump_every) {
    return absl::InvalidArgumentError(absl::StrCat("--iterations must be at least --jump_every, ", s.jump_every,
                                                   ", or there is no jump; got ", s.iterations));
  }
  for (const auto& [flag, value] : {std::pair{"step_size", plan.walk.step_size}, {"friction", plan.walk.friction}}) {
    if (!(value >= 0) || !std::isfinite(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " must be positive, or 0 for its default; got ", value));
    }
  }
  return plan;
}

absl::StatusOr<Tensor> StartsFromFile(const std::string& path, const Model& model) {
  absl::StatusOr<Dataset> starts = ReadData(UserPath(path));
  if (!starts.ok()) {
    return absl::Status(starts.status().code(),
                        absl::StrCat("--start (noise, data or a file): ", starts.status().message()));
  }
  if (starts->item_shape.num_elements() != model.d()) {
    return absl::InvalidArgumentError(absl::StrCat("--start: ", path, " has points of shape ",
                                                   starts->item_shape.ToString(), ", but the model's are ",
                                                   model.item_shape().ToString()));
  }
  const int64_t chains = absl::GetFlag(FLAGS_chains);
  if (chains != 0 && chains != starts->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--chains=", chains, ", but ", path, " has ", starts->size(), " starts: leave --chains out"));
  }
  return std::move(starts->x);
}

absl::StatusOr<Tensor> Starts(const OpenedModel& opened, const std::optional<ModelData>& data) {
  const std::string start = absl::GetFlag(FLAGS_start);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const int64_t chains = absl::GetFlag(FLAGS_chains) == 0 ? kChains : absl::GetFlag(FLAGS_chains);
  if (start == "noise") return UniformStarts(chains, opened.model, seed);
  if (start != "data") return StartsFromFile(start, opened.model);
  const Dataset& train = data->parts.train;
  if (chains > train.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--start=data: ", chains, " chains, but only ", train.size(), " training samples"));
  }
  Tensor x({chains, opened.item_size()});
  GatherRows(train.x, Batches(train.size(), {.batch_size = chains, .seed = seed}).At(0), x);
  const absl::StatusOr<Tensor> copies = Repeat(x, opened.measurements);
  if (!copies.ok()) return copies.status();
  return NoisyStarts(*copies, opened.model, seed);
}

// What a walk leaves in memory. d: of an item; the walk's points are M of them side by side.
struct Seen {
  std::vector<float> jumps;  // [jumps, chains, d]
  std::vector<int64_t> jumps_at;
  Chains energies;  // φ, [chains][kept]
  std::vector<int64_t> energies_at;
  WalkFrames film;
  std::vector<float> path;  // of the first chain, its last kPathPoints points at most; of models in the plane
  double seconds = 0;
};

// Null for NaN, which JSON has not.
Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// `samples`: the file of the jumps.
absl::Status See(Walk& walk, const Snapshot& s, const OpenedModel& opened, const RunFolder& folder, NpyWriter& samples,
                 Seen& seen) {
  const auto chains = static_cast<size_t>(walk.y().shape()[0]), d = static_cast<size_t>(opened.item_size());
  if (s.y != nullptr) {
    seen.energies.resize(chains);
    for (size_t c = 0; c < chains; ++c) seen.energies[c].push_back(s.energy[c]);
    seen.energies_at.push_back(s.iteration);
    if (d == 2) {
      const absl::StatusOr<Tensor> mean = MeanOfMeasurements(RowsOf(walk.noisy(), 0, 1), opened.measurements);
      if (!mean.ok()) return mean.status();
      const std::span<const float> first = mean->data<float>();
      seen.path.insert(seen.path.end(), first.begin(), first.end());
      if (seen.path.size() > d * kPathPoints) {
        seen.path.erase(seen.path.begin(), seen.path.begin() + static_cast<std::ptrdiff_t>(d));
      }
    }
  }
  if (s.x_hat == nullptr) return absl::OkStatus();
  const absl::StatusOr<Tensor> jumps = MeanOfMeasurements(*s.x_hat, opened.measurements);
  if (!jumps.ok()) return jumps.status();
  autodiff::Shape shape{static_cast<int64_t>(chains)};
  for (const int64_t extent : opened.item_shape) shape.push_back(extent);
  if (absl::Status written = samples.Append(jumps->Reshaped(shape)); !written.ok()) return written;
  const std::span<const float> x_hat = jumps->data<float>(), y = walk.noisy().data<float>();
  seen.jumps.insert(seen.jumps.end(), x_hat.begin(), x_hat.end());
  seen.jumps_at.push_back(s.iteration);
  if (static_cast<int64_t>(seen.film.iterations.size()) < kFilmFrames) {
    seen.film.chains = std::min(kFilmChains, static_cast<int64_t>(chains));
    const size_t count = static_cast<size_t>(seen.film.chains) * d;
    seen.film.iterations.push_back(s.iteration);
    for (int64_t c = 0; c < seen.film.chains; ++c) {  // of several measurements, the first
      const std::span<const float> first = y.subspan(static_cast<size_t>(c * opened.model.d()), d);
      seen.film.y.insert(seen.film.y.end(), first.begin(), first.end());
    }
    seen.film.x_hat.insert(seen.film.x_hat.end(), x_hat.begin(), x_hat.begin() + static_cast<std::ptrdiff_t>(count));
  }
  std::vector<float> energy(chains);
  if (absl::Status e = walk.Evaluate({.energy = energy}); !e.ok()) return e;
  Json line = {{"iteration", s.iteration}, {"energy", energy}};
  if (const double acceptance = walk.mean_acceptance(); std::isfinite(acceptance)) line["acceptance"] = acceptance;
  return folder.AppendMetrics(line);
}

// The diagnostics of φ along the chains, printed and for summary.json.
absl::StatusOr<Json> Diagnose(const Walk& walk, const Plan& plan, const Seen& seen) {
  const int64_t chains = walk.y().shape()[0];
  const auto iterations = static_cast<double>(plan.schedule.burn_in + plan.schedule.iterations);
  const double ms = 1e3 * seen.seconds / iterations;
  absl::PrintF("%d chains of %s, δ = %.4g: %d iterations, %.3g ms each, jumps and φ included\n", chains,
               Name(plan.walk.sampler), walk.step_size(), static_cast<int64_t>(iterations), ms);
  Json json = {
      {"chains", chains}, {"jumps", seen.jumps_at.size()}, {"step_size", walk.step_size()}, {"ms_per_iteration", ms}};
  if (const double acceptance = walk.mean_acceptance(); std::isfinite(acceptance)) {
    absl::PrintF("  accepted %.1f %% of the proposals\n", 100 * acceptance);
    json["acceptance"] = acceptance;
  }
  if (seen.energies_at.size() < 4) {
    absl::PrintF("  fewer than 4 looks at φ: no diagnostics\n");
    return json;
  }
  const absl::StatusOr<ChainSummary> phi = Summarise(seen.energies);
  if (!phi.ok()) return phi.status();
  absl::PrintF("  φ: mean %.5g, standard deviation %.3g; %.0f effective of %d draws; split R-hat %.3f%s\n", phi->mean,
               phi->stddev, phi->bulk_effective_samples, chains * static_cast<int64_t>(seen.energies_at.size()),
               phi->r_hat, phi->r_hat > 1.05 ? " (chains differ: walk longer)" : "");
  json["phi"] = {{"mean", Number(phi->mean)},
                 {"stddev", Number(phi->stddev)},
                 {"effective_samples", Number(phi->effective_samples)},
                 {"bulk_effective_samples", Number(phi->bulk_effective_samples)},
                 {"tail_effective_samples", Number(phi->tail_effective_samples)},
                 {"autocorrelation_time_iterations",
                  Number(phi->autocorrelation_time * static_cast<double>(plan.schedule.keep_every))},
                 {"split_r_hat", Number(phi->r_hat)}};
  return json;
}

absl::Status WriteImage(const std::string& path, const absl::StatusOr<Image>& image) {
  return image.ok() ? WritePng(path, *image) : image.status();
}

absl::Status WritePictures(const RunFolder& folder, OpenedModel& opened, const Tensor& jumps, const Seen& seen,
                           autodiff::ThreadPool* pool) {
  Model& model = opened.model;
  absl::Status s;
  if (seen.energies_at.size() >= 2) {
    s.Update(WriteImage(
        folder.Path("energy.png"),
        EnergyTrace(seen.energies, seen.energies_at, absl::StrFormat("φ along the walk, σ = %.4g", model.sigma()))));
  }
  if (IsPicture(opened.item_shape)) {
    s.Update(WriteImage(folder.Path("samples.png"), JumpsGrid(jumps, opened.item_shape, seen.jumps_at)));
    s.Update(WriteImage(folder.Path("walk.png"), WalkFilm(seen.film, opened.item_shape)));
  } else if (opened.item_size() == 2 && !seen.path.empty()) {
    const Tensor path = Tensor::From<float>({static_cast<int64_t>(seen.path.size() / 2), 2}, seen.path);
    s.Update(WriteImage(folder.Path("samples.png"),
                        PlaneWalk(model, jumps.Reshaped({jumps.num_elements() / 2, 2}), path, pool)));
  }
  return s;
}

Json Settings(const OpenedModel& opened, const Plan& plan, const Walk& walk) {
  return {{"command", "sample"},
          {"model", opened.path},
          {"sigma", opened.model.sigma()},
          {"data", absl::GetFlag(FLAGS_data)},
          {"chains", walk.y().shape()[0]},
          {"burn_in", plan.schedule.burn_in},
          {"iterations", plan.schedule.iterations},
          {"jump_every", plan.schedule.jump_every},
          {"keep_every", plan.schedule.keep_every},
          {"sampler", Name(plan.walk.sampler)},
          {"step_size", walk.step_size()},
          {"friction", plan.walk.friction},
          {"start", absl::GetFlag(FLAGS_start)},
          {"stream", absl::GetFlag(FLAGS_stream)},
          {"judge", absl::GetFlag(FLAGS_judge)},
          {"seed", plan.walk.seed}};
}

// The data, when something needs it. What only the model's file names, and cannot be read any more, is no error unless
// the walk starts there: `why_not` says what happened.
absl::StatusOr<std::optional<ModelData>> DataIfNeeded(const OpenedModel& opened, std::string& why_not) {
  const bool starts = absl::GetFlag(FLAGS_start) == "data";
  if (starts) {
    absl::StatusOr<ModelData> data = RequireModelData(opened);
    if (!data.ok()) return absl::Status(data.status().code(), absl::StrCat("--start=data: ", data.status().message()));
    return *std::move(data);
  }
  if (!absl::GetFlag(FLAGS_judge)) return std::nullopt;
  absl::StatusOr<std::optional<ModelData>> data = ReadModelData(opened);
  if (data.ok() && !data->has_value()) why_not = "the model's file names no data; --data gives it";
  if (data.ok() || !absl::GetFlag(FLAGS_data).empty()) return data;
  why_not = std::string(data.status().message());
  return std::nullopt;
}

absl::Status RunSample(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected one model, as `neb sample runs/mnist`, got ", arguments.size(), " arguments"));
  }
  absl::StatusOr<Plan> plan = ReadPlan();
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<int> threads = ThreadsFlag();
  if (!threads.ok()) return threads.status();
  absl::StatusOr<OpenedModel> opened = OpenModel(arguments[0]);
  if (!opened.ok()) return opened.status();
  std::string why_not;
  const absl::StatusOr<std::optional<ModelData>> data = DataIfNeeded(*opened, why_not);
  if (!data.ok()) return data.status();
  absl::StatusOr<Tensor> starts = Starts(*opened, *data);
  if (!starts.ok()) return starts.status();
  autodiff::ThreadPool pool(*threads);
  plan->walk.pool = &pool;
  Model& model = opened->model;
  absl::StatusOr<Walk> walk = Walk::Create(model, *std::move(starts), plan->walk);
  if (!walk.ok()) return walk.status();
  const absl::StatusOr<RunFolder> folder = OutFolder(*opened, "sample");
  if (!folder.ok()) return folder.status();
  if (absl::Status s = folder->WriteSettings(Settings(*opened, *plan, *walk)); !s.ok()) return s;

  Seen seen;
  const auto begin = std::chrono::steady_clock::now();
  const StreamFiles files{.y = absl::GetFlag(FLAGS_stream) ? folder->Path("walk.npy") : "",
                          .x_hat = "",  // its mean over the measurements is written here
                          .item_shape = model.item_shape()};
  autodiff::Shape jump_shape{walk->y().shape()[0]};
  for (const int64_t extent : opened->item_shape) jump_shape.push_back(extent);
  absl::StatusOr<NpyWriter> samples = NpyWriter::Create(folder->Path("samples.npy"), jump_shape);
  if (!samples.ok()) return samples.status();
  absl::Status s = StreamTrajectory(*walk, plan->schedule, files, [&](const Snapshot& snapshot) {
    return See(*walk, snapshot, *opened, *folder, *samples, seen);
  });
  s.Update(samples->Close());
  if (absl::IsFailedPrecondition(s)) {
    return absl::FailedPreconditionError(
        absl::StrCat(s.message(), "; a smaller --step_size than ", walk->step_size(), " or --start=data may help"));
  }
  if (!s.ok()) return s;
  seen.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  absl::StatusOr<Json> summary = Diagnose(*walk, *plan, seen);
  if (!summary.ok()) return summary.status();
  const Tensor jumps = Tensor::From<float>(
      {static_cast<int64_t>(seen.jumps_at.size()), walk->y().shape()[0], opened->item_size()}, seen.jumps);
  if (data->has_value() && absl::GetFlag(FLAGS_judge)) {
    const absl::StatusOr<Judgement> judged = JudgeJumps(jumps, **data, {.pool = &pool});
    if (!judged.ok()) return judged.status();
    PrintJudgement(*judged);
    (*summary)["judged"] = ToJson(*judged);
    s.Update(WriteFile(folder->Path("labels.csv"), LabelsCsv(*judged, seen.jumps_at)));
  } else if (!why_not.empty()) {
    absl::PrintF("Not judged: %s\n", why_not);
  }
  s.Update(WriteFile(folder->Path("summary.json"), summary->dump(2) + "\n"));
  s.Update(WritePictures(*folder, *opened, jumps, seen, &pool));
  if (s.ok()) absl::PrintF("Wrote %s\n", folder->Path(""));
  return s;
}

}  // namespace

const Command kSample = {
    .name = "sample",
    .arguments = "MODEL",
    .summary = "walks on the energy, jumps to samples, and judges them",
    .description =
        "Langevin chains walk among noisy points y; each jump x̂(y) is a sample. MODEL: a run's folder or model file.\n"
        "Of a model of M measurements the walk has all M, a jump is the mean of their estimates.\n"
        "If the data can be found (the model's file says where), the jumps are compared with training and held-out\n"
        "samples; with MNIST's labels beside the images, each jump gets the label of its 5 nearest training images.\n"
        "Writes into --out (MODEL's folder, sample/):\n"
        "  samples.png    images: jumps by chain and iteration; in the plane: φ, jumps, a chain's path\n"
        "  walk.png       images: the noisy walk above its jumps;  energy.png: φ along the chains\n"
        "  samples.npy    the jumps, [jumps, chains, ...];  walk.npy: y, with --stream\n"
        "  labels.csv     of each jump: label, nearest training sample, its distance\n"
        "  metrics.jsonl  of each jump: iteration, φ of all chains;  summary.json: what was printed\n\n"
        "  neb sample runs/mnist\n"
        "  neb sample runs/mnist --chains=1 --iterations=20000 --sampler=baoab --start=data",
    .files = {"neb/cli/sample.cc", kDataFlags, kCommonFlags},
    .run = RunSample};

}  // namespace neb
