#include "autodiff/kernels/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"
#include "tests/autodiff/kernels/elementwise_rows.h"

namespace autodiff {
namespace {

// Every element of a, b, c against the oracle; returns the worst error.
template <typename T>
double CheckAgainstOracle(const ElementwiseRow& row, const std::vector<T>& a, const std::vector<T>& b,
                          const std::vector<T>& c) {
  const std::vector<T> got = Apply(row.op, a, b, c);
  double worst = 0;
  int reported = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const long double want = row.oracle(a[i], b[i], c[i]);
    const double error = UlpError(got[i], want);
    worst = std::max(worst, error);
    if (error > MaxUlp(row.op) && reported++ < 5) {
      ADD_FAILURE() << Name(row.op) << sizeof(T) * 8 << "(" << a[i] << ", " << b[i] << ", " << c[i] << ") = " << got[i]
                    << ", should be " << want << ": " << error << " ulp";
    }
  }
  return worst;
}

template <typename T>
std::vector<T> SpecialValues() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {0,
                           Limits::denorm_min(),
                           Limits::min() / 2,
                           Limits::min(),
                           Limits::epsilon(),
                           T(0.5),
                           1,
                           std::nextafter(T(1), T(2)),
                           T(1.5),
                           2,
                           3,
                           T(M_PI),
                           10,
                           100,
                           std::log(Limits::max()),
                           std::nextafter(std::log(Limits::max()), T(1e9)),
                           std::nextafter(std::log(Limits::max()), T(0)),
                           -std::log(Limits::min()),
                           -std::log(Limits::denorm_min()),
                           T(4096),
                           T(1e6),
                           T(1e9),
                           T(1e30),
                           Limits::max(),
                           Limits::infinity(),
                           Limits::quiet_NaN()};
  const size_t n = values.size();
  for (size_t i = 0; i < n; ++i) values.push_back(-values[i]);
  return values;
}

// IEEE behaviour at NaN, infinities, zeros of either sign, denormals and where functions start to overflow.
template <typename T>
void CheckSpecialValues() {
  const std::vector<T> values = SpecialValues<T>();
  for (const ElementwiseRow& row : kRows) {
    std::vector<T> a, b, c;
    for (const T x : values) {
      for (const T y : values) {
        for (const T z : {T(0), -T(0), T(1), std::numeric_limits<T>::quiet_NaN()}) {
          a.push_back(x);
          b.push_back(y);
          c.push_back(z);
        }
      }
    }
    CheckAgainstOracle(row, a, b, c);
  }
}
TEST(Elementwise, SpecialValues) {
  ForEachTarget([] {
    CheckSpecialValues<float>();
    CheckSpecialValues<double>();
  });
}

template <typename T>
void CheckWholeRange() {
  constexpr size_t kCount = 20000;
  const std::vector<T> a = RandomValues<T>(kCount, 1), b = RandomValues<T>(kCount, 2), c = RandomValues<T>(kCount, 3);
  for (const ElementwiseRow& row : kRows) {
    const double worst = CheckAgainstOracle(row, a, b, c);
    testing::Test::RecordProperty(std::string(Name(row.op)) + "_ulp", std::to_string(worst));
  }
}
TEST(Elementwise, AccurateOverTheWholeRange) {
  ForEachTarget([] {
    CheckWholeRange<float>();
    CheckWholeRange<double>();
  });
}

// Where the relative error is hardest to keep: sin and cos next to their zeros.
template <typename T>
void CheckNearZerosOfSine() {
  std::vector<T> x;
  for (int k = 1; k < 4000; ++k) {
    const T zero = static_cast<T>(k * 1.57079632679489661923132169163975144L);
    for (const T v : {std::nextafter(zero, T(0)), zero, std::nextafter(zero, T(1e9))}) {
      x.push_back(v);
      x.push_back(-v);
    }
  }
  for (const ElementwiseRow& row : kRows) {
    if (row.op == Elementwise::sin || row.op == Elementwise::cos) CheckAgainstOracle(row, x, x, x);
  }
}
TEST(Elementwise, SineNearItsZeros) {
  ForEachTarget([] {
    CheckNearZerosOfSine<float>();
    CheckNearZerosOfSine<double>();
  });
}

// Any length and alignment, in place or not; nothing written past the padding; the same bits wherever an element
// stands.
template <typename T>
void CheckLengthsAndAlignments() {
  constexpr size_t kMost = 70, kRoom = 160;
  std::mt19937_64 bits(5);
  for (const ElementwiseRow& row : kRows) {
    std::uniform_real_distribution<T> in_domain(static_cast<T>(row.lo), static_cast<T>(row.hi));
    std::vector<T> a(kMost), b(kMost), c(kMost);
    for (size_t i = 0; i < kMost; ++i) {
      a[i] = in_domain(bits);
      b[i] = i % 5 == 0 ? a[i] : in_domain(bits);
      c[i] = i % 3 == 0 ? T(0) : in_domain(bits);
    }
    CheckAgainstOracle(row, a, b, c);
    const std::vector<T> want = Apply(row.op, a, b, c);
    for (size_t n = 0; n <= kMost; ++n) {
      const size_t offset = n % 17;
      std::vector<T> buffer[3];
      for (auto* source : {&a, &b, &c}) {
        std::vector<T>& p = buffer[source == &a ? 0 : source == &b ? 1 : 2];
        p.assign(kRoom, T(1));
        std::copy_n(source->begin(), n, p.begin() + static_cast<ptrdiff_t>(offset));
      }
      const T untouched = T(12345);
      std::vector<T> out(kRoom, untouched);
      for (std::vector<T>* target : {&out, &buffer[0], &buffer[1], &buffer[2]}) {
        std::vector<T> in[3] = {buffer[0], buffer[1], buffer[2]};  // kept, as `target` may be one of them
        GetTileKernel<T>(row.op)(buffer[0].data() + offset, buffer[1].data() + offset, buffer[2].data() + offset,
                                 target->data() + offset, n);
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ((*target)[offset + i], want[i]) << Name(row.op) << " n " << n << " offset " << offset << " i " << i;
        }
        if (target == &out) {
          for (size_t i = 0; i < kRoom; ++i) {
            if (i < offset || i >= offset + Padded<T>(n)) {
              ASSERT_EQ(out[i], untouched) << Name(row.op);
            }
          }
        }
        for (int k = 0; k < 3; ++k) buffer[k] = in[k];
      }
    }
  }
}
TEST(Elementwise, LengthsAndAlignments) {
  ForEachTarget([] {
    CheckLengthsAndAlignments<float>();
    CheckLengthsAndAlignments<double>();
  });
}

// An input that is one number, given as one vector of it, does what an array of that number does.
template <typename T>
void CheckUniformInputs() {
  constexpr size_t kCount = 100, kVector = 64 / sizeof(T);
  for (const ElementwiseRow& row : kRows) {
    const std::vector<T> values[3] = {RandomValues<T>(kCount, 1), RandomValues<T>(kCount, 2),
                                      RandomValues<T>(kCount, 3)};
    for (unsigned uniform = 0; uniform + 1 < 1u << Arity(row.op); ++uniform) {
      for (const T number : {T(0), T(-0.75), T(3), std::numeric_limits<T>::infinity()}) {
        std::vector<T> whole[3], given[3];
        for (unsigned i = 0; i < 3; ++i) {
          whole[i] = given[i] = values[i];
          if ((uniform >> i & 1) == 0) continue;
          whole[i].assign(kCount, number);
          given[i].assign(kVector, number);
        }
        const std::vector<T> want = Apply(row.op, whole[0], whole[1], whole[2]);
        for (auto& v : given) v.resize(Padded<T>(kCount), T(12345));
        std::vector<T> got(Padded<T>(kCount));
        GetTileKernel<T>(row.op, uniform)(given[0].data(), given[1].data(), given[2].data(), got.data(), kCount);
        ASSERT_EQ(std::memcmp(got.data(), want.data(), kCount * sizeof(T)), 0) << Name(row.op) << " " << uniform;
      }
    }
  }
}
TEST(Elementwise, UniformInputs) {
  ForEachTarget([] {
    CheckUniformInputs<float>();
    CheckUniformInputs<double>();
  });
}

TEST(Elementwise, TheTableNamesItself) {
  EXPECT_STREQ(Name(Elementwise::neg), "neg");
  EXPECT_STREQ(Name(Elementwise::where), "where");
  EXPECT_EQ(Arity(Elementwise::tanh), 1);
  EXPECT_EQ(Arity(Elementwise::less_equal), 2);
  EXPECT_EQ(Arity(Elementwise::where), 3);
  EXPECT_STREQ(Name(Elementwise::neg_mul_add), "neg_mul_add");
  EXPECT_EQ(Arity(Elementwise::mul_add), 3);
  EXPECT_EQ(std::size(kRows), static_cast<size_t>(Elementwise::mul_add));  // those of compiled programs come last
}

// A fused multiply-add rounds once, or, on targets without the instruction, twice; with uniform inputs alike.
template <typename T>
void CheckContracted() {
  constexpr size_t kCount = 5000, kVector = 64 / sizeof(T);
  const std::vector<T> a = RandomValues<T>(kCount, 1), b = RandomValues<T>(kCount, 2), c = RandomValues<T>(kCount, 3);
  const auto same = [](T x, T y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  struct Case {
    Elementwise op;
    T product, addend;  // signs
  };
  for (const Case& k :
       {Case{Elementwise::mul_add, 1, 1}, Case{Elementwise::mul_sub, 1, -1}, Case{Elementwise::neg_mul_add, -1, 1}}) {
    int once = 0, twice = 0;
    for (unsigned uniform = 0; uniform < 7; ++uniform) {
      std::vector<T> in[3] = {a, b, c}, given[3], out(kCount + kVector);
      for (unsigned i = 0; i < 3; ++i) {
        if ((uniform >> i & 1) != 0) in[i].assign(kCount, in[i][7]);
        given[i] = in[i];
        given[i].resize((uniform >> i & 1) != 0 ? kVector : kCount + kVector);
      }
      GetTileKernel<T>(k.op, uniform)(given[0].data(), given[1].data(), given[2].data(), out.data(), kCount);
      for (size_t i = 0; i < kCount; ++i) {
        const T x = k.product * in[0][i], y = in[1][i], z = k.addend * in[2][i];
        const volatile T product = x * y;
        const T fused = std::fma(x, y, z), separate = product + z;
        ASSERT_TRUE(same(out[i], fused) || same(out[i], separate)) << Name(k.op) << uniform << " " << i;
        once += same(out[i], fused) ? 1 : 0;
        twice += same(out[i], separate) ? 1 : 0;
      }
    }
    EXPECT_EQ(std::max(once, twice), 7 * static_cast<int>(kCount));
  }
}
TEST(Elementwise, ContractedRoundOnceOrTwice) {
  ForEachTarget([] {
    CheckContracted<float>();
    CheckContracted<double>();
  });
}

}  // namespace
}  // namespace autodiff
