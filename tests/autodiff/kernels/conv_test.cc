#include "autodiff/kernels/conv.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/tensor.h"
#include "gtest/gtest.h"
#include "tests/autodiff/for_each_target.h"
#include "tests/autodiff/kernels/conv_definition.h"

namespace autodiff {
namespace {

enum Kernel { kForward, kInputAdjoint, kWeightAdjoint };

template <typename T>
void Call(Kernel kernel, const ConvShape& s, const T* x, const T* w, const T* y, T* out, bool accumulate, int parts) {
  const AlignedBytes scratch = AllocateAligned(ConvScratchBytes(s, DTypeOf<T>()));
  for (int part = parts - 1; part >= 0; --part) {
    if (kernel == kForward) ConvForward(s, x, w, out, part, parts, scratch.get());
    if (kernel == kInputAdjoint) ConvInputAdjoint(s, y, w, out, part, parts, scratch.get());
    if (kernel == kWeightAdjoint) ConvWeightAdjoint(s, x, y, out, accumulate, part, parts, scratch.get());
  }
}

std::string Describe(const ConvShape& s) {
  return absl::StrCat("x [", s.n, ", ", s.h, ", ", s.w, ", ", s.c, "] w [", s.kh, ", ", s.kw, ", ", s.c, ", ", s.o,
                      "] stride ", s.stride_h, ", ", s.stride_w, " pad ", s.pad_top, ", ", s.pad_bottom, ", ",
                      s.pad_left, ", ", s.pad_right);
}

// All three kernels against the definition, summed in double; and in bits against themselves with other part counts.
template <typename T>
void ExpectConv(const ConvShape& s) {
  SCOPED_TRACE(absl::StrCat(Name(DTypeOf<T>()), " ", Describe(s)));
  std::mt19937 random(static_cast<uint32_t>(s.h * 31 + s.c * 7 + s.o));
  std::uniform_real_distribution<double> uniform(-1, 1);
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  // Index: the kernel whose result has this shape. One element before and one behind each array must not be touched.
  const size_t sizes[3] = {size(s.n * s.ho() * s.wo() * s.o), size(s.n * s.h * s.w * s.c),
                           size(s.kh * s.kw * s.c * s.o)};
  std::vector<T> values[3];
  for (int a = 0; a < 3; ++a) {
    values[a].assign(sizes[a] + 2, std::numeric_limits<T>::quiet_NaN());
    for (size_t i = 1; i <= sizes[a]; ++i) values[a][i] = static_cast<T>(uniform(random));
  }
  const std::vector<T>& y = values[kForward];
  const std::vector<T>& x = values[kInputAdjoint];
  const std::vector<T>& w = values[kWeightAdjoint];
  std::vector<double> expected[3], scale[3];
  for (int a = 0; a < 3; ++a) expected[a].assign(sizes[a], 0), scale[a].assign(sizes[a], 1);
  const auto add = [&](int a, int64_t i, T p, T q) {
    const double term = static_cast<double>(p) * static_cast<double>(q);
    expected[a][size(i)] += term;
    scale[a][size(i)] += std::abs(term);
  };
  ForEachProduct(s, [&](int64_t xi, int64_t wi, int64_t yi) {
    const T xv = x[size(xi) + 1], wv = w[size(wi) + 1], yv = y[size(yi) + 1];
    add(kForward, yi, xv, wv);
    add(kInputAdjoint, xi, yv, wv);
    add(kWeightAdjoint, wi, xv, yv);
  });
  const double terms[3] = {static_cast<double>(s.kh * s.kw * s.c), static_cast<double>(s.kh * s.kw * s.o),
                           static_cast<double>(s.n * s.ho() * s.wo())};
  for (const Kernel kernel : {kForward, kInputAdjoint, kWeightAdjoint}) {
    for (const bool accumulate : {false, true}) {
      if (accumulate && kernel != kWeightAdjoint) continue;
      SCOPED_TRACE(absl::StrCat("kernel ", kernel, " accumulate ", accumulate));
      std::vector<T> start = values[kernel];
      if (!accumulate) start.assign(start.size(), std::numeric_limits<T>::quiet_NaN());
      std::vector<T> out = start;
      Call<T>(kernel, s, x.data() + 1, w.data() + 1, y.data() + 1, out.data() + 1, accumulate, 1);
      EXPECT_TRUE(std::isnan(out.front()) && std::isnan(out.back())) << "stored outside the result";
      const double tolerance = std::numeric_limits<T>::epsilon() * (terms[kernel] + 2);
      for (size_t i = 0; i < sizes[kernel]; ++i) {
        const double before = accumulate ? static_cast<double>(start[i + 1]) : 0;
        ASSERT_NEAR(out[i + 1], before + expected[kernel][i], tolerance * scale[kernel][i]) << "at " << i;
      }
      for (int parts = 2; parts <= 3; ++parts) {
        std::vector<T> shared = start;
        Call<T>(kernel, s, x.data() + 1, w.data() + 1, y.data() + 1, shared.data() + 1, accumulate, parts);
        ASSERT_EQ(std::memcmp(shared.data(), out.data(), out.size() * sizeof(T)), 0)
            << "differs in bits with " << parts << " parts";
      }
    }
  }
}

const ConvShape kShapes[] = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .kh = 1, .kw = 1, .o = 1},
    {.n = 2, .h = 5, .w = 7, .c = 3, .kh = 3, .kw = 3, .o = 5},
    {.n = 3,
     .h = 9,
     .w = 8,
     .c = 1,
     .kh = 3,
     .kw = 3,
     .o = 32,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 2,
     .h = 9,
     .w = 30,
     .c = 1,
     .kh = 3,
     .kw = 3,
     .o = 32,
     .stride_h = 2,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 1,
     .h = 8,
     .w = 21,
     .c = 2,
     .kh = 2,
     .kw = 5,
     .o = 16,
     .stride_h = 3,
     .stride_w = 1,
     .pad_top = 0,
     .pad_bottom = 2,
     .pad_left = 3,
     .pad_right = 1},
    {.n = 1,
     .h = 6,
     .w = 20,
     .c = 3,
     .kh = 3,
     .kw = 3,
     .o = 16,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 1, .h = 7, .w = 5, .c = 4, .kh = 3, .kw = 2, .o = 48, .stride_h = 1, .stride_w = 2, .pad_left = 1},
    {.n = 3,
     .h = 7,
     .w = 6,
     .c = 20,
     .kh = 3,
     .kw = 3,
     .o = 33,
     .stride_h = 2,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 2,
     .h = 11,
     .w = 13,
     .c = 7,
     .kh = 4,
     .kw = 3,
     .o = 2,
     .stride_h = 3,
     .stride_w = 2,
     .pad_top = 2,
     .pad_bottom = 1,
     .pad_left = 0,
     .pad_right = 2},
    {.n = 1,
     .h = 6,
     .w = 6,
     .c = 36,
     .kh = 5,
     .kw = 5,
     .o = 6,
     .pad_top = 2,
     .pad_bottom = 2,
     .pad_left = 2,
     .pad_right = 2},
    // Strides beyond the kernel leave pixels that nothing sees; taps beyond the image see nothing but padding.
    {.n = 2, .h = 10, .w = 9, .c = 5, .kh = 2, .kw = 1, .o = 6, .stride_h = 4, .stride_w = 3},
    {.n = 2, .h = 7, .w = 7, .c = 1, .kh = 1, .kw = 2, .o = 16, .stride_h = 2, .stride_w = 5},
    {.n = 1,
     .h = 2,
     .w = 3,
     .c = 5,
     .kh = 5,
     .kw = 6,
     .o = 4,
     .pad_top = 3,
     .pad_bottom = 4,
     .pad_left = 5,
     .pad_right = 3},
    {.n = 2,
     .h = 1,
     .w = 2,
     .c = 65,
     .kh = 3,
     .kw = 3,
     .o = 70,
     .pad_top = 2,
     .pad_bottom = 2,
     .pad_left = 1,
     .pad_right = 1},
    // Padding is skipped: small images, many channels.
    {.n = 3,
     .h = 5,
     .w = 4,
     .c = 66,
     .kh = 3,
     .kw = 3,
     .o = 97,
     .stride_h = 2,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 5,
     .h = 3,
     .w = 3,
     .c = 64,
     .kh = 3,
     .kw = 3,
     .o = 64,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    // Weights too large to stay in L2, with and without padding to skip.
    {.n = 1,
     .h = 6,
     .w = 5,
     .c = 60,
     .kh = 3,
     .kw = 3,
     .o = 161,
     .stride_h = 2,
     .stride_w = 1,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 2,
     .h = 4,
     .w = 4,
     .c = 99,
     .kh = 3,
     .kw = 3,
     .o = 97,
     .stride_h = 2,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    // An image and a row of it larger than a chunk of them.
    {.n = 2,
     .h = 33,
     .w = 35,
     .c = 44,
     .kh = 3,
     .kw = 3,
     .o = 3,
     .stride_h = 2,
     .stride_w = 1,
     .pad_top = 1,
     .pad_bottom = 0,
     .pad_left = 1,
     .pad_right = 0},
    {.n = 1, .h = 2, .w = 300, .c = 70, .kh = 2, .kw = 1, .o = 5, .pad_bottom = 1},
    // More than one block of rows and of k.
    {.n = 2,
     .h = 14,
     .w = 14,
     .c = 40,
     .kh = 3,
     .kw = 3,
     .o = 40,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.n = 1, .h = 1, .w = 9, .c = 400, .kh = 1, .kw = 1, .o = 17},
};

TEST(Conv, AgreesWithDefinition) {
  ForEachTarget([] {
    for (const ConvShape& s : kShapes) {
      ExpectConv<float>(s);
      ExpectConv<double>(s);
    }
  });
}

// The same image twice in a batch gives the same bits twice.
TEST(Conv, ValueDoesNotDependOnPlaceInBatch) {
  ForEachTarget([] {
    for (ConvShape s : kShapes) {
      s.n = 5;
      SCOPED_TRACE(Describe(s));
      std::mt19937 random(11);
      std::uniform_real_distribution<float> uniform(-1, 1);
      const int64_t x_size = s.h * s.w * s.c, y_size = s.ho() * s.wo() * s.o;
      std::vector<float> w(static_cast<size_t>(s.kh * s.kw * s.c * s.o)), x, y;
      for (float& v : w) v = uniform(random);
      for (int64_t i = 0; i < x_size; ++i) x.push_back(uniform(random));
      for (int64_t i = 0; i < y_size; ++i) y.push_back(uniform(random));
      for (int64_t i = 0; i < 4 * x_size; ++i) x.push_back(x[static_cast<size_t>(i)]);
      for (int64_t i = 0; i < 4 * y_size; ++i) y.push_back(y[static_cast<size_t>(i)]);
      std::vector<float> out_y(y.size()), out_x(x.size());
      Call<float>(kForward, s, x.data(), w.data(), nullptr, out_y.data(), false, 2);
      Call<float>(kInputAdjoint, s, nullptr, w.data(), y.data(), out_x.data(), false, 2);
      for (int64_t b = 1; b < 5; ++b) {
        const size_t bytes_y = static_cast<size_t>(y_size) * sizeof(float),
                     bytes_x = static_cast<size_t>(x_size) * sizeof(float);
        ASSERT_EQ(std::memcmp(out_y.data(), out_y.data() + b * y_size, bytes_y), 0);
        ASSERT_EQ(std::memcmp(out_x.data(), out_x.data() + b * x_size, bytes_x), 0);
      }
    }
  });
}

// Element `at` of the array `spoilt` is NaN, all else 1: is the result of `kernel` NaN where it must be, and nowhere
// that it may not?
template <typename T>
void ExpectNan(Kernel kernel, const ConvShape& s, const size_t (&sizes)[3], Kernel spoilt, size_t at,
               const std::vector<bool>& must, const std::vector<bool>& may) {
  std::vector<T> values[3];
  for (int a = 0; a < 3; ++a) values[a].assign(sizes[a], T(1));
  values[spoilt][at] = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> out(sizes[kernel]);
  Call<T>(kernel, s, values[kInputAdjoint].data(), values[kWeightAdjoint].data(), values[kForward].data(), out.data(),
          false, 1);
  for (size_t i = 0; i < out.size(); ++i) {
    if (must[i]) {
      ASSERT_TRUE(std::isnan(out[i])) << "kernel " << kernel << " lost the NaN of " << spoilt << " at " << i;
    }
    if (!may[i]) {
      ASSERT_FALSE(std::isnan(out[i])) << "kernel " << kernel << " spread the NaN of " << spoilt << " to " << i;
    }
  }
}

// One NaN reaches what depends on it and nothing else. Of the factor that padding is multiplied with (w, and g for the
// weight adjoint), the padding's products may be there too, 0 · NaN: then it is everything of that channel.
TEST(Conv, NanGoesWhereItShould) {
  std::mt19937 random(5);
  for (const ConvShape& s : kShapes) {
    SCOPED_TRACE(Describe(s));
    // Index, here and below: the kernel whose result has this shape.
    const size_t o = static_cast<size_t>(s.o), c = static_cast<size_t>(s.c);
    const size_t sizes[3] = {static_cast<size_t>(s.n * s.ho() * s.wo()) * o, static_cast<size_t>(s.n * s.h * s.w) * c,
                             static_cast<size_t>(s.kh * s.kw) * c * o};
    for (const Kernel kernel : {kForward, kInputAdjoint, kWeightAdjoint}) {
      for (const Kernel spoilt : {kForward, kInputAdjoint, kWeightAdjoint}) {
        if (spoilt == kernel) continue;
        const size_t at = random() % sizes[spoilt];
        std::vector<bool> must(sizes[kernel], false);
        ForEachProduct(s, [&](int64_t xi, int64_t wi, int64_t yi) {
          const int64_t index[3] = {yi, xi, wi};
          if (static_cast<size_t>(index[spoilt]) == at) must[static_cast<size_t>(index[kernel])] = true;
        });
        std::vector<bool> may = must;
        if (kernel == kWeightAdjoint ? spoilt == kForward : spoilt == kWeightAdjoint) {
          // The channel that the two arrays share: c for the input adjoint and its weights, else o.
          const auto channel = [&](Kernel array, size_t i) {
            if (kernel != kInputAdjoint) return i % o;
            return array == kWeightAdjoint ? i / o % c : i % c;
          };
          for (size_t i = 0; i < may.size(); ++i) may[i] = may[i] || channel(kernel, i) == channel(spoilt, at);
        }
        ForEachTarget([&] {
          ExpectNan<float>(kernel, s, sizes, spoilt, at, must, may);
          ExpectNan<double>(kernel, s, sizes, spoilt, at, must, may);
        });
      }
    }
  }
}

}  // namespace
}  // namespace autodiff
