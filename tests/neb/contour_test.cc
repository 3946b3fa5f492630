#include "neb/contour.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "gtest/gtest.h"

namespace neb {
namespace {

double Length(const Segment& s) { return std::hypot(s.to.x - s.from.x, s.to.y - s.from.y); }

template <typename F>
autodiff::Tensor Sample(int64_t rows, int64_t columns, F f) {
  autodiff::Tensor values({rows, columns}, autodiff::DType::kF64);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      values.set(i * columns + j, f(static_cast<double>(j), static_cast<double>(i)));
    }
  }
  return values;
}

TEST(ContourTest, OfACircularFieldIsTheCircle) {
  const double radius = 12.3;
  const autodiff::Tensor values =
      Sample(33, 41, [](double x, double y) { return (x - 20) * (x - 20) + (y - 15.5) * (y - 15.5); });
  double length = 0;
  for (const Segment& s : ContourLine(values, radius * radius)) {
    // Linear interpolation of a function with second derivative 2 on a unit interval errs by at most 1/4; the gradient
    // across the circle is 2 r.
    for (const Point& p : {s.from, s.to}) {
      EXPECT_NEAR(std::hypot(p.x - 20, p.y - 15.5), radius, 1.1 / 4 / (2 * radius));
    }
    length += Length(s);
  }
  EXPECT_NEAR(length, 2 * std::numbers::pi * radius, 0.2);
}

TEST(ContourTest, OfALinearFieldIsAStraightLine) {
  const autodiff::Tensor values = Sample(6, 9, [](double x, double y) { return x + 2 * y; });
  double length = 0;
  for (const Segment& s : ContourLine(values, 7.5)) {
    EXPECT_NEAR(s.from.x + 2 * s.from.y, 7.5, 1e-12);
    EXPECT_NEAR(s.to.x + 2 * s.to.y, 7.5, 1e-12);
    length += Length(s);
  }
  EXPECT_NEAR(length, std::hypot(7.5, 3.75), 1e-12);  // from (0, 3.75) to (7.5, 0)
}

TEST(ContourTest, ASaddleIsDecidedByItsMean) {
  for (const double lift : {0.5, -0.5}) {
    // High at (0, 0) and (1, 1); the mean is `lift`.
    const autodiff::Tensor values = Sample(2, 2, [&](double x, double y) { return (x == y ? 1 : -1) + lift; });
    const std::vector<Segment> segments = ContourLine(values, 0);
    ASSERT_EQ(segments.size(), 2u);
    for (const Segment& s : segments) {
      // A high middle belongs to the high corners: each segment cuts off a low one, (1, 0) or (0, 1).
      const double middle_x = (s.from.x + s.to.x) / 2;
      const double middle_y = (s.from.y + s.to.y) / 2;
      EXPECT_EQ((middle_x > 0.5) == (middle_y > 0.5), lift < 0);
    }
  }
}

TEST(ContourTest, IsABoundaryBetweenHighAndLow) {
  // However wild the field, each cell edge with a change of sign is crossed exactly once: inside the grid, every
  // crossing is the end of two segments.
  const autodiff::Tensor values =
      Sample(20, 20, [](double x, double y) { return std::sin(7 * x * x + 5 * y + x * y); });
  std::vector<std::pair<double, double>> ends;
  for (const Segment& s : ContourLine(values, 0.1)) {
    for (const Point& p : {s.from, s.to}) {
      if (p.x > 0 && p.x < 19 && p.y > 0 && p.y < 19) ends.emplace_back(std::round(p.x * 1e9), std::round(p.y * 1e9));
    }
  }
  ASSERT_GT(ends.size(), 100u);
  for (const auto& end : ends) EXPECT_EQ(std::count(ends.begin(), ends.end(), end), 2);
}

TEST(ContourTest, StopsAtWhatIsNotFinite) {
  autodiff::Tensor values = Sample(3, 3, [](double x, double) { return x; });
  values.set(0, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(ContourLine(values, 0.5).size(), 1u);  // of the two cells that it would cross
  EXPECT_TRUE(ContourLine(values, 5).empty());
}

}  // namespace
}  // namespace neb
