#include "neb/canvas.h"

#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

constexpr Colour kBlack = {0, 0, 0};

// How much black there is, in pixels.
double Ink(const Image& image) {
  double ink = 0;
  for (int row = 0; row < image.height; ++row) {
    for (int column = 0; column < image.width; ++column) ink += (255 - image.at(row, column)[0]) / 255.0;
  }
  return ink;
}

TEST(CanvasTest, AThinLineAtAWholeCoordinateIsOneRowOfPixels) {
  Canvas canvas(20, 9);
  canvas.DrawLine({3, 4}, {15, 4}, {.colour = kBlack});
  const Image image = std::move(canvas).Take();
  for (int row = 0; row < 9; ++row) {
    for (int column = 4; column < 15; ++column) EXPECT_EQ(image.at(row, column)[0], row == 4 ? 0 : 255);
  }
}

TEST(CanvasTest, AreasAreThoseOfGeometry) {
  for (const double angle : {0.0, 0.3, 0.785, 1.2}) {
    Canvas canvas(120, 120);
    const double length = 80;
    canvas.DrawLine({10.3, 10.7}, {10.3 + length * std::cos(angle), 10.7 + length * std::sin(angle)},
                    {.colour = kBlack, .width = 3});
    const double round_ends = std::numbers::pi * 1.5 * 1.5;
    EXPECT_NEAR(Ink(std::move(canvas).Take()), 3 * length + round_ends, 0.02 * 3 * length) << angle;
  }
  Canvas canvas(40, 40);
  canvas.FillDisc({20.2, 19.6}, 12, kBlack);
  EXPECT_NEAR(Ink(std::move(canvas).Take()), std::numbers::pi * 144, 2);
}

TEST(CanvasTest, ATranslucentPenIsNotDarkerWhereItCrossesItself) {
  Canvas canvas(41, 41);
  const std::vector<Stroke> cross = {{{2, 20}, {38, 20}}, {{20, 2}, {20, 38}}};
  canvas.DrawLines(cross, {.colour = kBlack, .width = 3, .alpha = 0.5});
  const Image image = std::move(canvas).Take();
  EXPECT_EQ(image.at(20, 20)[0], image.at(20, 10)[0]);
  EXPECT_NEAR(image.at(20, 10)[0], 127.5, 1);
}

TEST(CanvasTest, ClippedAndFarAwayDrawingStaysInside) {
  Canvas canvas(30, 20);
  canvas.ClipTo({5, 5, 10, 10});
  canvas.DrawLine({-1e12, -1e12}, {1e12, 1e12}, {.colour = kBlack, .width = 9});
  canvas.FillBox({-1e300, -1e300, 1e300, 1e300}, kBlack);
  canvas.FillDisc({1e9, 3}, 1e9, kBlack);
  const Image image = std::move(canvas).Take();
  for (int row = 0; row < 20; ++row) {
    for (int column = 0; column < 30; ++column) {
      const bool inside = row >= 5 && row <= 10 && column >= 5 && column <= 10;
      EXPECT_EQ(image.at(row, column)[0], inside ? 0 : 255);
    }
  }
}

TEST(CanvasTest, DashesShareTheLengthAsAsked) {
  const std::vector<Stroke> dashes = Dashed({{0, 0}, {30, 0}, {30, 30}}, 5, 4);
  double total = 0;
  for (const Stroke& dash : dashes) {
    double length = 0;
    for (size_t i = 1; i < dash.size(); ++i) length += std::hypot(dash[i].x - dash[i - 1].x, dash[i].y - dash[i - 1].y);
    total += length;
    EXPECT_LE(length, 5 + 1e-9);
  }
  EXPECT_EQ(dashes.size(), 7u);  // 60 = 6 (5 + 4) + 6
  EXPECT_NEAR(total, 35, 1e-9);
}

TEST(CanvasTest, UpwardsTextIsTheSameTextTurned) {
  Canvas level(60, 60);
  level.DrawText({10, 30}, "φ(y) = 1", {.colour = kBlack});
  Canvas upwards(60, 60);
  upwards.DrawText({30, 49}, "φ(y) = 1", {.colour = kBlack, .upwards = true});
  const Image a = std::move(level).Take();
  const Image b = std::move(upwards).Take();
  EXPECT_GT(Ink(a), 50);
  for (int row = 0; row < 60; ++row) {
    for (int column = 0; column < 60; ++column) EXPECT_EQ(a.at(row, column)[0], b.at(59 - column, row)[0]);
  }
}

TEST(CanvasTest, TextLiesWhereItIsAligned) {
  const std::string text = "HH";
  for (const auto& [align, left] : {std::pair(Align::kLeft, 40.0), std::pair(Align::kCentre, 40 - TextWidth(text) / 2),
                                    std::pair(Align::kRight, 40 - TextWidth(text))}) {
    Canvas canvas(80, 30);
    canvas.DrawText({40, 20}, text, {.colour = kBlack, .align = align});
    const Image image = std::move(canvas).Take();
    int first = 80;
    for (int column = 79; column >= 0; --column) {
      if (image.at(15, column)[0] < 128) first = column;
    }
    EXPECT_EQ(first, std::round(left));
  }
}

TEST(StrokeFontTest, EveryPrintableCharacterHasItsOwnStrokes) {
  const auto flat = [](const std::string& text) {
    std::vector<double> numbers;
    for (const Stroke& stroke : TextStrokes(text, {})) {
      for (const Point& p : stroke) numbers.insert(numbers.end(), {p.x, p.y});
      numbers.push_back(1e9);
    }
    return numbers;
  };
  std::vector<std::string> all;
  for (char c = '!'; c <= '~'; ++c) all.emplace_back(1, c);
  for (const char* c : {"σ", "φ", "χ", "ε", "∇", "²", "√", "−", "×", "\u0302", "unknown: \u4e2d"}) all.emplace_back(c);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(flat(all[i]).empty()) << all[i];
    for (size_t j = 0; j < i; ++j) {
      // A plain capital I and a plain l are the same stroke, as is the bar but for its length.
      if (all[i] == "l" && all[j] == "I") continue;
      EXPECT_NE(flat(all[i]), flat(all[j])) << all[i] << " " << all[j];
    }
  }
}

TEST(StrokeFontTest, WidthsAddUpAndAHatTakesNone) {
  const double gap = TextWidth("nn") - 2 * TextWidth("n");
  EXPECT_GT(gap, 0);
  EXPECT_EQ(TextWidth("loss"), TextWidth("lo") + gap + TextWidth("ss"));
  EXPECT_EQ(TextWidth("x\u0302"), TextWidth("x"));
  EXPECT_EQ(TextWidth(""), 0);
}

TEST(StrokeFontTest, BrokenUtf8IsDrawnAsUnknown) {
  for (const char* text : {"\xff", "\xc3", "a\xe2\x88", "\x80\x80", "\xf0\x9f\x98\x80"}) {
    EXPECT_FALSE(TextStrokes(text, {}).empty());
    EXPECT_GT(TextWidth(text), 0);
  }
}

}  // namespace
}  // namespace neb
