// How many steps fit into a time: the learning rate's schedule needs their number before the first.
//
//   absl::StatusOr<double> seconds = SecondsPerStep(model, train.x, options);
//   options.steps = StepsWithin(5 * 60, *seconds);
#ifndef NEB_NEB_CLI_TIME_BUDGET_H_
#define NEB_NEB_CLI_TIME_BUDGET_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "neb/model.h"
#include "neb/trainer.h"

namespace neb {

// The median time of a training step, from about two seconds of steps on a copy of the model, which stays as it is.
// Errors: those of Trainer.
absl::StatusOr<double> SecondsPerStep(const Model& model, const Tensor& x, const TrainOptions& options);

// At least 1.
int64_t StepsWithin(double seconds, double seconds_per_step);

}  // namespace neb

#endif  // NEB_NEB_CLI_TIME_BUDGET_H_
