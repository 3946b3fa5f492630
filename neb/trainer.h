// Training: noise is added to samples, and the energy's estimate x̂ is drawn to the clean ones.
//
//   TrainOptions options{.steps = 10000, .batch = 128};
//   options.on_progress = [](const Progress& p) { std::printf("%ld %g\n", p.step, p.loss); };
//   absl::StatusOr<TrainResult> result = Train(model, train.x, &held_out.x, options);
#ifndef NEB_NEB_TRAINER_H_
#define NEB_NEB_TRAINER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/model.h"
#include "neb/optimizer.h"

namespace neb {

// The state of a run, as handed to TrainOptions::on_progress.
struct Progress {
  int64_t step = 0;          // done so far
  int64_t steps = 0;         // in all
  double loss = 0;           // of the minibatches since the last report, far samples included, per sample, averaged
  double held_out_loss = 0;  // of the averaged parameters; NaN without held-out data or when not measured this time
  double rate = 0;           // learning rate of the last step
  double samples_per_second = 0;
  double seconds = 0;  // since the start
};

struct TrainOptions {
  int64_t steps = 10000;
  int64_t batch = 128;
  double learning_rate = 1e-3;  // the peak of the schedule
  int64_t warmup = 500;         // steps; at most a tenth of all steps is used
  AdamOptions adam = {};
  // M > 1: the energy is a joint one of M noisy copies of each sample, trained with the loss of their mean estimate,
  // see measurements.h. Samples are then [n, d/M], d the model's.
  int64_t measurements = 1;
  // The share of each minibatch that is moved off the data, see far_samples.h; 0: none, for data without room around
  // it.
  double far_fraction = 0;
  uint64_t seed = 1;
  autodiff::ThreadPool* pool = nullptr;  // null: one thread; the result does not depend on it
  int64_t report_every = 100;            // steps between calls of on_progress
  int64_t evaluate_every = 1000;         // steps between measurements of the held-out loss
  int64_t held_out_samples = 2000;       // that are used for it
  std::function<void(const Progress&)> on_progress = {};
};

// One training run, step by step. The model's own parameters are the running average (EMA) of those that are trained,
// unless adam.ema_decay is 0.
class Trainer {
 public:
  // `x`: samples [n, d / options.measurements], float32, finite. Model and samples must outlive the trainer. Errors:
  // sizes and options out of range, mistakes in the energy.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(Model& model, const Tensor& x, const TrainOptions& options);
  ~Trainer();

  // One minibatch. FailedPrecondition, naming the step, when the loss is NaN or infinite: the parameters then stay as
  // they were before that step.
  absl::Status Step();
  int64_t step() const;      // done so far
  double last_loss() const;  // of the last minibatch, per sample

 private:
  struct Impl;
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct TrainResult {
  std::vector<Progress> history;
  double seconds = 0;
};
// A whole run. `held_out` (may be null) is only measured.
absl::StatusOr<TrainResult> Train(Model& model, const Tensor& x, const Tensor* held_out, const TrainOptions& options);

// The NEB loss of a model on samples x [n, d], mean over the samples, each with one draw of noise: an estimate of
// E‖X − x̂(X + σε)‖². The noise is the same at each call with the same seed. Uses the first `samples` rows. For a joint
// energy of M measurements, x is [n, d/M] and x̂ their mean estimate.
absl::StatusOr<double> MeasureLoss(Model& model, const Tensor& x, int64_t samples, uint64_t seed,
                                   autodiff::ThreadPool* pool = nullptr, int64_t measurements = 1);

}  // namespace neb

#endif  // NEB_NEB_TRAINER_H_
