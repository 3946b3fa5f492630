// The memory plan never puts two values that are alive together in one place, and wastes nothing where the best plan is
// known.
#include "autodiff/passes/memory.h"

#include <algorithm>
#include <random>
#include <vector>

#include "autodiff/tensor.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

// The most bytes alive at any one step: no plan can do with less.
int64_t LowerBound(const std::vector<Lifetime>& values) {
  int64_t most = 0;
  for (const Lifetime& at : values) {
    int64_t alive = 0;
    for (const Lifetime& v : values) alive += v.first <= at.first && at.first <= v.last ? PaddedBytes(v.bytes) : 0;
    most = std::max(most, alive);
  }
  return most;
}

int64_t Sum(const std::vector<Lifetime>& values) {
  int64_t sum = 0;
  for (const Lifetime& v : values) sum += PaddedBytes(v.bytes);
  return sum;
}

void ExpectValid(const std::vector<Lifetime>& values, int64_t arena) {
  for (size_t i = 0; i < values.size(); ++i) {
    const Lifetime& a = values[i];
    ASSERT_GE(a.offset, 0);
    ASSERT_EQ(a.offset % kAlignment, 0);
    ASSERT_LE(a.offset + PaddedBytes(a.bytes), arena);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& b = values[j];
      const bool together = a.first <= b.last && b.first <= a.last;
      // With the padding, which kernels may write to.
      const bool overlap = a.offset < b.offset + PaddedBytes(b.bytes) && b.offset < a.offset + PaddedBytes(a.bytes);
      ASSERT_FALSE(together && overlap) << "values " << j << " and " << i;
    }
  }
}

TEST(PlanMemory, NeverOverlapsAndNeverExceedsTheSum) {
  std::mt19937_64 random(1);
  auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int round = 0; round < 500; ++round) {
    std::vector<Lifetime> values(static_cast<size_t>(below(60)));
    const int64_t steps = 1 + below(50), longest = 1 + below(20), largest = 1 + below(5000);
    for (Lifetime& v : values) {
      v.bytes = below(4) == 0 ? below(3) * kAlignment : below(largest);
      v.first = static_cast<int>(below(steps));
      v.last = v.first + static_cast<int>(below(longest));
    }
    const int64_t arena = PlanMemory(values);
    ExpectValid(values, arena);
    EXPECT_LE(arena, Sum(values));
    EXPECT_GE(arena, LowerBound(values));
    if (HasFatalFailure()) return;
  }
}

TEST(PlanMemory, OfNothing) {
  std::vector<Lifetime> none;
  EXPECT_EQ(PlanMemory(none), 0);
  std::vector<Lifetime> empty = {{.bytes = 0, .first = 0, .last = 3}};
  EXPECT_EQ(PlanMemory(empty), 0);
}

// Each value is read by the step that writes the next: two places do for any depth.
TEST(PlanMemory, AChainTakesTwoPlaces) {
  std::vector<Lifetime> values;
  for (int i = 0; i < 100; ++i) values.push_back({.bytes = 1000, .first = i, .last = i + 1});
  EXPECT_EQ(PlanMemory(values), 2 * PaddedBytes(1000));
}

// Forward and backward pass: value i lives until step 2n − i. All are alive in the middle, and gradients come and go in
// what has died.
TEST(PlanMemory, NestedLivesTakeTheirSum) {
  std::vector<Lifetime> values;
  const int n = 20;
  for (int i = 0; i < n; ++i) values.push_back({.bytes = 256, .first = i, .last = 2 * n - i});
  for (int i = n; i < 2 * n; ++i) values.push_back({.bytes = 256, .first = i, .last = i + 1});
  const int64_t arena = PlanMemory(values);
  ExpectValid(values, arena);
  EXPECT_EQ(arena, LowerBound(values));
}

TEST(PlanMemory, ValuesThatMeetInOneStepAreApart) {
  // Written in the step that reads the other for the last time: an op may not write over its operand unasked.
  std::vector<Lifetime> values = {{.bytes = 8, .first = 0, .last = 1}, {.bytes = 8, .first = 1, .last = 2}};
  PlanMemory(values);
  EXPECT_NE(values[0].offset, values[1].offset);
}

}  // namespace
}  // namespace autodiff
