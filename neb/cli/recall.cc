// neb recall: stored samples, damaged, and what descents on the energy make of them (NEBULA).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/attractors.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/damages.h"
#include "neb/cli/data_flags.h"
#include "neb/cli/descent_report.h"
#include "neb/cli/items.h"
#include "neb/cli/model_data.h"
#include "neb/cli/opened_model.h"
#include "neb/cli/plane_picture.h"
#include "neb/cli/run_folder.h"
#include "neb/file.h"
#include "neb/image.h"
#include "neb/image_grid.h"
#include "neb/known_energies.h"
#include "neb/nebula.h"
#include "neb/npy.h"
#include "neb/stability.h"
#include "neb/statistics.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(int64_t, stored, 100, "samples to recall, evenly spaced among the training data");
ABSL_FLAG(std::vector<std::string>, noise, std::vector<std::string>({"0", "1", "2"}),
          "descents start from samples with noise of these multiples of the model's σ; 0: from the samples themselves");
ABSL_FLAG(std::vector<std::string>, occlude, std::vector<std::string>({}),
          "and from samples of which a part is hidden: left, right, top, bottom; half: a random half of the pixels");
ABSL_FLAG(double, within, 0,
          "a sample counts as recalled when the attractor is at most so far away, Euclidean; 0: half the median "
          "distance of the stored samples to their nearest other one");
ABSL_FLAG(int64_t, stability, 8, "attractors whose smallest curvature is measured, those of the largest basins");
ABSL_FLAG(bool, exact, true, "also descends on the exact energy of the stored samples, of the same σ");

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

struct Settings {
  int64_t stored;
  int64_t stability;
  double within;
  DamageOptions damages;
};

absl::StatusOr<Settings> ReadSettings() {
  Settings s{.stored = absl::GetFlag(FLAGS_stored),
             .stability = absl::GetFlag(FLAGS_stability),
             .within = absl::GetFlag(FLAGS_within),
             .damages = {.noise = {}, .occlude = absl::GetFlag(FLAGS_occlude), .seed = absl::GetFlag(FLAGS_seed)}};
  if (s.stored < 1) return absl::InvalidArgumentError(absl::StrCat("--stored must be at least 1, got ", s.stored));
  if (s.stability < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--stability must be at least 0, got ", s.stability));
  }
  if (!(s.within >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("--within must be a distance, or 0; got ", s.within));
  }
  for (const std::string& text : absl::GetFlag(FLAGS_noise)) {
    double multiple = 0;
    if (!absl::SimpleAtod(text, &multiple)) {
      return absl::InvalidArgumentError(absl::StrCat("--noise takes numbers, as 0,1,2; got \"", text, "\""));
    }
    s.damages.noise.push_back(multiple);
  }
  if (s.damages.noise.empty() && s.damages.occlude.empty()) {
    return absl::InvalidArgumentError("nothing to recall from: give --noise or --occlude");
  }
  return s;
}

// Half the median distance of the rows to their nearest other row.
absl::StatusOr<double> DefaultWithin(const Tensor& x) {
  const int64_t n = x.shape()[0];
  const auto row = [&, d = static_cast<size_t>(x.shape()[1])](int64_t i) {
    return x.data<float>().subspan(static_cast<size_t>(i) * d, d);
  };
  std::vector<double> nearest;
  for (int64_t i = 0; i < n; ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < n; ++j) {
      if (j != i) least = std::min(least, SquaredDistance(row(i), row(j)));
    }
    nearest.push_back(least);
  }
  std::nth_element(nearest.begin(), nearest.begin() + n / 2, nearest.end());
  const double within = std::sqrt(nearest[static_cast<size_t>(n / 2)]) / 2;
  if (within > 0 && std::isfinite(within)) return within;
  return absl::InvalidArgumentError("one stored sample, or equal ones, do not say what is near: give --within");
}

// One row of the table, and of metrics.jsonl.
absl::Status Report(const char* energy, const Damage& damage, const Descents& ends, const Tensor& stored, double within,
                    double sigma, const RunFolder& folder) {
  std::vector<int64_t> intended(static_cast<size_t>(stored.shape()[0]));
  std::iota(intended.begin(), intended.end(), int64_t{0});
  const absl::StatusOr<Recall> close = MeasureRecall(ends.y, stored, intended, within);
  if (!close.ok()) return close.status();
  const absl::StatusOr<Recall> nearest =
      MeasureRecall(ends.y, stored, intended, std::numeric_limits<double>::infinity());
  if (!nearest.ok()) return nearest.status();
  const absl::StatusOr<Clusters> found = ClusterAttractors(ends, sigma);
  if (!found.ok()) return found.status();
  double iterations = 0;
  for (const Descent& row : ends.rows) {
    iterations += static_cast<double>(row.iterations) / static_cast<double>(ends.rows.size());
  }
  // The padding of printf counts bytes, and σ has two.
  const int width = damage.name.find("σ") == std::string::npos ? 14 : 15;
  absl::PrintF("  %-8s %-*s %6.1f %%  %6.1f %%  %10d  %10.1f  %s\n", energy, width, damage.name, 100 * close->rate,
               100 * nearest->rate, found->clusters.size(), iterations, OutcomeSummary(ends));
  std::fflush(stdout);
  Json line = {{"energy", energy},
               {"damage", damage.name},
               {"recalled", close->rate},
               {"nearest", nearest->rate},
               {"attractors", found->clusters.size()},
               {"iterations", iterations}};
  for (const Outcome outcome : kOutcomes) line[Name(outcome)] = CountOf(ends, outcome);
  return folder.AppendMetrics(line);
}

// All descents of the learned energy as one.
Descents Joined(std::vector<Descents> parts, int64_t d) {
  std::vector<float> y;
  Descents all;
  for (Descents& part : parts) {
    y.insert(y.end(), part.y.data<float>().begin(), part.y.data<float>().end());
    std::move(part.rows.begin(), part.rows.end(), std::back_inserter(all.rows));
  }
  all.y = Tensor::From<float>({static_cast<int64_t>(all.rows.size()), d}, y);
  return all;
}

// The attractors of all descents: printed, and written as attractors.npy and into summary.json.
absl::StatusOr<Tensor> ReportAttractors(Model& model, const Descents& all, int64_t stability, const RunFolder& folder,
                                        autodiff::ThreadPool* pool) {
  const absl::StatusOr<Clusters> found = ClusterAttractors(all, model.sigma());
  if (!found.ok()) return found.status();
  const std::vector<Cluster>& clusters = found->clusters;
  std::vector<int64_t> representatives;
  for (const Cluster& cluster : clusters) representatives.push_back(cluster.representative);
  const auto count = static_cast<int64_t>(clusters.size());
  Tensor attractors({count, model.d()});
  GatherRows(all.y, representatives, attractors);
  const int64_t measured = std::min(stability, count);
  const absl::StatusOr<std::vector<Spectrum>> spectra =
      ExtremeCurvatures(model, RowsOf(attractors, 0, measured), {.pool = pool});
  if (!spectra.ok()) return spectra.status();

  const double unit = model.sigma() * model.sigma();
  absl::PrintF("%d attractors of %d descents of the learned energy\n", count, all.rows.size());
  if (measured > 0) absl::PrintF("  %10s  %12s  %s\n", "basin", "φ", "smallest curvature · σ²");
  Json summary = {{"descents", all.rows.size()}, {"attractors", Json::array()}};
  for (int64_t k = 0; k < count; ++k) {
    const Cluster& cluster = clusters[static_cast<size_t>(k)];
    Json one = {{"share", cluster.share}, {"energy", cluster.energy}};
    if (k < measured) {
      const Spectrum& spectrum = (*spectra)[static_cast<size_t>(k)];
      const bool stable = spectrum.smallest > spectrum.error, saddle = spectrum.smallest < -spectrum.error;
      const char* kind = stable ? "stable" : saddle ? "a saddle" : "flat";
      absl::PrintF("  %8.1f %%  %11.5g  %.4f, %s\n", 100 * cluster.share, cluster.energy, unit * spectrum.smallest,
                   kind);
      one["smallest_curvature"] = unit * spectrum.smallest;
      one["kind"] = kind;
    }
    summary["attractors"].push_back(one);
  }
  autodiff::Shape shape{count};
  for (const int64_t extent : model.item_shape()) shape.push_back(extent);
  absl::Status s = WriteNpy(folder.Path("attractors.npy"), attractors.Reshaped(shape));
  s.Update(WriteFile(folder.Path("summary.json"), summary.dump(2) + "\n"));
  if (!s.ok()) return s;
  return attractors;
}

absl::Status WriteImage(const std::string& path, const absl::StatusOr<Image>& image) {
  return image.ok() ? WritePng(path, *image) : image.status();
}

// A few descents of each damage as strips of film.
absl::StatusOr<Image> Film(Model& model, const std::vector<Damage>& damages, const Tensor& stored,
                           autodiff::ThreadPool* pool) {
  const int64_t each =
      std::min({std::max<int64_t>(1, 12 / static_cast<int64_t>(damages.size())), int64_t{4}, stored.shape()[0]});
  std::vector<float> starts, originals;
  DescentFilmOptions options{.title = absl::StrFormat("Descents by time of the flow, σ = %.4g", model.sigma())};
  for (const Damage& damage : damages) {
    for (const auto& [from, to] : {std::pair{&damage.start, &starts}, {&stored, &originals}}) {
      const std::span<const float> few = from->data<float>().first(static_cast<size_t>(each * model.d()));
      to->insert(to->end(), few.begin(), few.end());
    }
    options.row_labels.insert(options.row_labels.end(), static_cast<size_t>(each), damage.name);
  }
  const int64_t rows = each * static_cast<int64_t>(damages.size());
  const absl::StatusOr<Descents> ends =
      Descend(model, Tensor::From<float>({rows, model.d()}, starts), {.path_every = 1, .pool = pool});
  if (!ends.ok()) return ends.status();
  return DescentFilm(*ends, Tensor::From<float>({rows, model.d()}, originals), model, options);
}

absl::Status WritePictures(Model& model, const std::vector<Damage>& damages, const Tensor& stored,
                           const Tensor& attractors, const RunFolder& folder, autodiff::ThreadPool* pool) {
  if (model.d() == 2) {
    const PlanePictureOptions look{
        .title = absl::StrFormat("σ = %.4g", model.sigma()), .seed = absl::GetFlag(FLAGS_seed), .pool = pool};
    return WriteImage(folder.Path("basins.png"), BasinsPicture(model, stored, look));
  }
  if (!IsPicture(model.item_shape())) return absl::OkStatus();
  absl::Status s = WriteImage(folder.Path("film.png"), Film(model, damages, stored, pool));
  const int64_t shown = std::min<int64_t>(100, attractors.shape()[0]), columns = std::min<int64_t>(20, shown);
  if (shown == 0) return s;  // nothing converged
  s.Update(WriteImage(
      folder.Path("attractors.png"),
      Grid(RowsOf(attractors, 0, shown), model.item_shape(), static_cast<int>((shown + columns - 1) / columns),
           static_cast<int>(columns), {.title = "Attractors, those of the largest basins first"})));
  return s;
}

absl::Status RunRecall(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected one model, as `neb recall runs/mnist`, got ", arguments.size(), " arguments"));
  }
  absl::StatusOr<Settings> settings = ReadSettings();
  if (!settings.ok()) return settings.status();
  const absl::StatusOr<int> threads = ThreadsFlag();
  if (!threads.ok()) return threads.status();
  absl::StatusOr<OpenedModel> opened = OpenModel(arguments[0]);
  if (!opened.ok()) return opened.status();
  if (opened->measurements > 1) {
    return absl::UnimplementedError(absl::StrCat(opened->path, ": a model of ", opened->measurements,
                                                 " measurements; `neb recall` takes models of one"));
  }
  Model& model = opened->model;
  const absl::StatusOr<ModelData> data = RequireModelData(*opened);
  if (!data.ok()) return data.status();
  const Tensor stored = EvenRows(data->parts.train.x, settings->stored);
  if (settings->within == 0) {
    const absl::StatusOr<double> within = DefaultWithin(stored);
    if (!within.ok()) return within.status();
    settings->within = *within;
  }
  const absl::StatusOr<std::vector<Damage>> damages = MakeDamages(settings->damages, stored, model);
  if (!damages.ok()) return damages.status();
  absl::StatusOr<Model> exact =
      Model::Create(KernelDensityEnergy(stored, model.sigma()), model.item_shape(), model.sigma());
  if (!exact.ok()) return exact.status();
  autodiff::ThreadPool pool(*threads);
  const absl::StatusOr<RunFolder> folder = OutFolder(*opened, "recall");
  if (!folder.ok()) return folder.status();
  const bool with_exact = absl::GetFlag(FLAGS_exact);
  absl::Status s = folder->WriteSettings({{"command", "recall"},
                                          {"model", opened->path},
                                          {"sigma", model.sigma()},
                                          {"data", absl::GetFlag(FLAGS_data)},
                                          {"stored", stored.shape()[0]},
                                          {"noise", settings->damages.noise},
                                          {"occlude", settings->damages.occlude},
                                          {"within", settings->within},
                                          {"stability", settings->stability},
                                          {"exact", with_exact},
                                          {"seed", settings->damages.seed}});
  if (!s.ok()) return s;

  absl::PrintF("%d samples of %s, σ = %.4g. Recalled: the attractor is within %.4g of the sample that was damaged.\n",
               stored.shape()[0], model.item_shape().ToString(), model.sigma(), settings->within);
  absl::PrintF("  %-8s %-14s %8s  %8s  %10s  %10s  %s\n", "energy", "damage", "recalled", "nearest", "attractors",
               "iterations", "outcomes");
  std::vector<Descents> learned;
  for (const Damage& damage : *damages) {
    absl::StatusOr<Descents> ends = Descend(model, damage.start, {.pool = &pool});
    if (!ends.ok()) return ends.status();
    s.Update(Report("learned", damage, *ends, stored, settings->within, model.sigma(), *folder));
    learned.push_back(*std::move(ends));
    if (!with_exact) continue;
    const absl::StatusOr<Descents> reference = Descend(*exact, damage.start, {.pool = &pool});
    if (!reference.ok()) return reference.status();
    s.Update(Report("exact", damage, *reference, stored, settings->within, model.sigma(), *folder));
  }
  if (!s.ok()) return s;
  const absl::StatusOr<Tensor> attractors =
      ReportAttractors(model, Joined(std::move(learned), model.d()), settings->stability, *folder, &pool);
  if (!attractors.ok()) return attractors.status();
  s.Update(WritePictures(model, *damages, stored, *attractors, *folder, &pool));
  if (s.ok()) absl::PrintF("Wrote %s\n", folder->Path(""));
  return s;
}

}  // namespace

const Command kRecall = {
    .name = "recall",
    .arguments = "MODEL",
    .summary = "descends the energy from damaged samples to attractors: an associative memory (NEBULA)",
    .description =
        "Takes samples that the model was trained on, damages them, and follows the gradient flow dy/dt = −∇φ(y) to\n"
        "attractors: are they the samples again? Beside it, the same for the exact (kernel density) energy of these\n"
        "samples. Columns: recalled, within --within; nearest, whether the attractor is nearer to that sample than to\n"
        "all others. Writes into --out (MODEL's folder, recall/):\n"
        "  film.png        images: descents by time of the flow;  basins.png: in the plane, paths and basins\n"
        "  attractors.png  images: the attractors;  attractors.npy, summary.json: all, with basins and curvatures\n"
        "  metrics.jsonl   a line for each energy and damage\n\n"
        "  neb recall runs/mnist --noise=0,1,2 --occlude=bottom,half",
    .files = {"neb/cli/recall.cc", kDataFlags, kCommonFlags},
    .run = RunRecall};

}  // namespace neb
