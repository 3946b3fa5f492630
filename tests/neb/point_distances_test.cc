#include "neb/point_distances.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

constexpr int64_t kPanel = PackedPoints::kPanel;

std::vector<double> Tile(const PackedPoints& points, int64_t a, int64_t b) {
  std::vector<double> tile(static_cast<size_t>(kPanel * kPanel));
  SquaredDistances(points.panel(a), points.panel(b), points.d(), tile.data());
  return tile;
}

double Exactly(const Tensor& x, int64_t i, int64_t j) {
  const int64_t d = x.shape()[1];
  double squared = 0;
  for (int64_t k = 0; k < d; ++k) squared += std::pow(x.at(i * d + k) - x.at(j * d + k), 2);
  return squared;
}

class OnEachTarget : public testing::TestWithParam<int64_t> {
 protected:
  ~OnEachTarget() override { hwy::SetSupportedTargetsForTest(0); }
};

// 128 coordinates are one pass; the offset makes ‖a‖² + ‖b‖² − 2a·b hopeless in float32.
TEST_P(OnEachTarget, AgreesWithTheDefinition) {
  const Tensor x = NormalTensor({100, GetParam()}, /*mean=*/1000, 1, 7);
  const PackedPoints points(x, 1);
  ASSERT_EQ(points.panels(), 2);
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const int64_t b : {0, 1}) {
      const std::vector<double> tile = Tile(points, 0, b);
      for (int64_t i = 0; i < kPanel; ++i) {
        for (int64_t j = 0; j < kPanel && b * kPanel + j < 100; ++j) {
          const double exact = Exactly(x, i, b * kPanel + j);
          ASSERT_NEAR(tile[static_cast<size_t>(i * kPanel + j)], exact, 1e-5 * exact) << hwy::TargetName(target);
        }
      }
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}
INSTANTIATE_TEST_SUITE_P(Dimensions, OnEachTarget, testing::Values(1, 2, 127, 128, 129, 1000));

// Wherever the two points lie in their panels, and in either order.
TEST(SquaredDistances, DependOnTheTwoPointsOnly) {
  const Tensor x = NormalTensor({64, 200}, 0, 1, 3);
  Tensor turned(x.shape());
  for (int64_t i = 0; i < 64; ++i) {
    for (int64_t k = 0; k < 200; ++k) turned.set((63 - i) * 200 + k, x.at(i * 200 + k));
  }
  const std::vector<double> tile = Tile(PackedPoints(x, 1), 0, 0), other = Tile(PackedPoints(turned, 1), 0, 0);
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(tile[65 * i], 0);
    for (size_t j = 0; j < 64; ++j) {
      ASSERT_EQ(tile[64 * i + j], tile[64 * j + i]);
      ASSERT_EQ(tile[64 * i + j], other[64 * (63 - i) + 63 - j]);
    }
  }
}

TEST(PackedPoints, AreScaledAndFilledUpWithZeros) {
  const PackedPoints points(Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6}), 0.5);
  EXPECT_EQ(points.panels(), 1);
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_EQ(points.panel(0)[k * kPanel], 0.5 * (1 + k));
    EXPECT_EQ(points.panel(0)[k * kPanel + 1], 0.5 * (4 + k));
    for (int64_t i = 2; i < kPanel; ++i) EXPECT_EQ(points.panel(0)[k * kPanel + i], 0);
  }
}

}  // namespace
}  // namespace neb
