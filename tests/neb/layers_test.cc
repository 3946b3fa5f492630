#include "neb/layers.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "neb/model.h"
#include "tests/autodiff/test_tensors.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Numbers;
using autodiff::ParamStore;
using autodiff::Shape;
using autodiff::Tape;
using autodiff::Tensor;
using autodiff::Uniform;

// The value of a recorded function of x, in float64, with its parameters in `store`.
Tensor ValueOf(const std::function<Var(Var, Params&)>& f, const Tensor& x, ParamStore& store) {
  Tape tape(DType::kF64);
  Params p(&tape, &store);
  const Var v = tape.Input("x", x.shape());
  const Var result = f(v, p);
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  std::vector<Var> inputs = BoundVars(p);
  std::vector<Tensor> values;
  for (const Tensor* t : BoundTensors(p, store)) values.push_back(*t);
  inputs.push_back(v);
  values.push_back(x);
  return autodiff::Value(result, inputs, values);
}

// Other values than zero, so that forgetting a bias shows.
void Randomize(ParamStore& store) {
  for (int i = 0; i < store.size(); ++i) {
    store[i].value = Uniform(store[i].value.shape(), -1, 1, static_cast<uint64_t>(i) + 50);
  }
}

std::vector<double> DenseByLoops(const std::vector<double>& x, const std::vector<double>& w,
                                 const std::vector<double>& b, size_t in, size_t units) {
  std::vector<double> y;
  for (size_t row = 0; row < x.size() / in; ++row) {
    for (size_t u = 0; u < units; ++u) {
      double total = b.empty() ? 0 : b[u];
      for (size_t i = 0; i < in; ++i) total += x[row * in + i] * w[i * units + u];
      y.push_back(total);
    }
  }
  return y;
}

double Silu(double x) { return x / (1 + std::exp(-x)); }

TEST(Dense, IsXTimesWPlusB) {
  for (const Shape& shape : {Shape{4, 3}, Shape{2, 2, 3}, Shape{1, 3}}) {
    ParamStore store;
    const auto layer = [](Var x, Params& p) { return Dense(p, "layer", x, 5); };
    const Tensor x = Uniform(shape, -1, 1, 1);
    ValueOf(layer, x, store);
    ASSERT_EQ(store.size(), 2);
    EXPECT_EQ(store[0].name, "layer/w");
    EXPECT_EQ(store[0].value.shape(), (Shape{3, 5}));
    EXPECT_EQ(store[1].name, "layer/b");
    EXPECT_EQ(store[1].value.shape(), (Shape{5}));
    Randomize(store);
    const Tensor y = ValueOf(layer, x, store);
    Shape expected_shape = shape;
    expected_shape[shape.rank() - 1] = 5;
    EXPECT_EQ(y.shape(), expected_shape);
    EXPECT_TRUE(
        autodiff::AllNear(y, DenseByLoops(Numbers(x), Numbers(store[0].value), Numbers(store[1].value), 3, 5), 1e-14));
  }
}

TEST(Dense, WithoutBiasHasOneParameter) {
  ParamStore store;
  const Tensor x = Uniform({4, 3}, -1, 1, 1);
  const Tensor y = ValueOf([](Var v, Params& p) { return Dense(p, "layer", v, 2, {.bias = false}); }, x, store);
  ASSERT_EQ(store.size(), 1);
  EXPECT_TRUE(autodiff::AllNear(y, DenseByLoops(Numbers(x), Numbers(store[0].value), {}, 3, 2), 1e-14));
}

TEST(Dense, TakesItsInitializers) {
  ParamStore store;
  ValueOf(
      [](Var v, Params& p) {
        return Dense(p, "layer", v, 2, {.weight_init = autodiff::Constant(0.5), .bias_init = autodiff::Constant(-3)});
      },
      Uniform({4, 3}, -1, 1, 1), store);
  EXPECT_EQ(Numbers(store[0].value), std::vector<double>(6, 0.5));
  EXPECT_EQ(Numbers(store[1].value), std::vector<double>(2, -3.0));
}

TEST(Conv2d, IsTheCrossCorrelationPlusB) {
  struct Case {
    int64_t height, width, channels_in, channels, kernel, stride, padding;
    bool bias;
  };
  for (const Case& c :
       {Case{5, 4, 2, 3, 3, 1, 1, true}, Case{7, 6, 1, 4, 3, 2, 1, true}, Case{6, 5, 3, 2, 2, 2, 0, true},
        Case{4, 4, 2, 2, 1, 1, 0, true}, Case{3, 3, 2, 2, 5, 1, 2, false}, Case{8, 3, 1, 1, 3, 3, 0, true}}) {
    const int64_t n = 2;
    const auto layer = [&](Var x, Params& p) {
      return Conv2d(p, "conv", x, c.channels,
                    {.kernel = c.kernel, .stride = c.stride, .padding = c.padding, .bias = c.bias});
    };
    ParamStore store;
    const Tensor x = Uniform({n, c.height, c.width, c.channels_in}, -1, 1, 1);
    ValueOf(layer, x, store);
    ASSERT_EQ(store.size(), c.bias ? 2 : 1);
    EXPECT_EQ(store[0].name, "conv/w");
    EXPECT_EQ(store[0].value.shape(), (Shape{c.kernel, c.kernel, c.channels_in, c.channels}));
    if (c.bias) {
      EXPECT_EQ(store[1].name, "conv/b");
      EXPECT_EQ(store[1].value.shape(), (Shape{c.channels}));
    }
    Randomize(store);
    const Tensor y = ValueOf(layer, x, store);

    const int64_t ho = (c.height + 2 * c.padding - c.kernel) / c.stride + 1;
    const int64_t wo = (c.width + 2 * c.padding - c.kernel) / c.stride + 1;
    EXPECT_EQ(y.shape(), (Shape{n, ho, wo, c.channels}));
    std::vector<double> expected;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t row = 0; row < ho; ++row) {
        for (int64_t column = 0; column < wo; ++column) {
          for (int64_t o = 0; o < c.channels; ++o) {
            double total = c.bias ? store[1].value.at(o) : 0;
            for (int64_t a = 0; a < c.kernel; ++a) {
              for (int64_t b = 0; b < c.kernel; ++b) {
                const int64_t h = row * c.stride - c.padding + a, w = column * c.stride - c.padding + b;
                if (h < 0 || w < 0 || h >= c.height || w >= c.width) continue;
                for (int64_t k = 0; k < c.channels_in; ++k) {
                  total += x.at(((i * c.height + h) * c.width + w) * c.channels_in + k) *
                           store[0].value.at(((a * c.kernel + b) * c.channels_in + k) * c.channels + o);
                }
              }
            }
            expected.push_back(total);
          }
        }
      }
    }
    EXPECT_TRUE(autodiff::AllNear(y, expected, 1e-13)) << c.kernel << " stride " << c.stride << " pad " << c.padding;
  }
}

// ⟨Conv2dUp(g), x⟩ = ⟨g, Conv2d(x)⟩ without biases: sizes that a stride divides and that it does not.
TEST(Conv2dUp, IsTheAdjointOfTheConvolution) {
  struct Case {
    int64_t height, width, kernel, stride, padding;
  };
  for (const Case& c : {Case{6, 5, 3, 2, 1}, Case{7, 7, 3, 2, 1}, Case{4, 6, 5, 1, 2}, Case{8, 8, 2, 2, 0}}) {
    const Conv2dOptions options{.kernel = c.kernel, .stride = c.stride, .padding = c.padding, .bias = false};
    ParamStore store;
    const Tensor x = Uniform({2, c.height, c.width, 3}, -1, 1, 1);
    const Tensor down = ValueOf([&](Var v, Params& p) { return Conv2d(p, "conv", v, 4, options); }, x, store);
    const Tensor g = Uniform(down.shape(), -1, 1, 2);
    const Tensor up =
        ValueOf([&](Var v, Params& p) { return Conv2dUp(p, "conv", v, c.height, c.width, 3, options); }, g, store);
    ASSERT_EQ(up.shape(), x.shape());
    double left = 0, right = 0;
    for (int64_t i = 0; i < x.num_elements(); ++i) left += up.at(i) * x.at(i);
    for (int64_t i = 0; i < g.num_elements(); ++i) right += down.at(i) * g.at(i);
    EXPECT_NEAR(left, right, 1e-12);
  }
}

// Inputs of variance 1 give outputs of variance 1 on average over pixels, away from the border.
TEST(Conv2dUp, KeepsTheVariance) {
  ParamStore store(3);
  const Tensor g = Uniform({8, 16, 16, 64}, -std::sqrt(3.0), std::sqrt(3.0), 1);
  const Tensor up =
      ValueOf([](Var v, Params& p) { return Conv2dUp(p, "up", v, 32, 32, 32, {.kernel = 3, .stride = 2}); }, g, store);
  double variance = 0;
  const double n = static_cast<double>(up.num_elements());
  for (int64_t i = 0; i < up.num_elements(); ++i) variance += up.at(i) * up.at(i) / n;
  // 18,432 weights decide: 4√(2/18432) = 0.04; the border loses some.
  EXPECT_NEAR(variance, 1, 0.1);
}

TEST(Mlp, IsDenseLayersWithActivationsBetween) {
  ParamStore store;
  const auto net = [](Var x, Params& p) { return Mlp(p.Scope("net"), x, {5, 4, 2}); };
  const Tensor x = Uniform({3, 6}, -1, 1, 1);
  ValueOf(net, x, store);
  const std::vector<std::string> names = {"net/0/w", "net/0/b", "net/1/w", "net/1/b", "net/2/w", "net/2/b"};
  ASSERT_EQ(store.size(), 6);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(store[i].name, names[static_cast<size_t>(i)]);
  Randomize(store);
  const Tensor y = ValueOf(net, x, store);
  std::vector<double> h = DenseByLoops(Numbers(x), Numbers(store[0].value), Numbers(store[1].value), 6, 5);
  for (double& v : h) v = Silu(v);
  h = DenseByLoops(h, Numbers(store[2].value), Numbers(store[3].value), 5, 4);
  for (double& v : h) v = Silu(v);
  h = DenseByLoops(h, Numbers(store[4].value), Numbers(store[5].value), 4, 2);
  EXPECT_TRUE(autodiff::AllNear(y, h, 1e-13));
}

TEST(Mlp, TakesAnotherActivationAndALastLayerOfZeros) {
  ParamStore store;
  const auto net = [](Var x, Params& p) {
    return Mlp(p, x, {5, 2}, {.activation = autodiff::tanh, .last_weight_init = autodiff::Zeros()});
  };
  const Tensor x = Uniform({3, 6}, -1, 1, 1);
  EXPECT_EQ(Numbers(ValueOf(net, x, store)), std::vector<double>(6, 0.0));
  Randomize(store);
  const Tensor y = ValueOf(net, x, store);
  std::vector<double> h = DenseByLoops(Numbers(x), Numbers(store[0].value), Numbers(store[1].value), 6, 5);
  for (double& v : h) v = std::tanh(v);
  EXPECT_TRUE(autodiff::AllNear(y, DenseByLoops(h, Numbers(store[2].value), Numbers(store[3].value), 5, 2), 1e-13));
}

TEST(Mlp, WithoutUnitsIsTheIdentity) {
  ParamStore store;
  const Tensor x = Uniform({3, 6}, -1, 1, 1);
  EXPECT_EQ(Numbers(ValueOf([](Var v, Params& p) { return Mlp(p, v, {}) * 1.0; }, x, store)), Numbers(x));
  EXPECT_EQ(store.size(), 0);
}

// N(0, 1/fan_in) (LeCun et al. 1998): inputs of variance one give outputs of variance one. Of n normal draws the mean
// has standard deviation s/√n and the variance s²√(2/n): five of those.
void ExpectLecunNormal(const Tensor& w, double fan_in) {
  const double n = static_cast<double>(w.num_elements()), expected = 1 / fan_in;
  double mean = 0, square = 0;
  for (double v : Numbers(w)) {
    mean += v / n;
    square += v * v / n;
  }
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(expected / n));
  EXPECT_NEAR(square, expected, 5 * expected * std::sqrt(2 / n));
}

TEST(Layers, StartAtTheScaleOfTheirFanIn) {
  ParamStore store;
  ValueOf([](Var v, Params& p) { return Dense(p, "dense", v, 200); }, Uniform({1, 300}, -1, 1, 1), store);
  ExpectLecunNormal(store[0].value, 300);
  EXPECT_EQ(Numbers(store[1].value), std::vector<double>(200, 0.0));

  ParamStore conv;
  ValueOf([](Var v, Params& p) { return Conv2d(p, "conv", v, 64, {.kernel = 5, .padding = 2}); },
          Uniform({1, 2, 2, 32}, -1, 1, 1), conv);
  ExpectLecunNormal(conv[0].value, 5 * 5 * 32);
  EXPECT_EQ(Numbers(conv[1].value), std::vector<double>(64, 0.0));
}

}  // namespace
}  // namespace neb
