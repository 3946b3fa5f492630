#include "autodiff/shape.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace autodiff {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ShapeTest, CountsElements) {
  EXPECT_EQ(Shape({128, 784}).num_elements(), 128 * 784);
  EXPECT_EQ(Shape().num_elements(), 1) << "a scalar";
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape({3, 0, 5}).num_elements(), 0);
  EXPECT_EQ(Shape({1 << 20, 1 << 20}).num_elements(), int64_t{1} << 40);
}

TEST(ShapeTest, AxesAreOutermostFirst) {
  Shape s = {2, 3};
  EXPECT_EQ(s.rank(), 2);
  EXPECT_EQ(s[0], 2);
  EXPECT_EQ(s[1], 3);
  s[1] = 7;
  s.push_back(5);
  EXPECT_TRUE(std::equal(s.begin(), s.end(), s.dims().begin(), s.dims().end()));
  EXPECT_THAT(s.dims(), ElementsAre(2, 7, 5));
}

// The offset of an element is the dot product of its index with the strides; row-major order counts it up by one.
TEST(ShapeTest, StridesAreRowMajor) {
  const Shape s = {2, 3, 4};
  const Shape strides = s.Strides();
  int64_t offset = 0;
  for (int64_t i = 0; i < s[0]; ++i) {
    for (int64_t j = 0; j < s[1]; ++j) {
      for (int64_t k = 0; k < s[2]; ++k) EXPECT_EQ(i * strides[0] + j * strides[1] + k * strides[2], offset++);
    }
  }
  EXPECT_EQ(Shape().Strides(), Shape());
}

TEST(ShapeTest, PrintsAsAList) {
  EXPECT_EQ(Shape({128, 784}).ToString(), "[128, 784]");
  EXPECT_EQ(Shape({3}).ToString(), "[3]");
  EXPECT_EQ(Shape().ToString(), "[]");
}

TEST(ShapeTest, EqualsAndHashesByExtents) {
  const std::vector<int64_t> extents = {2, 3, 4, 5, 6};  // more than fit inline
  const Shape a{absl::Span<const int64_t>(extents)};
  EXPECT_EQ(a, Shape({2, 3, 4, 5, 6}));
  EXPECT_EQ(absl::HashOf(a), absl::HashOf(Shape({2, 3, 4, 5, 6})));
  EXPECT_FALSE(Shape({2, 3}) == Shape({3, 2}));
  EXPECT_FALSE(Shape({1}) == Shape());
}

struct BroadcastCase {
  Shape a, b, result;
};

// The examples of NumPy's user guide, "Broadcasting", and of extents 0 and scalars with numpy.broadcast_shapes.
TEST(BroadcastShapesTest, FollowsNumPy) {
  const BroadcastCase cases[] = {
      {{256, 256, 3}, {3}, {256, 256, 3}},
      {{8, 1, 6, 1}, {7, 1, 5}, {8, 7, 6, 5}},
      {{5, 4}, {1}, {5, 4}},
      {{5, 4}, {4}, {5, 4}},
      {{15, 3, 5}, {15, 1, 5}, {15, 3, 5}},
      {{15, 3, 5}, {3, 5}, {15, 3, 5}},
      {{15, 3, 5}, {3, 1}, {15, 3, 5}},
      {{}, {}, {}},
      {{}, {2, 3}, {2, 3}},
      {{0}, {1}, {0}},
      {{4, 1}, {0}, {4, 0}},
  };
  for (const BroadcastCase& c : cases) {
    for (const auto& [a, b] : {std::pair(c.a, c.b), std::pair(c.b, c.a)}) {
      const absl::StatusOr<Shape> result = BroadcastShapes(a, b);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(*result, c.result) << a.ToString() << " " << b.ToString() << " -> " << result->ToString();
    }
  }
}

TEST(BroadcastShapesTest, NamesBothShapesAndTheAxis) {
  const BroadcastCase cases[] = {{{3}, {4}, {}}, {{2, 1}, {8, 4, 3}, {}}, {{0}, {3}, {}}, {{15, 3, 5}, {15, 3}, {}}};
  for (const BroadcastCase& c : cases) {
    const absl::Status status = BroadcastShapes(c.a, c.b).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.a.ToString()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.b.ToString()));
  }
  EXPECT_THAT(std::string(BroadcastShapes({2, 1}, {8, 4, 3}).status().message()), HasSubstr("axis 1 has 2 and 4"));
}

}  // namespace
}  // namespace autodiff
