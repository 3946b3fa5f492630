#include "autodiff/kernels/copy.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace autodiff {
namespace {

// The definition: one element at a time, by index arithmetic.
template <typename T>
std::vector<T> CopyByIndex(const StridedCopy& copy, const std::vector<T>& src, std::vector<T> dst) {
  const int64_t n = copy.dims.num_elements();
  for (int64_t flat = 0; flat < n; ++flat) {
    int64_t rest = flat, from = copy.src_offset, to = copy.dst_offset;
    for (int axis = copy.dims.rank() - 1; axis >= 0; --axis) {
      from += rest % copy.dims[axis] * copy.src_strides[axis];
      to += rest % copy.dims[axis] * copy.dst_strides[axis];
      rest /= copy.dims[axis];
    }
    dst[static_cast<size_t>(to)] = src[static_cast<size_t>(from)];
  }
  return dst;
}

// Simplified, whole and in pieces, a copy does what its definition says, and no more.
template <typename T>
void CheckCopy(const StridedCopy& copy, int64_t src_size, int64_t dst_size) {
  SCOPED_TRACE(testing::Message() << copy.dims.ToString() << " from " << copy.src_strides.ToString() << " to "
                                  << copy.dst_strides.ToString());
  std::vector<T> src(static_cast<size_t>(src_size));
  std::iota(src.begin(), src.end(), T(1));
  const std::vector<T> empty(static_cast<size_t>(dst_size), T(-1));
  const std::vector<T> want = CopyByIndex(copy, src, empty);
  std::vector<StridedCopy> versions = {Simplify(copy)};
  if (copy.dims.rank() > 0) versions.push_back(copy);
  for (const StridedCopy& version : versions) {
    ASSERT_GE(version.dims.rank(), 1);
    for (const int64_t step : {int64_t{1}, int64_t{3}, int64_t{1} << 40}) {
      std::vector<T> got = empty;
      const int64_t rows = version.dims[0];
      for (int64_t begin = 0; begin < rows; begin += step) {
        CopyStrided(version, src.data(), got.data(), begin, std::min(rows, begin + step));
      }
      ASSERT_EQ(got, want);
    }
  }
}

void CheckBothTypes(const StridedCopy& copy, int64_t src_size, int64_t dst_size) {
  CheckCopy<float>(copy, src_size, dst_size);
  CheckCopy<double>(copy, src_size, dst_size);
}

TEST(CopyStrided, PermutesAxes) {
  const Shape source = {4, 5, 1, 37};
  const Shape strides = source.Strides();
  std::vector<int> order = {0, 1, 2, 3};
  do {
    StridedCopy copy;
    for (const int axis : order) {
      copy.dims.push_back(source[axis]);
      copy.src_strides.push_back(strides[axis]);
    }
    copy.dst_strides = copy.dims.Strides();
    CheckBothTypes(copy, source.num_elements(), source.num_elements());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(CopyStrided, TransposesMatricesOfAnySize) {
  for (const int64_t rows : {1, 2, 15, 16, 17, 40}) {
    for (const int64_t columns : {1, 3, 16, 31, 64}) {
      CheckBothTypes({.dims = {columns, rows}, .src_strides = {1, columns}, .dst_strides = {rows, 1}}, rows * columns,
                     rows * columns);
    }
  }
}

TEST(CopyStrided, SlicesPadsConcatenatesAndBroadcasts) {
  // x[1:3, 2:7:2, :] of [4, 8, 6].
  CheckBothTypes({.dims = {2, 3, 6}, .src_strides = {48, 12, 1}, .dst_strides = {18, 6, 1}, .src_offset = 60}, 192, 36);
  // [3, 20] into the middle of [5, 24].
  CheckBothTypes({.dims = {3, 20}, .src_strides = {20, 1}, .dst_strides = {24, 1}, .dst_offset = 26}, 60, 120);
  // [3, 2] as the last columns of [3, 7].
  CheckBothTypes({.dims = {3, 2}, .src_strides = {2, 1}, .dst_strides = {7, 1}, .dst_offset = 5}, 6, 21);
  // A row, a column and a scalar to [6, 9]; [5] to [2, 5, 3].
  CheckBothTypes({.dims = {6, 9}, .src_strides = {0, 1}, .dst_strides = {9, 1}}, 9, 54);
  CheckBothTypes({.dims = {6, 9}, .src_strides = {1, 0}, .dst_strides = {9, 1}}, 6, 54);
  CheckBothTypes({.dims = {6, 9}, .src_strides = {0, 0}, .dst_strides = {9, 1}}, 1, 54);
  CheckBothTypes({.dims = {2, 5, 3}, .src_strides = {0, 1, 0}, .dst_strides = {15, 3, 1}}, 5, 30);
  // Reversed.
  CheckBothTypes({.dims = {4, 9}, .src_strides = {-9, -1}, .dst_strides = {9, 1}, .src_offset = 35}, 36, 36);
}

TEST(CopyStrided, ScalarsAndEmptyArrays) {
  CheckBothTypes({.src_offset = 2, .dst_offset = 1}, 3, 3);
  CheckBothTypes({.dims = {3, 0, 2}, .src_strides = {0, 2, 1}, .dst_strides = {0, 2, 1}}, 0, 4);
}

TEST(CopyStrided, RandomStridesMatchIndexArithmetic) {
  std::mt19937_64 bits(17);
  for (int trial = 0; trial < 300; ++trial) {
    StridedCopy copy;
    const int rank = 1 + static_cast<int>(bits() % 4);
    for (int i = 0; i < rank; ++i) copy.dims.push_back(1 + static_cast<int64_t>(bits() % 20));
    Shape padded = copy.dims;
    for (int i = 0; i < rank; ++i) padded[i] += static_cast<int64_t>(bits() % 2);
    copy.dst_strides = padded.Strides();
    copy.dst_offset = static_cast<int64_t>(bits() % 5);
    int64_t src_size = 1;
    for (int i = 0; i < rank; ++i) {
      copy.src_strides.push_back(static_cast<int64_t>(bits() % 3) * (bits() % 2 ? 1 : copy.dst_strides[i]));
      src_size += (copy.dims[i] - 1) * copy.src_strides[i];
    }
    CheckBothTypes(copy, src_size, padded.num_elements() + copy.dst_offset);
  }
}

TEST(Simplify, MergesWhatIsOneAxisInBothArrays) {
  const StridedCopy dense =
      Simplify({.dims = {4, 1, 5, 6}, .src_strides = {30, 99, 6, 1}, .dst_strides = {30, 7, 6, 1}});
  EXPECT_EQ(dense.dims, Shape({120}));
  EXPECT_EQ(dense.src_strides, Shape({1}));
  EXPECT_EQ(dense.dst_strides, Shape({1}));
  // [N, H, W, C] to [N, C, H, W]: height and width stay together.
  const StridedCopy nchw =
      Simplify({.dims = {2, 3, 4, 5}, .src_strides = {60, 1, 15, 3}, .dst_strides = {60, 20, 5, 1}});
  EXPECT_EQ(nchw.dims, Shape({2, 3, 20}));
  EXPECT_EQ(nchw.src_strides, Shape({60, 1, 3}));
  // A number repeated over a matrix is a number repeated over a vector.
  EXPECT_EQ(Simplify({.dims = {3, 4}, .src_strides = {0, 0}, .dst_strides = {4, 1}}).dims, Shape({12}));
  EXPECT_EQ(Simplify({}).dims, Shape({1}));
}

}  // namespace
}  // namespace autodiff
