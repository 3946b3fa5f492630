#include "neb/image_transform.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

// Pixel (row, column) is 10 row + column.
Image Numbered(int height, int width) {
  Image image(height, width, 1);
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) *image.at(row, column) = static_cast<uint8_t>(10 * row + column);
  }
  return image;
}

// Pillow 12: the pixels of Image.convert("L").
TEST(ImageTransformTest, GreyIsPillowsGrey) {
  Image rgb(1, 6, 3);
  rgb.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 200, 77, 1, 2, 4};
  EXPECT_EQ(ToGrey(rgb).pixels, (std::vector<uint8_t>{76, 150, 29, 255, 129, 2}));
  EXPECT_EQ(ToGrey(Numbered(2, 3)).pixels, Numbered(2, 3).pixels);
}

TEST(ImageTransformTest, RgbOfGreyHasThreeEqualChannelsAndTheSameGrey) {
  const Image rgb = ToRgb(Numbered(2, 2));
  EXPECT_EQ(rgb.channels, 3);
  EXPECT_EQ(rgb.pixels, (std::vector<uint8_t>{0, 0, 0, 1, 1, 1, 10, 10, 10, 11, 11, 11}));
  Image all(1, 256, 1);
  for (int i = 0; i < 256; ++i) *all.at(0, i) = static_cast<uint8_t>(i);
  EXPECT_EQ(ToGrey(ToRgb(all)).pixels, all.pixels);
}

TEST(ImageTransformTest, CropsTheMiddle) {
  const Image wide = Numbered(4, 7);
  EXPECT_EQ(CentreCrop(wide, {.height = 2, .width = 3})->pixels, (std::vector<uint8_t>{12, 13, 14, 22, 23, 24}));
  // One column too many: cut at the right.
  EXPECT_EQ(CentreCrop(wide, {.height = 2, .width = 2})->pixels, (std::vector<uint8_t>{12, 13, 22, 23}));
  EXPECT_EQ(LargestSquare(wide), (ImageSize{.height = 4, .width = 4}));
  EXPECT_EQ(CentreCrop(ToRgb(wide), {.height = 1, .width = 1})->pixels, (std::vector<uint8_t>{13, 13, 13}));
  EXPECT_EQ(CentreCrop(wide, {.height = 5, .width = 7}).status().message(),
            "cannot crop to 5 x 7: the picture is 4 x 7");
  EXPECT_FALSE(CentreCrop(wide, {.height = 0, .width = 7}).ok());
}

// Both cubics sum to one and reproduce a ramp, away from the border.
TEST(ImageTransformTest, ResizingKeepsConstantsAndRamps) {
  Image ramp(16, 40, 3);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 40; ++column) {
      uint8_t* pixel = ramp.at(row, column);
      pixel[0] = 77;
      pixel[1] = static_cast<uint8_t>(5 * column);
      pixel[2] = static_cast<uint8_t>(255 - 10 * row);
    }
  }
  for (const ImageSize size : {ImageSize{8, 20}, ImageSize{32, 80}, ImageSize{8, 60}}) {
    const absl::StatusOr<Image> resized = Resize(ramp, size);
    ASSERT_TRUE(resized.ok()) << resized.status();
    ASSERT_EQ(resized->height, size.height);
    ASSERT_EQ(resized->width, size.width);
    ASSERT_EQ(resized->channels, 3);
    for (int row = 0; row < size.height; ++row) {
      for (int column = 0; column < size.width; ++column) {
        const uint8_t* pixel = resized->at(row, column);
        EXPECT_EQ(pixel[0], 77);
        // Pixel centres are at half-integers.
        const double x = (column + 0.5) * 40 / size.width - 0.5, y = (row + 0.5) * 16 / size.height - 0.5;
        if (x > 4 && x < 35) {
          EXPECT_NEAR(pixel[1], 5 * x, 0.51 + 1e-3) << row << " " << column;
        }
        if (y > 4 && y < 11) {
          EXPECT_NEAR(pixel[2], 255 - 10 * y, 0.51 + 1e-3) << row << " " << column;
        }
      }
    }
  }
}

// Stripes finer than the new pixels become their mean, not an alias.
TEST(ImageTransformTest, ShrinkingAverages) {
  Image stripes(32, 32, 1);
  for (size_t i = 0; i < stripes.pixels.size(); ++i) stripes.pixels[i] = i % 2 == 0 ? 200 : 100;
  const absl::StatusOr<Image> small = Resize(stripes, {.height = 4, .width = 4});
  ASSERT_TRUE(small.ok()) << small.status();
  // At the borders, the last stripe goes on outside.
  for (int row = 0; row < 4; ++row) {
    for (const int column : {1, 2}) EXPECT_NEAR(*small->at(row, column), 150, 2);
  }
}

TEST(ImageTransformTest, AbsurdSizesAreRefused) {
  EXPECT_EQ(Resize(Numbered(2, 2), {.height = 0, .width = 4}).status().message(),
            "cannot resize to 0 x 4: expected 1 to 16384 pixels to a side");
  EXPECT_FALSE(Resize(Numbered(2, 2), {.height = 2, .width = 16385}).ok());
  EXPECT_EQ(Resize(Numbered(2, 3), {.height = 2, .width = 3})->pixels, Numbered(2, 3).pixels);
}

}  // namespace
}  // namespace neb
