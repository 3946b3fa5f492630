#include "neb/cli/denoise_grid.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "neb/energy.h"
#include "neb/measurements.h"

namespace neb {
namespace {

// With σ = 1, x̂ = 0 wherever y is.
Var Bowl(Var y, Params&) { return 0.5 * squared_norm(y, {1}); }

Dataset White(int64_t n) {
  Dataset data{.x = Tensor({n, 6}), .item_shape = {2, 3, 1}, .name = "white"};
  std::ranges::fill(data.x.data<float>(), 1.0F);
  return data;
}

// Pixels of this grey.
int64_t Count(const Image& image, uint8_t value) {
  int64_t count = 0;
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    count += image.pixels[i] == value && image.pixels[i + 1] == value && image.pixels[i + 2] == value;
  }
  return count;
}

TEST(DenoiseGrid, HasCleanNoisyAndEstimate) {
  absl::StatusOr<Model> model = Model::Create(Bowl, {2, 3, 1}, 1);
  const absl::StatusOr<Image> few = DenoiseGrid(*model, White(3), {.images = 16});
  ASSERT_TRUE(few.ok()) << few.status();
  // Clean cells are white and estimates black, so of each there are at least a third.
  const int64_t all = int64_t{few->width} * few->height;
  EXPECT_GT(Count(*few, 255), all / 4);
  EXPECT_GT(Count(*few, 0), all / 4);
  EXPECT_LT(Count(*few, 255) + Count(*few, 0), all);
  const absl::StatusOr<Image> limited = DenoiseGrid(*model, White(30), {.images = 3});
  ASSERT_TRUE(limited.ok()) << limited.status();
  EXPECT_EQ(limited->pixels, few->pixels);
}

TEST(DenoiseGrid, OfSeveralMeasurements) {
  absl::StatusOr<Model> model = Model::Create(JointEnergy(Bowl, 4, 1), {4, 2, 3, 1}, 1);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(DenoiseGrid(*model, White(3), {}).ok());
}

TEST(DenoiseGrid, OfPointsIsAnError) {
  absl::StatusOr<Model> model = Model::Create(Bowl, {6}, 1);
  Dataset points = White(3);
  points.item_shape = {6};
  EXPECT_FALSE(DenoiseGrid(*model, points, {}).ok());
}

}  // namespace
}  // namespace neb
