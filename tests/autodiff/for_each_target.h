// Runs a test on every SIMD target that was compiled in and that this CPU has.
//
//   ForEachTarget([] { EXPECT_EQ(...); });
#ifndef NEB_TESTS_AUTODIFF_FOR_EACH_TARGET_H_
#define NEB_TESTS_AUTODIFF_FOR_EACH_TARGET_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "hwy/targets.h"

namespace autodiff {

// Programs compiled inside f, and kernels looked up there, are of the target.
template <typename F>
void ForEachTarget(F f) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    f();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_FOR_EACH_TARGET_H_
