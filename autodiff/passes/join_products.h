// Pass 2: a sum of products becomes one product of several terms.
//
// Double backprop gives each layer's weights two gradients, A'B + C'D, one through the energy's gradient and one
// through what it is computed from. As one product with one summed axis, that of both terms in a row, it writes its
// result once and has a summed axis long enough for the arithmetic to hide the memory traffic. A joined kMatmul or
// kConvWeightAdjoint has inputs {a0, b0, a1, b1, ...} and is the sum over its pairs.
//
//   Tape joined(graph.dtype());
//   std::vector<Var> results = JoinProducts(roots, joined);   // roots: of a simplified graph
#ifndef NEB_AUTODIFF_PASSES_JOIN_PRODUCTS_H_
#define NEB_AUTODIFF_PASSES_JOIN_PRODUCTS_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// A product has at most this many terms.
inline constexpr size_t kMaxTerms = 4;

// Copies the graph of `roots` to `to`, an empty tape of the same dtype, and returns them there. Joined are products of
// one kind, with equal flags and result shapes (convolutions: equal operand shapes too), that only their sum reads.
// The order of summation changes, so results agree with the separate products to rounding.
std::vector<Var> JoinProducts(absl::Span<const Var> roots, Tape& to);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_JOIN_PRODUCTS_H_
