#include "autodiff/kernels/random_kernels.h"

#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/random_kernels.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "autodiff/kernels/philox.h"

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kBlocks = static_cast<size_t>(kTileBlocks);

// words[16 * w + b] = word w of block b of the tile.
HWY_INLINE void PhiloxTile(const PhiloxBase& base, uint64_t tile, uint32_t* HWY_RESTRICT words) {
  const uint64_t first_block = tile * kBlocks;
  const uint32_t low = static_cast<uint32_t>(first_block);
  const uint32_t high = base.counter[1] | static_cast<uint32_t>(first_block >> 32);
#if HWY_TARGET == HWY_SCALAR
  for (size_t b = 0; b < kBlocks; ++b) {
    const std::array<uint32_t, 4> block =
        Philox4x32({low + static_cast<uint32_t>(b), high, base.counter[2], base.counter[3]}, base.key);
    for (size_t w = 0; w < 4; ++w) words[kBlocks * w + b] = block[w];
  }
#else
  // Each 64-bit lane carries one 32-bit word in its lower half; MulEven and the final merge ignore the upper half, so
  // the low half of a product needs no masking. Even blocks are in a[], odd ones in b[].
  const hn::CappedTag<uint32_t, kBlocks> d32;
  const hn::Repartition<uint64_t, decltype(d32)> d64;
  const size_t lanes = hn::Lanes(d32);
  const auto multiplier0 = hn::BitCast(d32, hn::Set(d64, kPhiloxMultipliers[0]));
  const auto multiplier1 = hn::BitCast(d32, hn::Set(d64, kPhiloxMultipliers[1]));
  for (size_t block = 0; block < kBlocks; block += lanes) {
    const auto lane = hn::Iota(d32, low + static_cast<uint32_t>(block));
    auto a0 = hn::BitCast(d64, lane);
    auto b0 = hn::ShiftRight<32>(a0);
    auto a1 = hn::Set(d64, high), b1 = a1;
    auto a2 = hn::Set(d64, base.counter[2]), b2 = a2;
    auto a3 = hn::Set(d64, base.counter[3]), b3 = a3;
    uint32_t key0 = base.key[0], key1 = base.key[1];
    HWY_UNROLL(kPhiloxRounds)
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const auto k0 = hn::Set(d64, key0);
      const auto k1 = hn::Set(d64, key1);
      const auto a_product0 = hn::MulEven(hn::BitCast(d32, a0), multiplier0);
      const auto b_product0 = hn::MulEven(hn::BitCast(d32, b0), multiplier0);
      const auto a_product1 = hn::MulEven(hn::BitCast(d32, a2), multiplier1);
      const auto b_product1 = hn::MulEven(hn::BitCast(d32, b2), multiplier1);
      a0 = hn::Xor3(hn::ShiftRight<32>(a_product1), a1, k0);
      b0 = hn::Xor3(hn::ShiftRight<32>(b_product1), b1, k0);
      a2 = hn::Xor3(hn::ShiftRight<32>(a_product0), a3, k1);
      b2 = hn::Xor3(hn::ShiftRight<32>(b_product0), b3, k1);
      a1 = a_product1;
      b1 = b_product1;
      a3 = a_product0;
      b3 = b_product0;
      key0 += kPhiloxWeyl[0];
      key1 += kPhiloxWeyl[1];
    }
    const auto merge = [&](auto a, auto b) HWY_ATTR {
      return hn::OddEven(hn::BitCast(d32, hn::ShiftLeft<32>(b)), hn::BitCast(d32, a));
    };
    hn::Store(merge(a0, b0), d32, words + 0 * kBlocks + block);
    hn::Store(merge(a1, b1), d32, words + 1 * kBlocks + block);
    hn::Store(merge(a2, b2), d32, words + 2 * kBlocks + block);
    hn::Store(merge(a3, b3), d32, words + 3 * kBlocks + block);
  }
#endif
}

// Random bits number `which` (0 .. 3 for float, 0 .. 1 for double) of blocks block, block + 1, ... of the tile, as wide
// as D's lanes: a word, or two words joined.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> LoadBits(D /*d*/, const uint32_t* words, size_t which, size_t block) {
  const hn::RebindToUnsigned<D> du;
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::Load(du, words + kBlocks * which + block);
  } else {
    const hn::Rebind<uint32_t, D> d_half;
    const auto low = hn::PromoteTo(du, hn::Load(d_half, words + kBlocks * (2 * which) + block));
    const auto high = hn::PromoteTo(du, hn::Load(d_half, words + kBlocks * (2 * which + 1) + block));
    return hn::Or(low, hn::ShiftLeft<32>(high));
  }
}

template <class D, class V>
HWY_INLINE V Horner(D /*d*/, V /*x*/, V sum) {
  return sum;
}
// ((sum * x + c0) * x + c1) ...
template <class D, class V, typename... Ts>
HWY_INLINE V Horner(D d, V x, V sum, double c, Ts... rest) {
  return Horner(d, x, hn::MulAdd(sum, x, hn::Set(d, static_cast<hn::TFromD<D>>(c))), rest...);
}

// -2 ln(u) for uniform u in (0, 1) given as t = u (u < 1/2) or t = u - 1 (u >= 1/2), t in [-1/2, 1/2] and not 0: near
// u = 1 the difference t still has all its bits, which 1 + t has not.
template <class D, class V>
HWY_INLINE V MinusTwoLog(D d, V t) {
  using T = hn::TFromD<D>;
  const hn::RebindToSigned<D> di;
  using TI = hn::TFromD<decltype(di)>;
  constexpr int kMantissaBits = sizeof(T) == 4 ? 23 : 52;
  const auto one = hn::Set(d, T{1});
  const auto sqrt_half = hn::Set(d, static_cast<T>(0.70710678118654752440));
  const auto u = hn::IfThenElse(hn::Lt(t, hn::Zero(d)), hn::Add(one, t), t);

  // u = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1.
  const auto offset = hn::Sub(hn::BitCast(di, u), hn::BitCast(di, sqrt_half));
  const auto e = hn::ConvertTo(d, hn::ShiftRight<kMantissaBits>(offset));
  const auto mantissa = hn::And(offset, hn::Set(di, (TI{1} << kMantissaBits) - 1));
  const auto m = hn::BitCast(d, hn::Add(mantissa, hn::BitCast(di, sqrt_half)));
  const auto f = hn::IfThenElse(hn::Ge(u, sqrt_half), t, hn::Sub(m, one));

  const auto minus_two_ln2 = hn::Set(d, static_cast<T>(-1.3862943611198906188));
  if constexpr (sizeof(T) == 4) {
    // Minimax polynomial of -2 log(1 + f) / f on [sqrt(1/2) - 1, sqrt(2) - 1], relative error 2^-25.2 before rounding.
    const auto q = Horner(d, f, hn::Set(d, T(-0.17444718778940204522)), 0.28733676566595606218, -0.29904526844474633522,
                          0.33124787433167627261, -0.39913667867694915474, 0.50004148092957650531,
                          -0.66668371229772259361, 0.99999975928938385841, -1.9999999483802757652);
    return hn::MulAdd(e, minus_two_ln2, hn::Mul(f, q));
  } else {
    // log(1 + f) = f - s (f - R(s^2)), s = f / (2 + f), with fdlibm's coefficients of R (e_log.c, error 2^-58).
    const auto s = hn::Div(f, hn::Add(hn::Set(d, T{2}), f));
    const auto s2 = hn::Mul(s, s);
    const auto r = Horner(d, s2, hn::Set(d, T(1.479819860511658591e-01)), 1.531383769920937332e-01,
                          1.818357216161805012e-01, 2.222219843214978396e-01, 2.857142874366239149e-01,
                          3.999999999940941908e-01, 6.666666666666735130e-01, 0.0);
    const auto log = hn::Sub(f, hn::Mul(s, hn::Sub(f, r)));
    return hn::MulAdd(e, minus_two_ln2, hn::Mul(log, hn::Set(d, T{-2})));
  }
}

// A uniform angle's cosine and sine. The two lowest bits choose one of the four directions (right, top, left, bottom),
// the others an angle of -45 to 45 degrees about it: x quarter-pis.
template <class D, class VU, class V>
HWY_INLINE void RandomDirection(D d, VU bits_u, V& c, V& s) {
  using T = hn::TFromD<D>;
  const hn::RebindToSigned<D> di;
  using TI = hn::TFromD<decltype(di)>;
  constexpr T kScale = sizeof(T) == 4 ? T(0x1p-31) : T(0x1p-63);
  const auto bits = hn::BitCast(di, bits_u);
  // The middle of the cell of four that the remaining bits name: never 0, so no coordinate is exactly 0.
  const auto cell = hn::ConvertTo(d, hn::AndNot(hn::Set(di, TI{3}), bits));
  const auto x = hn::MulAdd(cell, hn::Set(d, kScale), hn::Set(d, 2 * kScale));
  const auto x2 = hn::Mul(x, x);
  // Minimax polynomials of sin(pi x / 4) / x and cos(pi x / 4) in x^2 on [0, 1]; relative errors before rounding
  // 2^-28 and 2^-34 (float), 2^-58 and 2^-64 (double).
  V sin, cos;
  if constexpr (sizeof(T) == 4) {
    sin = hn::Mul(x, Horner(d, x2, hn::Set(d, T(-0.000035950452153306430357)), 0.0024900010238926420567,
                            -0.08074543252911712106, 0.78539816085417352273));
    cos = Horner(d, x2, hn::Set(d, T(3.5287616445071003582e-6)), -0.00032593650047285117127, 0.015854323912273887707,
                 -0.30842513489119322519, 0.99999999994393742963);
  } else {
    sin = hn::Mul(x, Horner(d, x2, hn::Set(d, T(6.8771008268459203588e-12)), -1.7571492941041487392e-9,
                            3.1336162166330631573e-7, -0.000036576204158456347841, 0.0024903945701887362487,
                            -0.080745512188280530202, 0.78539816339744830701));
    cos = Horner(d, x2, hn::Set(d, T(-3.8577620318627074636e-13)), 1.1500497023971397197e-10, -2.4611363826364345179e-8,
                 3.5908604458858142803e-6, -0.00032599188692668754806, 0.015854344243815410897, -0.30842513753404245242,
                 1.0);
  }
  const auto opposite = hn::And(hn::BitCast(d, hn::ShiftLeft<8 * sizeof(T) - 2>(bits)), hn::SignBit(d));
  cos = hn::Xor(cos, opposite);
  const auto upright = hn::RebindMask(d, hn::TestBit(bits, hn::Set(di, TI{1})));
  c = hn::IfThenElse(upright, sin, cos);
  s = hn::IfThenElse(upright, cos, sin);
}

template <typename T>
HWY_INLINE void NormalTilesT(const PhiloxBase& base, int64_t tile, int64_t tiles, T* HWY_RESTRICT out) {
  const hn::CappedTag<T, kBlocks> d;
  const hn::RebindToSigned<decltype(d)> di;
  constexpr size_t kDraws = static_cast<size_t>(kTileDraws<T>);
  constexpr T kScale = sizeof(T) == 4 ? T(0x1p-32) : T(0x1p-64);
  HWY_ALIGN uint32_t words[4 * kBlocks];
  for (int64_t end = tile + tiles; tile < end; ++tile, out += kDraws) {
    PhiloxTile(base, static_cast<uint64_t>(tile), words);
    for (size_t which = 0; which < kDraws / kBlocks; which += 2) {
      for (size_t block = 0; block < kBlocks; block += hn::Lanes(d)) {
        // Read as signed, the bits give u or u - 1; the middle of their cell is never 0 and never 1.
        const auto radius_bits = hn::BitCast(di, LoadBits(d, words, which, block));
        const auto t = hn::MulAdd(hn::ConvertTo(d, radius_bits), hn::Set(d, kScale), hn::Set(d, kScale / 2));
        const auto radius = hn::Sqrt(MinusTwoLog(d, t));
        hn::Vec<decltype(d)> c, s;
        RandomDirection(d, LoadBits(d, words, which + 1, block), c, s);
        hn::StoreU(hn::Mul(radius, c), d, out + kBlocks * which + block);
        hn::StoreU(hn::Mul(radius, s), d, out + kBlocks * (which + 1) + block);
      }
    }
  }
}

template <typename T>
HWY_INLINE void UniformTilesT(const PhiloxBase& base, int64_t tile, int64_t tiles, T* HWY_RESTRICT out) {
  const hn::CappedTag<T, kBlocks> d;
  const hn::RebindToSigned<decltype(d)> di;
  constexpr size_t kDraws = static_cast<size_t>(kTileDraws<T>);
  constexpr int kUnusedBits = sizeof(T) == 4 ? 8 : 11;  // what does not fit the mantissa
  constexpr T kScale = sizeof(T) == 4 ? T(0x1p-24) : T(0x1p-53);
  HWY_ALIGN uint32_t words[4 * kBlocks];
  for (int64_t end = tile + tiles; tile < end; ++tile, out += kDraws) {
    PhiloxTile(base, static_cast<uint64_t>(tile), words);
    for (size_t which = 0; which < kDraws / kBlocks; ++which) {
      for (size_t block = 0; block < kBlocks; block += hn::Lanes(d)) {
        const auto bits = hn::BitCast(di, hn::ShiftRight<kUnusedBits>(LoadBits(d, words, which, block)));
        hn::StoreU(hn::Mul(hn::ConvertTo(d, bits), hn::Set(d, kScale)), d, out + kBlocks * which + block);
      }
    }
  }
}

void NormalTilesF32(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out) {
  NormalTilesT(base, tile, tiles, out);
}
void NormalTilesF64(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out) {
  NormalTilesT(base, tile, tiles, out);
}
void UniformTilesF32(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out) {
  UniformTilesT(base, tile, tiles, out);
}
void UniformTilesF64(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out) {
  UniformTilesT(base, tile, tiles, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(NormalTilesF32);
HWY_EXPORT(NormalTilesF64);
HWY_EXPORT(UniformTilesF32);
HWY_EXPORT(UniformTilesF64);

void NormalTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out) {
  HWY_DYNAMIC_DISPATCH(NormalTilesF32)(base, tile, tiles, out);
}
void NormalTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out) {
  HWY_DYNAMIC_DISPATCH(NormalTilesF64)(base, tile, tiles, out);
}
void UniformTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, float* out) {
  HWY_DYNAMIC_DISPATCH(UniformTilesF32)(base, tile, tiles, out);
}
void UniformTiles(const PhiloxBase& base, int64_t tile, int64_t tiles, double* out) {
  HWY_DYNAMIC_DISPATCH(UniformTilesF64)(base, tile, tiles, out);
}

}  // namespace autodiff
#endif  // HWY_ONCE
