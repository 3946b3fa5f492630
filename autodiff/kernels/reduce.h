// Reductions along the middle of a dense [outer, reduce, inner] array, the form that any set of adjacent axes takes.
//
//   Reduce(Reduction::kSum, x, 1, batch, n, y, 0, n);          // column sums of x, [batch, n]
//   Reduce(Reduction::kSum, x, batch, n, 1, y, 0, batch);      // row sums
#ifndef NEB_AUTODIFF_KERNELS_REDUCE_H_
#define NEB_AUTODIFF_KERNELS_REDUCE_H_

#include <cstdint>

namespace autodiff {

enum class Reduction : uint8_t { kSum, kMax };

// y[i, k] = sum or maximum over j of x[i, j, k], for the outputs begin <= i * inner + k < end only, so that callers may
// split the work anywhere: the bits of an output do not depend on the split. T is float or double.
// Sums are exact to about the last place, however many terms: those of floats run in double, those of doubles carry
// the rounding errors along. The maximum of anything with a NaN is NaN. Of nothing (reduce = 0), the sum is 0 and the
// maximum -inf. Reads and writes no element outside the arrays; y must not overlap x.
template <typename T>
void Reduce(Reduction reduction, const T* x, int64_t outer, int64_t reduce, int64_t inner, T* y, int64_t begin,
            int64_t end);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_REDUCE_H_
