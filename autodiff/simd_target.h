// The SIMD target that the kernels run on: of those compiled in, the best that the CPU has. Results differ in rounding
// between targets (docs/numerics.md), so the numbers of one machine are repeated on a better one with the first one's
// target. In the environment of any program that is linked with neb, or before its first program is compiled:
//
//   NEB_SIMD=AVX2 ./my_training
//   absl::Status status = SetSimdTarget("AVX2");
#ifndef NEB_AUTODIFF_SIMD_TARGET_H_
#define NEB_AUTODIFF_SIMD_TARGET_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace autodiff {

// The target in use, by Highway's name for it: "AVX3_ZEN4", "AVX3", "AVX2", "SSE4", "NEON", ...
std::string SimdTarget();

// Uses this target from now on. Programs that are already compiled must not run any more: they stay with theirs in
// part. InvalidArgument, naming those there are, for one that was not compiled in or that the CPU lacks.
absl::Status SetSimdTarget(absl::string_view name);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_SIMD_TARGET_H_
