// χ over all pairs of MNIST's test images against the numbers of METHOD.md §8, item 2, which were computed
// independently.
#include <string>

#include "gtest/gtest.h"
#include "neb/idx.h"
#include "neb/spheres.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

TEST(Chi, HasItsPublishedDistributionOnMnist) {
  const std::optional<std::string> path = MnistFile("t10k-images-idx3-ubyte.gz");
  if (!path.has_value()) GTEST_SKIP() << "NEB_SHARED does not say where MNIST is";
  const absl::StatusOr<Dataset> test = ReadIdx(*path);
  ASSERT_TRUE(test.ok()) << test.status();
  const absl::StatusOr<Chi> chi = Chi::Measure(test->x);
  ASSERT_TRUE(chi.ok()) << chi.status();
  EXPECT_EQ(chi->pairs(), 49995000);
  // Half of the last digit that is known.
  EXPECT_NEAR(chi->min(), 0.0191, 0.00005);
  EXPECT_NEAR(chi->Quantile(0.05), 0.139, 0.0005);
  EXPECT_NEAR(chi->Quantile(0.5), 0.183, 0.0005);
  EXPECT_NEAR(chi->mean(), 0.182, 0.0005);
  EXPECT_NEAR(chi->Quantile(0.95), 0.221, 0.0005);
  EXPECT_NEAR(chi->max(), 0.2870, 0.00005);
}

}  // namespace
}  // namespace neb
