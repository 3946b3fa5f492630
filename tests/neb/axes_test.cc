#include "neb/axes.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

std::vector<std::string> Labels(const Axis& axis, int most) {
  std::vector<std::string> labels;
  for (const Tick& tick : Ticks(axis, most)) labels.push_back(tick.label);
  return labels;
}
using Strings = std::vector<std::string>;

TEST(TicksTest, AreTheRoundNumbersOnePicksByHand) {
  EXPECT_EQ(Labels({.low = 0, .high = 9.7}, 6), (Strings{"0", "2", "4", "6", "8"}));
  EXPECT_EQ(Labels({.low = 0, .high = 1}, 6), (Strings{"0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(Labels({.low = -1.5, .high = 2}, 8), (Strings{"−1.5", "−1.0", "−0.5", "0", "0.5", "1.0", "1.5", "2.0"}));
  EXPECT_EQ(Labels({.low = 9.31, .high = 9.89}, 4), (Strings{"9.4", "9.6", "9.8"}));
  EXPECT_EQ(Labels({.low = 0, .high = 51000}, 6), (Strings{"0", "10k", "20k", "30k", "40k", "50k"}));
  EXPECT_EQ(Labels({.low = 0, .high = 3.1e6}, 4), (Strings{"0", "1M", "2M", "3M"}));
  EXPECT_EQ(Labels({.low = 0, .high = 1e-6}, 3), (Strings{"0", "5e-7", "1e-6"}));
  EXPECT_EQ(Labels({.low = 0, .high = 10}, 5), (Strings{"0", "2.5", "5.0", "7.5", "10.0"}));
}

TEST(TicksTest, OnALogarithmicAxis) {
  EXPECT_EQ(Labels({.low = 4, .high = 80, .logarithmic = true}, 6), (Strings{"5", "10", "20", "50"}));
  EXPECT_EQ(Labels({.low = 0.5, .high = 2000, .logarithmic = true}, 6), (Strings{"1", "10", "100", "1000"}));
  EXPECT_EQ(Labels({.low = 1e-6, .high = 1e6, .logarithmic = true}, 5), (Strings{"1e-6", "0.001", "1", "1000", "1M"}));
  // Less than two round decades, doubles or fivefolds: as on a linear axis.
  EXPECT_EQ(Labels({.low = 6, .high = 9, .logarithmic = true}, 5), (Strings{"6", "7", "8", "9"}));
}

TEST(TicksTest, ForAnyRangeAreInsideEquallySpacedAndNotTooMany) {
  for (double low : {-1e9, -123.4, -1.0, 0.0, 1e-7, 0.3, 77.7, 1e5}) {
    for (double length : {1e-6, 0.013, 0.999, 1.0, 7.3, 250.0, 1e4, 3e8}) {
      if (length < 1e-9 * std::abs(low)) continue;
      for (int most : {2, 3, 5, 10}) {
        const double high = low + length;
        const std::vector<Tick> ticks = Ticks({.low = low, .high = high}, most);
        ASSERT_LE(static_cast<int>(ticks.size()), most);
        ASSERT_GE(ticks.size(), 1u) << low << " " << length;
        EXPECT_GE(ticks.front().value, low - 1e-6 * length);
        EXPECT_LE(ticks.back().value, high + 1e-6 * length);
        for (size_t i = 2; i < ticks.size(); ++i) {
          EXPECT_NEAR(ticks[i].value - ticks[i - 1].value, ticks[1].value - ticks[0].value, 1e-6 * length);
          EXPECT_NE(ticks[i].label, ticks[i - 1].label);
        }
      }
    }
  }
}

TEST(AxisTest, MapsLinearlyAndLogarithmically) {
  const Axis linear = {.low = -1, .high = 3, .first_pixel = 100, .last_pixel = 20};
  EXPECT_DOUBLE_EQ(linear.Map(-1), 100);
  EXPECT_DOUBLE_EQ(linear.Map(1), 60);
  EXPECT_DOUBLE_EQ(linear.Map(3), 20);
  const Axis logarithmic = {.low = 1, .high = 100, .logarithmic = true, .first_pixel = 0, .last_pixel = 50};
  EXPECT_DOUBLE_EQ(logarithmic.Map(10), 25);
  EXPECT_FALSE(std::isfinite(logarithmic.Map(0)));
  EXPECT_FALSE(std::isfinite(logarithmic.Map(-3)));
}

TEST(AxisTest, AroundValues) {
  const double inf = std::numeric_limits<double>::infinity();
  Axis axis = AxisAround({3, std::nan(""), -1, inf, -inf}, false, 0.25);
  EXPECT_EQ(axis.low, -2);
  EXPECT_EQ(axis.high, 4);
  axis = AxisAround({100, 0, -7, 1}, true, 0.5);
  EXPECT_NEAR(axis.low, 0.1, 1e-12);
  EXPECT_NEAR(axis.high, 1000, 1e-9);
  axis = AxisAround({-4}, false, 0.1);
  EXPECT_EQ(axis.low, -6);
  EXPECT_EQ(axis.high, -2);
  axis = AxisAround({4, 4}, true, 0.1);
  EXPECT_EQ(axis.low, 2);
  EXPECT_EQ(axis.high, 8);
  for (const bool logarithmic : {false, true}) {
    for (const std::vector<double>& values : {std::vector<double>{},
                                              {inf},
                                              {5},
                                              {5, 5},
                                              {1e300},
                                              {1e-300},
                                              {0, 1e308},
                                              {1e-150, 1e150},
                                              {-1e308, 1e308},
                                              {1, 1 + 1e-15}}) {
      axis = AxisAround(values, logarithmic, 0.1);
      EXPECT_TRUE(std::isfinite(axis.low) && std::isfinite(axis.high) && axis.low < axis.high);
      EXPECT_GE(Ticks(axis, 6).size(), 1u);
    }
  }
}

}  // namespace
}  // namespace neb
