#include "neb/image_folder.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "neb/image.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

// Every byte is `value`.
void SpillPng(const std::string& path, int height, int width, int channels, uint8_t value) {
  Image image(height, width, channels);
  for (uint8_t& byte : image.pixels) byte = value;
  const absl::Status written = WritePng(path, image);
  ASSERT_TRUE(written.ok()) << written;
}

TEST(ImageFolderTest, ReadsImagesByNameAndNothingElse) {
  const std::string folder = NewFolder("faces");
  SpillPng(folder + "/b.png", 3, 5, 1, 51);
  SpillPng(folder + "/a.PNG", 3, 5, 1, 255);
  SpillPng(folder + "/c.png", 3, 5, 1, 0);
  SpillPng(folder + "/.hidden.png", 9, 9, 3, 7);
  Spill(folder + "/notes.txt", "not an image");
  std::filesystem::create_directory(folder + "/folder.png");
  for (const std::string& path : {folder, folder + "/"}) {
    const absl::StatusOr<Dataset> data = ReadImageFolder(path);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->x.shape(), autodiff::Shape({3, 15}));
    EXPECT_EQ(data->item_shape, autodiff::Shape({3, 5, 1}));
    EXPECT_EQ(data->name, "faces");
    EXPECT_EQ(data->x.at(0), 1.0);
    EXPECT_EQ(data->x.at(15), 51 / 255.0f);
    EXPECT_EQ(data->x.at(44), 0.0);
  }
  EXPECT_EQ(ReadImageFolder(folder, {}, 2)->size(), 2);
}

TEST(ImageFolderTest, ChannelsAreInnermost) {
  const std::string folder = NewFolder("d");
  Image image(1, 2, 3);
  image.pixels = {255, 0, 51, 0, 102, 255};
  ASSERT_TRUE(WritePng(folder + "/a.png", image).ok());
  const absl::StatusOr<Dataset> data = ReadImageFolder(folder);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->item_shape, autodiff::Shape({1, 2, 3}));
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(data->x.at(i), static_cast<float>(image.pixels[static_cast<size_t>(i)]) / 255.0f);
  }
}

TEST(ImageFolderTest, MixedSizesAndAlphaNameTheFile) {
  std::string folder = NewFolder("sizes");
  SpillPng(folder + "/a.png", 3, 5, 1, 0);
  SpillPng(folder + "/b.png", 5, 3, 1, 0);
  EXPECT_EQ(ReadImageFolder(folder).status().message(),
            folder + "/b.png: is 5 x 3, expected 3 x 5 as " + folder + "/a.png (height x width)");
  folder = NewFolder("alpha");
  SpillPng(folder + "/a.png", 3, 5, 4, 0);
  EXPECT_EQ(ReadImageFolder(folder).status().message(),
            folder + "/a.png: has an alpha channel, expected grey (1 channel) or RGB (3 channels)");
}

TEST(ImageFolderTest, AMixtureOfGreyAndColourIsColourUnlessAskedOtherwise) {
  const std::string folder = NewFolder("d");
  SpillPng(folder + "/a.png", 1, 2, 1, 51);
  Image red(1, 2, 3);
  red.pixels = {255, 0, 0, 255, 0, 0};
  ASSERT_TRUE(WritePng(folder + "/b.png", red).ok());
  for (const int channels : {0, 3}) {
    const absl::StatusOr<Dataset> data = ReadImageFolder(folder, {.channels = channels});
    ASSERT_TRUE(data.ok()) << data.status();
    ASSERT_EQ(data->item_shape, autodiff::Shape({1, 2, 3}));
    for (int i = 0; i < 6; ++i) EXPECT_EQ(data->x.at(i), 51 / 255.0f);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(data->x.at(6 + i), i % 3 == 0 ? 1.0 : 0.0);
  }
  const absl::StatusOr<Dataset> grey = ReadImageFolder(folder, {.channels = 1});
  ASSERT_TRUE(grey.ok()) << grey.status();
  ASSERT_EQ(grey->item_shape, autodiff::Shape({1, 2, 1}));
  EXPECT_EQ(grey->x.at(0), 51 / 255.0f);
  EXPECT_EQ(grey->x.at(2), 76 / 255.0f);  // 0.299 of 255
}

TEST(ImageFolderTest, PicturesOfAnySizeAreCutAndResized) {
  const std::string folder = NewFolder("d");
  // Bright in the middle of the longer side, dark at its ends.
  for (const bool tall : {false, true}) {
    Image image(tall ? 12 : 4, tall ? 4 : 12, 1);
    for (int row = 0; row < image.height; ++row) {
      for (int column = 0; column < image.width; ++column) {
        const int along = tall ? row : column;
        *image.at(row, column) = along >= 4 && along < 8 ? 204 : 0;
      }
    }
    ASSERT_TRUE(WritePng(folder + (tall ? "/tall.png" : "/wide.png"), image).ok());
  }
  for (const ImageSize resize : {ImageSize{}, ImageSize{2, 2}, ImageSize{6, 5}}) {
    const absl::StatusOr<Dataset> square = ReadImageFolder(folder, {.crop_square = true, .resize = resize});
    ASSERT_TRUE(square.ok()) << square.status();
    EXPECT_EQ(square->item_shape,
              resize == ImageSize{} ? autodiff::Shape({4, 4, 1}) : autodiff::Shape({resize.height, resize.width, 1}));
    for (const float pixel : square->x.data<float>()) EXPECT_EQ(pixel, 204 / 255.0f);
  }
  const absl::StatusOr<Dataset> cut = ReadImageFolder(folder, {.crop = {.height = 4, .width = 2}});
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->item_shape, autodiff::Shape({4, 2, 1}));
  EXPECT_EQ(ReadImageFolder(folder, {.crop = {.height = 4, .width = 5}}).status().message(),
            folder + "/tall.png: cannot crop to 4 x 5: the picture is 12 x 4");
}

TEST(ImageFolderTest, OptionsThatCannotBe) {
  const std::string folder = NewFolder("d");
  SpillPng(folder + "/a.png", 3, 5, 1, 0);
  EXPECT_EQ(ReadImageFolder(folder, {.channels = 2}).status().message(),
            folder + ": channels is 2, expected 1, 3, or 0 for what the files have");
  EXPECT_EQ(ReadImageFolder(folder, {.crop_square = true, .crop = {2, 2}}).status().message(),
            folder + ": asked to crop to a square and to a size, expected one of them");
  EXPECT_EQ(ReadImageFolder(folder, {.resize = {-1, 2}}).status().message(),
            folder + "/a.png: cannot resize to -1 x 2: expected 1 to 16384 pixels to a side");
  EXPECT_FALSE(ReadImageFolder(folder, {.crop = {0, 2}}).ok());
  EXPECT_FALSE(ReadImageFolder(folder, {}, 0).ok());
}

TEST(ImageFolderTest, CorruptFilesAreNamedWithTheReason) {
  const std::string folder = NewFolder("d");
  Spill(folder + "/text.png", "not an image");
  EXPECT_EQ(ReadImageFolder(folder).status().message(),
            folder + "/text.png: offset 0: \"not an i\", expected the start of a PNG or JPEG file");
  std::filesystem::remove(folder + "/text.png");
  SpillPng(folder + "/whole.png", 20, 20, 3, 77);
  const std::string whole = Slurp(folder + "/whole.png");
  std::filesystem::remove(folder + "/whole.png");
  for (size_t size = 0; size < whole.size(); ++size) {
    Spill(folder + "/cut.png", whole.substr(0, size));
    const absl::StatusOr<Dataset> data = ReadImageFolder(folder);
    ASSERT_FALSE(data.ok()) << size;
    EXPECT_EQ(std::string(data.status().message()).rfind(folder + "/cut.png: offset ", 0), 0u);
  }
}

TEST(ImageFolderTest, EmptyAndMissingFolders) {
  const std::string folder = NewFolder("d");
  EXPECT_EQ(ReadImageFolder(folder).status().message(),
            folder + ": no image in this folder, expected .png or .jpg files");
  const absl::Status missing = ReadImageFolder(folder + "/x").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder + "/x: cannot list the folder: No such file or directory");
}

}  // namespace
}  // namespace neb
