#include "neb/file_reader.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

TEST(FileReaderTest, ReadsAnyPart) {
  const std::string path = NewFolder("d") + "/f";
  Spill(path, "0123456789");
  absl::StatusOr<FileReader> opened = FileReader::Open(path, "a file");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const FileReader reader = *std::move(opened);
  EXPECT_EQ(reader.size(), 10u);
  std::string part(3, ' ');
  ASSERT_TRUE(reader.Read(7, 3, part.data()).ok());
  EXPECT_EQ(part, "789");
  ASSERT_TRUE(reader.Read(0, 3, part.data()).ok());
  EXPECT_EQ(part, "012");
  EXPECT_TRUE(reader.Read(10, 0, part.data()).ok());
  EXPECT_EQ(reader.Error(4, "what").message(), path + ": offset 4: what");
  EXPECT_EQ(*ReadFile(path, "a file"), "0123456789");
}

TEST(FileReaderTest, AFileThatIsCutWhileItIsRead) {
  const std::string path = NewFolder("d") + "/f";
  Spill(path, "0123456789");
  const absl::StatusOr<FileReader> reader = FileReader::Open(path, "a file");
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::filesystem::resize_file(path, 6);
  std::string part(6, ' ');
  EXPECT_EQ(reader->Read(4, 6, part.data()).message(), path + ": offset 6: file became shorter: expected 4 more bytes");
}

TEST(ExcerptTest, IsShortAndOneLine) {
  EXPECT_EQ(Excerpt("w"), "\"w\"");
  EXPECT_EQ(Excerpt("a\n\"\xff"), "\"a\\n\\\"\\xff\"");
  EXPECT_EQ(Excerpt(std::string(1000, 'x')), "\"" + std::string(40, 'x') + "…\"");
}

TEST(ArrayBytesTest, IsTheProductUpTo2ToThe60) {
  constexpr int64_t k30 = int64_t{1} << 30;
  EXPECT_EQ(ArrayBytes({}, 8), 8u);
  EXPECT_EQ(ArrayBytes({3, 5}, 4), 60u);
  EXPECT_EQ(ArrayBytes({3, 0, 5}, 4), 0u);
  EXPECT_EQ(ArrayBytes({k30, k30}, 1), kMaxExtent);
  EXPECT_EQ(ArrayBytes({k30, k30}, 2), std::nullopt);
  EXPECT_EQ(ArrayBytes({k30, k30, k30, k30, k30}, 1), std::nullopt);
  EXPECT_EQ(ArrayBytes({0, k30, k30, k30}, 1), std::nullopt);
}

}  // namespace
}  // namespace neb
