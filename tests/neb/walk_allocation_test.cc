// A walk's iterations allocate nothing, whatever the sampler.
#include "autodiff/parallel.h"
#include "gtest/gtest.h"
#include "neb/walk.h"
#include "tests/autodiff/count_allocations.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

TEST(Walk, AllocatesNothingWhileItRuns) {
  if (!autodiff::kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  Model model = *Model::Create(RandomDenoiser({.mean = Tensor({20}), .stddev = 0.3, .sigma = 0.4, .radius = 3}, 30),
                               {20}, 0.4, 1);
  autodiff::ThreadPool two(2);
  for (const Sampler sampler :
       {Sampler::kUla, Sampler::kMala, Sampler::kBaoab, Sampler::kAboba, Sampler::kHalfDenoising}) {
    for (autodiff::ThreadPool* const pool : {static_cast<autodiff::ThreadPool*>(nullptr), &two}) {
      absl::StatusOr<Walk> walk = Walk::Create(model, UniformStarts(8, model, 1), {.sampler = sampler, .pool = pool});
      ASSERT_TRUE(walk.ok()) << walk.status();
      const int64_t before = autodiff::allocations;
      const absl::Status burn_in = walk->BurnIn(10), run = walk->Run(10);
      EXPECT_EQ(autodiff::allocations - before, 0) << Name(sampler);
      EXPECT_TRUE(burn_in.ok() && run.ok());
    }
  }
}

}  // namespace
}  // namespace neb
