// Training runs as processes that are killed and stopped from outside, at random moments and in the middle of a write.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "autodiff/random.h"
#include "gtest/gtest.h"
#include "neb/safetensors.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

constexpr const char* kProgram = "tests/neb/checkpoint_program";

// A run of the program in a folder of its own: the checkpoint, the final model.
class Process {
 public:
  Process(std::string folder, int64_t steps) : folder_(std::move(folder)), steps_(std::to_string(steps)) {}
  std::string checkpoint() const { return folder_ + "/checkpoint"; }
  std::string temporary() const { return checkpoint() + ".tmp0"; }
  std::string model() const { return folder_ + "/model"; }

  // Starts the program and returns when it trains; the step it starts at, -1 if it does not. `every`: steps between
  // checkpoints.
  int64_t Start(int every = 10) {
    changed_before_ = TemporaryChanged();
    std::array<int, 2> output;
    if (pipe(output.data()) != 0) return -1;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(output[1], STDOUT_FILENO);
      const std::string checkpoint_path = checkpoint(), model_path = model(), every_text = std::to_string(every);
      execl(kProgram, kProgram, checkpoint_path.c_str(), model_path.c_str(), steps_.c_str(), every_text.c_str(),
            static_cast<char*>(nullptr));
      _exit(127);
    }
    close(output[1]);
    std::string said;
    for (char c = 0; read(output[0], &c, 1) == 1 && c != '\n';) said += c;
    close(output[0]);
    const std::string start = "started at ";
    return said.rfind(start, 0) == 0 ? std::stoll(said.substr(start.size())) : -1;
  }
  void Signal(int signal) const { kill(pid_, signal); }
  // How it ended: its exit code, or minus the signal that killed it.
  int Wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Whether a write has begun since the start and is not complete. (An earlier one, killed, may have left its file.)
  bool Writing() const {
    const int64_t changed = TemporaryChanged();
    return changed != 0 && changed != changed_before_;
  }

 private:
  // When the temporary file changed last, 0 if there is none.
  int64_t TemporaryChanged() const {
    struct stat status;
    if (stat(temporary().c_str(), &status) != 0) return 0;
    return status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  }

  std::string folder_, steps_;
  pid_t pid_ = 0;
  int64_t changed_before_ = 0;
};

// What a run that is never disturbed leaves.
std::string UndisturbedModel(const std::string& folder, int64_t steps) {
  Process run(folder, steps);
  EXPECT_EQ(run.Start(), 0);
  EXPECT_EQ(run.Wait(), 0);
  const std::string model = Slurp(run.model());
  EXPECT_FALSE(model.empty());
  return model;
}

// Fifty kills: half of them after a random time, half of them at a random moment after a write has begun, in runs that
// do little else. After each, the checkpoint is whole; and every run that gets to its end leaves the model of the
// undisturbed one.
TEST(Kill, FiftyTimesLosesNothing) {
  constexpr int64_t kSteps = 150;
  constexpr int kKills = 50;
  const std::string expected = UndisturbedModel(NewFolder("undisturbed"), kSteps);
  const std::string folder = NewFolder("killed");
  int kills = 0, in_writes = 0, finished = 0;
  int64_t last_step = 0;
  while (kills < kKills || finished == 0) {
    Process run(folder, kSteps);
    const bool in_write = kills % 2 == 1;
    const int64_t start = run.Start(in_write ? 1 : 10);
    ASSERT_GE(start, last_step) << "steps were lost";
    if (kills < kKills) {
      const auto random = [&](int64_t bound) {
        return autodiff::RandomInteger({.seed = 1, .stream = autodiff::kFirstFreeStream}, kills, bound);
      };
      if (in_write) {
        for (int i = 0; i < 1'000'000 && !run.Writing(); ++i) {
        }
      }
      usleep(static_cast<useconds_t>(random(in_write ? 200 : 25'000)));
      run.Signal(SIGKILL);
    }
    const int end = run.Wait();
    if (end == -SIGKILL) {
      ++kills;
      in_writes += run.Writing() ? 1 : 0;
    } else {
      ASSERT_EQ(end, 0);
    }
    if (access(run.checkpoint().c_str(), F_OK) == 0) {
      const absl::StatusOr<TensorFile> file = ReadSafetensors(run.checkpoint());
      ASSERT_TRUE(file.ok()) << file.status();
      const int64_t step = std::stoll(file->metadata.at("step"));
      EXPECT_GE(step, start);
      last_step = step;
    }
    if (end == 0) {
      ++finished;
      EXPECT_EQ(Slurp(run.model()), expected);
      std::filesystem::remove_all(folder);  // and from the start again
      std::filesystem::create_directory(folder);
      last_step = 0;
    }
  }
  std::printf("%d kills, %d of them in a write; %d runs came to their end\n", kills, in_writes, finished);
  EXPECT_GE(in_writes, 5);
}

// Stopped twice, then left to finish.
TEST(Stop, BySignalSavesAndSaysBySignal) {
  constexpr int64_t kSteps = 600;
  const std::string expected = UndisturbedModel(NewFolder("undisturbed"), kSteps);
  Process run(NewFolder("stopped"), kSteps);
  int64_t last_step = 0;
  const struct { int signal, exit_code; } stops[] = {{SIGINT, 130}, {SIGTERM, 143}};
  for (const auto& stop : stops) {
    ASSERT_EQ(run.Start(), last_step);
    usleep(5'000);
    run.Signal(stop.signal);
    ASSERT_EQ(run.Wait(), stop.exit_code);
    EXPECT_FALSE(run.Writing());
    const absl::StatusOr<TensorFile> file = ReadSafetensors(run.checkpoint());
    if (file.ok()) last_step = std::stoll(file->metadata.at("step"));  // none if it was stopped before its first step
  }
  EXPECT_EQ(run.Start(), last_step);
  EXPECT_EQ(run.Wait(), 0);
  EXPECT_EQ(Slurp(run.model()), expected);
}

}  // namespace
}  // namespace neb
