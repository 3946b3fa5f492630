#include "neb/cli/time_budget.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <vector>

namespace neb {

absl::StatusOr<double> SecondsPerStep(const Model& model, const Tensor& x, const TrainOptions& options) {
  constexpr double kSeconds = 2;
  constexpr size_t kFewest = 5;
  // A model shares its parameters with its copies.
  absl::StatusOr<Model> copy = Model::Create(model.energy(), model.item_shape(), model.sigma(), model.params().seed());
  if (!copy.ok()) return copy.status();
  const absl::StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(*copy, x, options);
  if (!trainer.ok()) return trainer.status();
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<double> seconds;
  // The first step is not like the others: memory is touched for the first time.
  if (absl::Status s = (*trainer)->Step(); !s.ok()) return s;
  const Clock::time_point start = Clock::now();
  while (seconds.size() < kFewest || since(start) < kSeconds) {
    const Clock::time_point before = Clock::now();
    if (absl::Status s = (*trainer)->Step(); !s.ok()) return s;
    seconds.push_back(since(before));
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

int64_t StepsWithin(double seconds, double seconds_per_step) {
  constexpr double kMost = 1e12;
  return std::max<int64_t>(1, std::llround(std::min(kMost, seconds / seconds_per_step)));
}

}  // namespace neb
