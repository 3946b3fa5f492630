// The kernel-density denoiser on MNIST against the numbers of METHOD.md §8, item 4, which were computed independently.
#include <cmath>
#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "neb/idx.h"
#include "neb/kernel_density.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

struct Case {
  double sigma, loss;
};

TEST(KernelDensity, HasItsPublishedLossOnMnist) {
  const std::optional<std::string> train_path = MnistFile("train-images-idx3-ubyte.gz");
  if (!train_path.has_value()) GTEST_SKIP() << "NEB_SHARED does not say where MNIST is";
  const absl::StatusOr<Dataset> train = ReadIdx(*train_path), test = ReadIdx(*MnistFile("t10k-images-idx3-ubyte.gz"));
  ASSERT_TRUE(train.ok() && test.ok());
  const Tensor held_out = Tensor::From<float>({2000, 784}, test->x.data<float>().subspan(0, 2000 * 784));
  for (const Case& c : {Case{0.3, 19.8}, Case{0.5, 19.7}, Case{1, 22.0}}) {
    const absl::StatusOr<KernelDensity> kde = KernelDensity::Create(train->x, c.sigma);
    ASSERT_TRUE(kde.ok()) << kde.status();
    const absl::StatusOr<LossEstimate> loss = kde->Loss(held_out, /*seed=*/1);
    ASSERT_TRUE(loss.ok()) << loss.status();
    std::printf("sigma = %g: %.3f\n", c.sigma, loss->mean);
    // One decimal is known, for another draw of noise on the same digits. Two draws differ by √2 standard errors at
    // most; twice that.
    EXPECT_NEAR(loss->mean, c.loss, 0.05 + 2 * std::sqrt(2.0) * loss->standard_error) << c.sigma;
    EXPECT_LT(loss->standard_error, 0.3);
  }
}

}  // namespace
}  // namespace neb
