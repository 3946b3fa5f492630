// Running a walk by a schedule: burn-in, thinning, jumps, and what becomes of them, kept in memory or handed on.
//
//   const WalkSchedule schedule{.burn_in = 500, .iterations = 10000, .keep_every = 10, .jump_every = 100};
//   absl::StatusOr<Trajectory> run = Record(walk, schedule);            // run->y: [1000, chains, d]
//   absl::Status done = Observe(walk, schedule, [&](const Snapshot& s) { return file.Append(*s.y); });
#ifndef NEB_NEB_TRAJECTORY_H_
#define NEB_NEB_TRAJECTORY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "neb/walk.h"

namespace neb {

struct WalkSchedule {
  int64_t burn_in = 0;     // iterations before those below, of which nothing is seen; MALA adapts its step here
  int64_t iterations = 0;  // after the burn-in; those that are counted below
  int64_t keep_every = 1;  // thinning: y is seen at iterations keep_every, 2 keep_every, ...; 0: never
  int64_t jump_every = 0;  // the same for x̂; 0: never
  // Whether φ comes with each y that is seen. It costs an evaluation of φ (and of ∇φ, if there are jumps as well).
  bool energies = false;
};

// The chains after an iteration at which y, x̂ or both are due. Valid during the call only.
struct Snapshot {
  int64_t iteration = 0;               // of the walk, all burn-ins and earlier runs included
  const Tensor* y = nullptr;           // [chains, d]; null: not due
  const Tensor* x_hat = nullptr;       // [chains, d]; null: not due
  std::span<const float> energy = {};  // φ of Walk::noisy(), [chains]; empty: not asked for, or y is not due
};

// Calls `see` at every iteration at which something is due. Jumps and energies do not change the chains. Ends early
// with the status of `see` if that is not OK, or with Walk::Run's if a chain is no longer finite; the walk then stands
// after that iteration. InvalidArgument: a negative number in the schedule.
absl::Status Observe(Walk& walk, const WalkSchedule& schedule, absl::FunctionRef<absl::Status(const Snapshot&)> see);

// All snapshots. `kept` = iterations / keep_every, `jumps` = iterations / jump_every, rounded down.
struct Trajectory {
  Tensor y;                            // [kept, chains, d]
  Tensor x_hat;                        // [jumps, chains, d]
  Tensor energy;                       // [kept, chains], or [0, chains] if not asked for
  std::vector<int64_t> y_at = {};      // [kept]: the iteration of the walk
  std::vector<int64_t> x_hat_at = {};  // [jumps]
};
// Observe, with everything kept in memory: 4 bytes for each number of the shapes above.
absl::StatusOr<Trajectory> Record(Walk& walk, const WalkSchedule& schedule);

}  // namespace neb

#endif  // NEB_NEB_TRAJECTORY_H_
