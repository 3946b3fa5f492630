#include "neb/trajectory.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Sampler kSamplers[] = {Sampler::kUla, Sampler::kMala, Sampler::kBaoab, Sampler::kAboba,
                                 Sampler::kHalfDenoising};

Model& Bowl() {
  static Model& model = *new Model(*Model::Create(Gaussian(1.5), {3}, 0.5, 1));
  return model;
}

Walk Walking(Sampler sampler) {
  absl::StatusOr<Walk> walk = Walk::Create(Bowl(), NormalTensor({7, 3}, 0, 1, 2), {.sampler = sampler});
  EXPECT_TRUE(walk.ok()) << walk.status();
  return *std::move(walk);
}

std::vector<float> Part(const Tensor& t, int64_t i) {
  const int64_t size = t.num_elements() / t.shape()[0];
  const std::span<const float> part = t.data<float>().subspan(static_cast<size_t>(i * size), static_cast<size_t>(size));
  return std::vector<float>(part.begin(), part.end());
}

// What is recorded is what one sees who stops the walk at those iterations by hand.
TEST(Record, SeesTheWalkAsItIs) {
  for (const Sampler sampler : kSamplers) {
    Walk walk = Walking(sampler), by_hand = Walking(sampler);
    const absl::StatusOr<Trajectory> run =
        Record(walk, {.burn_in = 5, .iterations = 13, .keep_every = 3, .jump_every = 4, .energies = true});
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_THAT(run->y_at, ElementsAre(8, 11, 14, 17));
    EXPECT_THAT(run->x_hat_at, ElementsAre(9, 13, 17));
    EXPECT_EQ(run->y.shape(), (autodiff::Shape{4, 7, 3}));
    EXPECT_EQ(run->x_hat.shape(), (autodiff::Shape{3, 7, 3}));
    EXPECT_EQ(run->energy.shape(), (autodiff::Shape{4, 7}));
    EXPECT_EQ(walk.iterations(), 18);

    ASSERT_TRUE(by_hand.BurnIn(5).ok());
    int64_t kept = 0, jumps = 0;
    for (int64_t i = 1; i <= 13; ++i) {
      ASSERT_TRUE(by_hand.Run(1).ok());
      if (i % 3 == 0) {
        EXPECT_TRUE(SameBits(Part(run->y, kept), Values(by_hand.y()))) << Name(sampler);
        EXPECT_TRUE(SameBits(Part(run->energy, kept), EnergyOf(Bowl(), Values(by_hand.noisy())))) << Name(sampler);
        ++kept;
      }
      if (i % 4 == 0) {
        EXPECT_TRUE(SameBits(Part(run->x_hat, jumps++), Values(by_hand.Jump().value()))) << Name(sampler);
      }
    }
    EXPECT_TRUE(SameBits(Values(walk.y()), Values(by_hand.y()))) << Name(sampler);
  }
}

TEST(Record, OnlyWhatIsAskedFor) {
  Walk walk = Walking(Sampler::kBaoab);
  const Trajectory jumps = Record(walk, {.iterations = 10, .keep_every = 0, .jump_every = 5}).value();
  EXPECT_EQ(jumps.y.num_elements(), 0);
  EXPECT_EQ(jumps.energy.num_elements(), 0);
  EXPECT_EQ(jumps.x_hat.shape(), (autodiff::Shape{2, 7, 3}));
  const Trajectory y = Record(walk, {.iterations = 10}).value();
  EXPECT_EQ(y.y.shape(), (autodiff::Shape{10, 7, 3}));
  EXPECT_EQ(y.x_hat.num_elements(), 0);
  EXPECT_EQ(y.y_at.front(), 11);
  const Trajectory nothing = Record(walk, {}).value();
  EXPECT_EQ(nothing.y.num_elements(), 0);
  EXPECT_EQ(walk.iterations(), 20);
}

TEST(Observe, EndsWithTheStatusOfTheCallback) {
  Walk walk = Walking(Sampler::kUla);
  int calls = 0;
  const absl::Status status = Observe(walk, {.iterations = 100, .keep_every = 10}, [&](const Snapshot& s) {
    EXPECT_EQ(s.iteration, 10 * (calls + 1));
    EXPECT_EQ(s.x_hat, nullptr);
    EXPECT_TRUE(s.energy.empty());
    return ++calls == 3 ? absl::ResourceExhaustedError("disk full") : absl::OkStatus();
  });
  EXPECT_EQ(status, absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(walk.iterations(), 30);
}

TEST(ObserveMistake, ASchedule) {
  Walk walk = Walking(Sampler::kUla);
  const auto error = [&](const WalkSchedule& schedule) {
    const absl::Status status = Record(walk, schedule).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error({.burn_in = -1}), AllOf(HasSubstr("burn_in"), HasSubstr("-1")));
  EXPECT_THAT(error({.iterations = -2}), HasSubstr("iterations"));
  EXPECT_THAT(error({.keep_every = -3}), HasSubstr("keep_every"));
  EXPECT_THAT(error({.jump_every = -4}), HasSubstr("jump_every"));
  EXPECT_EQ(walk.iterations(), 0);
}

// φ = −‖y‖² runs away: the snapshots before that are seen, the error is the walk's.
TEST(ObserveMistake, Divergence) {
  Model model = *Model::Create(Scale(-2, Gaussian(1)), {3}, 0.5, 1);
  Walk walk = *Walk::Create(model, Tensor::Full({4, 3}, 1), {.step_size = 1});
  int seen = 0;
  const absl::Status status = Observe(walk, {.iterations = 500, .keep_every = 10}, [&](const Snapshot&) {
    ++seen;
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("chain 0"));
  EXPECT_GT(seen, 3);
  EXPECT_EQ(walk.iterations(), 10 * (seen + 1));
}

}  // namespace
}  // namespace neb
