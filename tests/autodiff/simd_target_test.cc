#include "autodiff/simd_target.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/autodiff/simd_target_test.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
int64_t OwnTarget() { return HWY_TARGET; }
}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {
namespace {

HWY_EXPORT(OwnTarget);
std::string Dispatched() { return hwy::TargetName(HWY_DYNAMIC_DISPATCH(OwnTarget)()); }

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) names.emplace_back(hwy::TargetName(target));
  SimdTarget();  // see Targets in simd_target.cc
  return names;
}

TEST(SimdTarget, IsTheOneThatKernelsRunOn) {
  const std::string target = SimdTarget();
  EXPECT_EQ(Dispatched(), target);
  EXPECT_EQ(Names().front(), target);
  const char* const wanted = std::getenv("NEB_SIMD");
  if (wanted != nullptr) {
    EXPECT_EQ(target, wanted);
  }
}

TEST(SimdTarget, CanBeChosenAmongThoseThatAreThere) {
  const std::vector<std::string> names = Names();
  for (const std::string& name : names) {
    ASSERT_TRUE(SetSimdTarget(name).ok()) << name;
    EXPECT_EQ(Dispatched(), name);
    EXPECT_EQ(SimdTarget(), name);
    EXPECT_EQ(Dispatched(), name) << "asking changes nothing";
  }
  ASSERT_TRUE(SetSimdTarget(names.front()).ok()) << "from a worse one back to a better one";
  EXPECT_EQ(Dispatched(), names.front());
}

TEST(SimdTarget, AnUnknownNameChangesNothingAndNamesTheOthers) {
  const std::vector<std::string> names = Names();
  ASSERT_TRUE(SetSimdTarget(names.back()).ok());
  const absl::Status status = SetSimdTarget("AVX9");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const std::string& name : names) EXPECT_THAT(status.message(), testing::HasSubstr(name));
  EXPECT_EQ(Dispatched(), names.back());
  ASSERT_TRUE(SetSimdTarget(names.front()).ok());
}

// Runs the first test again, in another environment.
void RunWith(const char* simd) {
  setenv("NEB_SIMD", simd, 1);
  execl("/proc/self/exe", "simd_target_test", "--gtest_filter=SimdTarget.IsTheOneThatKernelsRunOn", nullptr);
  std::abort();
}

TEST(SimdTargetDeathTest, IsTakenFromTheEnvironment) {
  for (const std::string& name : Names()) EXPECT_EXIT(RunWith(name.c_str()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RunWith("AVX9"), testing::ExitedWithCode(1), "NEB_SIMD: there is no SIMD target \"AVX9\" here, only ");
}

}  // namespace
}  // namespace autodiff
#endif  // HWY_ONCE
