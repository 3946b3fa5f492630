#include "neb/cli/time_budget.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

namespace neb {

absl::StatusOr<double> SecondsPerStep(const Model& model, const Tensor& x, const TrainOptions& options) {
  constexpr double kSeconds = 2;
  constexpr int64_t kFewest = 5;
  // A model shares its parameters with its copies.
  absl::StatusOr<Model> copy = Model::Create(model.energy(), model.item_shape(), model.sigma(), model.params().seed());
  if (!copy.ok()) return copy.status();
  const absl::StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(*copy, x, options);
  if (!trainer.ok()) return trainer.status();
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  // The first step is not like the others: memory is touched for the first time.
  if (absl::Status s = (*trainer)->Step(); !s.ok()) return s;
  const Clock::time_point start = Clock::now();
  int64_t steps = 0;
  while (steps < kFewest || since(start) < kSeconds) {
    if (absl::Status s = (*trainer)->Step(); !s.ok()) return s;
    ++steps;
  }
  return since(start) / static_cast<double>(steps);
}

int64_t StepsWithin(double seconds, double seconds_per_step) {
  constexpr double kMost = 1e12;
  return std::max<int64_t>(1, std::llround(std::min(kMost, seconds / seconds_per_step)));
}

}  // namespace neb
