// The linear estimator on MNIST against the numbers of METHOD.md §8, item 3, which were computed independently.
#include <string>

#include "gtest/gtest.h"
#include "neb/idx.h"
#include "neb/reference.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

struct Case {
  double sigma, from_train, from_itself;
};

TEST(LinearEstimator, HasItsPublishedLossOnMnist) {
  const std::optional<std::string> train_path = MnistFile("train-images-idx3-ubyte.gz");
  if (!train_path.has_value()) GTEST_SKIP() << "NEB_SHARED does not say where MNIST is";
  const absl::StatusOr<Dataset> train = ReadIdx(*train_path), test = ReadIdx(*MnistFile("t10k-images-idx3-ubyte.gz"));
  ASSERT_TRUE(train.ok()) << train.status();
  ASSERT_TRUE(test.ok()) << test.status();
  for (const Case& c :
       {Case{0.15, 4.44, 4.39}, Case{0.3, 9.55, 9.46}, Case{0.5, 15.55, 15.45}, Case{1, 26.92, 26.80}}) {
    const absl::StatusOr<LinearEstimator> honest = LinearEstimator::Fit(train->x, c.sigma);
    const absl::StatusOr<LinearEstimator> own = LinearEstimator::Fit(test->x, c.sigma);
    ASSERT_TRUE(honest.ok() && own.ok());
    // Two decimals are known.
    EXPECT_NEAR(*honest->Loss(test->x), c.from_train, 0.006) << c.sigma;
    EXPECT_NEAR(*own->Loss(test->x), c.from_itself, 0.006) << c.sigma;
  }
}

}  // namespace
}  // namespace neb
