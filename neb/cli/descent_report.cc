#include "neb/cli/descent_report.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/image_grid.h"

namespace neb {

namespace {

constexpr double kTimes[] = {0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8};  // in units of σ²

// Where a path is at those times, and at its end.
void AppendFrames(const DescentPath& path, double sigma, size_t d, std::vector<float>& cells) {
  const auto append = [&](size_t point) {
    const std::span<const float> y = std::span<const float>(path.y).subspan(point * d, d);
    cells.insert(cells.end(), y.begin(), y.end());
  };
  for (const double time : kTimes) {
    const auto after = std::upper_bound(path.time.begin(), path.time.end(), time * sigma * sigma);
    append(static_cast<size_t>(after - path.time.begin()) - 1);
  }
  append(path.time.size() - 1);
}

}  // namespace

int64_t CountOf(const Descents& descents, Outcome outcome) {
  return std::count_if(descents.rows.begin(), descents.rows.end(),
                       [outcome](const Descent& row) { return row.outcome == outcome; });
}

std::string OutcomeSummary(const Descents& descents) {
  std::string text;
  for (const Outcome outcome : kOutcomes) {
    const int64_t count = CountOf(descents, outcome);
    if (count > 0) absl::StrAppend(&text, text.empty() ? "" : ", ", count, " ", Name(outcome));
  }
  int64_t most = 0, total = 0;
  for (const Descent& row : descents.rows) {
    total += row.evaluations;
    most = std::max(most, row.evaluations);
  }
  const auto n = static_cast<double>(std::max<size_t>(1, descents.rows.size()));
  absl::StrAppendFormat(&text, "; %.0f evaluations each, at most %d", static_cast<double>(total) / n, most);
  return text;
}

absl::StatusOr<Image> DescentFilm(const Descents& descents, const Tensor& stored, const Model& model,
                                  const DescentFilmOptions& options) {
  const auto d = static_cast<size_t>(model.d());
  if (stored.shape()[0] != static_cast<int64_t>(descents.rows.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("DescentFilm: ", descents.rows.size(), " descents, but ", stored.shape()[0], " stored samples"));
  }
  std::vector<float> cells;
  for (size_t i = 0; i < descents.rows.size(); ++i) {
    const DescentPath& path = descents.rows[i].path;
    if (path.time.empty()) return absl::InvalidArgumentError("DescentFilm: descents without paths: set path_every");
    AppendFrames(path, model.sigma(), d, cells);
    const std::span<const float> original = stored.data<float>().subspan(i * d, d);
    cells.insert(cells.end(), original.begin(), original.end());
  }
  std::vector<std::string> labels;
  for (const double time : kTimes) labels.push_back(absl::StrFormat("%gσ²", time));
  labels.insert(labels.end(), {"end", "stored"});
  const auto rows = static_cast<int64_t>(descents.rows.size()), columns = static_cast<int64_t>(labels.size());
  return Grid(Tensor::From<float>({rows * columns, model.d()}, cells), model.item_shape(), static_cast<int>(rows),
              static_cast<int>(columns),
              {.title = options.title, .row_labels = options.row_labels, .column_labels = labels});
}

}  // namespace neb
