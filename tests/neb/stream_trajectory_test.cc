#include "neb/stream_trajectory.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/npy.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::Shape;
using testing::AllOf;
using testing::HasSubstr;

Model& Bowl() {
  static Model& model = *new Model(*Model::Create(Gaussian(1.5), {2, 2}, 0.5, 1));
  return model;
}

Walk Walking() { return *Walk::Create(Bowl(), NormalTensor({3, 4}, 0, 1, 2), {.sampler = Sampler::kBaoab}); }

const WalkSchedule kSchedule = {.burn_in = 4, .iterations = 23, .keep_every = 3, .jump_every = 5, .energies = true};

TEST(StreamTrajectory, TheFilesHoldWhatRecordKeeps) {
  const std::string folder = NewFolder("files");
  Walk streamed = Walking(), recorded = Walking();
  const StreamFiles files{.y = folder + "/y.npy", .x_hat = folder + "/x_hat.npy", .energy = folder + "/phi.npy"};
  ASSERT_TRUE(StreamTrajectory(streamed, kSchedule, files).ok());
  const Trajectory kept = *Record(recorded, kSchedule);
  for (const auto& [path, tensor] :
       {std::pair{files.y, &kept.y}, {files.x_hat, &kept.x_hat}, {files.energy, &kept.energy}}) {
    const absl::StatusOr<Tensor> read = ReadNpy(path);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->shape(), tensor->shape()) << path;
    EXPECT_TRUE(SameBits(Values(*read), Values(*tensor))) << path;
  }
  EXPECT_TRUE(SameBits(Values(streamed.y()), Values(recorded.y())));
}

TEST(StreamTrajectory, PointsHaveTheirShapeAndOnlyTheFilesAskedForAreWritten) {
  const std::string folder = NewFolder("files");
  Walk walk = Walking();
  ASSERT_TRUE(StreamTrajectory(walk, kSchedule, {.x_hat = folder + "/x.npy", .item_shape = {2, 2, 1}}).ok());
  EXPECT_EQ(ReadNpy(folder + "/x.npy")->shape(), (Shape{4, 3, 2, 2, 1}));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

// One can look at the files while the walk runs, and they stay when it ends with an error.
TEST(StreamTrajectory, AnEarlyEndLeavesWhatWasSeen) {
  const std::string folder = NewFolder("files");
  Walk walk = Walking();
  int64_t jumps = 0;
  const absl::Status status =
      StreamTrajectory(walk, kSchedule, {.x_hat = folder + "/x.npy"}, [&](const Snapshot& seen) -> absl::Status {
        if (seen.x_hat == nullptr) return absl::OkStatus();
        EXPECT_EQ(ReadNpy(folder + "/x.npy")->shape()[0], ++jumps);
        return jumps < 3 ? absl::OkStatus() : absl::CancelledError("enough");
      });
  EXPECT_EQ(status, absl::CancelledError("enough"));
  EXPECT_EQ(ReadNpy(folder + "/x.npy")->shape(), (Shape{3, 3, 4}));
}

TEST(StreamTrajectory, Mistakes) {
  const std::string folder = NewFolder("files");
  Walk walk = Walking();
  EXPECT_THAT(std::string(StreamTrajectory(walk, kSchedule, {.y = folder + "/y.npy", .item_shape = {5}}).message()),
              AllOf(HasSubstr("[5]"), HasSubstr("4 numbers")));
  EXPECT_FALSE(std::filesystem::exists(folder + "/y.npy"));
  EXPECT_THAT(std::string(StreamTrajectory(walk, kSchedule, {.y = folder + "/no/y.npy"}).message()),
              HasSubstr(folder + "/no/y.npy"));
  EXPECT_EQ(walk.iterations(), 0);
}

}  // namespace
}  // namespace neb
