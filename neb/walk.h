// Walk and jump: overdamped Langevin chains on the smoothed density, and the estimates x̂ seen from them.
//
//   absl::StatusOr<Walk> walk = Walk::Create(model, UniformStarts(/*chains=*/16, model, /*seed=*/1), {});
//   walk->Run(1000);
//   absl::StatusOr<Tensor> x_hat = walk->Jump();                       // [16, d]
#ifndef NEB_NEB_WALK_H_
#define NEB_NEB_WALK_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

struct WalkOptions {
  // δ of y ← y − δ² ∇φ(y) + √2 δ ε (Euler–Maruyama; others write η for δ²). 0: σ/2. Stable below √2 σ where φ is right.
  double step_size = 0;
  uint64_t seed = 1;
  autodiff::ThreadPool* pool = nullptr;
};

// Independent chains, stepped together. Noise depends on (seed, iteration, chain, coordinate) only: the same chain
// comes out for any number of threads, with or without jumps.
class Walk {
 public:
  // `start`: [chains, d]. The model must outlive the walk and not be trained meanwhile.
  static absl::StatusOr<Walk> Create(Model& model, Tensor start, const WalkOptions& options);
  Walk(Walk&&) noexcept;
  Walk& operator=(Walk&&) noexcept;
  ~Walk();

  // FailedPrecondition, naming iteration and chain, if a chain is no longer finite afterwards.
  absl::Status Run(int64_t iterations);
  // Where the chains are, [chains, d].
  const Tensor& y() const;
  int64_t iterations() const;
  // x̂(y) = y − σ² ∇φ(y) of each chain, [chains, d]; leaves the chains as they are.
  absl::StatusOr<Tensor> Jump();

 private:
  struct Impl;
  explicit Walk(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Starts far from the data that need no data: U(0, 1)^d + σ N(0, 1), as in [MGM]. [chains, d]
Tensor UniformStarts(int64_t chains, const Model& model, uint64_t seed);

// x + σ N(0, 1): draws of p_Y when the rows of x are data. [rows of x, d]
Tensor NoisyStarts(const Tensor& x, const Model& model, uint64_t seed);

}  // namespace neb

#endif  // NEB_NEB_WALK_H_
