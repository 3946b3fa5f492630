// What one core can do at most, a loop of independent fused multiply-adds on registers; and what share of it a kernel
// reaches. The two are measured in turn, since both move with the clock and with the neighbours.
//
//   const Share s = ShareOfPeak(2.0 * m * n * k, [&] { Gemm(args, 0, 1, scratch); });
#ifndef NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_
#define NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_

#include "absl/functional/function_ref.h"

namespace autodiff {

// float32 operations (two per fused multiply-add) per second on the best target of this machine: the better of two runs
// of some milliseconds.
double FmaPeak();

struct Share {
  double seconds;                  // of one call
  double median, least, greatest;  // flops / seconds / FmaPeak()
};
// Medians over 15 rounds of some milliseconds, each beside its own peak.
Share ShareOfPeak(double flops, absl::FunctionRef<void()> once);

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_
