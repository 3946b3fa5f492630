#include "autodiff/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

using ::testing::ElementsAre;

TEST(TensorTest, StartsAsZeros) {
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    const Tensor t({3, 5}, dtype);
    EXPECT_EQ(t.shape(), Shape({3, 5}));
    EXPECT_EQ(t.dtype(), dtype);
    EXPECT_EQ(t.num_elements(), 15);
    EXPECT_EQ(t.num_bytes(), 15 * SizeOf(dtype));
    for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(t.at(i), 0);
  }
  EXPECT_EQ(Tensor().shape(), Shape({0}));
  EXPECT_TRUE(Tensor().data<float>().empty());
  EXPECT_EQ(Tensor(Shape()).num_elements(), 1);
}

TEST(TensorTest, LargeBuffersBeginWithAHugePage) {
  const Tensor t({600000});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.bytes()) % (uintptr_t{2} << 20), 0u);
}

// A kernel may use whole vectors past the last element: the padding is ours (ASan would object) and zero.
TEST(TensorTest, BuffersAreAlignedAndPadded) {
  for (const int64_t n : {0, 1, 31, 32, 33, 1000}) {
    Tensor t({n});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.bytes()) % static_cast<uintptr_t>(kAlignment), 0u);
    const int64_t padded = PaddedBytes(t.num_bytes());
    EXPECT_GE(padded, t.num_bytes());
    EXPECT_LT(padded, t.num_bytes() + kAlignment);
    EXPECT_EQ(padded % kAlignment, 0);
    for (int64_t i = 0; i < padded; ++i) {
      EXPECT_EQ(t.bytes()[i], std::byte{0});
      t.bytes()[i] = std::byte{1};
    }
  }
}

TEST(TensorTest, FromCopiesInRowMajorOrder) {
  const Tensor f = Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(f.dtype(), DType::kF32);
  EXPECT_EQ(f.at(1 * 3 + 2), 6);
  const Tensor d = Tensor::From({2}, std::vector<double>{0.1, -2});
  EXPECT_EQ(d.dtype(), DType::kF64);
  EXPECT_THAT(d.data<double>(), ElementsAre(0.1, -2));
  EXPECT_THAT(Tensor::Full({2}, 0.5).data<float>(), ElementsAre(0.5f, 0.5f));
  EXPECT_THAT(Tensor::Full({1}, 0.1, DType::kF64).data<double>(), ElementsAre(0.1));
}

TEST(TensorTest, ElementsOfEitherType) {
  Tensor f({2}), d({2}, DType::kF64);
  f.set(1, 0.1);
  d.set(1, 0.1);
  EXPECT_EQ(f.at(1), static_cast<double>(0.1f));
  EXPECT_EQ(d.at(1), 0.1);
  f.data<float>()[0] = 7;
  EXPECT_EQ(f.at(0), 7);
}

TEST(TensorTest, CopiesAreIndependentAndMovesKeepTheBuffer) {
  Tensor a = Tensor::From<double>({2}, {1, 2});
  const Tensor copy = a;
  a.set(0, 9);
  EXPECT_EQ(copy.at(0), 1);
  Tensor assigned({5});
  assigned = a;
  a.set(1, 9);
  EXPECT_THAT(assigned.data<double>(), ElementsAre(9, 2));
  const Tensor& same = assigned;
  assigned = same;
  EXPECT_THAT(assigned.data<double>(), ElementsAre(9, 2));

  const std::byte* const buffer = a.bytes();
  const Tensor moved = std::move(a);
  EXPECT_EQ(moved.bytes(), buffer);
  a = copy;  // a tensor that was moved from can be assigned to
  EXPECT_THAT(a.data<double>(), ElementsAre(1, 2));
  static_assert(std::is_nothrow_move_constructible_v<Tensor>);
}

TEST(TensorTest, CastRoundsToNearest) {
  const double max = std::numeric_limits<double>::max(), inf = std::numeric_limits<double>::infinity();
  const Tensor d = Tensor::From<double>({2, 2}, {0.1, 1 + 0x1p-25, -inf, std::nan("")});
  const Tensor f = d.Cast(DType::kF32);
  EXPECT_EQ(f.shape(), d.shape());
  EXPECT_EQ(f.data<float>()[0], 0.1f);
  EXPECT_EQ(f.data<float>()[1], 1.0f);
  EXPECT_EQ(f.at(2), -inf);
  EXPECT_TRUE(std::isnan(f.at(3)));
  EXPECT_EQ(f.Cast(DType::kF64).at(0), static_cast<double>(0.1f));
  EXPECT_EQ(Tensor::Full({1}, max, DType::kF64).Cast(DType::kF64).at(0), max);
}

TEST(TensorTest, ReshapedKeepsTheElements) {
  const Tensor t = Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor r = t.Reshaped({3, 1, 2});
  EXPECT_EQ(r.shape(), Shape({3, 1, 2}));
  EXPECT_TRUE(std::ranges::equal(r.data<float>(), t.data<float>()));
  EXPECT_NE(r.bytes(), t.bytes());
}

TEST(TensorTest, FirstRowsStayWhereTheyAre) {
  Tensor t = Tensor::From<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const std::byte* const before = t.bytes();
  const Tensor first = std::move(t).FirstRows(2);
  EXPECT_EQ(first.shape(), Shape({2, 2}));
  EXPECT_EQ(first.at(3), 4);
  EXPECT_EQ(first.bytes(), before);
}

TEST(TensorDeathTest, MisuseAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Tensor t({3});
  EXPECT_DEATH(t.data<double>(), "not the tensor's dtype");
  EXPECT_DEATH(static_cast<void>(t.Reshaped({2})), "sizes differ");
  EXPECT_DEATH(static_cast<void>(Tensor({3}).FirstRows(4)), "not so many");
  EXPECT_DEATH(Tensor::From<float>({3}, {1, 2}), "count differs");
}

}  // namespace
}  // namespace autodiff
