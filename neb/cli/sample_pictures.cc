#include "neb/cli/sample_pictures.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/cli/items.h"
#include "neb/cli/plane.h"
#include "neb/image_grid.h"
#include "neb/plot.h"

namespace neb {

using autodiff::Shape;

absl::StatusOr<Image> JumpsGrid(const Tensor& jumps, const Shape& item_shape, const std::vector<int64_t>& iterations) {
  constexpr int64_t kColumns = 16, kRows = 10;
  const int64_t times = jumps.shape()[0], chains = std::min(kRows, jumps.shape()[1]), d = jumps.shape()[2];
  const int64_t rows_each = std::clamp<int64_t>(times / kColumns, 1, kRows / chains);
  const int64_t columns = std::min(times, kColumns), places = rows_each * columns;  // at most `times` of them
  Tensor cells({chains * rows_each * columns, d});
  std::vector<std::string> row_labels, column_labels;
  const std::span<float> out = cells.data<float>();
  for (int64_t chain = 0; chain < chains; ++chain) {
    for (int64_t place = 0; place < places; ++place) {
      const int64_t time = (place + 1) * times / places - 1;
      const auto from = static_cast<size_t>((time * jumps.shape()[1] + chain) * d);
      const std::span<const float> jump = jumps.data<float>().subspan(from, static_cast<size_t>(d));
      std::copy(jump.begin(), jump.end(), out.begin() + static_cast<std::ptrdiff_t>((chain * places + place) * d));
      const int64_t iteration = iterations[static_cast<size_t>(time)];
      if (rows_each == 1 && chain == 0) column_labels.push_back(absl::StrCat(iteration));
      if (rows_each > 1 && place % columns == 0) row_labels.push_back(absl::StrCat(iteration));
    }
  }
  return Grid(cells, item_shape, static_cast<int>(chains * rows_each), static_cast<int>(columns),
              {.title = rows_each == 1 ? "Jumps: a chain in each row, by iteration"
                                       : absl::StrFormat("Jumps: %d rows for each chain, by iteration", rows_each),
               .row_labels = row_labels,
               .column_labels = column_labels});
}

absl::StatusOr<Image> WalkFilm(const WalkFrames& frames, const Shape& item_shape) {
  const auto d = static_cast<size_t>(item_shape.num_elements());
  const size_t count = frames.iterations.size();
  std::vector<float> cells;
  std::vector<std::string> rows, columns;
  for (int64_t chain = 0; chain < frames.chains; ++chain) {
    for (const std::vector<float>* strip : {&frames.y, &frames.x_hat}) {
      for (size_t f = 0; f < count; ++f) {
        const size_t at = (f * static_cast<size_t>(frames.chains) + static_cast<size_t>(chain)) * d;
        const std::span<const float> frame = std::span<const float>(*strip).subspan(at, d);
        cells.insert(cells.end(), frame.begin(), frame.end());
      }
    }
    rows.insert(rows.end(), {"y", "x̂"});
  }
  for (const int64_t iteration : frames.iterations) columns.push_back(absl::StrCat(iteration));
  const auto height = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(count);
  return Grid(
      Tensor::From<float>({height * width, item_shape.num_elements()}, cells), item_shape, static_cast<int>(height),
      static_cast<int>(width),
      {.title = "The walk y, and its jump below it, by iteration", .row_labels = rows, .column_labels = columns});
}

absl::StatusOr<Image> EnergyTrace(const std::vector<std::vector<double>>& energies,
                                  const std::vector<int64_t>& iterations, const std::string& title) {
  constexpr size_t kShown = 5;
  const std::vector<double> x(iterations.begin(), iterations.end());
  std::vector<Series> series;
  for (size_t c = 0; c < std::min(kShown, energies.size()); ++c) {
    series.push_back({.name = absl::StrCat("chain ", c), .x = x, .y = energies[c]});
  }
  return LinePlot(series, {.title = title, .x_label = "iteration", .y_label = "φ(y)"});
}

absl::StatusOr<Image> PlaneWalk(Model& model, const Tensor& jumps, const Tensor& path, autodiff::ThreadPool* pool) {
  constexpr int64_t kMostJumps = 1000;
  const PlaneBox around_jumps = BoxAround(jumps, 3 * model.sigma()), around_path = BoxAround(path, model.sigma() / 2);
  const PlaneBox box{.x_low = std::min(around_jumps.x_low, around_path.x_low),
                     .x_high = std::max(around_jumps.x_high, around_path.x_high),
                     .y_low = std::min(around_jumps.y_low, around_path.y_low),
                     .y_high = std::max(around_jumps.y_high, around_path.y_high)};
  const absl::StatusOr<Field> field = EnergyField(model, box, pool);
  if (!field.ok()) return field.status();
  return HeatMap(*field,
                 {.title = absl::StrFormat("φ − min φ, jumps, and the last of a chain's walk; σ = %.4g", model.sigma()),
                  .value_label = "φ − min φ",
                  .high = kHighEnergy,
                  .contours = 12,
                  .points = {{.points = PointsOf(EvenRows(jumps, kMostJumps)), .radius = 2}},
                  .paths = {{.points = PointsOf(path)}},
                  .width = 720});
}

}  // namespace neb
