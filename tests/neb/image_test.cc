#include "neb/image.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stb_image_write.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using ::testing::HasSubstr;

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

std::string Jpeg(const Image& image) {
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  EXPECT_NE(stbi_write_jpg_to_func(append, &bytes, image.width, image.height, image.channels, image.pixels.data(), 100),
            0);
  return bytes;
}

TEST(ImageTest, ReadsAJpeg) {
  Image image(16, 24, 3);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 24; ++column) image.at(row, column)[1] = static_cast<uint8_t>(40 + 5 * column + row);
  }
  const std::string path = NewFolder("d") + "/f.jpg";
  Spill(path, Jpeg(image));
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
            folder + "/f.png: offset 0: \"GIF89a\", expected the start of a PNG or JPEG file");
}

// The message of the error that reading `bytes` gives, without the path.
std::string ErrorFor(const std::string& bytes) {
  const std::string path = testing::TempDir() + "/image_test_error";
  std::filesystem::remove(path);  // some file systems flush a file that is cut and written again: slow
  Spill(path, bytes);
  const absl::Status status = ReadImage(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_EQ(message.rfind(path + ": ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(std::min(message.size(), path.size() + 2));
}

std::string Png(const Image& image) {
  const std::string path = NewFolder("png") + "/f.png";
  EXPECT_TRUE(WritePng(path, image).ok());
  return Slurp(path);
}

TEST(ImageTest, EveryTruncationIsAnError) {
  const std::string png = Png(Speckled(5, 4, 3)), jpeg = Jpeg(Speckled(8, 8, 1));
  EXPECT_EQ(ErrorFor(""), "offset 0: empty file, expected the start of a PNG or JPEG file");
  for (size_t size = 8; size < png.size(); ++size) {
    EXPECT_THAT(ErrorFor(png.substr(0, size)), HasSubstr(": truncated PNG: expected a chunk of ")) << size;
  }
  for (size_t size = 2; size < jpeg.size(); ++size) {
    EXPECT_THAT(ErrorFor(jpeg.substr(0, size)), HasSubstr(": truncated JPEG: ")) << size;
  }
  EXPECT_EQ(ErrorFor(png.substr(0, png.size() - 1)),
            "offset " + std::to_string(png.size() - 12) + ": truncated PNG: expected a chunk of 12 bytes, found 11");
  EXPECT_EQ(ErrorFor(jpeg.substr(0, jpeg.size() - 2)),
            "offset " + std::to_string(jpeg.size() - 2) + ": truncated JPEG: expected the end-of-image marker");
}

TEST(ImageTest, EveryFlippedByteOfAPngIsNoticed) {
  const std::string png = Png(Speckled(5, 4, 3));
  for (size_t i = 0; i < png.size(); ++i) {
    std::string flipped = png;
    flipped[i] = static_cast<char>(~flipped[i]);
    ErrorFor(flipped);
  }
  std::string flipped = png;
  flipped[16] = '\x7f';  // the width
  EXPECT_EQ(ErrorFor(flipped), "offset 8: corrupt PNG: the chunk \"IHDR\" is not what its checksum expects");
}

// Some cameras and programs put something behind a picture.
TEST(ImageTest, WhatFollowsAPictureIsIgnored) {
  const std::string path = NewFolder("d") + "/f";
  for (const std::string& bytes : {Png(Speckled(5, 4, 3)), Jpeg(Speckled(16, 24, 3))}) {
    Spill(path, bytes + "what follows");
    EXPECT_TRUE(ReadImage(path).ok());
  }
}

// Changes bytes [at, at + 2) of a JPEG, from the marker on.
std::string JpegWith(const std::string& marker, size_t at, const std::string& bytes) {
  std::string jpeg = Jpeg(Speckled(8, 8, 1));
  const size_t begin = jpeg.find(marker);
  EXPECT_NE(begin, std::string::npos);
  return jpeg.replace(begin + at, bytes.size(), bytes);
}

TEST(ImageTest, JpegsThatTheDecoderMustNotSee) {
  // 4 bytes of marker and length, then the precision, the height, the width.
  EXPECT_THAT(ErrorFor(JpegWith("\xFF\xC0", 5, "\x40\x01\x40\x01")), HasSubstr(": absurd size 16385 x 16385: "));
  // 4 bytes of marker and length, one of the table's number, 16 counts of codes.
  EXPECT_THAT(ErrorFor(JpegWith("\xFF\xC4", 5, std::string(16, '\x10'))),
              HasSubstr(": Huffman table of 256 codes in a JPEG, expected at most 255"));
  std::string scans = Jpeg(Speckled(16, 24, 3));
  for (int i = 0; i < 300; ++i) scans.insert(scans.size() - 2, std::string("\xFF\xDA\x00\x02", 4));
  EXPECT_THAT(ErrorFor(scans), HasSubstr(": scan 257 of a JPEG, expected at most 256"));
}

}  // namespace
}  // namespace neb
