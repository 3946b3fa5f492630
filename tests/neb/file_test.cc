#include "neb/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

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

// A killed writer leaves its temporary file; the next one takes it over, whatever is in it.
TEST(WriteFileTest, LeftoversDoNotPileUp) {
  const std::string folder = NewFolder("d"), path = folder + "/f";
  Spill(path + ".tmp0", "half of something longer");
  ASSERT_TRUE(WriteFile(path, "whole").ok());
  EXPECT_EQ(Slurp(path), "whole");
  EXPECT_EQ(Entries(folder), 1);
}

// What another one still writes, and what is no file to write to, is left alone.
TEST(WriteFileTest, OthersTemporaryFilesAreLeftAlone) {
  const std::string folder = NewFolder("d"), path = folder + "/f";
  Spill(path + ".tmp0", "being written");
  const int other = open((path + ".tmp0").c_str(), O_WRONLY);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  std::filesystem::create_directory(path + ".tmp1");
  Spill(folder + "/mine", "mine");
  std::filesystem::create_symlink(folder + "/mine", path + ".tmp2");
  std::filesystem::create_hard_link(folder + "/mine", path + ".tmp3");
  ASSERT_EQ(mkfifo((path + ".tmp4").c_str(), 0600), 0);
  ASSERT_TRUE(WriteFile(path, "whole").ok());
  EXPECT_EQ(Slurp(path), "whole");
  EXPECT_EQ(Slurp(path + ".tmp0"), "being written");
  EXPECT_EQ(Slurp(folder + "/mine"), "mine");
  EXPECT_EQ(Entries(folder), 7);
  close(other);
}

// Each of them at some time the last: no file is ever a mixture, and none is left over.
TEST(WriteFileTest, ManyWritersOfOneFile) {
  const std::string folder = NewFolder("d"), path = folder + "/f";
  const auto contents = [](int writer) {
    return std::string(static_cast<size_t>(50'000 + writer), static_cast<char>('a' + writer));
  };
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 25; ++i) EXPECT_TRUE(WriteFile(path, contents(writer)).ok());
    });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string seen = Slurp(path);
    if (seen.empty()) continue;  // before the first
    EXPECT_EQ(seen, contents(seen[0] - 'a'));
  }
  for (std::thread& writer : writers) writer.join();
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
