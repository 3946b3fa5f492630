// Adam, recorded on the tape as state updates of the training program, and the learning-rate schedule.
//
//   Schedule schedule{.peak = 1e-3, .warmup = 500, .total = 10000};
//   double rate = LearningRate(schedule, step);
#ifndef NEB_NEB_OPTIMIZER_H_
#define NEB_NEB_OPTIMIZER_H_

#include <cstdint>
#include <vector>

#include "autodiff/autodiff.h"

namespace neb {

// Linear warm-up from 0 to `peak` over `warmup` steps, then half a cosine to `final_fraction` · peak at step `total`
// (Loshchilov & Hutter 2017).
struct Schedule {
  double peak = 1e-3;
  int64_t warmup = 500;       // steps
  int64_t total = 10000;      // steps
  double final_fraction = 0;  // in [0, 1]
};
// The rate of step `step` = 0, 1, ...; never 0 before step `total` unless peak is.
double LearningRate(const Schedule& schedule, int64_t step);

// Kingma & Ba 2015, with bias correction; decoupled weight decay (Loshchilov & Hutter 2019).
struct AdamOptions {
  double beta1 = 0.9;  // in [0, 1), both
  double beta2 = 0.999;
  double epsilon = 1e-8;     // >= 0; added to √(second moment)
  double weight_decay = 0;   // of the rate: w ← w − rate · weight_decay · w
  double clip_norm = 0;      // scales all gradients together down to this Euclidean norm; 0: never
  double ema_decay = 0.999;  // of the running average of the parameters, see AdamScalars; 0: no average is kept
};

// What changes from step to step; the values of four scalar inputs of the program.
struct AdamScalars {
  double rate;         // learning rate
  double correction1;  // 1 / (1 − β₁ᵗ)
  double correction2;  // 1 / (1 − β₂ᵗ)
  double ema_weight;   // 1 − min(ema_decay, t / (t + 9)): a young average forgets faster
};
// For step t − 1 = `step` = 0, 1, ...
AdamScalars ScalarsAt(const AdamOptions& options, const Schedule& schedule, int64_t step);

// The recorded update of some parameters.
struct AdamStep {
  // AdamScalars' fields in order, to be given to each run.
  std::vector<autodiff::Var> scalars;
  // For each parameter in turn: the parameter, its first and second moment, its average (if one is kept). The moments
  // start at 0, the average at the parameter's first value.
  std::vector<autodiff::Update> updates;
};
// The gradients are those of `loss` (a scalar). When the loss is NaN or infinite, every updated value keeps its old
// value; when only a number's gradient is (or its step or second moment overflows), that number and its moments do.
AdamStep RecordAdam(autodiff::Var loss, const std::vector<autodiff::Var>& params,
                    const std::vector<autodiff::Var>& gradients, const AdamOptions& options);

}  // namespace neb

#endif  // NEB_NEB_OPTIMIZER_H_
