#include "neb/cli/time_budget.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "neb/energy.h"

namespace neb {
namespace {

Var Bowl(Var y, Params& p) { return 0.5 * squared_norm(y - p("centre", {2}, autodiff::Zeros()), {1}); }

TEST(TimeBudget, Steps) {
  EXPECT_EQ(StepsWithin(60, 0.01), 6000);
  EXPECT_EQ(StepsWithin(60, 1000), 1);
  EXPECT_EQ(StepsWithin(1e300, 1e-3), 1000000000000);
}

TEST(TimeBudget, MeasuringLeavesTheModelAsItIs) {
  const absl::StatusOr<Model> model = Model::Create(Bowl, {2}, 0.5);
  const Tensor x = Tensor::From<float>({2, 2}, {1, 2, 3, 4});
  const absl::StatusOr<double> seconds = SecondsPerStep(*model, x, {.steps = 1, .batch = 2, .learning_rate = 0.1});
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_GT(*seconds, 0);
  EXPECT_EQ(model->params()[0].value.at(0), 0);
}

TEST(TimeBudget, MistakesAreTheTrainers) {
  const absl::StatusOr<Model> model = Model::Create(Bowl, {2}, 0.5);
  EXPECT_FALSE(SecondsPerStep(*model, Tensor({4, 3}), {}).ok());
}

}  // namespace
}  // namespace neb
