// Walk and jump: Markov chains driven by a learned energy, and the estimates x̂ seen from them.
//
//   absl::StatusOr<Walk> walk = Walk::Create(model, UniformStarts(/*chains=*/16, model, /*seed=*/1), {});
//   walk->Run(1000);
//   absl::StatusOr<Tensor> x_hat = walk->Jump();                       // [16, d]
//
// Another sampler is one field, {.sampler = Sampler::kBaoab}. Burn-in, thinning and recording: trajectory.h.
#ifndef NEB_NEB_WALK_H_
#define NEB_NEB_WALK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

// All sample p_Y, the density of noisy points, in one gradient per iteration; half-denoising alone samples p_X.
enum class Sampler : uint8_t {
  // Overdamped Langevin, Euler–Maruyama: y ← y − δ² ∇φ(y) + √2 δ ε (others write η for δ²). Biased: on N(0, s²) its
  // variance is s²/(1 − δ²/2s²). Stable below √2 σ where φ is right.
  kUla,
  // The same proposal, accepted or rejected (Metropolis–Hastings; Roberts & Tweedie 1996): unbiased at any step. φ is
  // compared in float32, so φ's own size should stay below about 10⁵.
  kMala,
  // Underdamped Langevin with velocity v, split into kicks B(h): v ← v − u h ∇φ(y), drifts A(h): y ← y + h v, and a
  // thermostat O: v ← c v + √(u(1 − c²)) ε, c = exp(−γδ) (Leimkuhler & Matthews 2013). v starts at 0. Both are exact
  // in y for a quadratic φ. Stable below 2σ/√u where φ is right.
  kBaoab,  // B(δ/2) A(δ/2) O A(δ/2) B(δ/2)
  kAboba,  // A(δ/2) B(δ/2) O B(δ/2) A(δ/2), the scheme of [MGM]
  // Half-denoising (Hyvärinen 2024): ỹ = x + σ ε, x ← ỹ − (σ²/2) ∇φ(ỹ). A chain in X-space: y() holds x, and draws
  // are of p_X itself, with a bias: on X ~ N(0, τ²) the variance is σ²a²/(1 − a²), a = 1 − σ²/(2(τ² + σ²)), which is
  // τ² to first order in σ². It has no step size but σ.
  kHalfDenoising,
};
// "ula", "mala", "baoab", "aboba", "half-denoising".
const char* Name(Sampler sampler);
// The inverse; InvalidArgument that lists the names.
absl::StatusOr<Sampler> ParseSampler(absl::string_view name);

// What a sampler has no use for, it ignores: so the sampler can be switched by itself.
struct WalkOptions {
  Sampler sampler = Sampler::kUla;
  // δ, in the units of y. 0: σ/2. MALA: where burn-in starts from. Half-denoising: unused.
  double step_size = 0;
  // γ of BAOAB and ABOBA, one over the unit of δ. 0: 1/δ, which is c = 1/e. ([MGM]: γ = 1/2; walk-jump and JAMUN give
  // γδ = 1.)
  double friction = 0;
  // u of BAOAB and ABOBA.
  double inverse_mass = 1;
  // The share of proposals that MALA's burn-in aims at; 0.574 is best for many dimensions (Roberts & Rosenthal 1998).
  double target_acceptance = 0.574;
  uint64_t seed = 1;
  autodiff::ThreadPool* pool = nullptr;
};

// Independent chains, stepped together. Noise depends on (seed, iteration, chain, coordinate) only: the same chain
// comes out for any number of threads, with or without jumps.
class Walk {
 public:
  // `start`: [chains, d], float32. The model must outlive the walk and not be trained meanwhile. InvalidArgument:
  // starts of another shape; a step, friction or inverse mass that is not positive; a target acceptance outside (0, 1).
  static absl::StatusOr<Walk> Create(Model& model, Tensor start, const WalkOptions& options);
  Walk(Walk&&) noexcept;
  Walk& operator=(Walk&&) noexcept;
  ~Walk();

  // FailedPrecondition, naming iteration and chain, if a chain is no longer finite afterwards. Eight iterations or more
  // per call take less time each than fewer do, and some more memory: the weights are prepared for them.
  absl::Status Run(int64_t iterations);
  // Like Run, but MALA adapts its step: one step for all chains, by dual averaging of their mean acceptance
  // (step_adaptation.h). Run then uses the step found, unchanged. Twice 100 iterations are the same as 200. Draws from
  // a burn-in are no samples of anything. Acceptance is counted afresh afterwards.
  absl::Status BurnIn(int64_t iterations);

  // Where the chains are, [chains, d].
  const Tensor& y() const;
  // The noisy points that jumps and energies are of: y() itself, except for half-denoising, where y() holds x and this
  // is the last ỹ (zeros before the first iteration). [chains, d]
  const Tensor& noisy() const;
  int64_t iterations() const;
  // δ in use now; σ for half-denoising.
  double step_size() const;
  // The share of proposals accepted since the last burn-in (or the start), for each chain; NaN before the first one.
  // Empty for samplers that do not reject.
  std::vector<double> acceptance() const;
  // The mean of those, NaN if there are none.
  double mean_acceptance() const;

  // x̂ of each chain's noisy point, x̂(y) = y − σ² ∇φ(y), [chains, d]; leaves the chains as they are. For half-denoising
  // this is x̂(ỹ), of which x is halfway, x = (ỹ + x̂(ỹ))/2; FailedPrecondition before its first iteration.
  absl::StatusOr<Tensor> Jump();
  // φ, ∇φ and x̂ of the noisy points, whichever are asked for; otherwise as Jump.
  absl::Status Evaluate(const Model::Results& results);

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
