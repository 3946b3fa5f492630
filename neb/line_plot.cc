#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/axes.h"
#include "neb/plot.h"
#include "neb/plot_frame.h"

namespace neb {
namespace {

constexpr double kLineWidth = 2;
constexpr double kLegendRow = 17;     // pixels
constexpr double kLegendSample = 20;  // pixels of line before a name

// The visible parts of a series, in pixels: a new stroke after every gap.
std::vector<Stroke> Trace(const Series& series, const Axis& x, const Axis& y) {
  std::vector<Stroke> strokes;
  bool in_gap = true;
  for (size_t i = 0; i < series.x.size(); ++i) {
    // The axes are around all that they can show; the rest is a gap, as NaN is.
    const bool visible = x.Shows(series.x[i]) && y.Shows(series.y[i]);
    if (visible && in_gap) strokes.emplace_back();
    if (visible) strokes.back().push_back({x.Map(series.x[i]), y.Map(series.y[i])});
    in_gap = !visible;
  }
  return strokes;
}

// How much of the data a box would hide: points of it, and of the lines between them.
int Hidden(const std::vector<std::vector<Stroke>>& traces, const Box& box) {
  int hidden = 0;
  for (const std::vector<Stroke>& strokes : traces) {
    for (const Stroke& stroke : strokes) {
      for (size_t i = 0; i < stroke.size(); ++i) {
        const Point before = stroke[i > 0 ? i - 1 : 0];
        const double length = std::hypot(stroke[i].x - before.x, stroke[i].y - before.y);
        const double step = 1 / std::max(1.0, length / 8);
        for (double t = 0; t < 1; t += step) {
          const double x = stroke[i].x + t * (before.x - stroke[i].x);
          const double y = stroke[i].y + t * (before.y - stroke[i].y);
          hidden += x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
        }
      }
    }
  }
  return hidden;
}

void DrawLegend(Canvas& canvas, const Box& plot, const std::vector<Series>& series,
                const std::vector<std::vector<Stroke>>& traces) {
  double text_width = 0;
  int rows = 0;
  for (const Series& s : series) {
    if (s.name.empty()) continue;
    text_width = std::max(text_width, TextWidth(s.name));
    ++rows;
  }
  if (rows == 0) return;
  const double width = text_width + kLegendSample + 22;
  const double height = rows * kLegendRow + 7;
  // The place that hides least; at a tie the first: upper right, where falling curves leave room.
  const double gap = 8;
  Box best;
  int least = -1;
  for (const double down : {0.0, 1.0, 0.25, 0.5, 0.75}) {
    for (const double leftwards : {0.0, 1.0, 0.5}) {
      const double top = plot.top + gap + down * (plot.bottom - plot.top - 2 * gap - height);
      const double left = plot.right - gap - width - leftwards * (plot.right - plot.left - 2 * gap - width);
      const Box box = {left, top, left + width, top + height};
      const int hidden = Hidden(traces, box);
      if (least >= 0 && hidden >= least) continue;
      least = hidden;
      best = box;
    }
  }
  canvas.FillBox(best, kWhite, 0.85);
  double y = std::round(best.top) + 5 + kLegendRow / 2;
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].name.empty()) continue;
    const double left = std::round(best.left) + 8;
    const Colour colour = SeriesColour(static_cast<int>(i));
    if (series[i].markers) {
      canvas.FillDisc({left + kLegendSample / 2, y - 1}, 3, colour);
    } else {
      canvas.DrawLine({left, y - 1}, {left + kLegendSample, y - 1}, {.colour = colour, .width = kLineWidth});
    }
    canvas.DrawText({left + kLegendSample + 7, y + 3}, series[i].name);
    y += kLegendRow;
  }
}

// Labels at the right of the frame, each at its line's height or as near as those above it allow.
void DrawReferences(Canvas& canvas, const Box& plot, const Axis& y, std::vector<ReferenceLine> references) {
  std::erase_if(references, [&](const ReferenceLine& r) { return !y.Shows(r.y); });
  std::sort(references.begin(), references.end(),
            [](const ReferenceLine& a, const ReferenceLine& b) { return a.y > b.y; });
  constexpr double kLine = 15;
  std::vector<double> heights;
  for (const ReferenceLine& r : references) {
    const double wanted = y.Map(r.y);
    heights.push_back(heights.empty() ? wanted : std::max(wanted, heights.back() + kLine));
  }
  // What was pushed out at the bottom pushes back.
  for (size_t i = heights.size(); i-- > 0;) {
    const double lowest = i + 1 < heights.size() ? heights[i + 1] - kLine : plot.bottom;
    heights[i] = std::min(heights[i], lowest);
  }
  for (size_t i = 0; i < references.size(); ++i) {
    const double line = std::round(y.Map(references[i].y));
    canvas.DrawLines(Dashed({{plot.left, line}, {plot.right, line}}, 5, 4), {.colour = kPaleInk});
    if (references[i].label.empty()) continue;
    const double height = std::round(heights[i]);
    canvas.DrawLine({plot.right, line}, {plot.right + 6, height}, {.colour = kPaleInk});
    canvas.DrawText({plot.right + 11, height + 4}, references[i].label, {.colour = kPaleInk});
  }
}

}  // namespace

absl::StatusOr<Image> LinePlot(const std::vector<Series>& series, const LinePlotOptions& options) {
  std::vector<double> all_x;
  std::vector<double> all_y;
  for (const Series& s : series) {
    if (s.x.size() != s.y.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("LinePlot: series \"", s.name, "\" has ", s.x.size(), " values of x and ", s.y.size(), " of y"));
    }
    all_x.insert(all_x.end(), s.x.begin(), s.x.end());
    all_y.insert(all_y.end(), s.y.begin(), s.y.end());
  }
  double reference_width = 0;
  for (const ReferenceLine& r : options.references) {
    all_y.push_back(r.y);
    reference_width = std::max(reference_width, TextWidth(r.label));
  }
  Frame frame = {.title = options.title, .x_label = options.x_label, .y_label = options.y_label};
  frame.x = AxisAround(all_x, options.log_x, 0.015);
  frame.y = AxisAround(all_y, options.log_y, 0.06);
  if (absl::Status status = CheckPictureSize("LinePlot", options.width, options.height); !status.ok()) return status;
  frame.LayOut(options.width, options.height, reference_width > 0 ? reference_width + 18 : 0);
  const Box plot = frame.plot;
  if (plot.right - plot.left < 80 || plot.bottom - plot.top < 60) {
    return absl::InvalidArgumentError(absl::StrCat("LinePlot: the labels leave no room for the axes in ", options.width,
                                                   " x ", options.height, " pixels"));
  }

  Canvas canvas(options.width, options.height);
  frame.DrawGrid(canvas);
  DrawReferences(canvas, plot, frame.y, options.references);
  std::vector<std::vector<Stroke>> traces;
  for (const Series& s : series) traces.push_back(Trace(s, frame.x, frame.y));
  canvas.ClipTo({plot.left, plot.top - 1, plot.right + 1, plot.bottom + 1});
  for (size_t i = 0; i < series.size(); ++i) {
    const Colour colour = SeriesColour(static_cast<int>(i));
    if (!series[i].markers) {
      canvas.DrawLines(traces[i], {.colour = colour, .width = kLineWidth});
      continue;
    }
    for (const Stroke& stroke : traces[i]) {
      for (const Point& p : stroke) canvas.FillDisc(p, 3, colour);
    }
  }
  canvas.Unclip();
  for (const ReferenceLine& r : options.references) {
    if (!frame.y.Shows(r.y)) continue;
    const double y = frame.y.Map(r.y);
    traces.push_back({{{plot.left, y}, {plot.right, y}}});
  }
  DrawLegend(canvas, plot, series, traces);
  frame.DrawAxes(canvas);
  return std::move(canvas).Take();
}

}  // namespace neb
