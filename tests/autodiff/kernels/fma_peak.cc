#include "tests/autodiff/kernels/fma_peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/autodiff/kernels/fma_peak.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Returns the number of operations; the sum goes to `sink` so that it is not optimised away.
double Multiply(int64_t steps, float* sink) {
  const hn::ScalableTag<float> d;
  constexpr int kChains = 12;  // more than latency times throughput of any core so far
  hn::Vec<decltype(d)> sum[kChains];
  HWY_UNROLL(16)
  for (int i = 0; i < kChains; ++i) sum[i] = hn::Set(d, static_cast<float>(i));
  const auto factor = hn::Set(d, sink[0]), term = hn::Set(d, sink[1]);
  for (int64_t step = 0; step < steps; ++step) {
    HWY_UNROLL(16)
    for (int i = 0; i < kChains; ++i) sum[i] = hn::MulAdd(sum[i], factor, term);
  }
  HWY_UNROLL(16)
  for (int i = 1; i < kChains; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  sink[2] = hn::GetLane(hn::SumOfLanes(d, sum[0]));
  return 2.0 * kChains * static_cast<double>(hn::Lanes(d)) * static_cast<double>(steps);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(Multiply);

double FmaPeak() {
  float sink[3] = {0.999f, 1e-3f, 0};
  double best = 0;
  for (int run = 0; run < 2; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = HWY_DYNAMIC_DISPATCH(Multiply)(400000, sink);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / elapsed.count());
  }
  return best;
}

Share ShareOfPeak(double flops, absl::FunctionRef<void()> once) {
  const auto time = [&](int calls) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) once();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
  };
  time(3);
  const int calls = static_cast<int>(std::clamp(0.004 / time(1), 1.0, 10000.0));
  constexpr size_t kRounds = 15;
  std::vector<double> seconds, share;
  for (size_t i = 0; i < kRounds; ++i) {
    const double peak = FmaPeak();
    seconds.push_back(time(calls));
    share.push_back(flops / seconds.back() / peak);
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(share.begin(), share.end());
  return {seconds[kRounds / 2], share[kRounds / 2], share.front(), share.back()};
}

}  // namespace autodiff
#endif  // HWY_ONCE
