// Elementary functions on SIMD vectors of float or double, with IEEE special cases on every target: NaN gives NaN,
// infinities and poles what <cmath> gives, and the sign of zero is kept. d is the tag of the operands:
//
//   const hn::ScalableTag<float> d;
//   hn::StoreU(Sigmoid(d, hn::LoadU(d, x)), d, y);
//
// Errors stay below 2 ulp (sin, cos, tanh, sigmoid and erf: 3) over the whole range of each function, with or without
// fused multiply-add; the table's test measures it. One exception: where exp would be denormal it is 0, and so what is
// built on it. A lane never depends on its neighbours.

// Include guard in Highway's toggling form: this file is compiled once per target.
#if defined(NEB_AUTODIFF_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NEB_AUTODIFF_KERNELS_MATH_INL_H_
#undef NEB_AUTODIFF_KERNELS_MATH_INL_H_
#else
#define NEB_AUTODIFF_KERNELS_MATH_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <limits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// --- Building blocks ---

// All lanes `value`, rounded to the lane type.
template <class D>
HWY_INLINE hn::Vec<D> Constant(D d, double value) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}

// The bits of a lane as an integer: sign, exponent, and kMantissa bits of mantissa.
template <typename T>
inline constexpr int kMantissa = std::numeric_limits<T>::digits - 1;
template <class D>
using BitsTag = hn::RebindToUnsigned<D>;

// ln 2 in two parts: an exponent n, as a number, times the first is exact.
template <typename T>
inline constexpr double kLn2Hi = sizeof(T) == 4 ? 0x1.62e4p-1 : 0x1.62e42fefa2p-1;
template <typename T>
inline constexpr double kLn2Lo = sizeof(T) == 4 ? 0x1.7f7d1cp-20 : 0x1.9ef35793c7673p-41;

// c0 + x (c1 + x (...)), by Horner: the loops around are limited by throughput, not by latency.
template <class D>
HWY_INLINE hn::Vec<D> Polynomial(D d, hn::Vec<D> /*x*/, double c) {
  return Constant(d, c);
}
template <class D, class... C>
HWY_INLINE hn::Vec<D> Polynomial(D d, hn::Vec<D> x, double c0, C... c) {
  return hn::MulAdd(x, Polynomial(d, x, c...), Constant(d, c0));
}

// f applied lane by lane, for what only <cmath> does well.
template <class D, class F>
HWY_INLINE hn::Vec<D> PerLane(D d, F f, hn::Vec<D> a, hn::Vec<D> b) {
  HWY_ALIGN hn::TFromD<D> x[hn::MaxLanes(D())];
  HWY_ALIGN hn::TFromD<D> y[hn::MaxLanes(D())];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  for (size_t i = 0; i < hn::Lanes(d); ++i) x[i] = f(x[i], y[i]);
  return hn::Load(d, x);
}

// Adding this to |x| < 2^22 (2^51 in double) leaves the integer nearest x in the low bits of the sum.
template <class D>
HWY_INLINE hn::Vec<D> RoundingShift(D d) {
  return Constant(d, sizeof(hn::TFromD<D>) == 4 ? 0x1.8p23 : 0x1.8p52);
}

// --- Exact functions ---

template <class D, class M>
HWY_INLINE hn::Vec<D> Indicator(D d, M mask) {
  return hn::IfThenElseZero(mask, Constant(d, 1));
}

template <class D>
HWY_INLINE hn::Vec<D> Sign(D d, hn::Vec<D> x) {
  return hn::IfThenElse(hn::Gt(hn::Abs(x), hn::Zero(d)), hn::CopySign(Constant(d, 1), x), x);
}

template <class D>
HWY_INLINE hn::Vec<D> Reciprocal(D d, hn::Vec<D> x) {
  return hn::Div(Constant(d, 1), x);
}

template <class D>
HWY_INLINE hn::Vec<D> Rsqrt(D d, hn::Vec<D> x) {
  return hn::Div(Constant(d, 1), hn::Sqrt(x));
}

// Not hn::Max, whose answer to a NaN differs between targets.
template <class D>
HWY_INLINE hn::Vec<D> Maximum(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) {
  return hn::IfThenElse(hn::Or(hn::Gt(a, b), hn::IsNaN(a)), a, b);
}

template <class D>
HWY_INLINE hn::Vec<D> Minimum(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) {
  return hn::IfThenElse(hn::Or(hn::Lt(a, b), hn::IsNaN(a)), a, b);
}

template <class D>
HWY_INLINE hn::Vec<D> Relu(D d, hn::Vec<D> x) {
  return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
}

// --- Exponentials ---

// e^r - 1, where x = n ln 2 + r and |r| <= ln(2)/2; `power` becomes n in the exponent field. |x| up to 2^10 or so.
template <class D>
HWY_INLINE hn::Vec<D> ReduceExp(D d, hn::Vec<D> x, hn::Vec<BitsTag<D>>& power) {
  using T = hn::TFromD<D>;
  constexpr bool kFloat = sizeof(T) == 4;
  const hn::Vec<D> shift = RoundingShift(d);
  const hn::Vec<D> shifted = hn::MulAdd(x, Constant(d, 1.4426950408889634), shift);
  power = hn::ShiftLeft<kMantissa<T>>(hn::BitCast(BitsTag<D>(), shifted));
  const hn::Vec<D> n = hn::Sub(shifted, shift);
  hn::Vec<D> r = hn::NegMulAdd(n, Constant(d, kLn2Hi<T>), x);
  r = hn::NegMulAdd(n, Constant(d, kLn2Lo<T>), r);
  // Minimax for the relative error of r + r² q(r) to e^r - 1: 2e-8 and 7e-19.
  hn::Vec<D> q;
  if constexpr (kFloat) {
    q = Polynomial(d, r, 0.49999997, 0.16666542, 0.041667204, 0.008366692, 0.0013882492);
  } else {
    q = Polynomial(d, r, 0.5, 0.16666666666666677, 0.041666666666666505, 0.00833333333332145, 0.0013888888888963908,
                   0.00019841269886659995, 2.480158717051065e-05, 2.755724360100496e-06, 2.755740352229572e-07,
                   2.5109272009510467e-08, 2.087531791763217e-09);
  }
  return hn::MulAdd(hn::Mul(r, r), q, r);
}

// Largest x with a finite e^x, and smallest with a normal one.
template <typename T>
inline constexpr double kExpMax = sizeof(T) == 4 ? 0x1.62e42ep6 : 0x1.62e42fefa39efp9;
template <typename T>
inline constexpr double kExpMin = sizeof(T) == 4 ? -0x1.5d589ep6 : -0x1.6232bdd7abcd2p9;

// y where x <= kExpMax; beyond that inf, and NaN for NaN.
template <class D>
HWY_INLINE hn::Vec<D> OverflowToInf(D d, hn::Vec<D> x, hn::Vec<D> y) {
  using T = hn::TFromD<D>;
  const hn::Vec<D> inf = Constant(d, std::numeric_limits<double>::infinity());
  return hn::IfThenElse(hn::Le(x, Constant(d, kExpMax<T>)), y, hn::Add(x, inf));
}

// e^x; results below the smallest normal number are 0.
template <class D>
HWY_INLINE hn::Vec<D> Exp(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  const BitsTag<D> bits;
  hn::Vec<BitsTag<D>> power;
  const hn::Vec<D> p = hn::Add(ReduceExp(d, x, power), Constant(d, 1));
  const hn::Vec<D> y = hn::BitCast(d, hn::Add(hn::BitCast(bits, p), power));
  return OverflowToInf(d, x, hn::IfThenZeroElse(hn::Lt(x, Constant(d, kExpMin<T>)), y));
}

// e^x - 1 for -40 <= x <= kExpMax, or NaN.
template <class D>
HWY_INLINE hn::Vec<D> Expm1InRange(D d, hn::Vec<D> x) {
  const BitsTag<D> bits;
  const hn::Vec<D> half = Constant(d, 0.5);
  hn::Vec<BitsTag<D>> power;
  const hn::Vec<D> expm1 = ReduceExp(d, x, power);
  // 2^n may overflow where the result does not: work on half of it.
  const hn::Vec<D> scale = hn::BitCast(d, hn::Add(hn::BitCast(bits, half), power));
  const hn::Vec<D> y = hn::MulAdd(scale, expm1, hn::Sub(scale, half));
  return hn::Add(y, y);
}

template <class D>
HWY_INLINE hn::Vec<D> Expm1(D d, hn::Vec<D> x) {
  const hn::Vec<D> lowest = Constant(d, -40);  // e^-40 is less than half an ulp of 1
  const hn::Vec<D> y = Expm1InRange(d, hn::IfThenElse(hn::Lt(x, lowest), lowest, x));
  return OverflowToInf(d, x, hn::CopySign(y, x));
}

template <class D>
HWY_INLINE hn::Vec<D> Tanh(D d, hn::Vec<D> x) {
  const hn::Vec<D> highest = Constant(d, 20);  // tanh(20) rounds to 1
  const hn::Vec<D> magnitude = hn::Abs(x);
  const hn::Vec<D> a = hn::IfThenElse(hn::Gt(magnitude, highest), highest, magnitude);
  const hn::Vec<D> t = Expm1InRange(d, hn::Add(a, a));
  return hn::CopySign(hn::Div(t, hn::Add(t, Constant(d, 2))), x);
}

template <class D>
HWY_INLINE hn::Vec<D> Sigmoid(D d, hn::Vec<D> x) {
  const hn::Vec<D> one = Constant(d, 1);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

// Rational approximations of Cephes (Moshier, ndtr.c): erf(x) = x T(x²)/U(x²) up to 1, erf(x) = 1 - e^(-x²) P(x)/Q(x)
// beyond.
template <class D>
HWY_INLINE hn::Vec<D> Erf(D d, hn::Vec<D> x) {
  const hn::Vec<D> highest = Constant(d, 6);  // erf(6) rounds to 1
  const hn::Vec<D> magnitude = hn::Abs(x);
  const hn::Vec<D> a = hn::IfThenElse(hn::Gt(magnitude, highest), highest, magnitude);
  const hn::Vec<D> z = hn::Mul(a, a);
  const hn::Vec<D> near =
      hn::Div(Polynomial(d, z, 5.55923013010394962768e4, 7.00332514112805075473e3, 2.23200534594684319226e3,
                         9.00260197203842689217e1, 9.60497373987051638749),
              Polynomial(d, z, 4.92673942608635921086e4, 2.26290000613890934246e4, 4.59432382970980127987e3,
                         5.21357949780152679795e2, 3.35617141647503099647e1, 1.0));
  const hn::Vec<D> far =
      hn::Div(Polynomial(d, a, 5.57535335369399327526e2, 1.02755188689515710272e3, 9.34528527171957607540e2,
                         5.26445194995477358631e2, 1.96520832956077098242e2, 4.86371970985681366614e1,
                         7.46321056442269912687, 5.64189564831068821977e-1, 2.46196981473530512524e-10),
              Polynomial(d, a, 5.57535340817727675546e2, 1.65666309194161350182e3, 2.24633760818710981792e3,
                         1.82390916687909736289e3, 9.75708501743205489753e2, 3.54937778887819891062e2,
                         8.67072140885989742329e1, 1.32281951154744992508e1, 1.0));
  const hn::Vec<D> tail = hn::NegMulAdd(Exp(d, hn::Neg(z)), far, Constant(d, 1));
  return hn::CopySign(hn::IfThenElse(hn::Le(a, Constant(d, 1)), hn::Mul(a, near), tail), x);
}

// --- Logarithms ---

// R = 2 (atanh(s) / s - 1), for |s| <= 1/3. With s = f / (2 + f), log(1 + f) = 2 atanh(s).
template <class D>
HWY_INLINE hn::Vec<D> AtanhTail(D d, hn::Vec<D> s) {
  const hn::Vec<D> z = hn::Mul(s, s);
  hn::Vec<D> p;
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    p = Polynomial(d, z, 0.3333321, 0.20010719, 0.14001511, 0.1400341);
  } else {
    p = Polynomial(d, z, 0.33333333333333154, 0.2000000000007795, 0.14285714274006475, 0.11111111980261117,
                   0.09090872112803487, 0.07693277006406136, 0.06650522129987362, 0.06052798074634734,
                   0.041709137779530545, 0.08508216273301646);
  }
  return hn::Mul(hn::Add(z, z), p);
}

// log(u) + k ln 2 + c for normal u > 0; c is a small correction.
template <class D>
HWY_INLINE hn::Vec<D> LogOfNormal(D d, hn::Vec<D> u, hn::Vec<D> k, hn::Vec<D> c) {
  using T = hn::TFromD<D>;
  constexpr bool kFloat = sizeof(T) == 4;
  const BitsTag<D> bits;
  // u = 2^e m, m in [√½, √2): adding the distance from √½ to 1 carries into the exponent where m would exceed √2.
  const auto sqrt_half = hn::BitCast(bits, Constant(d, 0.70710678118654752));
  const auto one_bits = hn::BitCast(bits, Constant(d, 1));
  const auto carried = hn::Add(hn::BitCast(bits, u), hn::Sub(one_bits, sqrt_half));
  const auto mantissa = hn::Set(bits, (hn::TFromD<BitsTag<D>>{1} << kMantissa<T>)-1);
  const hn::Vec<D> m = hn::BitCast(d, hn::Add(hn::And(carried, mantissa), sqrt_half));
  // The biased exponent as a number: put into the mantissa of 2^23 (2^52) and subtract that.
  const hn::Vec<D> base = Constant(d, kFloat ? 0x1p23 : 0x1p52);
  const auto biased = hn::Or(hn::ShiftRight<kMantissa<T>>(carried), hn::BitCast(bits, base));
  k = hn::Add(k, hn::Sub(hn::BitCast(d, biased), Constant(d, kFloat ? 0x1p23 + 127 : 0x1p52 + 1023)));

  const hn::Vec<D> f = hn::Sub(m, Constant(d, 1));
  const hn::Vec<D> s = hn::Div(f, hn::Add(f, Constant(d, 2)));
  // log(1 + f) = f - f²/2 + s (f²/2 + R): the leading terms are exact, as in FreeBSD's e_log.c.
  const hn::Vec<D> half_f2 = hn::Mul(hn::Mul(f, Constant(d, 0.5)), f);
  c = hn::MulAdd(k, Constant(d, kLn2Lo<T>), c);
  const hn::Vec<D> tail = hn::MulAdd(s, hn::Add(half_f2, AtanhTail(d, s)), c);
  const hn::Vec<D> log_m = hn::Add(hn::Sub(tail, half_f2), f);
  return hn::MulAdd(k, Constant(d, kLn2Hi<T>), log_m);
}

// y for 0 < x < inf; elsewhere what a logarithm with its pole at x = 0 gives: -inf, NaN below, inf at inf.
template <class D>
HWY_INLINE hn::Vec<D> LogSpecialCases(D d, hn::Vec<D> x, hn::Vec<D> y) {
  const hn::Vec<D> inf = Constant(d, std::numeric_limits<double>::infinity());
  const hn::Vec<D> nan = Constant(d, std::numeric_limits<double>::quiet_NaN());
  const hn::Vec<D> outside = hn::IfThenElse(hn::Eq(x, inf), inf, nan);
  y = hn::IfThenElse(hn::And(hn::Gt(x, hn::Zero(d)), hn::Lt(x, inf)), y, outside);
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(inf), y);
}

template <class D>
HWY_INLINE hn::Vec<D> Log(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  const auto denormal = hn::Lt(x, hn::Set(d, std::numeric_limits<T>::min()));
  const hn::Vec<D> u = hn::IfThenElse(denormal, hn::Mul(x, Constant(d, 0x1p54)), x);
  return LogSpecialCases(d, x, LogOfNormal(d, u, hn::IfThenElseZero(denormal, Constant(d, -54)), hn::Zero(d)));
}

template <class D>
HWY_INLINE hn::Vec<D> Log1p(D d, hn::Vec<D> x) {
  const hn::Vec<D> one = Constant(d, 1);
  const hn::Vec<D> u = hn::Add(one, x);
  // log(1 + x) = log(u) + (1 + x - u) / u + ..., and what u lost in rounding is computed exactly.
  const hn::Vec<D> lost = hn::IfThenElse(hn::Gt(x, one), hn::Sub(one, hn::Sub(u, x)), hn::Sub(x, hn::Sub(u, one)));
  const hn::Vec<D> y = LogOfNormal(d, u, hn::Zero(d), hn::Div(lost, u));
  return LogSpecialCases(d, u, hn::CopySign(y, x));
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
template <class D>
HWY_INLINE hn::Vec<D> Softplus(D d, hn::Vec<D> x) {
  const hn::Vec<D> e = Exp(d, hn::Neg(hn::Abs(x)));
  const hn::Vec<D> s = hn::Div(e, hn::Add(e, Constant(d, 2)));
  // log(1 + e) = e - s (e - R)
  return hn::Add(Relu(d, x), hn::NegMulAdd(s, hn::Sub(e, AtanhTail(d, s)), e));
}

// --- Trigonometric functions ---

// Beyond this the reduction below loses bits, and <cmath> takes over, lane by lane.
template <typename T>
inline constexpr double kSinLimit = sizeof(T) == 4 ? 0x1p12 : 0x1p20;

// x - n π for 0 <= x <= kSinLimit and n a multiple of 1/2: π in parts so short that n times each is exact, except the
// last, also without fused multiply-add. A result close to 0 keeps its relative precision.
template <class D>
HWY_INLINE hn::Vec<D> SubtractPi(D d, hn::Vec<D> x, hn::Vec<D> n) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    x = hn::NegMulAdd(n, Constant(d, 0x1.92p+1), x);
    x = hn::NegMulAdd(n, Constant(d, 0x1.fb4p-11), x);
    x = hn::NegMulAdd(n, Constant(d, 0x1.444p-23), x);
    x = hn::NegMulAdd(n, Constant(d, 0x1.68cp-38), x);
    return hn::NegMulAdd(n, Constant(d, 0x1.1a6264p-53), x);
  } else {
    x = hn::NegMulAdd(n, Constant(d, 0x1.921fb544p+1), x);
    x = hn::NegMulAdd(n, Constant(d, 0x1.0b4611a6p-33), x);
    x = hn::NegMulAdd(n, Constant(d, 0x1.3198a2ep-68), x);
    return hn::NegMulAdd(n, Constant(d, 0x1.b839a252p-103), x);
  }
}

// sin(r) for |r| <= π/2.
template <class D>
HWY_INLINE hn::Vec<D> SinReduced(D d, hn::Vec<D> r) {
  const hn::Vec<D> z = hn::Mul(r, r);
  hn::Vec<D> p;
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    p = Polynomial(d, z, -0.16666667, 0.0083333505, -0.00019843093, 2.7627061e-06, -2.5503285e-08);
  } else {
    p = Polynomial(d, z, -0.16666666666666666, 0.008333333333333207, -0.0001984126984121248, 2.7557319211569482e-06,
                   -2.505210690442331e-08, 1.605894100238586e-10, -7.643019375114842e-13, 2.721419581710893e-15);
  }
  return hn::MulAdd(hn::Mul(r, z), p, r);
}

// y, or f(x) in the lanes where |x| is beyond kSinLimit or NaN.
template <class D, class F>
HWY_INLINE hn::Vec<D> LargeArgument(D d, hn::Vec<D> x, hn::Vec<D> y, F f) {
  const auto in_range = hn::Le(hn::Abs(x), Constant(d, kSinLimit<hn::TFromD<D>>));
  if (HWY_LIKELY(hn::AllTrue(d, in_range))) return y;
  return hn::IfThenElse(in_range, y, PerLane(d, f, x, x));
}

// -v where n is odd; `shifted` is n + RoundingShift.
template <class D>
HWY_INLINE hn::Vec<D> NegateIfOdd(D d, hn::Vec<D> shifted, hn::Vec<D> v) {
  const BitsTag<D> bits;
  return hn::Xor(v, hn::BitCast(d, hn::ShiftLeft<sizeof(hn::TFromD<D>) * 8 - 1>(hn::BitCast(bits, shifted))));
}

template <class D>
HWY_INLINE hn::Vec<D> Sin(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  const hn::Vec<D> shift = RoundingShift(d);
  const hn::Vec<D> a = hn::Abs(x);
  const hn::Vec<D> shifted = hn::MulAdd(a, Constant(d, 0.31830988618379067), shift);
  const hn::Vec<D> r = SubtractPi(d, a, hn::Sub(shifted, shift));
  // sin(r + n π) = (-1)^n sin(r), and sin(-x) = -sin(x).
  const hn::Vec<D> y = NegateIfOdd(d, shifted, hn::Xor(SinReduced(d, r), hn::Xor(a, x)));
  return LargeArgument(d, x, y, [](T v, T) { return std::sin(v); });
}

template <class D>
HWY_INLINE hn::Vec<D> Cos(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  const hn::Vec<D> shift = RoundingShift(d);
  const hn::Vec<D> half = Constant(d, 0.5);
  const hn::Vec<D> a = hn::Abs(x);
  const hn::Vec<D> shifted = hn::Add(hn::MulSub(a, Constant(d, 0.31830988618379067), half), shift);
  const hn::Vec<D> r = SubtractPi(d, a, hn::Add(hn::Sub(shifted, shift), half));
  // cos(r + (n + ½) π) = -(-1)^n sin(r)
  const hn::Vec<D> y = NegateIfOdd(d, shifted, hn::Neg(SinReduced(d, r)));
  return LargeArgument(d, x, y, [](T v, T) { return std::cos(v); });
}

// --- Powers ---

// a^b by <cmath>, lane by lane: correct everywhere, and an order of magnitude slower than the rest.
template <class D>
HWY_INLINE hn::Vec<D> Pow(D d, hn::Vec<D> a, hn::Vec<D> b) {
  using T = hn::TFromD<D>;
  return PerLane(
      d, [](T x, T y) { return std::pow(x, y); }, a, b);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#endif  // NEB_AUTODIFF_KERNELS_MATH_INL_H_
