#include "neb/cli/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/cli/items.h"
#include "nlohmann/json.hpp"

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kQuantiles[] = {0.05, 0.5, 0.95};

absl::StatusOr<std::vector<Labelled>> Label(const Tensor& x, const ModelData& data, const JudgeOptions& options) {
  const Tensor& train = data.parts.train.x;
  if (!data.train_labels.empty()) {
    const int64_t neighbours = std::min(options.neighbours, train.shape()[0]);
    return NearestLabels(x, train, data.train_labels, neighbours, options.pool);
  }
  const absl::StatusOr<std::vector<Nearest>> nearest = NearestSamples(x, train, options.pool);
  if (!nearest.ok()) return nearest.status();
  std::vector<Labelled> labelled;
  for (const Nearest& n : *nearest) labelled.push_back({.label = -1, .nearest = n.index, .distance = n.distance});
  return labelled;
}

double DistanceQuantile(const std::vector<Labelled>& of, double q) {
  std::vector<double> sorted;
  for (const Labelled& one : of) sorted.push_back(one.distance);
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  return sorted[static_cast<size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
}

std::map<int, int64_t> Counts(const std::vector<Labelled>& of) {
  std::map<int, int64_t> counts;
  for (const Labelled& one : of) ++counts[one.label];
  return counts;
}

// rows: which of the labels belong to `of`.
double ShareRight(const std::vector<Labelled>& of, const std::vector<int>& labels, std::span<const int64_t> rows) {
  if (labels.empty() || of.empty() || of[0].label < 0) return std::numeric_limits<double>::quiet_NaN();
  int64_t right = 0;
  for (size_t i = 0; i < of.size(); ++i) right += of[i].label == labels[static_cast<size_t>(rows[i])] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(of.size());
}

void PrintClasses(const Judgement& j) {
  const std::map<int, int64_t> jumps = Counts(j.jumps), held_out = Counts(j.held_out);
  std::set<int> classes;
  for (const auto* counts : {&jumps, &held_out}) {
    for (const auto& [label, count] : *counts) classes.insert(label);
  }
  const auto line = [&](const char* name, const auto& cell) {
    absl::PrintF("  %-10s", name);
    for (const int label : classes) absl::PrintF(" %6s", cell(label));
    absl::PrintF("\n");
  };
  const auto count = [](const std::map<int, int64_t>& counts) {
    return [&counts](int label) { return absl::StrCat(counts.count(label) == 0 ? 0 : counts.at(label)); };
  };
  absl::PrintF("Classes, by the nearest training samples (for held-out samples right in %.1f %%):\n",
               100 * j.held_out_right);
  line("class", [](int label) { return absl::StrCat(label); });
  line("jumps", count(jumps));
  line("held-out", count(held_out));
}

void PrintChains(const Judgement& j) {
  constexpr size_t kShown = 16;
  absl::PrintF("  chain  classes visited  held for %d jumps or more  changes\n", j.hold);
  for (size_t c = 0; c < std::min(kShown, j.chains.size()); ++c) {
    const ClassVisits& visits = j.chains[c];
    absl::PrintF("  %5d  %15d  %24d  %7d\n", c, visits.count.size(), visits.held, visits.changes);
  }
  if (j.chains.size() > kShown) absl::PrintF("  ... and %d more chains\n", j.chains.size() - kShown);
}

}  // namespace

absl::StatusOr<Judgement> JudgeJumps(const Tensor& jumps, const ModelData& data, const JudgeOptions& options) {
  const int64_t times = jumps.shape()[0], chains = jumps.shape()[1], d = jumps.shape()[2];
  const Tensor rows = jumps.Reshaped({times * chains, d});
  const Tensor& train = data.parts.train.x;
  const std::vector<int64_t> some_held_out = EvenIndices(data.parts.held_out.size(), options.held_out);
  Tensor held_out({static_cast<int64_t>(some_held_out.size()), d});
  GatherRows(data.parts.held_out.x, some_held_out, held_out);
  Judgement j{.training_items = train.shape()[0], .held_out_items = held_out.shape()[0], .hold = options.hold};

  absl::StatusOr<std::vector<Labelled>> of_jumps = Label(rows, data, options);
  if (!of_jumps.ok()) return of_jumps.status();
  j.jumps = *std::move(of_jumps);
  absl::StatusOr<std::vector<Labelled>> of_held_out = Label(held_out, data, options);
  if (!of_held_out.ok()) return of_held_out.status();
  j.held_out = *std::move(of_held_out);
  j.held_out_right = ShareRight(j.held_out, data.held_out_labels, some_held_out);
  for (int64_t c = 0; !data.train_labels.empty() && c < chains; ++c) {
    std::vector<int> labels;
    for (int64_t t = 0; t < times; ++t) labels.push_back(j.jumps[static_cast<size_t>(t * chains + c)].label);
    j.chains.push_back(VisitsOf(labels, options.hold));
  }

  const double nan = std::numeric_limits<double>::quiet_NaN();
  j.wasserstein = j.wasserstein_of_data = {nan, nan};
  j.mmd = j.mmd_of_data = {.value = nan, .standard_error = nan};
  const Tensor some = EvenRows(rows, options.compared);
  if (some.shape()[0] < 3 || held_out.shape()[0] < 3 || train.shape()[0] < 3) return j;  // too few for the MMD
  for (const bool of_data : {false, true}) {
    const Tensor& x = of_data ? EvenRows(train, some.shape()[0]) : some;
    const absl::StatusOr<Measured> w = SlicedWasserstein(x, held_out, {.pool = options.pool});
    if (!w.ok()) return w.status();
    const absl::StatusOr<Discrepancy> m = MeanDiscrepancy(x, held_out, {.pool = options.pool});
    if (!m.ok()) return m.status();
    (of_data ? j.wasserstein_of_data : j.wasserstein) = *w;
    (of_data ? j.mmd_of_data : j.mmd) = *m;
  }
  return j;
}

void PrintJudgement(const Judgement& j) {
  absl::PrintF("Judged by %d training and %d held-out samples:\n", j.training_items, j.held_out_items);
  absl::PrintF("  %-44s %10s  %10s\n", "distance to the nearest training sample", "jumps", "held-out");
  for (const double q : kQuantiles) {
    absl::PrintF("  %-44s %10.4g  %10.4g\n", q == 0.5 ? "  median" : absl::StrFormat("  %.0f %% quantile", 100 * q),
                 DistanceQuantile(j.jumps, q), DistanceQuantile(j.held_out, q));
  }
  absl::PrintF("  %-44s %10s  %10s\n", "distance to the held-out samples, of", "jumps", "training");
  absl::PrintF("  %-44s %10.4g  %10.4g\n", "  sliced Wasserstein", j.wasserstein.value, j.wasserstein_of_data.value);
  absl::PrintF("  %-44s %10.4g  %10.4g\n", "  MMD^2", j.mmd.value, j.mmd_of_data.value);
  if (j.chains.empty()) return;
  PrintClasses(j);
  PrintChains(j);
}

Json ToJson(const Judgement& j) {
  Json json = {{"training_items", j.training_items}, {"held_out_items", j.held_out_items}};
  for (const bool of_jumps : {true, false}) {
    const std::vector<Labelled>& of = of_jumps ? j.jumps : j.held_out;
    Json part = {{"count", of.size()}};
    for (const double q : kQuantiles) part[absl::StrFormat("nearest_distance_%g", q)] = DistanceQuantile(of, q);
    for (const auto& [label, count] : Counts(of)) {
      if (label >= 0) part["classes"][absl::StrCat(label)] = count;
    }
    json[of_jumps ? "jumps" : "held_out"] = part;
  }
  if (!std::isnan(j.held_out_right)) json["held_out_labels_right"] = j.held_out_right;
  json["sliced_wasserstein"] = {{"jumps", j.wasserstein.value}, {"training", j.wasserstein_of_data.value}};
  json["mmd2"] = {{"jumps", j.mmd.value},
                  {"standard_error", j.mmd.standard_error},
                  {"training", j.mmd_of_data.value},
                  {"bandwidth", j.mmd.bandwidth}};
  for (const ClassVisits& visits : j.chains) {
    json["chains"].push_back({{"classes", visits.count.size()}, {"held", visits.held}, {"changes", visits.changes}});
  }
  return json;
}

std::string LabelsCsv(const Judgement& j, const std::vector<int64_t>& iterations) {
  std::string csv = "iteration,chain,label,agreement,nearest,distance\n";
  const size_t chains = iterations.empty() ? 1 : j.jumps.size() / iterations.size();
  for (size_t i = 0; i < j.jumps.size(); ++i) {
    const Labelled& one = j.jumps[i];
    absl::StrAppend(&csv, iterations[i / chains], ",", i % chains, ",", one.label, ",", one.share, ",", one.nearest,
                    ",", absl::StrFormat("%.6g", one.distance), "\n");
  }
  return csv;
}

}  // namespace neb
