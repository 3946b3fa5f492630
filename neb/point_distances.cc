#include "neb/point_distances.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "neb/point_distances.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace neb {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kSide = 64;    // PackedPoints::kPanel
constexpr size_t kRows = 4;     // times two vectors: enough sums at once to hide the latency of an addition
constexpr size_t kDepth = 128;  // coordinates per pass: 32 KB of a panel, which stay in the first-level cache

// Adds the float sums of one pass to the double ones.
HWY_INLINE void AddPass(const float* pass, bool first, size_t n, double* out) {
  const hn::CappedTag<double, 32> d;
  const hn::Rebind<float, decltype(d)> narrow;
  for (size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto sum = hn::PromoteTo(d, hn::Load(narrow, pass + i));
    hn::StoreU(first ? sum : hn::Add(hn::LoadU(d, out + i), sum), d, out + i);
  }
}

}  // namespace

void SquaredDistancesOfPanels(const float* a, const float* b, size_t dims, double* out) {
  const hn::CappedTag<float, 32> d;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN float pass[kRows * kSide];
  for (size_t begin = 0; begin < dims; begin += kDepth) {
    const size_t end = std::min(dims, begin + kDepth);
    for (size_t i = 0; i < kSide; i += kRows) {
      for (size_t j = 0; j < kSide; j += 2 * lanes) {
        auto s00 = hn::Zero(d), s10 = s00, s20 = s00, s30 = s00, s01 = s00, s11 = s00, s21 = s00, s31 = s00;
        for (size_t k = begin; k < end; ++k) {
          const float* const row = a + k * kSide + i;
          const auto a0 = hn::Set(d, row[0]), a1 = hn::Set(d, row[1]), a2 = hn::Set(d, row[2]), a3 = hn::Set(d, row[3]);
          const auto b0 = hn::LoadU(d, b + k * kSide + j), b1 = hn::LoadU(d, b + k * kSide + j + lanes);
          const auto r00 = hn::Sub(a0, b0), r01 = hn::Sub(a0, b1), r10 = hn::Sub(a1, b0), r11 = hn::Sub(a1, b1);
          const auto r20 = hn::Sub(a2, b0), r21 = hn::Sub(a2, b1), r30 = hn::Sub(a3, b0), r31 = hn::Sub(a3, b1);
          s00 = hn::MulAdd(r00, r00, s00);
          s01 = hn::MulAdd(r01, r01, s01);
          s10 = hn::MulAdd(r10, r10, s10);
          s11 = hn::MulAdd(r11, r11, s11);
          s20 = hn::MulAdd(r20, r20, s20);
          s21 = hn::MulAdd(r21, r21, s21);
          s30 = hn::MulAdd(r30, r30, s30);
          s31 = hn::MulAdd(r31, r31, s31);
        }
        hn::StoreU(s00, d, pass + j);
        hn::StoreU(s01, d, pass + j + lanes);
        hn::StoreU(s10, d, pass + kSide + j);
        hn::StoreU(s11, d, pass + kSide + j + lanes);
        hn::StoreU(s20, d, pass + 2 * kSide + j);
        hn::StoreU(s21, d, pass + 2 * kSide + j + lanes);
        hn::StoreU(s30, d, pass + 3 * kSide + j);
        hn::StoreU(s31, d, pass + 3 * kSide + j + lanes);
      }
      AddPass(pass, begin == 0, kRows * kSide, out + i * kSide);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace neb
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace neb {

HWY_EXPORT(SquaredDistancesOfPanels);

PackedPoints::PackedPoints(const autodiff::Tensor& x, float scale)
    : n_(x.shape()[0]), d_(x.shape()[1]), values_({(n_ + kPanel - 1) / kPanel, d_, kPanel}) {
  const float* const from = x.data<float>().data();
  float* const to = values_.data<float>().data();
  for (int64_t i = 0; i < n_; ++i) {
    float* const column = to + i / kPanel * d_ * kPanel + i % kPanel;
    for (int64_t k = 0; k < d_; ++k) column[k * kPanel] = scale * from[i * d_ + k];
  }
}

void SquaredDistances(const float* a, const float* b, int64_t d, double* out) {
  static_assert(PackedPoints::kPanel == 64, "kSide above");
  HWY_DYNAMIC_DISPATCH(SquaredDistancesOfPanels)(a, b, static_cast<size_t>(d), out);
}

}  // namespace neb
#endif  // HWY_ONCE
