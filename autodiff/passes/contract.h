// Pass 3: a product that only a sum or a difference reads becomes part of it: a fused multiply-add.
//
// Nearly a fifth of the elementwise ops of double backprop are sums of such products. As one op they are read and
// written once, and rounded once (on targets without the instruction still twice). Contracted are the graphs of whole
// programs, before shards are cut, and by what stands next to what alone: so a value has the same bits whatever the
// batch is divided into.
//
//   Tape contracted(graph.dtype());
//   std::vector<Var> results = Contract(roots, contracted);   // roots: of a simplified graph
#ifndef NEB_AUTODIFF_PASSES_CONTRACT_H_
#define NEB_AUTODIFF_PASSES_CONTRACT_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// Copies the graph of `roots` to `to`, an empty tape of the same dtype, and returns them there, with a b + c as
// mul_add, a b − c as mul_sub and c − a b as neg_mul_add. Of a sum of two products the second is contracted.
std::vector<Var> Contract(absl::Span<const Var> roots, Tape& to);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_CONTRACT_H_
