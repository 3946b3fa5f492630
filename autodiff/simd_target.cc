#include "autodiff/simd_target.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "hwy/highway.h"
#include "hwy/targets.h"

namespace autodiff {
namespace {

// Targets in use are those not disabled; a better one has a lower bit.
int64_t BestOf(int64_t targets) { return targets & -targets; }

// A static initializer: kernels may be chosen by another one.
[[maybe_unused]] const bool kFromEnvironment = [] {
  const char* const name = std::getenv("NEB_SIMD");
  if (name == nullptr || *name == '\0') return false;
  if (const absl::Status status = SetSimdTarget(name); !status.ok()) {
    std::fprintf(stderr, "NEB_SIMD: %s\n", std::string(status.message()).c_str());
    std::exit(1);
  }
  return true;
}();

}  // namespace

std::string SimdTarget() { return hwy::TargetName(BestOf(HWY_SUPPORTED_TARGETS & HWY_TARGETS)); }

absl::Status SetSimdTarget(absl::string_view name) {
  const int64_t before = HWY_SUPPORTED_TARGETS;
  hwy::DisableTargets(0);
  std::vector<std::string> names;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.emplace_back(hwy::TargetName(target));
    if (names.back() == name) {
      hwy::DisableTargets(target - 1);
      return absl::OkStatus();
    }
  }
  hwy::DisableTargets(~before);
  return absl::InvalidArgumentError(
      absl::StrCat("there is no SIMD target \"", name, "\" here, only ", absl::StrJoin(names, ", ")));
}

}  // namespace autodiff
