#include "neb/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

// Row i is (i, -i).
Dataset Counting(int64_t n) {
  Dataset data = {.x = autodiff::Tensor({n, 2}), .item_shape = {2}, .name = "counting"};
  for (int64_t i = 0; i < n; ++i) {
    data.x.set(2 * i, static_cast<double>(i));
    data.x.set(2 * i + 1, -static_cast<double>(i));
  }
  return data;
}

std::vector<int64_t> FirstColumn(const Dataset& data) {
  std::vector<int64_t> column;
  for (int64_t i = 0; i < data.size(); ++i) {
    EXPECT_EQ(data.x.at(2 * i), -data.x.at(2 * i + 1));  // rows stay whole
    column.push_back(static_cast<int64_t>(data.x.at(2 * i)));
  }
  return column;
}

std::vector<int64_t> Range(int64_t n) {
  std::vector<int64_t> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(SplitTest, IsAPartition) {
  const absl::StatusOr<TrainHeldOut> parts = Split(Counting(101), 0.25, 1);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(parts->held_out.size(), 25);  // 25.25, rounded
  EXPECT_EQ(parts->train.item_shape, autodiff::Shape({2}));
  std::vector<int64_t> all = FirstColumn(parts->train);
  const std::vector<int64_t> held_out = FirstColumn(parts->held_out);
  all.insert(all.end(), held_out.begin(), held_out.end());
  EXPECT_FALSE(std::is_sorted(all.begin(), all.end()));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, Range(101));
}

TEST(SplitTest, DependsOnTheSeedOnly) {
  EXPECT_EQ(FirstColumn(Split(Counting(50), 10, 1)->held_out), FirstColumn(Split(Counting(50), 0.2, 1)->held_out));
  EXPECT_NE(FirstColumn(Split(Counting(50), 10, 1)->held_out), FirstColumn(Split(Counting(50), 10, 2)->held_out));
}

TEST(SplitTest, NeitherPartMayBeEmpty) {
  for (const double held_out : {0.0, 0.001, 0.999, 10.0, 11.0, 2.5, -1.0, std::nan("")}) {
    EXPECT_FALSE(Split(Counting(10), held_out, 1).ok()) << held_out;
  }
  EXPECT_EQ(
      Split(Counting(10), 10, 1).status().message(),
      "counting: cannot hold out 10 of 10 items: expected a fraction below 1, or a whole number from 1 to 9, that "
      "leaves at least one item on either side");
  EXPECT_FALSE(Split(Counting(1), 0.5, 1).ok());
  EXPECT_TRUE(Split(Counting(2), 0.5, 1).ok());
}

TEST(BatchesTest, AnEpochIsAPermutation) {
  Batches batches(10, {.batch_size = 3, .seed = 4, .keep_partial = true});
  ASSERT_EQ(batches.per_epoch(), 4);
  std::set<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<int64_t> rows;
    for (int64_t b = 0; b < 4; ++b) {
      const std::span<const int64_t> batch = batches.At(4 * epoch + b);
      EXPECT_EQ(batch.size(), b < 3 ? 3u : 1u);
      rows.insert(rows.end(), batch.begin(), batch.end());
    }
    epochs.insert(rows);
    std::sort(rows.begin(), rows.end());
    EXPECT_EQ(rows, Range(10));
  }
  EXPECT_EQ(epochs.size(), 5u);
}

TEST(BatchesTest, WithoutPartialBatchesAllAreFull) {
  Batches batches(10, {.batch_size = 3});
  EXPECT_EQ(batches.per_epoch(), 3);
  for (int64_t step = 0; step < 9; ++step) EXPECT_EQ(batches.At(step).size(), 3u);
}

TEST(BatchesTest, AResumedRunSeesTheSameBatches) {
  const BatchOptions options = {.batch_size = 7, .seed = 9};
  Batches whole(100, options);
  Batches resumed(100, options);
  for (int64_t step = 0; step < 60; ++step) {
    const std::span<const int64_t> rows = whole.At(step);
    if (step < 33) continue;
    const std::span<const int64_t> again = resumed.At(step);
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), again.begin(), again.end())) << step;
  }
}

TEST(BatchesTest, ABatchLargerThanTheDataIsTheData) {
  Batches batches(5, {.batch_size = 128});
  EXPECT_EQ(batches.per_epoch(), 1);
  EXPECT_EQ(batches.At(3).size(), 5u);
  EXPECT_EQ(Batches(1, {.batch_size = 1}).At(7)[0], 0);
}

TEST(GatherRowsTest, CopiesRows) {
  const Dataset data = Counting(6);
  autodiff::Tensor out({4, 2});
  GatherRows(data.x, std::vector<int64_t>{5, 0, 3, 3}, out);
  const double expected[] = {5, -5, 0, 0, 3, -3, 3, -3};
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(out.at(i), expected[i]);
  const autodiff::Tensor cube = autodiff::Tensor::From<double>({2, 1, 2}, {1.0, 2.0, 3.0, 4.0});
  autodiff::Tensor last({1, 1, 2}, autodiff::DType::kF64);
  GatherRows(cube, std::vector<int64_t>{1}, last);
  EXPECT_EQ(last.at(1), 4);
}

TEST(GatherRowsDeathTest, RefusesWhatDoesNotFit) {
  const Dataset data = Counting(6);
  autodiff::Tensor out({1, 2});
  autodiff::Tensor wide({1, 3});
  EXPECT_DEATH(GatherRows(data.x, std::vector<int64_t>{6}, out), "index out of range");
  EXPECT_DEATH(GatherRows(data.x, std::vector<int64_t>{-1}, out), "index out of range");
  EXPECT_DEATH(GatherRows(data.x, std::vector<int64_t>{1, 2}, out), "row count");
  EXPECT_DEATH(GatherRows(data.x, std::vector<int64_t>{1}, wide), "rows differ");
}

}  // namespace
}  // namespace neb
