#include "neb/plot.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "neb/colour_map.h"

namespace neb {
namespace {

Colour At(const Image& image, int row, int column) {
  const uint8_t* p = image.at(row, column);
  return {p[0], p[1], p[2]};
}

// The rows of a column in which the colour occurs.
std::vector<int> RowsOf(const Image& image, int column, Colour colour) {
  std::vector<int> rows;
  for (int row = 0; row < image.height; ++row) {
    if (At(image, row, column) == colour) rows.push_back(row);
  }
  return rows;
}

double MiddleRow(const Image& image, int column, Colour colour) {
  const std::vector<int> rows = RowsOf(image, column, colour);
  EXPECT_FALSE(rows.empty());
  return rows.empty() ? 0 : (rows.front() + rows.back()) / 2.0;
}

Series Flat(double y) { return {.x = {0, 1, 2}, .y = {y, y, y}}; }

TEST(LinePlotTest, ALogarithmicAxisSpacesRatiosEqually) {
  for (const bool log_y : {false, true}) {
    const absl::StatusOr<Image> image = LinePlot({Flat(1), Flat(10), Flat(100)}, {.log_y = log_y});
    ASSERT_TRUE(image.ok()) << image.status();
    const double one = MiddleRow(*image, 320, SeriesColour(0));
    const double ten = MiddleRow(*image, 320, SeriesColour(1));
    const double hundred = MiddleRow(*image, 320, SeriesColour(2));
    EXPECT_GT(one, ten);
    EXPECT_GT(ten, hundred);
    EXPECT_NEAR((one - ten) / (one - hundred), log_y ? 0.5 : 1.0 / 11, 0.01);
  }
}

TEST(LinePlotTest, NanIsAGap) {
  Series series = {.x = {0, 1, 2, 3, 4, 5}, .y = {1, 1, std::nan(""), 1, 1, 1}};
  const absl::StatusOr<Image> image = LinePlot({series});
  ASSERT_TRUE(image.ok()) << image.status();
  // Which columns have ink: one run up to x = 1, a second one from x = 3 on, twice as long.
  std::vector<int> runs;
  bool inside = false;
  for (int column = 0; column < image->width; ++column) {
    const bool ink = !RowsOf(*image, column, SeriesColour(0)).empty();
    if (ink && !inside) runs.push_back(0);
    if (ink) ++runs.back();
    inside = ink;
  }
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_NEAR(runs[1] / static_cast<double>(runs[0]), 2, 0.05);
}

TEST(LinePlotTest, TheLegendAvoidsTheLines) {
  // A curve through the upper right, where the legend would go.
  Series rising = {.name = "rising", .x = {0, 1, 2, 3}, .y = {0, 0.01, 0.02, 1}};
  Series unnamed = rising;
  unnamed.name.clear();
  const absl::StatusOr<Image> with = LinePlot({rising});
  const absl::StatusOr<Image> without = LinePlot({unnamed});
  ASSERT_TRUE(with.ok() && without.ok());
  int hidden = 0;
  int drawn = 0;
  for (int row = 0; row < with->height; ++row) {
    for (int column = 0; column < with->width; ++column) {
      hidden += At(*without, row, column) == SeriesColour(0) && At(*with, row, column) != SeriesColour(0);
      drawn += At(*with, row, column) != At(*without, row, column);
    }
  }
  EXPECT_EQ(hidden, 0);
  EXPECT_GT(drawn, 20);
}

TEST(LinePlotTest, DrawsWithoutDataAndWithStrangeData) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<Series>> cases = {
      {},
      {{.name = "empty"}},
      {{.name = "one", .x = {3}, .y = {4}}},
      {{.name = "not finite", .x = {1, 2, inf}, .y = {std::nan(""), inf, 1}}},
      {{.name = "huge", .x = {-1e308, 1e308}, .y = {-1e308, 1e308}}},
      {{.name = "tiny", .x = {1, 1 + 1e-15}, .y = {1e-310, 2e-310}}},
      {{.name = "negative", .x = {-1, -2}, .y = {-1, -2}, .markers = true}},
  };
  for (const std::vector<Series>& series : cases) {
    for (const bool logarithmic : {false, true}) {
      const absl::StatusOr<Image> image = LinePlot(
          series, {.log_x = logarithmic, .log_y = logarithmic, .references = {{1, "one"}, {1, "also one"}, {-1, ""}}});
      EXPECT_TRUE(image.ok()) << image.status();
    }
  }
}

TEST(LinePlotTest, Errors) {
  EXPECT_EQ(LinePlot({{.name = "loss", .x = {1, 2}, .y = {1}}}).status().message(),
            "LinePlot: series \"loss\" has 2 values of x and 1 of y");
  EXPECT_EQ(LinePlot({}, {.width = 10}).status().message(),
            "LinePlot: a picture of 10 x 400 pixels, expected 200 to 8192 to a side");
  EXPECT_EQ(LinePlot({}, {.references = {{1, std::string(200, 'm')}}}).status().message(),
            "LinePlot: the labels leave no room for the axes in 640 x 400 pixels");
}

Field Ramp(int64_t ny, int64_t nx) {
  Field field = {.values = autodiff::Tensor({ny, nx})};
  for (int64_t i = 0; i < ny; ++i) {
    for (int64_t j = 0; j < nx; ++j) field.values.set(i * nx + j, static_cast<double>(i) / static_cast<double>(ny - 1));
  }
  return field;
}

TEST(HeatMapTest, RowZeroIsAtTheBottomAndColoursRunThroughTheMap) {
  const absl::StatusOr<Image> image = HeatMap(Ramp(11, 5));
  ASSERT_TRUE(image.ok()) << image.status();
  const int column = 200;
  const int top = RowsOf(*image, column, Viridis(1)).front();
  const int middle = static_cast<int>(std::lround(MiddleRow(*image, column, Viridis(0.5))));
  int last = top;  // of the rows that are not the axis or the paper below
  while (At(*image, last + 1, column) != kPaleInk) ++last;
  EXPECT_NEAR(middle, (top + last) / 2.0, 1.5);
  EXPECT_LT(At(*image, last, column).green, 10);
}

TEST(HeatMapTest, AUnitOfXIsAsLongAsAUnitOfY) {
  for (const double aspect : {0.5, 1.0, 1.7}) {
    Field field = Ramp(3, 3);
    field.x_high = 2;
    field.y_high = 2 * aspect;
    const absl::StatusOr<Image> image = HeatMap(field, {.low = -1, .high = 0});  // one colour: the last
    ASSERT_TRUE(image.ok()) << image.status();
    int height = 0;
    int width = 0;
    for (int row = 0; row < image->height; ++row) height += At(*image, row, 200) == Viridis(1);
    for (int column = 0; column < image->width; ++column) width += At(*image, image->height / 3, column) == Viridis(1);
    EXPECT_NEAR(height / static_cast<double>(width), aspect, 0.02);
  }
}

TEST(HeatMapTest, DrawsWhatIsNotFinite) {
  Field field = Ramp(4, 4);
  for (int64_t i = 0; i < 16; ++i) field.values.set(i, std::nan(""));
  HeatMapOptions options = {.contours = 5};
  options.points = {{.points = {{std::nan(""), 0}, {0.5, 0.5}, {1e300, -1e300}}}};
  options.paths = {{}, {.points = {{0, 0}, {1, 1}}}};
  options.arrows = {{0.5, 0.5, 0, 0}, {0.2, 0.2, std::nan(""), 1}, {0.3, 0.3, 1, 1}};
  EXPECT_TRUE(HeatMap(field, options).ok());
  field.values.set(5, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(HeatMap(field, options).ok());
}

TEST(HeatMapTest, Errors) {
  EXPECT_EQ(HeatMap({}).status().message(), "HeatMap: values of shape [0], expected [ny, nx] with both at least 2");
  Field field = Ramp(4, 4);
  field.x_high = field.x_low;
  EXPECT_EQ(HeatMap(field).status().message(),
            "HeatMap: extents x 0 to 0, y 0 to 1, expected finite ones with low below high");
  EXPECT_EQ(HeatMap(Ramp(4, 4), {.low = 2}).status().message(),
            "HeatMap: colours from 2 to 1, expected finite values with low below high");
  field.x_high = 1e-3;
  EXPECT_FALSE(HeatMap(field).ok());  // a thousand times as high as wide
  EXPECT_FALSE(HeatMap(Ramp(4, 4), {.width = 100}).ok());
}

// matplotlib.cm.viridis at 0, 0.25, 0.5, 0.75 and 1, as its documentation lists the colours.
TEST(ViridisTest, IsMatplotlibs) {
  EXPECT_EQ(Viridis(0), (Colour{68, 1, 84}));
  EXPECT_EQ(Viridis(0.25), (Colour{59, 82, 139}));
  EXPECT_EQ(Viridis(0.5), (Colour{33, 145, 140}));
  EXPECT_EQ(Viridis(0.75), (Colour{94, 201, 98}));
  EXPECT_EQ(Viridis(1), (Colour{253, 231, 37}));
  EXPECT_EQ(Viridis(-5), Viridis(0));
  EXPECT_EQ(Viridis(5), Viridis(1));
}

TEST(ViridisTest, GetsEvenlyLighter) {
  const auto lightness = [](Colour c) { return 0.2126 * c.red + 0.7152 * c.green + 0.0722 * c.blue; };
  for (int i = 0; i < 100; ++i) EXPECT_LT(lightness(Viridis(i / 100.0)), lightness(Viridis((i + 1) / 100.0)));
}

// --- Histogram ---

// Counts 1, 2, 4 over [0, 3]: the tops of the bars are at equal ratios above the axis.
TEST(HistogramPlotTest, BarsAreAsHighAsTheirCounts) {
  const absl::StatusOr<Image> image = HistogramPlot({.low = 0, .high = 3, .counts = {1, 2, 4}});
  ASSERT_TRUE(image.ok()) << image.status();
  // The first row of a bar's fill, below the outline; the last is the same for all.
  const Colour white = kWhite;
  std::vector<double> heights;
  for (const int column : {150, 330, 510}) {
    int top = -1, bottom = -1;
    for (int row = 0; row < image->height; ++row) {
      const Colour c = At(*image, row, column);
      const bool fill = !(c == white) && c.blue > c.red + 40;
      if (fill && top < 0) top = row;
      if (fill) bottom = row;
    }
    heights.push_back(bottom - top);
  }
  EXPECT_NEAR(heights[1] / heights[0], 2, 0.05);
  EXPECT_NEAR(heights[2] / heights[0], 4, 0.1);
}

TEST(HistogramPlotTest, MarksKeepTheirLabelsApartAndInside) {
  HistogramPlotOptions options{.marks = {{1, "one"}, {1.01, "almost the same"}, {2.99, "at the border"}}};
  for (const int width : {300, 600}) {
    options.width = width;
    const absl::StatusOr<Image> image = HistogramPlot({.low = 0, .high = 3, .counts = {1, 0, 4}}, options);
    ASSERT_TRUE(image.ok()) << image.status();
    // Nothing is written over the border on the right.
    for (int row = 0; row < 200; ++row) EXPECT_EQ(At(*image, row, width - 4), kWhite);
  }
}

TEST(HistogramPlotTest, EmptyAndOutlyingIsStillAPicture) {
  EXPECT_TRUE(HistogramPlot({.low = 0, .high = 1, .counts = {0, 0}}, {.marks = {{5, "far away"}}}).ok());
  EXPECT_TRUE(HistogramPlot({.low = 0, .high = 1, .counts = std::vector<double>(5000, 1)}).ok());
}

TEST(HistogramPlotTest, Errors) {
  EXPECT_FALSE(HistogramPlot({.low = 0, .high = 1, .counts = {}}).ok());
  EXPECT_FALSE(HistogramPlot({.low = 1, .high = 1, .counts = {1}}).ok());
  EXPECT_FALSE(HistogramPlot({.low = 0, .high = std::nan(""), .counts = {1}}).ok());
  EXPECT_FALSE(HistogramPlot({.low = 0, .high = 1, .counts = {1, -1}}).ok());
  EXPECT_FALSE(HistogramPlot({.low = 0, .high = 1, .counts = {1}}, {.width = 100}).ok());
}

}  // namespace
}  // namespace neb
