// Internal to walk.cc: one iteration of each sampler, recorded and compiled.
//
//   ChainTensors tensors{.y = start, ...};
//   absl::StatusOr<ChainStep> step = CompileStep(model, settings, tensors, pool);
//   step->Run(false);                             // reads tensors.noise, overwrites tensors.y, allocates nothing
#ifndef NEB_NEB_CHAIN_STEP_H_
#define NEB_NEB_CHAIN_STEP_H_

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/model.h"
#include "neb/walk.h"

namespace neb {

// The numbers of the formulas, all known and positive.
struct StepSettings {
  Sampler sampler = Sampler::kUla;
  double step_size = 0;     // δ; not MALA, which reads it from ChainTensors
  double friction = 0;      // γ
  double inverse_mass = 0;  // u
};

// What the chains are made of. Those that a sampler has no use for stay empty; n chains of d coordinates.
struct ChainTensors {
  // Before and after each iteration:
  Tensor y = {};         // [n, d]
  Tensor velocity = {};  // [n, d]  BAOAB, ABOBA: v
  Tensor gradient = {};  // [n, d]  MALA, BAOAB: ∇φ(y)
  Tensor energy = {};    // [n]     MALA: φ(y)
  // Set before each iteration:
  Tensor noise = {};        // [n, d]  ε
  Tensor log_uniform = {};  // [n]     MALA: log of a uniform number; a proposal is taken when it is below log_ratio
  Tensor step_size = {};    // []      MALA: δ
  // Made by each iteration:
  Tensor log_ratio = {};  // [n]     MALA: the log of the Metropolis–Hastings ratio
  Tensor noisy = {};      // [n, d]  half-denoising: ỹ

  // The tensors of this sampler for chains at `start`. Energy and gradient are not set.
  static ChainTensors For(Sampler sampler, Tensor start);
};

// A compiled iteration, bound to the tensors it reads and writes.
class ChainStep {
 public:
  ChainStep(autodiff::Program program, std::vector<const Tensor*> inputs, std::vector<Tensor*> state,
            std::vector<Tensor*> outputs)
      : program_(std::move(program)),
        inputs_(std::move(inputs)),
        state_(std::move(state)),
        outputs_(std::move(outputs)) {}

  // again: the model has not changed since the last iteration, and more than a few are to come.
  absl::Status Run(bool again) {
    return again ? program_.RunAgain(inputs_, state_, outputs_) : program_.Run(inputs_, state_, outputs_);
  }

 private:
  autodiff::Program program_;
  std::vector<const Tensor*> inputs_;
  std::vector<Tensor*> state_, outputs_;
};

// `tensors` must stay where they are. Errors: mistakes in the energy.
absl::StatusOr<ChainStep> CompileStep(Model& model, const StepSettings& settings, ChainTensors& tensors,
                                      autodiff::ThreadPool* pool);

}  // namespace neb

#endif  // NEB_NEB_CHAIN_STEP_H_
