#include "neb/cli/run_folder.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// --- UserPath ---

class UserPathTest : public testing::Test {
 protected:
  ~UserPathTest() override { unsetenv("BUILD_WORKING_DIRECTORY"); }
};

TEST_F(UserPathTest, IsAsTypedWithoutBazel) {
  unsetenv("BUILD_WORKING_DIRECTORY");
  for (const char* path : {"runs/1", "./x", "/tmp/x", "", "../x"}) EXPECT_EQ(UserPath(path), path);
}

TEST_F(UserPathTest, IsWhereTheCommandWasTyped) {
  setenv("BUILD_WORKING_DIRECTORY", "/home/me/work", 1);
  EXPECT_EQ(UserPath("runs/1"), "/home/me/work/runs/1");
  EXPECT_EQ(UserPath("../x"), "/home/me/work/../x");
  EXPECT_EQ(UserPath("/tmp/x"), "/tmp/x");
  EXPECT_EQ(UserPath(""), "");
}

// --- RunFolder ---

RunFolder Created(const std::string& path) {
  absl::StatusOr<RunFolder> folder = RunFolder::Create(path);
  EXPECT_TRUE(folder.ok()) << folder.status();
  return *std::move(folder);
}

TEST(RunFolder, IsCreatedWithItsParents) {
  const std::string path = NewFolder("out") + "/a/b c/ü";
  const RunFolder folder = Created(path);
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_EQ(folder.Path("x.png"), path + "/x.png");
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST(RunFolder, KeepsWhatIsThereButTheMetrics) {
  const std::string path = NewFolder("out");
  Spill(path + "/metrics.jsonl", "{\"step\":1}\n");
  Spill(path + "/notes.txt", "mine");
  const RunFolder folder = Created(path);
  EXPECT_FALSE(std::filesystem::exists(path + "/metrics.jsonl"));
  EXPECT_EQ(Slurp(path + "/notes.txt"), "mine");
}

// A resumption may still be refused; only then it takes the place of what is there.
TEST(RunFolder, ToResumeKeepsTheMetricsUntilTheyAreCleared) {
  const std::string path = NewFolder("out");
  Spill(path + "/metrics.jsonl", "{\"step\":1}\n");
  const absl::StatusOr<RunFolder> folder = RunFolder::Create(path, /*resume=*/true);
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(Slurp(path + "/metrics.jsonl"), "{\"step\":1}\n");
  ASSERT_TRUE(folder->ClearMetrics().ok());
  ASSERT_TRUE(folder->AppendMetrics({{"step", 2}}).ok());
  EXPECT_EQ(Slurp(path + "/metrics.jsonl"), "{\"step\":2}\n");
}

// Root may write anywhere, but not below a file.
TEST(RunFolder, ThatCannotBeIsAnErrorWithPathAndReason) {
  const std::string file = NewFolder("out") + "/file";
  Spill(file, "contents");
  for (const std::string& path : {file + "/runs/1", file}) {
    const absl::StatusOr<RunFolder> folder = RunFolder::Create(path);
    ASSERT_FALSE(folder.ok());
    const std::string message(folder.status().message());
    EXPECT_THAT(message, AllOf(HasSubstr(path), HasSubstr("Not a directory"), Not(HasSubstr("\n"))));
    EXPECT_EQ(Slurp(file), "contents");
  }
  EXPECT_FALSE(RunFolder::Create("").ok());
}

TEST(RunFolder, WhoseMetricsCannotBeWrittenIsAnError) {
  const std::string path = NewFolder("out");
  std::filesystem::create_directory(path + "/metrics.jsonl");
  const absl::StatusOr<RunFolder> folder = RunFolder::Create(path);
  ASSERT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.status().message()), AllOf(HasSubstr(path), HasSubstr("Is a directory")));
}

TEST(RunFolder, SettingsAreAJsonObjectInOrder) {
  const std::string path = NewFolder("out");
  const RunFolder folder = Created(path);
  const ordered_json settings = {
      {"sigma", 0.3}, {"hidden", {1024, 512}}, {"images", "Zürich \"1\"/x"}, {"a", {{"b", 1}}}};
  ASSERT_TRUE(folder.WriteSettings(settings).ok());
  const std::string text = Slurp(path + "/settings.json");
  EXPECT_EQ(ordered_json::parse(text), settings);
  EXPECT_LT(text.find("sigma"), text.find("hidden"));
  EXPECT_EQ(text.back(), '\n');
  // Written again, it is replaced.
  ASSERT_TRUE(folder.WriteSettings({{"sigma", 0.5}}).ok());
  EXPECT_EQ(ordered_json::parse(Slurp(path + "/settings.json")).size(), 1u);
}

TEST(RunFolder, MetricsAreOneJsonObjectPerLine) {
  const std::string path = NewFolder("out");
  const RunFolder folder = Created(path);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  ASSERT_TRUE(folder.AppendMetrics({{"step", 100}, {"loss", 0.1}, {"held_out_loss", std::nan("")}}).ok());
  ASSERT_TRUE(folder.AppendMetrics({{"step", 200}, {"loss", kInf}, {"note", "two\nlines"}}).ok());
  std::istringstream lines(Slurp(path + "/metrics.jsonl"));
  std::string line;
  std::vector<ordered_json> all;
  while (std::getline(lines, line)) {
    all.push_back(ordered_json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_FALSE(all.back().is_discarded()) << line;
  }
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["loss"], 0.1);
  EXPECT_TRUE(all[0]["held_out_loss"].is_null());
  EXPECT_TRUE(all[1]["loss"].is_null());
  EXPECT_EQ(all[1]["note"], "two\nlines");
}

// A file name may be any bytes, JSON may not.
TEST(RunFolder, TextThatIsNotUtf8IsWrittenAsFarAsItCanBe) {
  const std::string path = NewFolder("out");
  const RunFolder folder = Created(path);
  EXPECT_TRUE(folder.WriteSettings({{"images", "caf\xe9/x"}}).ok());
  EXPECT_TRUE(folder.AppendMetrics({{"images", "caf\xe9/x"}}).ok());
  for (const char* file : {"/settings.json", "/metrics.jsonl"}) {
    const ordered_json read = ordered_json::parse(Slurp(path + file), nullptr, false);
    ASSERT_FALSE(read.is_discarded()) << file;
    EXPECT_EQ(read["images"], "caf\xef\xbf\xbd/x") << file;
  }
}

TEST(RunFolder, ThatVanishesIsAnError) {
  const std::string path = NewFolder("out") + "/run";
  const RunFolder folder = Created(path);
  std::filesystem::remove_all(path);
  EXPECT_THAT(std::string(folder.AppendMetrics({{"step", 1}}).message()),
              AllOf(HasSubstr(path), HasSubstr("No such file or directory")));
  EXPECT_THAT(std::string(folder.WriteSettings({{"step", 1}}).message()), HasSubstr(path));
}

}  // namespace
}  // namespace neb
