#include "neb/cli/loss_curve.h"

#include <cmath>

#include "gtest/gtest.h"
#include "neb/canvas.h"

namespace neb {
namespace {

int64_t Count(const Image& image, Colour c) {
  int64_t count = 0;
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    count += image.pixels[i] == c.red && image.pixels[i + 1] == c.green && image.pixels[i + 2] == c.blue;
  }
  return count;
}

std::vector<Progress> History(double held_out) {
  std::vector<Progress> history;
  for (int64_t step = 100; step <= 1000; step += 100) {
    history.push_back({.step = step, .steps = 1000, .loss = 1000.0 / static_cast<double>(step)});
    history.back().held_out_loss = step == 500 ? held_out : std::nan("");
  }
  return history;
}

// The line in the first colour, a dot in the second for the one time that the held-out loss was measured.
TEST(LossCurve, ShowsBothLosses) {
  const absl::StatusOr<Image> with = LossCurve(History(3), {{"no model", 9}}, {.title = "rings"});
  const absl::StatusOr<Image> without = LossCurve(History(std::nan("")), {{"no model", 9}}, {.title = "rings"});
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_GT(Count(*with, SeriesColour(0)), 100);
  EXPECT_GT(Count(*with, SeriesColour(1)), Count(*without, SeriesColour(1)));
}

// A run of no steps has a picture too.
TEST(LossCurve, OfNothing) { EXPECT_TRUE(LossCurve({}, {{"no model", 9}}, {}).ok()); }

}  // namespace
}  // namespace neb
