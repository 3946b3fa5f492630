// A walk that goes to files while it runs: as long as the disk has room for, in memory that does not grow.
//
//   absl::Status done = StreamTrajectory(walk, {.burn_in = 500, .iterations = 1000000, .keep_every = 10,
//                                               .jump_every = 100}, {.y = "walk.npy", .x_hat = "samples.npy"});
//   // numpy.load("samples.npy", mmap_mode="r"): [10000, chains, d], also while it runs and after it was killed
#ifndef NEB_NEB_STREAM_TRAJECTORY_H_
#define NEB_NEB_STREAM_TRAJECTORY_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "autodiff/shape.h"
#include "neb/trajectory.h"

namespace neb {

// Paths of .npy files; an empty one is not written.
struct StreamFiles {
  std::string y = {};               // [kept, chains, item_shape…]
  std::string x_hat = {};           // [jumps, chains, item_shape…]
  std::string energy = {};          // φ, [kept, chains]; nothing comes without WalkSchedule::energies
  autodiff::Shape item_shape = {};  // of a point in the files, d numbers; rank 0: {d}
};

// Observe (trajectory.h), with every snapshot appended to the files, as float32, before `see` has it. After an error,
// of the walk, of `see` or of a file, the files hold all snapshots before it. Holds O(chains · d) numbers whatever the
// schedule. Errors: those of Observe and NpyWriter; InvalidArgument for an item_shape of another size than d, before
// anything is written.
absl::Status StreamTrajectory(
    Walk& walk, const WalkSchedule& schedule, const StreamFiles& files,
    absl::FunctionRef<absl::Status(const Snapshot&)> see = [](const Snapshot&) { return absl::OkStatus(); });

}  // namespace neb

#endif  // NEB_NEB_STREAM_TRAJECTORY_H_
