#include "neb/file.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

int Entries(const std::string& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(WriteFileTest, WritesAndReplaces) {
  const std::string folder = NewFolder("d");
  const std::string path = folder + "/f";
  ASSERT_TRUE(WriteFile(path, std::string("old\0bytes", 9)).ok());
  EXPECT_EQ(Slurp(path), std::string("old\0bytes", 9));
  ASSERT_TRUE(WriteFile(path, "").ok());
  EXPECT_EQ(Slurp(path), "");
  const std::string_view parts[] = {"one ", "", "two"};
  ASSERT_TRUE(WriteFile(path, parts).ok());
  EXPECT_EQ(Slurp(path), "one two");
  EXPECT_EQ(Entries(folder), 1);
}

TEST(WriteFileTest, AReaderOfTheOldFileKeepsIt) {
  const std::string path = NewFolder("d") + "/f";
  ASSERT_TRUE(WriteFile(path, "old").ok());
  std::ifstream reader(path);
  ASSERT_TRUE(WriteFile(path, "new and longer").ok());
  std::string seen;
  std::getline(reader, seen);
  EXPECT_EQ(seen, "old");
}

TEST(WriteFileTest, ErrorsNamePathAndReasonAndLeaveNothing) {
  const std::string folder = NewFolder("d");
  EXPECT_EQ(WriteFile(folder + "/no/f", "x").message(), folder + "/no/f: cannot write: No such file or directory");
  EXPECT_EQ(WriteFile(folder, "x").message(), folder + ": cannot write: Is a directory");
  Spill(folder + "/file", "");
  EXPECT_EQ(WriteFile(folder + "/file/f", "x").message(), folder + "/file/f: cannot write: Not a directory");
  EXPECT_EQ(Entries(folder), 1);
}

TEST(WriteFileTest, APipeIsWrittenInPlace) {
  const std::string path = NewFolder("d") + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::string seen;
  std::thread reader([&] { seen = Slurp(path); });
  EXPECT_TRUE(WriteFile(path, "through").ok());
  reader.join();
  EXPECT_EQ(seen, "through");
  EXPECT_TRUE(std::filesystem::is_fifo(path));
}

}  // namespace
}  // namespace neb
