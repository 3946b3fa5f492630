#include "autodiff/kernels/reduce.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/reduce.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
// Included after foreach_target.h so that it is compiled for each target.
#include "autodiff/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace {

using Doubles = hn::ScalableTag<double>;
using OneDouble = hn::CappedTag<double, 1>;

// Adds v to `sum`; what rounding takes away goes to `lost` (Knuth's TwoSum).
template <class V>
HWY_INLINE void AddExactly(V v, V& sum, V& lost) {
  const V total = hn::Add(sum, v);
  const V v_taken = hn::Sub(total, sum);
  const V sum_taken = hn::Sub(total, v_taken);
  lost = hn::Add(lost, hn::Add(hn::Sub(sum, sum_taken), hn::Sub(v, v_taken)));
  sum = total;
}

// Adds Lanes(d) elements from x. A float has 29 bits to spare inside a double, so nothing worth keeping is lost there.
template <class D>
HWY_INLINE void AddTo(D d, const float* x, hn::Vec<D>& sum, hn::Vec<D>& /*lost*/) {
  const hn::Rebind<float, D> narrow;
  sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(narrow, x)));
}
template <class D>
HWY_INLINE void AddTo(D d, const double* x, hn::Vec<D>& sum, hn::Vec<D>& lost) {
  AddExactly(hn::LoadU(d, x), sum, lost);
}

// sum + lost. Once a sum is infinite `lost` is NaN, and void.
template <typename T>
HWY_INLINE void StoreTotal(hn::Vec<OneDouble> sum, hn::Vec<OneDouble> lost, T* y) {
  *y = static_cast<T>(hn::GetLane(hn::IfThenElse(hn::IsFinite(lost), hn::Add(sum, lost), sum)));
}

// One contiguous row, whose end is added one by one. Four chains of additions hide their latency.
template <typename T>
void SumRow(const T* x, size_t n, T* y) {
  const Doubles d;
  const OneDouble d1;
  const size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  auto lost0 = hn::Zero(d), lost1 = hn::Zero(d), lost2 = hn::Zero(d), lost3 = hn::Zero(d);
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    AddTo(d, x + i, sum0, lost0);
    AddTo(d, x + i + lanes, sum1, lost1);
    AddTo(d, x + i + 2 * lanes, sum2, lost2);
    AddTo(d, x + i + 3 * lanes, sum3, lost3);
  }
  for (; i + lanes <= n; i += lanes) AddTo(d, x + i, sum0, lost0);
  auto sum = hn::Zero(d1), lost = hn::Zero(d1);
  for (; i < n; ++i) AddTo(d1, x + i, sum, lost);

  if constexpr (sizeof(T) == sizeof(float)) {
    const auto total = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
    *y = static_cast<T>(hn::GetLane(hn::SumOfLanes(d, total)) + hn::GetLane(sum));
    return;
  }
  AddExactly(sum1, sum0, lost0);
  AddExactly(sum3, sum2, lost2);
  AddExactly(sum2, sum0, lost0);
  lost0 = hn::Add(hn::Add(lost0, lost1), hn::Add(lost2, lost3));
  HWY_ALIGN double sums[hn::MaxLanes(Doubles())];
  HWY_ALIGN double losts[hn::MaxLanes(Doubles())];
  hn::Store(sum0, d, sums);
  hn::Store(lost0, d, losts);
  for (size_t k = 0; k < lanes; ++k) {
    AddTo(d1, sums + k, sum, lost);
    lost = hn::Add(lost, hn::LoadU(d1, losts + k));
  }
  StoreTotal(sum, lost, y);
}

// n <= kColumns adjacent columns of `rows` rows, row by row, since that is how they lie in memory.
constexpr size_t kColumns = 512;
template <typename T>
void SumColumns(const T* x, size_t rows, size_t stride, size_t n, T* y) {
  const Doubles d;
  const OneDouble d1;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN double sums[kColumns];
  HWY_ALIGN double losts[kColumns];
  std::fill_n(sums, n, 0.0);
  std::fill_n(losts, n, 0.0);
  const auto add = [&](auto tag, const T* from, size_t j) HWY_ATTR {
    auto sum = hn::LoadU(tag, sums + j), lost = hn::LoadU(tag, losts + j);
    AddTo(tag, from + j, sum, lost);
    hn::StoreU(sum, tag, sums + j);
    if constexpr (sizeof(T) == sizeof(double)) hn::StoreU(lost, tag, losts + j);
  };
  const size_t whole = n / lanes * lanes;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < whole; j += lanes) add(d, x + r * stride, j);
    for (size_t j = whole; j < n; ++j) add(d1, x + r * stride, j);
  }
  for (size_t j = 0; j < n; ++j) StoreTotal(hn::LoadU(d1, sums + j), hn::LoadU(d1, losts + j), y + j);
}

// y = max(y, x), elementwise.
template <typename T>
HWY_INLINE void MaxInto(const T* x, size_t n, T* y) {
  const hn::ScalableTag<T> d;
  const hn::CappedTag<T, 1> d1;
  size_t j = 0;
  for (; j + hn::Lanes(d) <= n; j += hn::Lanes(d)) {
    hn::StoreU(Maximum(d, hn::LoadU(d, y + j), hn::LoadU(d, x + j)), d, y + j);
  }
  for (; j < n; ++j) hn::StoreU(Maximum(d1, hn::LoadU(d1, y + j), hn::LoadU(d1, x + j)), d1, y + j);
}

template <typename T>
void MaxRow(const T* x, size_t n, T* y) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  constexpr T kLowest = -std::numeric_limits<T>::infinity();
  auto max0 = hn::Set(d, kLowest), max1 = max0, max2 = max0, max3 = max0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    max0 = Maximum(d, max0, hn::LoadU(d, x + i));
    max1 = Maximum(d, max1, hn::LoadU(d, x + i + lanes));
    max2 = Maximum(d, max2, hn::LoadU(d, x + i + 2 * lanes));
    max3 = Maximum(d, max3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) max0 = Maximum(d, max0, hn::LoadU(d, x + i));
  HWY_ALIGN T partial[hn::MaxLanes(hn::ScalableTag<T>())];
  hn::Store(Maximum(d, Maximum(d, max0, max1), Maximum(d, max2, max3)), d, partial);
  *y = kLowest;
  if (n >= lanes) {
    for (size_t k = 0; k < lanes; ++k) MaxInto(partial + k, 1, y);
  }
  for (; i < n; ++i) MaxInto(x + i, 1, y);
}

template <typename T>
void MaxColumns(const T* x, size_t rows, size_t stride, size_t n, T* y) {
  std::fill_n(y, n, -std::numeric_limits<T>::infinity());
  for (size_t r = 0; r < rows; ++r) MaxInto(x + r * stride, n, y);
}

template <typename T>
void ReduceRange(Reduction reduction, const T* x, size_t reduce, size_t inner, T* y, size_t begin, size_t end) {
  const bool sum = reduction == Reduction::kSum;
  if (reduce == 0) {  // x may be null
    std::fill(y + begin, y + end, sum ? T{0} : -std::numeric_limits<T>::infinity());
    return;
  }
  if (inner == 1) {
    for (size_t i = begin; i < end; ++i) (sum ? SumRow<T> : MaxRow<T>)(x + i * reduce, reduce, y + i);
    return;
  }
  for (size_t i = begin; i < end;) {
    const size_t column = i % inner;
    const size_t n = std::min({kColumns, inner - column, end - i});
    (sum ? SumColumns<T> : MaxColumns<T>)(x + i / inner * reduce * inner + column, reduce, inner, n, y + i);
    i += n;
  }
}

}  // namespace

void ReduceFloat(Reduction reduction, const float* x, size_t reduce, size_t inner, float* y, size_t begin, size_t end) {
  ReduceRange(reduction, x, reduce, inner, y, begin, end);
}
void ReduceDouble(Reduction reduction, const double* x, size_t reduce, size_t inner, double* y, size_t begin,
                  size_t end) {
  ReduceRange(reduction, x, reduce, inner, y, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(ReduceFloat);
HWY_EXPORT(ReduceDouble);

template <>
void Reduce<float>(Reduction reduction, const float* x, int64_t outer, int64_t reduce, int64_t inner, float* y,
                   int64_t begin, int64_t end) {
  assert(0 <= begin && end <= outer * inner);
  static_cast<void>(outer);
  HWY_DYNAMIC_DISPATCH(ReduceFloat)
  (reduction, x, static_cast<size_t>(reduce), static_cast<size_t>(inner), y, static_cast<size_t>(begin),
   static_cast<size_t>(end));
}
template <>
void Reduce<double>(Reduction reduction, const double* x, int64_t outer, int64_t reduce, int64_t inner, double* y,
                    int64_t begin, int64_t end) {
  assert(0 <= begin && end <= outer * inner);
  static_cast<void>(outer);
  HWY_DYNAMIC_DISPATCH(ReduceDouble)
  (reduction, x, static_cast<size_t>(reduce), static_cast<size_t>(inner), y, static_cast<size_t>(begin),
   static_cast<size_t>(end));
}

}  // namespace autodiff
#endif  // HWY_ONCE
