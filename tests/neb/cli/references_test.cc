#include "neb/cli/references.h"

#include <cmath>

#include "gtest/gtest.h"

namespace neb {
namespace {

std::vector<Reference> Of(const DataSource& source, double sigma) {
  const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(source);
  EXPECT_TRUE(data.ok()) << data.status();
  const absl::StatusOr<std::vector<Reference>> references = References(*data, source, sigma);
  EXPECT_TRUE(references.ok()) << references.status();
  return *references;
}

// Unit variance along two directions of R^100: 2σ²/(1 + σ²), which the linear estimator reaches.
TEST(References, OfAGaussian) {
  const double sigma = 0.5;
  const std::vector<Reference> r = Of({.data = "gaussian_manifold", .points = 5000}, sigma);
  ASSERT_EQ(r.size(), 3u);
  EXPECT_EQ(r[0].name, "least possible");
  EXPECT_NEAR(r[0].loss, 2 * 0.25 / 1.25, 1e-12);
  // The fit's error: about d/n of the loss in each of the 2 · 100 numbers that matter, and the sample's own, 1/√n.
  EXPECT_NEAR(r[1].loss / r[0].loss, 1, 0.05);
  EXPECT_DOUBLE_EQ(r[2].loss, 100 * 0.25);
}

// Far apart, each of the 25 is a Gaussian of its own: 2 s²σ²/(s² + σ²) with s = 0.05, σ = 0.1.
TEST(References, OfAMixture) {
  const std::vector<Reference> r = Of({.data = "twenty_five_gaussians", .points = 1000}, 0.1);
  ASSERT_EQ(r.size(), 3u);
  EXPECT_NEAR(r[0].loss, 2 * 0.0025 * 0.01 / 0.0125, 5 * r[0].standard_error + 1e-9);
  EXPECT_LT(r[0].loss, r[1].loss);
  EXPECT_LT(r[1].loss, r[2].loss);
}

TEST(References, OfOtherData) {
  const std::vector<Reference> r = Of({.data = "rings", .points = 100}, 0.2);
  ASSERT_EQ(r.size(), 2u);
  EXPECT_EQ(r[0].name, "linear (Wiener)");
  EXPECT_DOUBLE_EQ(r[1].loss, 2 * 0.2 * 0.2);
}

}  // namespace
}  // namespace neb
