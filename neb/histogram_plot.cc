#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/axes.h"
#include "neb/plot.h"
#include "neb/plot_frame.h"

namespace neb {
namespace {

constexpr double kLabelRow = 16;  // pixels
constexpr double kLabelGap = 6;   // between a mark's line and its label

absl::Status Check(const Histogram& histogram, const HistogramPlotOptions& options) {
  if (!std::isfinite(histogram.low) || !std::isfinite(histogram.high) || !(histogram.low < histogram.high)) {
    return absl::InvalidArgumentError(
        absl::StrCat("HistogramPlot: expected finite low < high, got ", histogram.low, " and ", histogram.high));
  }
  if (histogram.counts.empty()) return absl::InvalidArgumentError("HistogramPlot: there are no counts");
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    if (std::isfinite(histogram.counts[i]) && histogram.counts[i] >= 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("HistogramPlot: count ", i, " is ", histogram.counts[i]));
  }
  return CheckPictureSize("HistogramPlot", options.width, options.height);
}

// How many lines down each label is written, so that none runs into another: the first line that is free.
std::vector<int> LabelRows(const std::vector<Mark>& marks, const std::vector<double>& lefts) {
  std::vector<int> rows;
  for (size_t i = 0; i < marks.size(); ++i) {
    int row = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t j = 0; j < i; ++j) {
        const bool apart = lefts[j] > lefts[i] + TextWidth(marks[i].label) + 2 * kLabelGap ||
                           lefts[i] > lefts[j] + TextWidth(marks[j].label) + 2 * kLabelGap;
        if (rows[j] != row || apart) continue;
        ++row;
        moved = true;
      }
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

absl::StatusOr<Image> HistogramPlot(const Histogram& histogram, const HistogramPlotOptions& options) {
  if (absl::Status s = Check(histogram, options); !s.ok()) return s;
  const double highest = *std::max_element(histogram.counts.begin(), histogram.counts.end());
  std::vector<double> all_x = {histogram.low, histogram.high};
  for (const Mark& mark : options.marks) all_x.push_back(mark.x);
  Frame frame = {.title = options.title, .x_label = options.x_label, .y_label = options.y_label};
  frame.x = AxisAround(all_x, false, 0.015);
  frame.y = {.low = 0, .high = highest > 0 ? 1.04 * highest : 1};
  frame.LayOut(options.width, options.height);
  // The marks are in the plot's own width now: labels go to the right of their lines, or to the left near the border.
  std::vector<double> lefts;
  for (const Mark& mark : options.marks) {
    const double at = std::round(frame.x.Map(mark.x)), width = TextWidth(mark.label);
    lefts.push_back(at + kLabelGap + width <= frame.plot.right ? at + kLabelGap : at - kLabelGap - width);
  }
  const std::vector<int> rows = LabelRows(options.marks, lefts);
  // Room for the labels above the bars.
  int label_rows = 0;
  for (size_t i = 0; i < rows.size(); ++i) label_rows = std::max(label_rows, rows[i] + 1);
  const double plot_height = frame.plot.bottom - frame.plot.top, room = label_rows * kLabelRow;
  if (frame.plot.right - frame.plot.left < 80 || plot_height - room < 60) {
    return absl::InvalidArgumentError(absl::StrCat("HistogramPlot: the labels leave no room for the axes in ",
                                                   options.width, " x ", options.height, " pixels"));
  }
  frame.y.high *= plot_height / (plot_height - room);
  frame.LayOut(options.width, options.height);

  Canvas canvas(options.width, options.height);
  frame.DrawGrid(canvas);
  // One outline over all bars, each as wide as its interval; where bars meet between pixels they are cut at one.
  const double step = (histogram.high - histogram.low) / static_cast<double>(histogram.counts.size());
  Stroke outline;
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    const double left = std::round(frame.x.Map(histogram.low + step * static_cast<double>(i)));
    const double right = std::round(frame.x.Map(histogram.low + step * static_cast<double>(i + 1)));
    const double top = frame.y.Map(histogram.counts[i]);
    if (right > left && histogram.counts[i] > 0) {
      canvas.FillBox({left, std::round(top), right - 1, frame.plot.bottom - 1}, SeriesColour(0), 0.35);
    }
    outline.push_back({left, top});
    outline.push_back({right, top});
  }
  canvas.DrawLines({{outline}}, {.colour = SeriesColour(0), .width = 1.5});
  for (size_t i = 0; i < options.marks.size(); ++i) {
    const double at = std::round(frame.x.Map(options.marks[i].x));
    const double baseline = frame.plot.top + kLabelRow * (rows[i] + 1) - 4;
    canvas.DrawLines(Dashed({{at, baseline - kCapHeight}, {at, frame.plot.bottom}}, 5, 4), {.colour = kPaleInk});
    canvas.DrawText({lefts[i], baseline}, options.marks[i].label);
  }
  frame.DrawAxes(canvas);
  return std::move(canvas).Take();
}

}  // namespace neb
