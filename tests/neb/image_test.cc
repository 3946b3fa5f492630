#include "neb/image.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "stb_image_write.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

// Bytes without a pattern (Knuth's multiplicative hash).
Image Speckled(int height, int width, int channels) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(static_cast<uint32_t>(i + 1) * 2654435761u >> 24);
  }
  return image;
}

TEST(ImageTest, PngIsReadBackIdentical) {
  const std::string path = NewFolder("d") + "/f.png";
  for (const int channels : {1, 2, 3, 4}) {
    for (const auto& [height, width] : {std::pair(1, 1), std::pair(7, 5), std::pair(1, 300), std::pair(200, 3)}) {
      const Image image = Speckled(height, width, channels);
      const absl::Status written = WritePng(path, image);
      ASSERT_TRUE(written.ok()) << written;
      const absl::StatusOr<Image> read = ReadImage(path);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->height, height);
      EXPECT_EQ(read->width, width);
      EXPECT_EQ(read->channels, channels);
      EXPECT_EQ(read->pixels, image.pixels);
    }
  }
}

// A file that another program wrote: the PNG specification's signature, then chunks made by hand with Python's zlib.
TEST(ImageTest, ReadsAForeignPng) {
  const unsigned char bytes[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
      0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xfd, 0xd4, 0x9a, 0x73, 0x00, 0x00, 0x00, 0x13, 0x49,
      0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0xc0, 0x00, 0xc2, 0x0c, 0xff, 0xb9, 0x44, 0xe4, 0x00, 0x1a,
      0x58, 0x03, 0x3a, 0xe2, 0x92, 0x6e, 0xd9, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const std::string path = NewFolder("d") + "/f.png";
  Spill(path, std::string(reinterpret_cast<const char*>(bytes), sizeof(bytes)));
  const absl::StatusOr<Image> image = ReadImage(path);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->height, 2);
  EXPECT_EQ(image->width, 2);
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->pixels, (std::vector<uint8_t>{255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}));
  EXPECT_EQ(image->at(1, 1)[2], 30);
}

TEST(ImageTest, ReadsAJpeg) {
  Image image(16, 24, 3);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 24; ++column) image.at(row, column)[1] = static_cast<uint8_t>(40 + 5 * column + row);
  }
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  ASSERT_NE(stbi_write_jpg_to_func(append, &bytes, 24, 16, 3, image.pixels.data(), 100), 0);
  const std::string path = NewFolder("d") + "/f.jpg";
  Spill(path, bytes);
  const absl::StatusOr<Image> read = ReadImage(path);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->pixels.size(), image.pixels.size());
  for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(read->pixels[i], image.pixels[i], 6) << i;  // lossy
}

TEST(ImageTest, Errors) {
  const std::string folder = NewFolder("d");
  EXPECT_EQ(WritePng(folder + "/no/f.png", Image(2, 2, 1)).message(),
            folder + "/no/f.png: cannot write: No such file or directory");
  EXPECT_EQ(WritePng(folder + "/f.png", Image()).message(), folder + "/f.png: no image: 0 x 0 x 0 with 0 bytes");
  Image torn(2, 2, 1);
  torn.pixels.pop_back();
  EXPECT_FALSE(WritePng(folder + "/f.png", torn).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder));

  const absl::Status missing = ReadImage(folder + "/f.png").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder + "/f.png: cannot open: No such file or directory");
  EXPECT_EQ(ReadImage(folder).status().message(), folder + ": is a directory, expected a PNG or JPEG file");
  Spill(folder + "/f.png", "GIF89a");
  EXPECT_EQ(ReadImage(folder + "/f.png").status().message(),
            folder + "/f.png: not a readable PNG or JPEG image: unknown image type");
}

}  // namespace
}  // namespace neb
