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

// Those of this CPU that are not disabled. Asking Highway 1.0 for them makes it dispatch to disabled ones too, until it
// is told again.
int64_t Targets() {
  const int64_t targets = HWY_SUPPORTED_TARGETS;
  hwy::GetChosenTarget().Update(targets);
  return targets;
}

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

// A better target has a lower bit.
std::string SimdTarget() {
  const int64_t targets = Targets() & HWY_TARGETS;
  return hwy::TargetName(targets & -targets);
}

absl::Status SetSimdTarget(absl::string_view name) {
  const int64_t before = Targets();
  hwy::DisableTargets(0);
  std::vector<std::string> names;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.emplace_back(hwy::TargetName(target));
    if (names.back() == name) {
      hwy::DisableTargets(target - 1);
      Targets();
      return absl::OkStatus();
    }
  }
  hwy::DisableTargets(~before);
  Targets();
  return absl::InvalidArgumentError(
      absl::StrCat("there is no SIMD target \"", name, "\" here, only ", absl::StrJoin(names, ", ")));
}

}  // namespace autodiff
