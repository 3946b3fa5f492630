// Pass 6: runs a chain as the epilogue of the product that it reads.
//
// A weight's gradient is read once, by the optimizer's chain. When that chain runs on each block of the gradient as
// soon as the product has finished it, the gradient is read from the cache, and the chain's other operands (the weights
// and their moments) are fetched from memory while the product computes.
#ifndef NEB_AUTODIFF_PASSES_EPILOGUES_H_
#define NEB_AUTODIFF_PASSES_EPILOGUES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "autodiff/passes/schedule.h"
#include "autodiff/tape.h"

namespace autodiff {

// Results smaller than this, in bytes, stay in the second-level cache anyway.
inline constexpr int64_t kMinEpilogueBytes = 1 << 20;

// Moves products into the steps of chains (Step::product): matrix products (not batches of them) that only one chain
// reads, element by element, that are no root, have rows of whole cache lines and at least kMinEpilogueBytes bytes. A
// chain takes one. The arithmetic and its order stay the same.
void FuseEpilogues(const Tape& tape, absl::Span<const int> roots, std::vector<Step>& steps);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_EPILOGUES_H_
