#include "neb/image_grid.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Shape;
using autodiff::Tensor;

// n pictures of 2 x 3, whose pixel values are multiples of 1/255.
Tensor Numbered(int64_t n) {
  Tensor x({n, 6});
  for (int64_t i = 0; i < x.num_elements(); ++i) x.set(i, static_cast<double>(i % 256) / 255);
  return x;
}

TEST(GridTest, EveryPixelIsWhereTheGeometrySays) {
  const int scale = 4;
  const int padding = 3;
  const absl::StatusOr<Image> image = Grid(Numbered(6), {2, 3, 1}, 2, 3, {.scale = scale, .padding = padding});
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->width, padding + 3 * (3 * scale + padding));
  EXPECT_EQ(image->height, padding + 2 * (2 * scale + padding));
  for (int item = 0; item < 6; ++item) {
    for (int row = 0; row < 2; ++row) {
      for (int column = 0; column < 3; ++column) {
        const int top = padding + item / 3 * (2 * scale + padding) + row * scale;
        const int left = padding + item % 3 * (3 * scale + padding) + column * scale;
        for (int i = 0; i < scale; ++i) {
          for (int j = 0; j < scale; ++j) {
            for (int c = 0; c < 3; ++c) EXPECT_EQ(image->at(top + i, left + j)[c], 6 * item + 3 * row + column);
          }
        }
      }
    }
  }
  EXPECT_EQ(image->at(0, 0)[0], image->at(padding - 1, 20)[0]);
  EXPECT_GT(image->at(0, 0)[0], 200);
}

TEST(GridTest, ValuesAreClampedAndNanStandsOut) {
  Tensor x({1, 4});
  x.set(0, -3);
  x.set(1, 7);
  x.set(2, std::nan(""));
  x.set(3, 0.5);
  const absl::StatusOr<Image> image = Grid(x, {1, 4, 1}, 1, 1, {.scale = 1, .padding = 0});
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->at(0, 0)[0], 0);
  EXPECT_EQ(image->at(0, 1)[0], 255);
  EXPECT_NE(image->at(0, 2)[0], image->at(0, 2)[1]);
  EXPECT_NEAR(image->at(0, 3)[0], 127.5, 0.6);
}

TEST(GridTest, ColoursStayColours) {
  const Tensor x = Tensor::From<double>({1, 3}, {1.0, 0.0, 0.2});
  const absl::StatusOr<Image> image = Grid(x, {1, 1, 3}, 1, 1, {.scale = 2, .padding = 1});
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->at(2, 2)[0], 255);
  EXPECT_EQ(image->at(2, 2)[1], 0);
  EXPECT_EQ(image->at(2, 2)[2], 51);
}

TEST(GridTest, ChosenScaleFitsAThousandPixels) {
  for (const int cols : {1, 3, 8, 16, 30}) {
    const absl::StatusOr<Image> image = Grid(Tensor({cols, 784}), {28, 28, 1}, 1, cols);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_LE(image->width, 1000 + 2);
    EXPECT_GT(image->width, 500);
  }
}

TEST(GridTest, LabelsAndMissingPicturesMakeRoomOnly) {
  const GridOptions plain = {.scale = 4};
  const GridOptions labelled = {
      .scale = 4, .title = "walk", .row_labels = {"y", "x̂"}, .column_labels = {"0", "1", "2"}};
  const absl::StatusOr<Image> a = Grid(Numbered(5), {2, 3, 1}, 2, 3, plain);
  const absl::StatusOr<Image> b = Grid(Numbered(5), {2, 3, 1}, 2, 3, labelled);
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_GT(b->width, a->width);
  ASSERT_GT(b->height, a->height);
  for (int row = 0; row < a->height; ++row) {
    for (int column = 0; column < a->width; ++column) {
      EXPECT_EQ(a->at(row, column)[0], b->at(row + b->height - a->height, column + b->width - a->width)[0]);
    }
  }
}

TEST(GridTest, WhatDoesNotFitTogetherIsAnError) {
  EXPECT_EQ(Grid(Numbered(6), {2}, 2, 3).status().message(),
            "Grid: items of shape [2], expected [height, width, 1 or 3]");
  EXPECT_EQ(Grid(Numbered(6), {2, 2, 1}, 2, 3).status().message(),
            "Grid: x of shape [6, 6], expected [n, 4] for items of [2, 2, 1]");
  EXPECT_EQ(
      Grid(Numbered(7), {2, 3, 1}, 2, 3).status().message(),
      "Grid: 7 items in 2 rows of 3, scale 0, padding 2: expected no more items than cells, and no negative number");
  EXPECT_FALSE(Grid(Numbered(6), {2, 3, 1}, 0, 3).ok());
  EXPECT_FALSE(Grid(Numbered(6), {2, 3, 1}, 2, 3, {.scale = 1 << 20}).ok());
  EXPECT_FALSE(Grid(Numbered(6), {2, 3, 1}, 1 << 30, 1 << 30).ok());
}

}  // namespace
}  // namespace neb
