#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/axes.h"
#include "neb/colour_map.h"
#include "neb/contour.h"
#include "neb/plot.h"
#include "neb/plot_frame.h"

namespace neb {
namespace {

constexpr double kBarWidth = 14;  // pixels
constexpr double kBarGap = 16;

// Bilinear interpolation at a position in units of nodes; not finite when a node with a share in it is not.
double Interpolate(const autodiff::Tensor& values, double row, double column) {
  const int64_t columns = values.shape()[1];
  const auto i = std::min(static_cast<int64_t>(row), values.shape()[0] - 2);
  const auto j = std::min(static_cast<int64_t>(column), columns - 2);
  const double v = row - static_cast<double>(i);
  const double u = column - static_cast<double>(j);
  double sum = 0;
  for (int64_t di = 0; di < 2; ++di) {
    for (int64_t dj = 0; dj < 2; ++dj) {
      const double share = (di == 1 ? v : 1 - v) * (dj == 1 ? u : 1 - u);
      if (share > 0) sum += share * values.at((i + di) * columns + j + dj);
    }
  }
  return sum;
}

void DrawField(Canvas& canvas, const Box& plot, const autodiff::Tensor& values, const Axis& colours) {
  const double rows = static_cast<double>(values.shape()[0] - 1);
  const double columns = static_cast<double>(values.shape()[1] - 1);
  for (double y = plot.top; y <= plot.bottom; ++y) {
    for (double x = plot.left; x <= plot.right; ++x) {
      const double value = Interpolate(values, rows * (plot.bottom - y) / (plot.bottom - plot.top),
                                       columns * (x - plot.left) / (plot.right - plot.left));
      const double t = (value - colours.low) / (colours.high - colours.low);
      canvas.SetPixel(static_cast<int>(x), static_cast<int>(y), std::isfinite(value) ? Viridis(t) : kGridGrey);
    }
  }
}

void DrawContours(Canvas& canvas, const Frame& frame, const autodiff::Tensor& values,
                  const std::vector<double>& levels) {
  const Box& plot = frame.plot;
  const double rows = static_cast<double>(values.shape()[0] - 1);
  const double columns = static_cast<double>(values.shape()[1] - 1);
  auto pixel = [&](Point node) {
    return Point{plot.left + node.x / columns * (plot.right - plot.left),
                 plot.bottom - node.y / rows * (plot.bottom - plot.top)};
  };
  for (const double level : levels) {
    std::vector<Stroke> strokes;
    for (const Segment& s : ContourLine(values, level)) strokes.push_back({pixel(s.from), pixel(s.to)});
    canvas.DrawLines(strokes, {.colour = kWhite, .width = 1.1, .alpha = 0.6});
  }
}

void DrawArrows(Canvas& canvas, const Frame& frame, const std::vector<Arrow>& arrows, double longest_pixels) {
  double longest = 0;
  for (const Arrow& a : arrows) {
    const double length = std::hypot(a.dx, a.dy);
    if (std::isfinite(length)) longest = std::max(longest, length);
  }
  if (longest == 0) return;
  std::vector<Stroke> strokes;
  for (const Arrow& a : arrows) {
    const double length = std::hypot(a.dx, a.dy) / longest * longest_pixels;
    // A shorter one has no direction that could be seen.
    if (!(length >= 1)) continue;
    const double angle = std::atan2(-a.dy, a.dx);
    const Point from = {frame.x.Map(a.x), frame.y.Map(a.y)};
    const Point tip = {from.x + length * std::cos(angle), from.y + length * std::sin(angle)};
    strokes.push_back({from, tip});
    const double barb = std::min(5.0, 0.45 * length);
    Stroke head;
    for (const double turn : {2.6, 0.0, -2.6}) {
      const double reach = turn == 0 ? 0 : barb;
      head.push_back({tip.x + reach * std::cos(angle + turn), tip.y + reach * std::sin(angle + turn)});
    }
    strokes.push_back(std::move(head));
  }
  // A dark seam, so that they are seen on bright colours too.
  canvas.DrawLines(strokes, {.colour = kInk, .width = 3.2, .alpha = 0.5});
  canvas.DrawLines(strokes, {.colour = kWhite, .width = 1.3});
}

void DrawPaths(Canvas& canvas, const Frame& frame, const std::vector<Path>& paths) {
  for (const Path& path : paths) {
    Stroke stroke;
    for (const Point& p : path.points) {
      const Point q = {frame.x.Map(p.x), frame.y.Map(p.y)};
      if (std::isfinite(q.x) && std::isfinite(q.y)) stroke.push_back(q);
    }
    if (stroke.empty()) continue;
    canvas.DrawLines({&stroke, 1}, {.colour = kInk, .width = 3, .alpha = 0.35});
    canvas.DrawLines({&stroke, 1}, {.colour = path.colour, .width = 1.5});
    canvas.FillDisc(stroke.front(), 4, path.colour);
    canvas.FillDisc(stroke.front(), 2.3, kInk);
    canvas.FillDisc(stroke.back(), 4.5, kInk);
    canvas.FillDisc(stroke.back(), 3.5, path.colour);
  }
}

void DrawPoints(Canvas& canvas, const Frame& frame, const std::vector<PointSet>& sets) {
  for (const PointSet& set : sets) {
    for (const Point& p : set.points) {
      const Point q = {frame.x.Map(p.x), frame.y.Map(p.y)};
      if (!std::isfinite(q.x) || !std::isfinite(q.y)) continue;
      canvas.FillDisc(q, set.radius + 0.8, kWhite, 0.8);
      canvas.FillDisc(q, set.radius, set.colour);
    }
  }
}

void DrawColourBar(Canvas& canvas, const Axis& colours, const std::vector<Tick>& ticks, double left,
                   const std::string& label) {
  const double top = colours.last_pixel;
  const double bottom = colours.first_pixel;
  for (double y = top; y <= bottom; ++y) {
    canvas.FillBox({left, y, left + kBarWidth, y}, Viridis((bottom - y) / (bottom - top)));
  }
  double widest = 0;
  for (const Tick& tick : ticks) {
    const double y = std::round(colours.Map(tick.value));
    canvas.DrawLine({left + kBarWidth, y}, {left + kBarWidth + 4, y}, {.colour = kPaleInk});
    canvas.DrawText({left + kBarWidth + 9, y + kCapHeight / 2}, tick.label, {.colour = kPaleInk});
    widest = std::max(widest, TextWidth(tick.label));
  }
  canvas.DrawText({left + kBarWidth + 9 + widest + 7 + kCapHeight, (top + bottom) / 2}, label,
                  {.align = Align::kCentre, .upwards = true});
}

// Not empty, nor so narrow that the positions of ticks would be lost in rounding.
bool IsExtent(double low, double high) {
  return std::isfinite(low) && std::isfinite(high) && std::isfinite(high - low) &&
         high - low > 1e-9 * std::max(std::abs(low), std::abs(high));
}

}  // namespace

absl::StatusOr<Image> HeatMap(const Field& field, const HeatMapOptions& options) {
  const autodiff::Shape& shape = field.values.shape();
  if (shape.rank() != 2 || shape[0] < 2 || shape[1] < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("HeatMap: values of shape ", shape.ToString(), ", expected [ny, nx] with both at least 2"));
  }
  if (!IsExtent(field.x_low, field.x_high) || !IsExtent(field.y_low, field.y_high)) {
    return absl::InvalidArgumentError(absl::StrCat("HeatMap: extents x ", field.x_low, " to ", field.x_high, ", y ",
                                                   field.y_low, " to ", field.y_high,
                                                   ", expected finite ones with low below high"));
  }
  std::vector<double> values;
  for (int64_t i = 0; i < field.values.num_elements(); ++i) values.push_back(field.values.at(i));
  Axis colours = AxisAround(values, false, 0);
  colours.low = options.low.value_or(colours.low);
  colours.high = options.high.value_or(colours.high);
  if (!IsExtent(colours.low, colours.high)) {
    return absl::InvalidArgumentError(absl::StrCat("HeatMap: colours from ", colours.low, " to ", colours.high,
                                                   ", expected finite values with low below high"));
  }

  Frame frame = {.title = options.title, .x_label = options.x_label, .y_label = options.y_label};
  frame.x = {.low = field.x_low, .high = field.x_high};
  frame.y = {.low = field.y_low, .high = field.y_high};
  double bar_labels = 0;
  for (const Tick& tick : Ticks(colours, 6)) bar_labels = std::max(bar_labels, TextWidth(tick.label));
  const double right = kBarGap + kBarWidth + 9 + bar_labels + (options.value_label.empty() ? 0 : 7 + kCapHeight);
  const double height = frame.HeightForEqualScale(options.width, right);
  if (absl::Status status = CheckPictureSize("HeatMap", options.width, static_cast<int>(height)); !status.ok()) {
    return status;
  }
  frame.LayOut(options.width, static_cast<int>(height), right);
  const Box& plot = frame.plot;
  colours.first_pixel = plot.bottom;
  colours.last_pixel = plot.top;

  Canvas canvas(options.width, static_cast<int>(height));
  DrawField(canvas, plot, field.values, colours);
  canvas.ClipTo(plot);
  std::vector<double> levels = options.contour_levels;
  if (levels.empty() && options.contours > 0) {
    for (const Tick& tick : Ticks(colours, std::max(options.contours, 2))) levels.push_back(tick.value);
  }
  DrawContours(canvas, frame, field.values, levels);
  DrawArrows(canvas, frame, options.arrows, options.longest_arrow);
  DrawPoints(canvas, frame, options.points);
  DrawPaths(canvas, frame, options.paths);
  canvas.Unclip();
  frame.DrawAxes(canvas);
  DrawColourBar(canvas, colours, Ticks(colours, 6), plot.right + kBarGap, options.value_label);
  return std::move(canvas).Take();
}

}  // namespace neb
