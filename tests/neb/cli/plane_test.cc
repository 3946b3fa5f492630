#include "neb/cli/plane.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "neb/cli/plane_picture.h"
#include "neb/energy.h"

namespace neb {
namespace {

// φ = (x² − 1)² + y²: wells at (±1, 0), parted by the line x = 0.
Var DoubleWell(Var y, Params&) {
  const Var x = slice(y, 1, 0, 1), height = slice(y, 1, 1, 2);
  return reshape(square(square(x) - 1.0) + square(height), {-1});
}

Model Wells(double sigma = 0.3) { return *Model::Create(DoubleWell, {2}, sigma); }

constexpr PlaneBox kBox = {-2, 2, -1, 1};

TEST(Plane, BoxAroundPoints) {
  const PlaneBox box = BoxAround(Tensor::From<float>({3, 2}, {1, 5, -2, 4, 0, 7}), 0.5);
  EXPECT_EQ(box.x_low, -2.5);
  EXPECT_EQ(box.x_high, 1.5);
  EXPECT_EQ(box.y_low, 3.5);
  EXPECT_EQ(box.y_high, 7.5);
}

TEST(Plane, GridGoesRowAfterRowFromBelow) {
  const Tensor y = GridPoints(kBox, 3, 2);
  const std::vector<float> expected = {-2, -1, 0, -1, 2, -1, -2, 1, 0, 1, 2, 1};
  EXPECT_TRUE(std::ranges::equal(y.data<float>(), expected));
}

TEST(Plane, SomeRowsAreEvenlySpaced) {
  Tensor x({10, 1});
  for (int64_t i = 0; i < 10; ++i) x.set(i, static_cast<double>(i));
  const std::vector<float> five = {0, 2, 4, 6, 8};
  EXPECT_TRUE(std::ranges::equal(SomeRows(x, 5).data<float>(), five));
  EXPECT_EQ(SomeRows(x, 100).shape()[0], 10);
}

TEST(Plane, FieldIsTheEnergyAboveItsLowest) {
  Model model = Wells();
  const absl::StatusOr<Field> field = EnergyField(model, kBox, nullptr, 41 * 21);
  ASSERT_TRUE(field.ok()) << field.status();
  const int64_t ny = field->values.shape()[0], nx = field->values.shape()[1];
  EXPECT_EQ(nx, 41);
  EXPECT_EQ(ny, 21);
  EXPECT_NEAR(field->values.at(ny / 2 * nx + 10), 0, 1e-6);      // (−1, 0)
  EXPECT_NEAR(field->values.at(ny / 2 * nx + nx / 2), 1, 1e-6);  // (0, 0)
  EXPECT_NEAR(field->values.at(0), 10, 1e-5);                    // (−2, −1): 9 + 1
}

TEST(Plane, ArrowsPointDownAndDoNotOutgrowTheOthers) {
  Model model = Wells();
  const absl::StatusOr<std::vector<Arrow>> arrows = DownhillArrows(model, kBox);
  ASSERT_TRUE(arrows.ok()) << arrows.status();
  bool saturated = false;
  for (const Arrow& a : *arrows) {
    const double gx = 4 * a.x * (a.x * a.x - 1), gy = 2 * a.y, norm = std::hypot(gx, gy);
    const double length = std::min(norm, 1 / model.sigma());
    EXPECT_NEAR(a.dx, -gx / norm * length, 1e-4);
    EXPECT_NEAR(a.dy, -gy / norm * length, 1e-4);
    saturated |= norm > length;
  }
  EXPECT_TRUE(saturated);
}

TEST(Plane, BasinsOfTwoWells) {
  Model model = Wells();
  const absl::StatusOr<Basins> basins = FindBasins(model, kBox, {.across = 20});
  ASSERT_TRUE(basins.ok()) << basins.status();
  ASSERT_EQ(basins->attractors.shape()[0], 2);
  ASSERT_EQ(basins->starts.size(), 2u);
  size_t starts = 0;
  for (size_t k = 0; k < 2; ++k) {
    const double x = basins->attractors.at(2 * static_cast<int64_t>(k));
    EXPECT_NEAR(std::abs(x), 1, 1e-4);
    EXPECT_NEAR(basins->attractors.at(2 * static_cast<int64_t>(k) + 1), 0, 1e-4);
    for (const Point& p : basins->starts[k].points) EXPECT_GT(p.x * x, 0);
    EXPECT_EQ(basins->starts[k].colour, basins->marks[k].colour);
    starts += basins->starts[k].points.size();
  }
  EXPECT_EQ(starts, 200u);
}

TEST(PlanePicture, OfAnotherDimensionIsAnError) {
  Model model = Wells();
  EXPECT_FALSE(EnergyPicture(model, Tensor({3, 3}), {}).ok());
  EXPECT_FALSE(BasinsPicture(model, Tensor({0, 2}), {}).ok());
}

// One large dark disc at each well, where otherwise the map is.
TEST(PlanePicture, ShowsTheAttractors) {
  Model model = Wells();
  const Tensor x = Tensor::From<float>({2, 2}, {-1.5, -0.5, 1.5, 0.5});
  const absl::StatusOr<Image> picture = EnergyPicture(model, x, {.title = "wells"});
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->width, 720);
  int64_t ink = 0;
  for (size_t i = 0; i + 2 < picture->pixels.size(); i += 3) {
    ink +=
        picture->pixels[i] == kInk.red && picture->pixels[i + 1] == kInk.green && picture->pixels[i + 2] == kInk.blue;
  }
  EXPECT_GT(ink, 2 * 100);  // a disc of radius 7 covers about 150 pixels
}

}  // namespace
}  // namespace neb
