// NEBULA, the associative memory of [NEB] (arXiv 1903.02334, §5): the gradient flow dy/dt = −∇φ(y) of a learned energy
// takes a noisy or damaged point to an attractor, a memory.
//
//   absl::StatusOr<Descents> memories = Descend(model, NoisyStarts(x, model, /*seed=*/1), {});
//   memories->y                                                     // the attractors, [n, d]
//   memories->rows[0].outcome == Outcome::kConverged                // and what became of each start
//
// How it steps. y ← y − h ∇φ(y), h chosen anew for each step and row, everything in float64 (landscape.h).
//   φ never rises   a step is taken only when φ(y − h∇φ) <= φ(y) − 10⁻⁴ h ‖∇φ‖² as computed (Armijo 1966), without any
//                   allowance for rounding; else h is halved.
//   the basin       a step longer than σ/10 must follow the flow: ∇φ may change along it by half its length at most,
//   and
//                   h aims at a quarter. That is h ‖∇²φ‖ <= 1/2 in the direction of the step, well inside h ∇²φ < 1,
//                   where y ↦ y − h∇φ is one-to-one and no trajectory crosses another. As ∇²φ <= 1/σ² for the exact φ
//                   of any data (METHOD.md §2), h = σ²/4, where it starts, is right where no valleys part. (h = σ²
//                   would be the jump y ← x̂(y): mean shift, which descends too, but to other attractors now and then.)
//   speed           a step of at most σ/10 cannot jump over what has been smoothed with σ: there h is Barzilai and
//                   Borwein's (1988), h = 1/curvature along the last step, which ends long narrow valleys quickly.
#ifndef NEB_NEB_NEBULA_H_
#define NEB_NEB_NEBULA_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

struct DescendOptions {
  // A row has converged when σ ‖∇φ‖ / √d is at most this. The attractor is then about tolerance · σ√d / (σ²λ) away, λ
  // the smallest curvature there (stability.h).
  double tolerance = 1e-5;
  int64_t max_evaluations = 2000;  // of φ and ∇φ together, per row
  // A row has run away, and has no attractor, when it is farther from its start y₀ than this times (‖y₀‖ + σ√d): φ has
  // no lower bound in that direction, or none near any data.
  double run_away = 1e6;
  int64_t path_every = 0;  // keep every such point of the paths, the first and the last; 0: none
  autodiff::ThreadPool* pool = nullptr;
};

enum class Outcome : uint8_t {
  kConverged,
  kOutOfEvaluations,
  kRunAway,
  kStalled,  // no step that float64 can tell from rounding lowers φ: the tolerance is below what φ's precision allows
};
// "converged", "out of evaluations", "ran away", "stalled".
const char* Name(Outcome outcome);

// Points along a descent, the start first and the attractor last.
struct DescentPath {
  std::vector<double> time;    // of the flow, Σh; in units of σ² it is of order one
  std::vector<double> energy;  // φ, never rising
  std::vector<float> y;        // [points, d]
};

struct Descent {
  Outcome outcome = Outcome::kOutOfEvaluations;
  int64_t iterations = 0;   // steps taken
  int64_t evaluations = 0;  // of φ and ∇φ together, the start's and those of rejected steps included
  double energy = 0;        // φ at the end
  double gradient = 0;      // σ ‖∇φ‖ / √d at the end
  DescentPath path = {};    // empty unless asked for
};

struct Descents {
  Tensor y;                   // where the rows ended, [n, d]: the attractors of those that converged
  Tensor x_hat;               // the jump x̂(y) from there; at an attractor it is the attractor, to the tolerance
  std::vector<Descent> rows;  // [n]
};

// Descends from each row of `start` [n, d], float32, finite, n >= 0. Rows are independent: to the last bit, the result
// of one does not depend on the others or on the pool's threads, and a row that has ended costs nothing. A point where
// ∇φ = 0 but φ has no minimum (a saddle, a plateau) counts as converged too: stability.h tells. Errors:
// InvalidArgument for starts and options out of range; FailedPrecondition, naming the row, when φ is not finite at one.
absl::StatusOr<Descents> Descend(Model& model, const Tensor& start, const DescendOptions& options);

}  // namespace neb

#endif  // NEB_NEB_NEBULA_H_
