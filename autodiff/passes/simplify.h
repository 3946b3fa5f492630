// Pass 1: copies the live part of a graph to a fresh tape, leaving out what changes nothing.
//
// Only rewrites that keep IEEE results (up to the sign of a zero produced by fused multiply-add): x·1, x/1, x−0 -> x;
// −(−x) -> x; x + (−y) -> x − y; (−x)(−y) -> x y; reshapes and permutes merged; a permute of extent-1 axes -> reshape;
// a transposed operand -> a transpose flag of the product; stop_gradient -> x. Never x·0 -> 0, x − x -> 0, x/x -> 1.
#ifndef NEB_AUTODIFF_PASSES_SIMPLIFY_H_
#define NEB_AUTODIFF_PASSES_SIMPLIFY_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// Returns `roots` as Vars of `to`, an empty tape of the same dtype. Inputs keep their index (Node::attributes). With
// rewrite = false, only copies what is live.
std::vector<Var> Simplify(absl::Span<const Var> roots, Tape& to, bool rewrite);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_SIMPLIFY_H_
