// Training on disks that are full, read-only or gone: the run says so, goes on, and the checkpoint before stays.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/checkpoint.h"
#include "neb/scales.h"
#include "neb/trainer.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kSteps = 10;

struct Outcome {
  std::vector<float> parameters;
  std::vector<std::string> errors;
  absl::Status checkpoint;
};

// A run with a checkpoint after every step, and something that happens after step 4 and after step 8. Training itself
// must not notice.
Outcome TrainWith(const std::string& path, const std::function<void()>& after_4, const std::function<void()>& after_8) {
  const Tensor x = NormalTensor({50, 9}, 0.5, 0.3, 1);
  absl::StatusOr<Model> model = Model::Create(RandomDenoiser(MeasureScales(x, 0.3), 40), {9}, 0.3, 1);
  EXPECT_TRUE(model.ok());
  Outcome outcome;
  TrainOptions options{.steps = kSteps, .batch = 16, .report_every = 1};
  if (!path.empty()) {
    options.checkpoint = {.path = path, .every_steps = 1, .on_error = [&](const absl::Status& why) {
                            outcome.errors.emplace_back(why.message());
                          }};
  }
  int64_t step = 0;
  options.stop = [&] {
    if (step == 4) after_4();
    if (step == 8) after_8();
    ++step;
    return false;
  };
  const absl::StatusOr<TrainResult> result = Train(*model, x, nullptr, options);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return outcome;
  EXPECT_EQ(result->history.size(), static_cast<size_t>(kSteps));
  EXPECT_FALSE(result->stopped);
  outcome.parameters = ParameterValues(*model);
  outcome.checkpoint = result->checkpoint;
  return outcome;
}

std::vector<float> Undisturbed() {
  return TrainWith(
             "", [] {}, [] {})
      .parameters;
}

int64_t StepIn(const std::string& path) {
  const absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? std::stoll(file->metadata.at("step")) : -1;
}

int Entries(const std::string& folder) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

// As a full disk would: files cannot grow beyond a limit.
void LimitFiles(rlim_t bytes) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(Disk, FilesThatCannotGrow) {
  const std::string folder = NewFolder("run"), path = folder + "/file";
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const Outcome outcome = TrainWith(
      path, [] { LimitFiles(20'000); },
      [&] {
        EXPECT_EQ(StepIn(path), 4);
        EXPECT_EQ(Entries(folder), 1);
        LimitFiles(before.rlim_cur);
      });
  std::signal(SIGXFSZ, old_handler);
  ASSERT_EQ(outcome.errors.size(), 4u);  // after steps 5 to 8
  EXPECT_THAT(outcome.errors[0], AllOf(HasSubstr(path), HasSubstr("File too large")));
  EXPECT_TRUE(outcome.checkpoint.ok());  // then there was room again
  EXPECT_EQ(StepIn(path), kSteps);
  EXPECT_TRUE(SameBits(outcome.parameters, Undisturbed()));
}

TEST(Disk, AFolderThatVanishes) {
  const std::string folder = NewFolder("run") + "/inner", path = folder + "/file";
  std::filesystem::create_directory(folder);
  const Outcome outcome = TrainWith(
      path, [&] { std::filesystem::rename(folder, folder + ".away"); },
      [&] { EXPECT_EQ(StepIn(folder + ".away/file"), 4); });
  ASSERT_EQ(outcome.errors.size(), 7u);  // after steps 5 to 10, and the last attempt at the end
  EXPECT_THAT(outcome.errors[0], AllOf(HasSubstr(path), HasSubstr("No such file or directory")));
  EXPECT_FALSE(outcome.checkpoint.ok());
  EXPECT_EQ(StepIn(folder + ".away/file"), 4);
  EXPECT_TRUE(SameBits(outcome.parameters, Undisturbed()));
}

TEST(Disk, AFolderThatBecomesAFile) {
  const std::string folder = NewFolder("run") + "/inner", path = folder + "/file";
  std::filesystem::create_directory(folder);
  const Outcome outcome = TrainWith(
      path,
      [&] {
        std::filesystem::rename(folder, folder + ".away");
        Spill(folder, "");
      },
      [&] {
        std::filesystem::remove(folder);
        std::filesystem::rename(folder + ".away", folder);
      });
  ASSERT_EQ(outcome.errors.size(), 4u);
  EXPECT_THAT(outcome.errors[0], AllOf(HasSubstr(path), HasSubstr("Not a directory")));
  EXPECT_TRUE(outcome.checkpoint.ok());
  EXPECT_EQ(StepIn(path), kSteps);
  EXPECT_TRUE(SameBits(outcome.parameters, Undisturbed()));
}

// A disk of its own, which only a process with a view of its own of the file system can have. Runs `body` there, in a
// child; false where the system does not allow it.
bool OnATinyDisk(const std::string& folder, const std::function<void()>& body) {
  constexpr int kCannot = 77;
  const pid_t child = fork();
  if (child == 0) {
    const bool own_view = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!own_view || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=200k") != 0) {
      _exit(kCannot);
    }
    body();
    std::fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannot) return false;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "in the child, see above";
  return true;
}

TEST(Disk, Full) {
  const std::string folder = NewFolder("disk"), path = folder + "/file";
  const std::vector<float> undisturbed = Undisturbed();
  const bool could = OnATinyDisk(folder, [&] {
    const Outcome outcome = TrainWith(
        path,
        [&] {  // a neighbour takes all that is left
          std::ofstream neighbour(folder + "/neighbour");
          while (neighbour << std::string(4096, 'x') << std::flush) {
          }
        },
        [&] {
          EXPECT_EQ(StepIn(path), 4);
          EXPECT_EQ(Entries(folder), 2);
          std::filesystem::remove(folder + "/neighbour");
        });
    EXPECT_EQ(outcome.errors.size(), 4u);
    EXPECT_THAT(outcome.errors.at(0), AllOf(HasSubstr(path), HasSubstr("No space left on device")));
    EXPECT_TRUE(outcome.checkpoint.ok());
    EXPECT_EQ(StepIn(path), kSteps);
    EXPECT_TRUE(SameBits(outcome.parameters, undisturbed));
  });
  if (!could) GTEST_SKIP() << "no disk can be mounted here";
}

TEST(Disk, ReadOnly) {
  const std::string folder = NewFolder("disk"), path = folder + "/file";
  const std::vector<float> undisturbed = Undisturbed();
  const bool could = OnATinyDisk(folder, [&] {
    const Outcome outcome = TrainWith(
        path, [&] { EXPECT_EQ(mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0); },
        [&] {
          EXPECT_EQ(StepIn(path), 4);
          EXPECT_EQ(mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
        });
    EXPECT_EQ(outcome.errors.size(), 4u);
    EXPECT_THAT(outcome.errors.at(0), AllOf(HasSubstr(path), HasSubstr("Read-only file system")));
    EXPECT_TRUE(outcome.checkpoint.ok());
    EXPECT_EQ(StepIn(path), kSteps);
    EXPECT_TRUE(SameBits(outcome.parameters, undisturbed));
  });
  if (!could) GTEST_SKIP() << "no disk can be mounted here";
}

}  // namespace
}  // namespace neb
