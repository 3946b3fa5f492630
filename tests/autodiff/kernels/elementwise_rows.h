// The rows of the table of elementwise ops as tests see them: kernels run over vectors, the oracle, errors in units of
// the last place.
//
//   for (const ElementwiseRow& row : kRows) {
//     std::vector<float> y = Apply(row.op, a, b, c);
//     double error = UlpError(y[0], row.oracle(a[0], b[0], c[0]));
//   }
#ifndef NEB_TESTS_AUTODIFF_KERNELS_ELEMENTWISE_ROWS_H_
#define NEB_TESTS_AUTODIFF_KERNELS_ELEMENTWISE_ROWS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "autodiff/kernels/elementwise.h"

namespace autodiff {

struct ElementwiseRow {
  Elementwise op;
  long double (*oracle)(long double, long double, long double);
  double lo, hi;
};

inline const ElementwiseRow kRows[] = {
#define UNARY(name, lanes, gradient, oracle, lo, hi) \
  {Elementwise::name, [](long double x, long double, long double) -> long double { return oracle; }, lo, hi},
#define BINARY(name, lanes, gradient_a, gradient_b, oracle, lo, hi) \
  {Elementwise::name, [](long double a, long double b, long double) -> long double { return oracle; }, lo, hi},
#define TERNARY(name, lanes, gradient_a, gradient_b, gradient_c, oracle, lo, hi) \
  {Elementwise::name, [](long double a, long double b, long double c) -> long double { return oracle; }, lo, hi},
#include "autodiff/elementwise.inc"
};

// Allowed error in units of the last place, over the whole range of the function.
inline double MaxUlp(Elementwise op) {
  switch (op) {
    case Elementwise::sin:
    case Elementwise::cos:
    case Elementwise::tanh:
    case Elementwise::sigmoid:
    case Elementwise::erf:
      return 3;
    default:
      return 2;
  }
}

// |got - want| in units of the last place of T at `want`. Infinite where one is NaN, or an infinity, and the other is
// not, or zeros differ in sign. A want below the normal numbers may be flushed to zero.
template <typename T>
double UlpError(T got, long double want) {
  const T rounded = static_cast<T>(want);
  if (std::isnan(got) || std::isnan(rounded)) return std::isnan(got) && std::isnan(rounded) ? 0 : INFINITY;
  // Just beyond the largest finite number a result may go either way.
  if (std::isinf(rounded) && std::isfinite(want) && got == std::copysign(std::numeric_limits<T>::max(), rounded)) {
    return 1;
  }
  if (std::isinf(rounded)) return got == rounded ? 0 : INFINITY;
  if (want == 0) return got == 0 && std::signbit(got) == std::signbit(want) ? 0 : INFINITY;
  if (std::fabs(want) < std::numeric_limits<T>::min() && got == 0) return 0;
  int exponent;
  std::frexp(rounded == 0 ? want : static_cast<long double>(rounded), &exponent);
  const int lowest = std::numeric_limits<T>::min_exponent;
  const long double ulp = std::ldexp(1.0L, std::max(exponent, lowest) - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want) / ulp);
}

// Elements of a buffer that a kernel may touch for a tile of n.
template <typename T>
size_t Padded(size_t n) {
  const size_t per_line = 64 / sizeof(T);
  return (n + per_line - 1) / per_line * per_line;
}

template <typename T>
std::vector<T> Apply(Elementwise op, const std::vector<T>& a, const std::vector<T>& b, const std::vector<T>& c) {
  std::vector<T> pa = a, pb = b, pc = c, out(Padded<T>(a.size()));
  for (auto* p : {&pa, &pb, &pc}) p->resize(out.size());
  GetTileKernel<T>(op)(pa.data(), pb.data(), pc.data(), out.data(), a.size());
  out.resize(a.size());
  return out;
}

// Numbers from everywhere: random bit patterns, and uniform over ranges of all sizes.
template <typename T>
std::vector<T> RandomValues(size_t n, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<T> values(n);
  for (size_t i = 0; i < n; ++i) {
    if (i % 4 == 0) {
      const uint64_t pattern = bits();
      std::memcpy(&values[i], &pattern, sizeof(T));
    } else {
      constexpr T kRange[] = {0.5, 1, 2, 4, 10, 20, 100, 800, 4000, 30000};
      const T range = kRange[bits() % 10];
      values[i] = std::uniform_real_distribution<T>(-range, range)(bits);
    }
  }
  return values;
}

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_KERNELS_ELEMENTWISE_ROWS_H_
