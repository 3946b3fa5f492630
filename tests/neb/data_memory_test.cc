// Reading and splitting a data set takes the memory of one of it: no second copy, whatever the format.
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"
#include "gtest/gtest.h"
#include "neb/dataset.h"
#include "neb/read_data.h"
#include "tests/autodiff/count_allocations.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

constexpr int64_t kItems = 20000, kDims = 28 * 28;
constexpr int64_t kBytes = kItems * kDims * 4;  // of the set: 63 MB
// For what else is allocated: most of it is address space, to begin a large buffer with a huge page.
constexpr int64_t kSlack = kBytes / 20;

// A file of zeros behind a header.
void SpillZeros(const std::string& path, const std::string& header, int64_t bytes) {
  Spill(path, header);
  std::filesystem::resize_file(path, header.size() + static_cast<uint64_t>(bytes));
}

// As numpy.save writes it.
std::string NpyHeader(const std::string& descr, const std::string& order) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': (20000, 784), }";
  text.resize(117, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + text + "\n";
}

// What reading allocates in all, freed or not, and so more than what it ever holds.
int64_t BytesToRead(const std::string& path) {
  const int64_t before = autodiff::allocated_bytes;
  const absl::StatusOr<Dataset> data = ReadData(path);
  const int64_t bytes = autodiff::allocated_bytes - before;
  EXPECT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->x.shape(), autodiff::Shape({kItems, kDims}));
  return bytes;
}

TEST(DataMemory, ReadingMakesNoSecondCopy) {
  if (!autodiff::kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  const std::string folder = NewFolder("memory");
  for (const std::string descr : {"<f4", "<f8", "|u1"}) {
    const int64_t size = descr == "|u1" ? 1 : descr == "<f4" ? 4 : 8;
    for (const std::string order : {"False", "True"}) {
      SpillZeros(folder + "/x.npy", NpyHeader(descr, order), kItems * kDims * size);
      const int64_t bytes = BytesToRead(folder + "/x.npy");
      EXPECT_GE(bytes, kBytes);
      EXPECT_LT(bytes, kBytes + kSlack) << descr << " " << order;
    }
  }
  // The bytes, a quarter of the floats, are held until all are there: how many come out of gzip is not known before.
  SpillZeros(folder + "/idx", std::string("\0\0\x08\x03\0\0\x4e\x20\0\0\0\x1c\0\0\0\x1c", 16), kItems * kDims);
  EXPECT_LT(BytesToRead(folder + "/idx"), kBytes + kBytes / 4 + kSlack);
  std::filesystem::remove_all(folder);
}

TEST(DataMemory, SplittingCopiesTheHeldOutPartOnly) {
  if (!autodiff::kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  Dataset data = {.x = autodiff::Tensor({kItems, kDims}), .item_shape = {28, 28, 1}, .name = "zeros"};
  const int64_t before = autodiff::allocated_bytes;
  const absl::StatusOr<TrainHeldOut> parts = Split(std::move(data), 0.1, 1);
  EXPECT_LT(autodiff::allocated_bytes - before, kBytes / 10 + kSlack);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(parts->train.size(), kItems - kItems / 10);
}

}  // namespace
}  // namespace neb
