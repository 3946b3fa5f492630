#include "neb/idx.h"

#include <zlib.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift & 0xFF));
  return bytes;
}

// An IDX file after the description at the head of MNIST's site.
std::string Idx(uint32_t magic, const std::vector<uint32_t>& extents, const std::string& data) {
  std::string bytes = BigEndian(magic);
  for (uint32_t extent : extents) bytes += BigEndian(extent);
  return bytes + data;
}

// 3 images of 2 x 4 with the bytes 0, 10, 20, ...
std::string SmallImages() {
  std::string data;
  for (int i = 0; i < 24; ++i) data.push_back(static_cast<char>(10 * i));
  return Idx(0x803, {3, 2, 4}, data);
}

void SpillGzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb9");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
}

// The message of the error that reading `bytes` as images gives.
std::string ErrorFor(const std::string& bytes) {
  const std::string path = NewFolder("error") + "/f";
  Spill(path, bytes);
  const absl::Status status = ReadIdx(path).status();
  EXPECT_FALSE(status.ok());
  const std::string message(status.message());
  EXPECT_EQ(message.rfind(path + ": ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(std::min(message.size(), path.size() + 2));
}

TEST(IdxTest, ReadsPixelsInFileOrder) {
  const std::string path = NewFolder("d") + "/small-idx3-ubyte";
  Spill(path, SmallImages());
  const absl::StatusOr<Dataset> data = ReadIdx(path);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->x.shape(), autodiff::Shape({3, 8}));
  EXPECT_EQ(data->item_shape, autodiff::Shape({2, 4, 1}));
  EXPECT_EQ(data->name, "small-idx3-ubyte");
  for (int i = 0; i < 24; ++i) EXPECT_EQ(data->x.at(i), static_cast<float>(10 * i) / 255.0f) << i;
}

TEST(IdxTest, GzipAndPlainAgree) {
  const std::string folder = NewFolder("d");
  Spill(folder + "/plain", SmallImages());
  SpillGzip(folder + "/gzip", SmallImages());
  ASSERT_NE(Slurp(folder + "/gzip"), SmallImages());
  const absl::StatusOr<Dataset> plain = ReadIdx(folder + "/plain");
  const absl::StatusOr<Dataset> gzip = ReadIdx(folder + "/gzip");
  ASSERT_TRUE(plain.ok() && gzip.ok());
  ASSERT_EQ(plain->x.shape(), gzip->x.shape());
  for (int64_t i = 0; i < plain->x.num_elements(); ++i) EXPECT_EQ(plain->x.at(i), gzip->x.at(i));
}

TEST(IdxTest, MaxItemsKeepsTheFirst) {
  const std::string path = NewFolder("d") + "/f";
  Spill(path, SmallImages());
  const absl::StatusOr<Dataset> two = ReadIdx(path, 2);
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(two->size(), 2);
  EXPECT_EQ(two->x.at(15), 150 / 255.0f);
  EXPECT_EQ(ReadIdx(path, 100)->size(), 3);
  EXPECT_FALSE(ReadIdx(path, 0).ok());
}

TEST(IdxTest, ReadsLabels) {
  const std::string path = NewFolder("d") + "/f";
  Spill(path, Idx(0x801, {4}, std::string("\x07\x00\xFF\x01", 4)));
  const absl::StatusOr<std::vector<int>> labels = ReadIdxLabels(path);
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(*labels, (std::vector<int>{7, 0, 255, 1}));
  EXPECT_EQ(ReadIdx(path).status().message(),
            path + ": offset 0: magic number 0x00000801, expected 0x00000803 (IDX images of unsigned bytes)");
}

TEST(IdxTest, EveryTruncationIsAnError) {
  const std::string whole = SmallImages();
  EXPECT_EQ(ErrorFor(""), "offset 0: empty file: expected an IDX header of 16 bytes");
  for (size_t size = 1; size < 16; ++size) {
    EXPECT_EQ(ErrorFor(whole.substr(0, size)),
              "offset 0: truncated header: expected 16 bytes, found " + std::to_string(size));
  }
  for (size_t size = 16; size < whole.size(); ++size) {
    EXPECT_EQ(ErrorFor(whole.substr(0, size)),
              "offset 16: truncated data of 3 x 2 x 4 images: expected 24 bytes, found " + std::to_string(size - 16));
  }
}

TEST(IdxTest, EveryTruncationOfAGzipFileIsAnError) {
  const std::string folder = NewFolder("d");
  SpillGzip(folder + "/whole", SmallImages());
  const std::string whole = Slurp(folder + "/whole");
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string message = ErrorFor(whole.substr(0, size));
    // The first byte alone is not yet a gzip file.
    if (size > 1) {
      EXPECT_NE(message.find("corrupt gzip: unexpected end of file"), std::string::npos) << size << message;
    }
  }
}

TEST(IdxTest, EveryFlippedByteOfAGzipBodyIsNoticed) {
  const std::string folder = NewFolder("d");
  SpillGzip(folder + "/whole", SmallImages());
  const std::string whole = Slurp(folder + "/whole");
  for (size_t i = 10; i < whole.size(); ++i) {  // RFC 1952: ten bytes of header; the last eight are CRC and length
    std::string flipped = whole;
    flipped[i] = static_cast<char>(~flipped[i]);
    ErrorFor(flipped);
  }
  std::string wrong_crc = whole;
  wrong_crc[whole.size() - 8] = static_cast<char>(~wrong_crc[whole.size() - 8]);
  EXPECT_NE(ErrorFor(wrong_crc).find("corrupt gzip: incorrect data check"), std::string::npos);
}

// gzip -c a >> f; gzip -c b >> f: RFC 1952 has the contents one after another.
TEST(IdxTest, GzipMembersFollowEachOtherAndNothingElseDoes) {
  const std::string folder = NewFolder("d"), images = SmallImages();
  std::string members;
  for (const auto& [begin, size] : {std::pair(0, 7), std::pair(7, 0), std::pair(7, 30), std::pair(37, 3)}) {
    SpillGzip(folder + "/one", images.substr(static_cast<size_t>(begin), static_cast<size_t>(size)));
    members += Slurp(folder + "/one");
  }
  Spill(folder + "/all", members);
  const absl::StatusOr<Dataset> data = ReadIdx(folder + "/all");
  ASSERT_TRUE(data.ok()) << data.status();
  for (int i = 0; i < 24; ++i) EXPECT_EQ(data->x.at(i), static_cast<float>(10 * i) / 255.0f) << i;
  for (const std::string& rest : {std::string("x"), std::string(1, '\0'), images}) {
    EXPECT_EQ(ErrorFor(members + rest),
              "offset 40: corrupt gzip: trailing bytes, expected the end of the file or another gzip member at byte " +
                  std::to_string(members.size()) + " of the file");
  }
  // A member that is none.
  EXPECT_EQ(ErrorFor(members + "\x1f"), "offset 40: corrupt gzip: unexpected end of file");
  EXPECT_EQ(ErrorFor(members + "\x1f\x8c"), "offset 40: corrupt gzip: incorrect header check");
}

// A thousand times what the file has: read as far as the header says, and no further.
TEST(IdxTest, AGzipBombIsReadAsFarAsItsHeaderSays) {
  const std::string folder = NewFolder("d");
  SpillGzip(folder + "/f", Idx(0x803, {2, 100, 100}, std::string(10'000'000, '\0')));
  EXPECT_LT(std::filesystem::file_size(folder + "/f"), 20'000u);
  EXPECT_EQ(ErrorFor(Slurp(folder + "/f")), "offset 20016: trailing bytes: expected the end of the file here");
  const absl::StatusOr<Dataset> one = ReadIdx(folder + "/f", 1);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->x.shape(), autodiff::Shape({1, 10000}));
}

TEST(IdxTest, TrailingBytesAreAnError) {
  EXPECT_EQ(ErrorFor(SmallImages() + "x"), "offset 40: trailing bytes: expected the end of the file here");
}

TEST(IdxTest, ExtentsAreNotTrusted) {
  EXPECT_EQ(ErrorFor(Idx(0x803, {0, 2, 4}, "")), "offset 4: extent 0 of axis 0, expected at least 1");
  EXPECT_EQ(ErrorFor(Idx(0x803, {3, 2, 0}, "")), "offset 12: extent 0 of axis 2, expected at least 1");
  const uint32_t huge = 0xFFFFFFFFu;
  EXPECT_EQ(ErrorFor(Idx(0x803, {huge, huge, huge}, "xx")),
            "offset 8: absurd extents 4294967295 x 4294967295: expected a size below 2^60 bytes");
  // 3 TB by the header, two bytes by the file: must fail at once, without the memory.
  EXPECT_EQ(ErrorFor(Idx(0x803, {huge, 28, 28}, "xx")),
            "offset 16: truncated data of 4294967295 x 28 x 28 images: expected 3367254359280 bytes, found 2");
}

TEST(IdxTest, NoSuchFileAndFolder) {
  const std::string folder = NewFolder("d");
  const absl::Status missing = ReadIdx(folder + "/missing").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder + "/missing: cannot open: No such file or directory");
  EXPECT_EQ(ReadIdx(folder).status().message(), folder + ": is a directory, expected an IDX file");
}

// LeCun, Cortes, Burges: "The MNIST database". Mean and standard deviation as published with torchvision's examples;
// the label counts are those of the data set's many descriptions.
TEST(IdxTest, Mnist) {
  const char* shared = std::getenv("NEB_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "NEB_SHARED is not set: no MNIST to read";
  const std::string folder = std::string(shared) + "/data/mnist/";
  const absl::StatusOr<Dataset> train = ReadIdx(folder + "train-images-idx3-ubyte.gz");
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->x.shape(), autodiff::Shape({60000, 784}));
  EXPECT_EQ(train->item_shape, autodiff::Shape({28, 28, 1}));
  double sum = 0;
  double squares = 0;
  for (const float pixel : train->x.data<float>()) {
    sum += static_cast<double>(pixel);
    squares += static_cast<double>(pixel) * static_cast<double>(pixel);
  }
  const auto n = static_cast<double>(train->x.num_elements());
  EXPECT_NEAR(sum / n, 0.1307, 5e-5);
  EXPECT_NEAR(std::sqrt(squares / n - sum / n * (sum / n)), 0.3081, 5e-5);

  const absl::StatusOr<Dataset> test = ReadIdx(folder + "t10k-images-idx3-ubyte.gz");
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_EQ(test->x.shape(), autodiff::Shape({10000, 784}));

  auto counts = [&](const std::string& file) {
    const absl::StatusOr<std::vector<int>> labels = ReadIdxLabels(folder + file);
    EXPECT_TRUE(labels.ok()) << labels.status();
    std::vector<int> histogram(10);
    if (labels.ok()) {
      for (const int label : *labels) ++histogram.at(static_cast<size_t>(label));
    }
    return histogram;
  };
  EXPECT_EQ(counts("train-labels-idx1-ubyte.gz"),
            (std::vector<int>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  EXPECT_EQ(counts("t10k-labels-idx1-ubyte.gz"),
            (std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
}

}  // namespace
}  // namespace neb
