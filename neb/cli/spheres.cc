// neb spheres: at which σ do the spheres of noise around two samples overlap?
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/run_folder.h"
#include "neb/concentration.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "neb/plot.h"
#include "neb/read_data.h"
#include "neb/spheres.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(int64_t, most, 10000, "use at most so many samples, the first ones; time grows with the square");
ABSL_FLAG(std::vector<std::string>, overlap_at, std::vector<std::string>({}),
          "values of σ: for each, the share of the pairs whose spheres overlap");

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::vector<double>> OverlapSigmas() {
  std::vector<double> sigmas;
  for (const std::string& text : absl::GetFlag(FLAGS_overlap_at)) {
    double sigma = 0;
    if (!absl::SimpleAtod(text, &sigma) || !(sigma > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--overlap_at must be positive numbers, as 0.1,0.3; got \"", text, "\""));
    }
    sigmas.push_back(sigma);
  }
  return sigmas;
}

// Prints the distribution of χ, and returns it for metrics.jsonl.
Json Report(const Dataset& data, const Chi& chi, const std::vector<double>& sigmas) {
  Json json = {{"data", data.name},
               {"samples", data.size()},
               {"d", data.item_shape.num_elements()},
               {"pairs", chi.pairs()},
               {"min", chi.min()}};
  absl::PrintF("%s, %d samples of %s: χ = ‖x − x'‖ / 2√d over %d pairs\n", data.name, data.size(),
               data.item_shape.ToString(), chi.pairs());
  absl::PrintF("  min     %.4f  (samples %d and %d)\n", chi.min(), chi.closest().first, chi.closest().second);
  for (const double q : {0.05, 0.25, 0.5, 0.75, 0.95}) {
    absl::PrintF("  %-6s  %.4f\n", q == 0.5 ? "median" : absl::StrFormat("%.0f %%", 100 * q), chi.Quantile(q));
    json[q == 0.5 ? "median" : absl::StrFormat("quantile_%g", q)] = chi.Quantile(q);
  }
  absl::PrintF("  mean    %.4f\n", chi.mean());
  absl::PrintF("  max     %.4f  (samples %d and %d) = σ_c: at larger σ all spheres overlap\n", chi.sigma_c(),
               chi.farthest().first, chi.farthest().second);
  json["mean"] = chi.mean();
  json["sigma_c"] = chi.sigma_c();
  json["closest"] = {chi.closest().first, chi.closest().second};
  json["farthest"] = {chi.farthest().first, chi.farthest().second};
  json["overlapping"] = Json::array();
  for (const double sigma : sigmas) {
    const double share = chi.Overlapping(sigma);
    absl::PrintF("  at σ = %g the spheres of %.4g %% of the pairs overlap\n", sigma, 100 * share);
    json["overlapping"].push_back({{"sigma", sigma}, {"share", share}});
  }
  return json;
}

absl::StatusOr<Image> Draw(const Chi& chi, const Dataset& data, const std::vector<double>& sigmas) {
  constexpr int kBins = 100;
  const double low = 0, high = 1.02 * chi.sigma_c();
  Histogram histogram{.low = low, .high = high, .counts = chi.Counts(low, high, kBins)};
  for (double& count : histogram.counts) count *= 100 / static_cast<double>(chi.pairs());
  const double median = chi.Quantile(0.5);
  HistogramPlotOptions options{
      .title = absl::StrFormat("%s: all %d pairs of %d samples", data.name, chi.pairs(), data.size()),
      .x_label = "χ: the σ at which the spheres of two samples meet",
      .y_label = "pairs, %",
      .marks = {{chi.min(), absl::StrFormat("min %.4f", chi.min())},
                {median, absl::StrFormat("median %.4f", median)},
                {chi.sigma_c(), absl::StrFormat("σ_c %.4f", chi.sigma_c())}}};
  for (const double sigma : sigmas) options.marks.push_back({sigma, absl::StrFormat("σ = %g", sigma)});
  return HistogramPlot(histogram, options);
}

// χ at the quantiles 0, 0.001, ..., 1.
autodiff::Tensor Quantiles(const Chi& chi) {
  constexpr int64_t kSteps = 1000;
  autodiff::Tensor table({kSteps + 1}, autodiff::DType::kF64);
  for (int64_t i = 0; i <= kSteps; ++i) table.set(i, chi.Quantile(static_cast<double>(i) / kSteps));
  return table;
}

absl::Status RunSpheres(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the path of one data set, got ", arguments.size(), " arguments"));
  }
  const absl::StatusOr<std::vector<double>> sigmas = OverlapSigmas();
  if (!sigmas.ok()) return sigmas.status();
  const absl::StatusOr<int> threads = ThreadsFlag();
  if (!threads.ok()) return threads.status();
  const int64_t most = absl::GetFlag(FLAGS_most);
  if (most < 2) return absl::InvalidArgumentError(absl::StrCat("--most must be at least 2, got ", most));
  const absl::StatusOr<Dataset> data = ReadData(UserPath(arguments[0]), {.max_items = most});
  if (!data.ok()) return data.status();
  autodiff::ThreadPool pool(*threads);
  const absl::StatusOr<Chi> chi = Chi::Measure(data->x, &pool);
  if (!chi.ok()) return absl::Status(chi.status().code(), absl::StrCat(arguments[0], ": ", chi.status().message()));
  if (!(chi->sigma_c() > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(arguments[0], ": all samples are equal, so no spheres are apart"));
  }
  const absl::StatusOr<Concentration> radius =
      NoiseRadius(data->item_shape.num_elements(), /*draws=*/2000, absl::GetFlag(FLAGS_seed));
  if (!radius.ok()) return radius.status();

  const std::string out = absl::GetFlag(FLAGS_out);
  const absl::StatusOr<RunFolder> folder = RunFolder::Create(UserPath(out.empty() ? "runs/spheres" : out));
  if (!folder.ok()) return folder.status();
  Json metrics = Report(*data, *chi, *sigmas);
  absl::PrintF("The noise lies on spheres of radius σ√d: ‖y − x‖/σ√d = %.4f ± %.4f, in theory %.4f ± %.4f\n",
               radius->measured.mean, radius->measured.stddev, radius->predicted.mean, radius->predicted.stddev);
  metrics["noise_radius"] = {{"mean", radius->measured.mean}, {"stddev", radius->measured.stddev}};
  const absl::StatusOr<Image> picture = Draw(*chi, *data, *sigmas);
  if (!picture.ok()) return picture.status();
  absl::Status s =
      folder->WriteSettings({{"command", "spheres"}, {"data", arguments[0]}, {"most", most}, {"overlap_at", *sigmas}});
  s.Update(folder->AppendMetrics(metrics));
  s.Update(WriteNpy(folder->Path("chi.npy"), Quantiles(*chi)));
  s.Update(WritePng(folder->Path("chi.png"), *picture));
  if (s.ok()) absl::PrintF("Wrote %s: chi.png, chi.npy, metrics.jsonl\n", folder->Path(""));
  return s;
}

}  // namespace

const Command kSpheres = {
    .name = "spheres",
    .arguments = "DATA",
    .summary = "measures how near samples are, in units of the noise that joins them: χ and σ_c",
    .description =
        "χ = ‖x − x'‖ / 2√d is the σ at which the spheres of noise around two samples meet; beyond σ_c, the\n"
        "largest χ, all of them overlap. DATA: an IDX file, a .npy or .csv file, or a folder of pictures.\n"
        "Prints the distribution of χ over all pairs. Writes into --out (runs/spheres):\n"
        "  chi.png        its histogram\n"
        "  chi.npy        χ at the quantiles 0, 0.001, ..., 1\n"
        "  metrics.jsonl  what was printed\n\n"
        "  neb spheres train-images-idx3-ubyte.gz --overlap_at=0.1,0.3",
    .files = {"neb/cli/spheres.cc", kCommonFlags},
    .run = RunSpheres};

}  // namespace neb
