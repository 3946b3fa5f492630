// What one core can do at most: a loop of independent fused multiply-adds on registers.
//
//   const double flops_per_second = FmaPeak();
#ifndef NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_
#define NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_

namespace autodiff {

// float32 operations (two per fused multiply-add) per second on the best target of this machine: the better of two runs
// of some milliseconds.
double FmaPeak();

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_KERNELS_FMA_PEAK_H_
