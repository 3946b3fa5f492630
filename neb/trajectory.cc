#include "neb/trajectory.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace neb {

namespace {

// Iterations until the next multiple of `every` after `done`; never: the largest number.
int64_t Until(int64_t done, int64_t every) {
  return every == 0 ? std::numeric_limits<int64_t>::max() : every - done % every;
}

bool Due(int64_t done, int64_t every) { return every != 0 && done % every == 0; }

int64_t Times(int64_t iterations, int64_t every) { return every == 0 ? 0 : iterations / every; }

absl::Status Check(const WalkSchedule& s) {
  const std::pair<const char*, int64_t> numbers[] = {
      {"burn_in", s.burn_in}, {"iterations", s.iterations}, {"keep_every", s.keep_every}, {"jump_every", s.jump_every}};
  for (const auto& [name, value] : numbers) {
    if (value < 0) return absl::InvalidArgumentError(absl::StrCat("schedule: ", name, " must be >= 0, got ", value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Observe(Walk& walk, const WalkSchedule& schedule, absl::FunctionRef<absl::Status(const Snapshot&)> see) {
  if (absl::Status s = Check(schedule); !s.ok()) return s;
  if (schedule.burn_in > 0) {
    if (absl::Status s = walk.BurnIn(schedule.burn_in); !s.ok()) return s;
  }
  const int64_t chains = walk.y().shape()[0];
  const bool energies = schedule.energies && schedule.keep_every != 0;
  Tensor x_hat(schedule.jump_every == 0 ? autodiff::Shape{0} : walk.y().shape());
  Tensor energy({energies ? chains : 0});
  // Energies and jumps are always evaluated together, whichever is due: a model holds one compiled evaluation.
  const Model::Results results{.energy = energy.data<float>(), .gradient = {}, .x_hat = x_hat.data<float>()};
  for (int64_t done = 0; done < schedule.iterations;) {
    const int64_t run =
        std::min({schedule.iterations - done, Until(done, schedule.keep_every), Until(done, schedule.jump_every)});
    if (absl::Status s = walk.Run(run); !s.ok()) return s;
    done += run;
    const bool keep = Due(done, schedule.keep_every), jump = Due(done, schedule.jump_every);
    if (!keep && !jump) continue;
    if (jump || energies) {
      if (absl::Status s = walk.Evaluate(results); !s.ok()) return s;
    }
    Snapshot snapshot{.iteration = walk.iterations()};
    if (keep) snapshot.y = &walk.y();
    if (jump) snapshot.x_hat = &x_hat;
    if (keep && energies) snapshot.energy = energy.data<float>();
    if (absl::Status s = see(snapshot); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<Trajectory> Record(Walk& walk, const WalkSchedule& schedule) {
  if (absl::Status s = Check(schedule); !s.ok()) return s;
  const int64_t chains = walk.y().shape()[0], d = walk.y().shape()[1];
  const int64_t kept = Times(schedule.iterations, schedule.keep_every);
  const int64_t jumps = Times(schedule.iterations, schedule.jump_every);
  Trajectory all{.y = Tensor({kept, chains, d}),
                 .x_hat = Tensor({jumps, chains, d}),
                 .energy = Tensor({schedule.energies ? kept : 0, chains})};
  // Appends after the `count` snapshots that are there already.
  const auto append = [](std::span<const float> from, size_t count, Tensor& to) {
    std::copy(from.begin(), from.end(), to.data<float>().subspan(count * from.size()).begin());
  };
  absl::Status s = Observe(walk, schedule, [&](const Snapshot& snapshot) {
    if (snapshot.y != nullptr) {
      append(snapshot.y->data<float>(), all.y_at.size(), all.y);
      append(snapshot.energy, all.y_at.size(), all.energy);
      all.y_at.push_back(snapshot.iteration);
    }
    if (snapshot.x_hat != nullptr) {
      append(snapshot.x_hat->data<float>(), all.x_hat_at.size(), all.x_hat);
      all.x_hat_at.push_back(snapshot.iteration);
    }
    return absl::OkStatus();
  });
  if (!s.ok()) return s;
  return all;
}

}  // namespace neb
