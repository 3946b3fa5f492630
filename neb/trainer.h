// Training: noise is added to samples, and the energy's estimate x̂ is drawn to the clean ones.
//
//   TrainOptions options{.steps = 10000, .batch = 128};
//   options.on_progress = [](const Progress& p) { std::printf("%ld %g\n", p.step, p.loss); };
//   absl::StatusOr<TrainResult> result = Train(model, train.x, &held_out.x, options);
//
// A run that can be stopped and go on, also after a kill or a loss of power, with the same bits as one that never was:
//
//   options.checkpoint = {.path = "run.safetensors", .resume = true};
//   options.stop = [] { return stop_was_asked_for.load(); };
#ifndef NEB_NEB_TRAINER_H_
#define NEB_NEB_TRAINER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/measure_loss.h"  // IWYU pragma: export
#include "neb/model.h"
#include "neb/optimizer.h"
#include "neb/safetensors.h"

namespace neb {

// The state of a run, as handed to TrainOptions::on_progress.
struct Progress {
  int64_t step = 0;          // done so far
  int64_t steps = 0;         // in all
  double loss = 0;           // of the minibatches since the last report, far samples included, per sample, averaged
  double held_out_loss = 0;  // of the averaged parameters; NaN without held-out data or when not measured this time
  double rate = 0;           // learning rate of the last step
  double samples_per_second = 0;
  double seconds = 0;    // since the start, without the time between a stop and the resumption
  bool resumed = false;  // a report of the run that this one resumes, repeated: the model is by now another
};

// Where and when a run saves itself. The format is in checkpoint.h; such a file can also be loaded as a model.
struct CheckpointOptions {
  std::string path = {};      // empty: no checkpoints
  double every_seconds = 60;  // between two of them; longer where they would take more than 5 % of the time
  int64_t every_steps = 0;    // if not 0, (also) after every multiple of so many steps
  // Goes on from the checkpoint at `path`, or starts if no file is there. Without, one that is there is replaced.
  bool resume = false;
  // More metadata, such as {"energy", ToJson(spec)}, with which LoadModel (energy_spec.h) takes the file. A run is
  // resumed only with the same.
  std::map<std::string, std::string> metadata = {};
  // Hears of every checkpoint that could not be written: it is tried again when the next is due, and the training goes
  // on. The file before stays.
  std::function<void(const absl::Status&)> on_error = {};
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
  // The share whose noise is less than σ, see inner_samples.h: for energies of a stored set that are to recall it.
  double inner_fraction = 0;
  uint64_t seed = 1;
  autodiff::ThreadPool* pool = nullptr;  // null: one thread; the result does not depend on it
  int64_t report_every = 100;            // steps between calls of on_progress
  int64_t evaluate_every = 1000;         // steps between measurements of the held-out loss
  int64_t held_out_samples = 2000;       // that are used for it
  // Called once, when all is checked and before the first step: 0, or the step that the run is resumed at.
  std::function<void(int64_t)> on_start = {};
  std::function<void(const Progress&)> on_progress = {};
  CheckpointOptions checkpoint = {};
  std::function<bool()> stop = {};  // asked before each step; true ends the run, after a checkpoint
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
  double last_loss() const;  // of the last minibatch, per sample; 0 before the first, also after Restore
  double last_rate() const;  // the learning rate of the last step

  // All that the coming steps depend on, as a checkpoint (checkpoint.h): the model, its trained values and moments, the
  // step, the settings, the samples' fingerprint.
  TensorFile Save(const std::map<std::string, std::string>& metadata = {}) const;
  // The same without a copy, valid until the next step: to write it (WriteSafetensorsView).
  TensorFileView State(const std::map<std::string, std::string>& metadata = {}) const;
  // Takes over what Save gave: the coming steps are, to the last bit, those of the trainer that gave it, if binary and
  // SIMD target are the same. InvalidArgument, and nothing is changed, when the settings (report_every, evaluate_every,
  // held_out_samples and the pool's threads may be others), the samples, the energy's parameters or `metadata` differ:
  // it names the first difference, and what is here and there. An energy's formula is not in the file, only its spec
  // if the metadata has one.
  absl::Status Restore(const TensorFile& file, const std::map<std::string, std::string>& metadata = {});

 private:
  struct Impl;
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct TrainResult {
  std::vector<Progress> history = {};  // of all steps, also those before a resumption
  double seconds = 0;                  // likewise
  int64_t resumed_at = 0;              // the step of the checkpoint that this run went on from
  bool stopped = false;                // by TrainOptions::stop, before the last step
  absl::Status checkpoint = {};        // whether the last step done is in the checkpoint, or why not
};
// A whole run. `held_out` (may be null) is only measured. A resumed run gives the same result as one that was never
// stopped, but for `seconds` and samples_per_second; first it repeats the reports of the steps before. Errors: as of
// Trainer::Create, Step and Restore; a checkpoint that cannot be read. Not: one that cannot be written.
absl::StatusOr<TrainResult> Train(Model& model, const Tensor& x, const Tensor* held_out, const TrainOptions& options);

}  // namespace neb

#endif  // NEB_NEB_TRAINER_H_
