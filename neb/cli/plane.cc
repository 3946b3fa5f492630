#include "neb/cli/plane.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "neb/dataset.h"
#include "neb/measurements.h"

namespace neb {

namespace {

// Single linkage's gap, in σ√d: valleys of nearly equal φ are hit by the starts of a grid at about this distance.
constexpr double kGap = 0.05;

int64_t RowsFor(const PlaneBox& box, int64_t columns) {
  const double rows = static_cast<double>(columns) * (box.y_high - box.y_low) / (box.x_high - box.x_low);
  return std::clamp<int64_t>(std::llround(rows), 2, 4 * columns);
}

Point PointAt(std::span<const float> y, size_t row) { return {y[2 * row], y[2 * row + 1]}; }

}  // namespace

PlaneBox BoxAround(const Tensor& x, double margin) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  PlaneBox box{kFar, -kFar, kFar, -kFar};
  for (const Point& p : PointsOf(x)) {
    box = {std::min(box.x_low, p.x), std::max(box.x_high, p.x), std::min(box.y_low, p.y), std::max(box.y_high, p.y)};
  }
  return {box.x_low - margin, box.x_high + margin, box.y_low - margin, box.y_high + margin};
}

Tensor GridPoints(const PlaneBox& box, int64_t nx, int64_t ny) {
  Tensor y({ny * nx, 2});
  for (int64_t k = 0; k < ny * nx; ++k) {
    const int64_t row = k / nx, column = k % nx;
    const double u = static_cast<double>(column) / static_cast<double>(nx - 1);
    const double v = static_cast<double>(row) / static_cast<double>(ny - 1);
    y.set(2 * k, box.x_low + (box.x_high - box.x_low) * u);
    y.set(2 * k + 1, box.y_low + (box.y_high - box.y_low) * v);
  }
  return y;
}

Tensor SomeRows(const Tensor& x, int64_t most) {
  const int64_t n = x.shape()[0], count = std::min(most, n);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(i * n / count);
  Tensor some({count, x.shape()[1]});
  GatherRows(x, rows, some);
  return some;
}

std::vector<Point> PointsOf(const Tensor& x) {
  std::vector<Point> points;
  for (size_t i = 0; i < static_cast<size_t>(x.shape()[0]); ++i) points.push_back(PointAt(x.data<float>(), i));
  return points;
}

absl::StatusOr<Field> EnergyField(Model& model, const PlaneBox& box, autodiff::ThreadPool* pool, int64_t nodes) {
  const double aspect = (box.y_high - box.y_low) / (box.x_high - box.x_low);
  const int64_t nx = std::max<int64_t>(2, std::llround(std::sqrt(static_cast<double>(nodes) / aspect)));
  const int64_t ny = RowsFor(box, nx);
  // A joint energy is shown where all of its measurements agree.
  const absl::StatusOr<Tensor> y = Repeat(GridPoints(box, nx, ny), std::max<int64_t>(1, model.d() / 2));
  if (!y.ok()) return y.status();
  Field field{
      .values = Tensor({ny, nx}), .x_low = box.x_low, .x_high = box.x_high, .y_low = box.y_low, .y_high = box.y_high};
  const std::span<float> phi = field.values.data<float>();
  if (absl::Status s = model.Evaluate(y->data<float>(), {.energy = phi}, pool); !s.ok()) return s;
  const float lowest = *std::min_element(phi.begin(), phi.end());
  for (float& v : phi) v -= lowest;
  return field;
}

absl::StatusOr<std::vector<Arrow>> DownhillArrows(Model& model, const PlaneBox& box, autodiff::ThreadPool* pool,
                                                  int64_t across) {
  // Half a cell inside, so that no arrow starts on the frame.
  const double cell = (box.x_high - box.x_low) / static_cast<double>(across);
  const int64_t rows = RowsFor(box, across);
  const Tensor y = GridPoints(
      {box.x_low + cell / 2, box.x_high - cell / 2, box.y_low + cell / 2, box.y_high - cell / 2}, across, rows);
  Tensor gradient(y.shape());
  absl::Status s = model.Evaluate(y.data<float>(), {.gradient = gradient.data<float>()}, pool);
  if (!s.ok()) return s;
  std::vector<Arrow> arrows;
  for (int64_t i = 0; i < y.shape()[0]; ++i) {
    const double gx = gradient.at(2 * i), gy = gradient.at(2 * i + 1);
    const double factor = -1 / std::max(1.0, model.sigma() * std::hypot(gx, gy));
    arrows.push_back({y.at(2 * i), y.at(2 * i + 1), factor * gx, factor * gy});
  }
  return arrows;
}

absl::StatusOr<Basins> FindBasins(Model& model, const PlaneBox& box, const BasinsOptions& options) {
  const Tensor start = GridPoints(box, options.across, RowsFor(box, options.across));
  absl::StatusOr<Descents> descents = Descend(model, start, {.pool = options.pool});
  if (!descents.ok()) return descents.status();
  absl::StatusOr<Clusters> found = ClusterAttractors(*descents, model.sigma(), kGap);
  if (!found.ok()) return found.status();
  Basins basins{.descents = *std::move(descents), .found = *std::move(found)};

  const std::vector<Cluster>& clusters = basins.found.clusters;
  basins.attractors = Tensor({static_cast<int64_t>(clusters.size()), 2});
  for (size_t k = 0; k < clusters.size(); ++k) {
    const Point p = PointAt(basins.descents.y.data<float>(), static_cast<size_t>(clusters[k].representative));
    const Colour colour = SeriesColour(static_cast<int>(k));
    basins.marks.push_back({.points = {p}, .colour = colour, .radius = 7});
    basins.attractors.set(2 * static_cast<int64_t>(k), p.x);
    basins.attractors.set(2 * static_cast<int64_t>(k) + 1, p.y);
    basins.starts.push_back({.points = {}, .colour = colour, .radius = 2});
  }
  for (size_t i = 0; i < basins.found.of_row.size(); ++i) {
    const int64_t k = basins.found.of_row[i];
    if (k >= 0) basins.starts[static_cast<size_t>(k)].points.push_back(PointAt(start.data<float>(), i));
  }
  return basins;
}

std::vector<Path> PathsOf(const Descents& descents) {
  std::vector<Path> paths;
  for (const Descent& row : descents.rows) {
    Path path;
    for (size_t k = 0; k < row.path.energy.size(); ++k) path.points.push_back(PointAt(row.path.y, k));
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace neb
