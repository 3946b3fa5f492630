// Pass 4: lets chains recompute cheap values instead of loading them.
//
// An elementwise value that several chains read is stored by the first and loaded by the others. When it takes one
// instruction and the other chains read its operands anyway, or one operand in its place, each computes a copy of its
// own, and nothing is stored: 1 − sigmoid(x), say, next to sigmoid(x). A copy is the same operation on the same
// numbers, so results do not change.
#ifndef NEB_AUTODIFF_PASSES_RECOMPUTE_H_
#define NEB_AUTODIFF_PASSES_RECOMPUTE_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// Returns `roots` as Vars of `to`, an empty tape of the same dtype. Copies are told apart by an attribute, the depth of
// the chain (see schedule.h) that reads them.
std::vector<Var> Recompute(absl::Span<const Var> roots, Tape& to);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_RECOMPUTE_H_
