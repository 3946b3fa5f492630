// Three plots, drawn straight into a picture: lines over an axis, a histogram, and a scalar field in the plane.
//
//   absl::StatusOr<Image> curve = LinePlot({{"train", steps, loss}, {"held out", steps, held_out}},
//                                          {.title = "MNIST, σ = 0.3", .x_label = "step", .log_y = true,
//                                           .references = {{9.55, "Wiener 9.55"}}});
//   absl::StatusOr<Image> field = HeatMap({.values = phi, .x_low = -2, .x_high = 3, .y_low = -1.5, .y_high = 2},
//                                         {.title = "φ", .contours = 12});
//
// All text is UTF-8, with the characters of stroke_font.h. Every member of an option struct has an initialiser, so that
// leaving some out is no warning.
#ifndef NEB_NEB_PLOT_H_
#define NEB_NEB_PLOT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"
#include "neb/canvas.h"
#include "neb/image.h"

namespace neb {

struct Series {
  std::string name = {};  // in the legend; empty: not listed
  // Of equal length. The line has a gap where either cannot be shown: NaN, above 1e150 in magnitude, below 1e-150 on a
  // logarithmic axis.
  std::vector<double> x = {};
  std::vector<double> y = {};
  bool markers = false;  // dots at the points instead of a line through them
};

// A level to compare with: a dashed line across the plot, its label at the right.
struct ReferenceLine {
  double y = 0;
  std::string label = {};
};

struct LinePlotOptions {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  bool log_x = false;
  bool log_y = false;
  std::vector<ReferenceLine> references = {};
  int width = 640;  // pixels, at least 200 each
  int height = 400;
};

// InvalidArgument: a series whose x and y differ in length; a picture below 200 pixels or above 8192 to a side; axes
// that the labels leave no room for.
absl::StatusOr<Image> LinePlot(const std::vector<Series>& series, const LinePlotOptions& options = {});

// How often a quantity falls into each of equal intervals: `counts` between `low` and `high`.
struct Histogram {
  double low = 0;
  double high = 1;
  std::vector<double> counts = {};  // or shares, or densities: finite, >= 0
};

// A value of the quantity to point out: a dashed line up the plot, its label at the top, beside it.
struct Mark {
  double x = 0;
  std::string label = {};
};

struct HistogramPlotOptions {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::vector<Mark> marks = {};  // also outside low .. high: the axis makes room
  int width = 640;               // pixels, at least 200 each
  int height = 400;
};

// InvalidArgument: no counts, or counts that are negative or not finite; low and high that are not finite or not in
// order; pictures as of LinePlot.
absl::StatusOr<Image> HistogramPlot(const Histogram& histogram, const HistogramPlotOptions& options = {});

// Values at the nodes of a regular grid: values[i, j] is at y = y_low + i (y_high − y_low)/(ny − 1), x likewise by j.
// So row 0 is the lowest in the picture.
struct Field {
  autodiff::Tensor values = {};  // [ny, nx], both >= 2; NaN and infinities are drawn grey
  double x_low = 0;
  double x_high = 1;
  double y_low = 0;
  double y_high = 1;
};

struct Arrow {
  double x, y;    // where it starts
  double dx, dy;  // direction; lengths are drawn to a common scale
};

struct PointSet {
  std::vector<Point> points = {};  // in the field's coordinates
  Colour colour = SeriesColour(1);
  double radius = 2.5;  // pixels
};

// A path in the field's coordinates: a chain, a descent. Its start is marked with a ring, its end with a disc.
struct Path {
  std::vector<Point> points = {};
  Colour colour = kWhite;
};

struct HeatMapOptions {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::string value_label = {};  // beside the colour bar
  // The values that get the first and the last colour, beyond which the colour stays; by default those of the field. An
  // energy grows without end away from the data: a `high` a few units above its valleys shows these.
  std::optional<double> low = {};
  std::optional<double> high = {};
  int contours = 0;                         // at most so many contour lines, at round values
  std::vector<double> contour_levels = {};  // used instead of `contours` when not empty
  std::vector<PointSet> points = {};
  std::vector<Path> paths = {};
  std::vector<Arrow> arrows = {};
  double longest_arrow = 18;  // pixels
  int width = 640;            // pixels; the height follows, so that x and y have one scale
};

// InvalidArgument: values that are not [ny, nx] with both at least 2; extents or colours that are not finite, or whose
// low is not below their high; a picture that would be below 200 or above 8192 pixels to a side.
absl::StatusOr<Image> HeatMap(const Field& field, const HeatMapOptions& options = {});

}  // namespace neb

#endif  // NEB_NEB_PLOT_H_
