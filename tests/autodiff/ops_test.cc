// The values of the ops that are not in the elementwise table (those are tested with their kernels), against plain
// loops and closed forms, with special attention to infinities, NaN and empty arrays; and the gradient of the objective
// of a small network against numbers from PyTorch. Gradients of single ops: grad_test.cc.
#include "autodiff/ops.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// f of a float64 vector.
std::vector<double> Of(const std::function<Var(Var)>& f, const std::vector<double>& at) {
  Tape tape(DType::kF64);
  const Shape shape = {static_cast<int64_t>(at.size())};
  const Var x = tape.Input("x", shape);
  return Numbers(Value(f(x), {x}, {Tensor::From<double>(shape, at)}));
}
std::vector<double> Of(Var (*f)(Arg), const std::vector<double>& at) {
  return Of([f](Var x) { return f(x); }, at);
}

::testing::AssertionResult Near(const std::vector<double>& got, const std::vector<double>& expected,
                                double tolerance = 1e-14) {
  return AllNear(Tensor::From<double>({static_cast<int64_t>(got.size())}, got), expected, tolerance);
}

// The index of every axis for a flat row-major index.
std::vector<int64_t> Unravel(int64_t flat, const Shape& shape) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[static_cast<size_t>(i)] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}
int64_t Ravel(const std::vector<int64_t>& index, const Shape& shape) {
  int64_t flat = 0;
  for (int i = 0; i < shape.rank(); ++i) flat = flat * shape[i] + index[static_cast<size_t>(i)];
  return flat;
}

// The tensor of this shape with f(index) in every element.
std::vector<double> Fill(const Shape& shape, const std::function<double(const std::vector<int64_t>&)>& f) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.num_elements(); ++i) values.push_back(f(Unravel(i, shape)));
  return values;
}

// --- Compositions of elementwise ops ---

TEST(Activations, MatchTheirFormulas) {
  std::vector<double> at, silus, gelus, leaky;
  for (double x = -6; x <= 6; x += 0.37) {
    at.push_back(x);
    silus.push_back(x / (1 + std::exp(-x)));
    gelus.push_back(0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
    leaky.push_back(x > 0 ? x : 0.2 * x);
  }
  EXPECT_TRUE(Near(Of(silu, at), silus));
  EXPECT_TRUE(Near(Of(gelu, at), gelus));
  EXPECT_TRUE(Near(Of([](Var x) { return leaky_relu(x, 0.2); }, at), leaky));
}

TEST(Activations, HaveTheRightLimits) {
  EXPECT_TRUE(Near(Of(silu, {-800, 0, 800, kInf, kNan}), {0, 0, 800, kInf, kNan}));
  EXPECT_TRUE(Near(Of(gelu, {-800, 0, 800, kInf, kNan}), {0, 0, 800, kInf, kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return leaky_relu(x); }, {-kInf, -100, 0, kInf, kNan}), {-kInf, -1, 0, kInf, kNan}));
}

TEST(Pow, EveryExponentIsTheOneOfTheStandardLibrary) {
  const std::vector<double> at = {0.01, 0.5, 1, 1.5, 3, 40, kInf, kNan};
  for (double p : {0.0, 1.0, 2.0, 0.5, -1.0, 3.0, -2.0, 2.5, -0.5, 1.0 / 3, 7.0}) {
    std::vector<double> expected;
    for (double x : at) expected.push_back(std::pow(x, p));
    EXPECT_TRUE(Near(Of([p](Var x) { return pow(x, p); }, at), expected, 1e-13)) << "exponent " << p;
  }
}

TEST(Pow, OfZeroAndOfNegativeNumbers) {
  const std::vector<double> at = {0, -1, -1.5, -3};
  for (double p : {0.0, 1.0, 2.0, -1.0, 3.0, -2.0, 4.0, 2.5, -1.5, 0.5}) {
    std::vector<double> expected;
    for (double x : at) expected.push_back(std::pow(x, p));
    EXPECT_TRUE(Near(Of([p](Var x) { return pow(x, p); }, at), expected, 1e-13)) << "exponent " << p;
  }
}

// p x^(p−1), which is 0 at x = 0 for p > 1 and must not come out as 0 · ∞.
TEST(Pow, GradientAtZero) {
  for (double p : {1.0, 1.5, 2.0, 3.0, 4.0}) {
    EXPECT_EQ(Of([p](Var x) { return grad(pow(x, p), x); }, {0})[0], p == 1 ? 1 : 0) << "exponent " << p;
  }
  EXPECT_EQ(Of([](Var x) { return grad(pow(x, 0.0), x); }, {0})[0], 0);
}

TEST(Comparisons, WithNan) {
  EXPECT_TRUE(Near(Of([](Var x) { return equal(x, x); }, {1, kNan, kInf}), {1, 0, 1}));
  EXPECT_TRUE(Near(Of([](Var x) { return not_equal(x, x); }, {1, kNan, kInf}), {0, 1, 0}));
  EXPECT_TRUE(Near(Of([](Var x) { return less(x, 2.0); }, {1, 3, kNan, -kInf}), {1, 0, 0, 1}));
  EXPECT_TRUE(Near(Of([](Var x) { return greater_equal(x, 2.0); }, {1, 2, kNan, kInf}), {0, 1, 0, 1}));
  EXPECT_TRUE(Near(Of([](Var x) { return maximum(x, 2.0); }, {1, 3, kNan}), {2, 3, kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return minimum(2.0, x); }, {1, 3, kNan}), {1, 2, kNan}));
}

TEST(Where, ChoosesWithoutMixing) {
  // The side that is not chosen may hold anything.
  EXPECT_TRUE(Near(Of([](Var x) { return where(greater(x, 0.0), log(x), kNan); }, {1, 0, -1}), {0, kNan, kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return where(less(x, 0.0), kNan, 1.0); }, {1, 0, -1}), {1, 1, kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return where(less(x, 0.0), kInf, x * kNan); }, {1, -1}), {kNan, kInf}));
  EXPECT_TRUE(Near(Of([](Var x) { return grad(where(greater(x, 0.0), square(x), kInf), x); }, {3, -3}), {6, 0}));
}

// A NaN among the constants of a fused expression is a number of its own.
TEST(Where, ConstantsNextToNanKeepTheirValues) {
  EXPECT_TRUE(Near(Of([](Var x) { return where(greater(x, 0.0), x + 1.0, kNan) * 2.0; }, {1, -1}), {4, kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return where(greater(x, 0.0), kNan, x + 1.0) * 2.0; }, {1, -1}), {kNan, 0}));
  EXPECT_EQ(1 / Of([](Var x) { return where(greater(x, 5.0), 0.0, -0.0); }, {1})[0], -kInf);
}

// --- Reductions ---

struct Reduced {
  const char* name;
  std::function<Var(Var, std::vector<int>, bool)> f;
  std::function<double(const std::vector<double>&)> oracle;
};

std::vector<Reduced> Reductions() {
  using Terms = const std::vector<double>&;
  const auto total = [](Terms t, const std::function<double(double)>& g) {
    long double s = 0;
    for (double v : t) s += g(v);
    return static_cast<double>(s);
  };
  return {
      {"sum", [](Var x, auto axes, bool keep) { return sum(x, axes, keep); },
       [=](Terms t) { return total(t, [](double v) { return v; }); }},
      {"mean", [](Var x, auto axes, bool keep) { return mean(x, axes, keep); },
       [=](Terms t) { return total(t, [](double v) { return v; }) / static_cast<double>(t.size()); }},
      {"max", [](Var x, auto axes, bool keep) { return max(x, axes, keep); },
       [](Terms t) { return *std::max_element(t.begin(), t.end()); }},
      {"logsumexp", [](Var x, auto axes, bool keep) { return logsumexp(x, axes, keep); },
       [=](Terms t) { return std::log(total(t, [](double v) { return std::exp(v); })); }},
      {"squared_norm", [](Var x, auto axes, bool keep) { return squared_norm(x, axes, keep); },
       [=](Terms t) { return total(t, [](double v) { return v * v; }); }},
      {"norm", [](Var x, auto axes, bool keep) { return norm(x, axes, keep); },
       [=](Terms t) { return std::sqrt(total(t, [](double v) { return v * v; })); }},
  };
}

TEST(Reductions, OverAnyAxesMatchALoop) {
  for (DType dtype : {DType::kF32, DType::kF64}) {
    for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{4, 1, 3}, Shape{7}, Shape{1, 1}, Shape{}}) {
      const Tensor at = Uniform(shape, -2, 2, 1, dtype);
      for (int mask = 0; mask < 1 << shape.rank(); ++mask) {
        std::vector<int> axes;
        Shape kept_dims = shape, short_dims;
        for (int i = 0; i < shape.rank(); ++i) {
          if ((mask >> i & 1) != 0) {
            // In falling order and by either name, which must not matter.
            axes.insert(axes.begin(), i % 2 == 0 ? i : i - shape.rank());
            kept_dims[i] = 1;
          } else {
            short_dims.push_back(shape[i]);
          }
        }
        std::vector<std::vector<double>> terms(static_cast<size_t>(kept_dims.num_elements()));
        for (int64_t i = 0; i < at.num_elements(); ++i) {
          std::vector<int64_t> index = Unravel(i, shape);
          for (int a = 0; a < shape.rank(); ++a) {
            if ((mask >> a & 1) != 0) index[static_cast<size_t>(a)] = 0;
          }
          terms[static_cast<size_t>(Ravel(index, kept_dims))].push_back(at.at(i));
        }
        for (const Reduced& r : Reductions()) {
          SCOPED_TRACE(absl::StrCat(r.name, " of ", shape.ToString(), " over mask ", mask, ", ", Name(dtype)));
          std::vector<double> expected;
          for (const auto& t : terms) expected.push_back(r.oracle(t));
          for (bool keep : {false, true}) {
            Tape tape(dtype);
            const Var x = tape.Input("x", shape);
            const Tensor value = Value(r.f(x, axes, keep), {x}, {at});
            EXPECT_EQ(value.shape(), keep ? kept_dims : short_dims);
            EXPECT_TRUE(AllNear(value, expected, dtype == DType::kF32 ? 2e-6 : 1e-13));
          }
        }
      }
    }
  }
}

TEST(Reductions, WithoutAxesAreOverAll) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {2, 3});
  const Tensor at = Tensor::From<double>({2, 3}, {1, 2, 3, 4, 5, 9});
  EXPECT_EQ(Numbers(Value(sum(x), {x}, {at})), std::vector<double>{24});
  EXPECT_EQ(Numbers(Value(mean(x), {x}, {at})), std::vector<double>{4});
  EXPECT_EQ(Numbers(Value(max(x), {x}, {at})), std::vector<double>{9});
  EXPECT_EQ(sum(x).shape(), Shape());
}

TEST(Reductions, OfInfinityAndNan) {
  const auto all = [](auto f) { return [f](Var x) { return f(x); }; };
  const auto total = all([](Var x) { return sum(x); });
  const auto largest = all([](Var x) { return max(x); });
  EXPECT_TRUE(Near(Of(total, {1, kInf, 2}), {kInf}));
  EXPECT_TRUE(Near(Of(total, {kInf, -kInf}), {kNan}));
  EXPECT_TRUE(Near(Of(total, {1, kNan}), {kNan}));
  EXPECT_TRUE(Near(Of(largest, {-kInf, -kInf}), {-kInf}));
  EXPECT_TRUE(Near(Of(largest, {1, kInf}), {kInf}));
  EXPECT_TRUE(Near(Of(largest, {1, kNan, 2}), {kNan}));
  EXPECT_TRUE(Near(Of(largest, {kNan, 2}), {kNan}));
}

TEST(Reductions, OfNothing) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {0, 3});
  const Tensor at({0, 3}, DType::kF64);
  EXPECT_EQ(Numbers(Value(sum(x), {x}, {at})), std::vector<double>{0});
  EXPECT_EQ(Numbers(Value(sum(x, {0}), {x}, {at})), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(Value(sum(x, {1}), {x}, {at}).shape(), Shape({0}));
  EXPECT_TRUE(std::isnan(Value(mean(x), {x}, {at}).at(0)));
  EXPECT_EQ(Value(max(x, {1}), {x}, {at}).shape(), Shape({0}));
}

TEST(LogSumExp, AtExtremes) {
  const auto f = [](Var x) { return logsumexp(x, {0}); };
  EXPECT_TRUE(Near(Of(f, {1000, 1000}), {1000 + std::log(2.0)}));
  EXPECT_TRUE(Near(Of(f, {-1000, -1000, -1000}), {-1000 + std::log(3.0)}));
  EXPECT_TRUE(Near(Of(f, {1e300, 0}), {1e300}));
  EXPECT_TRUE(Near(Of(f, {-kInf, 3}), {3}));
  EXPECT_TRUE(Near(Of(f, {-kInf, -kInf}), {-kInf}));
  EXPECT_TRUE(Near(Of(f, {kInf, 0}), {kInf}));
  EXPECT_TRUE(Near(Of(f, {kInf, kInf}), {kInf}));
  EXPECT_TRUE(Near(Of(f, {kInf, -kInf}), {kInf}));
  EXPECT_TRUE(Near(Of(f, {kNan, 0}), {kNan}));
  EXPECT_TRUE(Near(Of(f, {5}), {5}));
}

// The gradient of log Σ exp is softmax.
TEST(LogSumExp, GradientAtExtremes) {
  const auto g = [](Var x) { return grad(logsumexp(x, {0}), x); };
  EXPECT_TRUE(Near(Of(g, {1000, 1000}), {0.5, 0.5}));
  EXPECT_TRUE(Near(Of(g, {-1000, 1000}), {0, 1}));
  EXPECT_TRUE(Near(Of(g, {-kInf, 3}), {0, 1}));
  const auto curvature = [](Var x) { return grad(sum(square(grad(logsumexp(x, {0}), x))), x); };
  EXPECT_TRUE(Near(Of(curvature, {1000, 1000}), {0, 0}));
}

TEST(Softmax, AtExtremes) {
  const auto f = [](Var x) { return softmax(x); };
  EXPECT_TRUE(Near(Of(f, {1000, 0}), {1, 0}));
  EXPECT_TRUE(Near(Of(f, {-1000, -1000}), {0.5, 0.5}));
  // To full precision however large the inputs: e^−1 = 0.36787944117144233.
  EXPECT_TRUE(Near(Of(f, {-1e9, -1e9 - 1}), {1 / 1.36787944117144233, 0.36787944117144233 / 1.36787944117144233}));
  EXPECT_TRUE(Near(Of(f, {-kInf, 3, 3}), {0, 0.5, 0.5}));
  EXPECT_TRUE(Near(Of(f, {7}), {1}));
  EXPECT_TRUE(Near(Of(f, {kNan, 1}), {kNan, kNan}));
}

TEST(Softmax, AlongAnyAxisMatchesALoop) {
  const Shape shape = {3, 4, 5};
  const Tensor at = Uniform(shape, -4, 4, 1);
  for (int axis = -3; axis < 3; ++axis) {
    const int a = axis < 0 ? axis + 3 : axis;
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", shape);
    const std::vector<double> expected = Fill(shape, [&](std::vector<int64_t> index) {
      const double top = std::exp(at.at(Ravel(index, shape)));
      double bottom = 0;
      for (int64_t& i = index[static_cast<size_t>(a)] = 0; i < shape[a]; ++i)
        bottom += std::exp(at.at(Ravel(index, shape)));
      return top / bottom;
    });
    EXPECT_TRUE(AllNear(Value(softmax(x, axis), {x}, {at}), expected, 1e-14)) << axis;
  }
}

TEST(Norm, AtZeroAndAtInfinity) {
  const auto f = [](Var x) { return norm(x, {0}); };
  EXPECT_TRUE(Near(Of(f, {3, 4}), {5}));
  EXPECT_TRUE(Near(Of(f, {0, 0}), {0}));
  EXPECT_TRUE(Near(Of(f, {kInf, 1}), {kInf}));
  EXPECT_TRUE(Near(Of(f, {kNan, 1}), {kNan}));
  EXPECT_TRUE(Near(Of([](Var x) { return grad(norm(x, {0}), x); }, {0, 0}), {0, 0}));
  EXPECT_TRUE(Near(Of([](Var x) { return grad(norm(x, {0}), x); }, {3, 4}), {0.6, 0.8}));
}

TEST(Dot, MatchesALoop) {
  Tape tape(DType::kF64);
  const Var a = tape.Input("a", {2, 3}), b = tape.Input("b", {3});
  const Tensor p = Tensor::From<double>({2, 3}, {1, 2, 3, 4, 5, 6}), q = Tensor::From<double>({3}, {1, 10, 100});
  EXPECT_EQ(Numbers(Value(dot(a, b), {a, b}, {p, q})), (std::vector<double>{321, 654}));
}

// --- Layout ---

TEST(Layout, ReshapeKeepsTheOrder) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {2, 6});
  const Tensor at = Uniform({2, 6}, -1, 1, 1);
  for (const Shape& shape : {Shape{12}, Shape{3, 4}, Shape{1, 2, 3, 2}}) {
    EXPECT_TRUE(AllEqual(Value(reshape(x, shape), {x}, {at}), at.Reshaped(shape)));
  }
  EXPECT_EQ(reshape(x, {-1}).shape(), Shape({12}));
  EXPECT_EQ(reshape(x, {4, -1}).shape(), Shape({4, 3}));
  EXPECT_EQ(reshape(x, {1, -1, 12}).shape(), Shape({1, 1, 12}));
}

TEST(Layout, EveryPermutationMatchesALoop) {
  const Shape shape = {2, 3, 4, 5};
  const Tensor at = Uniform(shape, -1, 1, 1);
  std::vector<int> axes = {0, 1, 2, 3};
  do {
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", shape);
    const Tensor value = Value(permute(x, axes), {x}, {at});
    const std::vector<double> expected = Fill(value.shape(), [&](const std::vector<int64_t>& index) {
      std::vector<int64_t> from(4);
      for (size_t i = 0; i < 4; ++i) from[static_cast<size_t>(axes[i])] = index[i];
      return at.at(Ravel(from, shape));
    });
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(value.shape()[static_cast<int>(i)], shape[axes[i]]);
    EXPECT_TRUE(AllNear(value, expected, 0));
  } while (std::next_permutation(axes.begin(), axes.end()));
}

TEST(Layout, TransposeSwapsTheLastTwoAxes) {
  Tape tape(DType::kF64);
  const Var x = tape.Input("x", {2, 2, 3});
  const Tensor at = Tensor::From<double>({2, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_EQ(Numbers(Value(transpose(x), {x}, {at})), (std::vector<double>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  EXPECT_EQ(permute(x, {-3, -1, -2}), transpose(x));
}

TEST(Layout, BroadcastToMatchesALoop) {
  const Shape to = {2, 3, 4};
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{4}, Shape{3, 1}, Shape{3, 4}, Shape{2, 1, 1}, Shape{2, 1, 4}, to}) {
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", shape);
    const Tensor at = Uniform(shape, -1, 1, 1);
    const std::vector<double> expected = Fill(to, [&](std::vector<int64_t> index) {
      index.erase(index.begin(), index.begin() + (3 - shape.rank()));
      for (int i = 0; i < shape.rank(); ++i) {
        if (shape[i] == 1) index[static_cast<size_t>(i)] = 0;
      }
      return at.at(Ravel(index, shape));
    });
    const Tensor value = Value(broadcast_to(x, to), {x}, {at});
    EXPECT_EQ(value.shape(), to);
    EXPECT_TRUE(AllNear(value, expected, 0)) << shape.ToString();
  }
}

TEST(Layout, SliceAndPadMatchALoopOnEveryAxis) {
  const Shape shape = {3, 4, 5};
  const Tensor at = Uniform(shape, -1, 1, 1);
  for (int axis = 0; axis < 3; ++axis) {
    for (int64_t begin = 0; begin <= shape[axis]; ++begin) {
      for (int64_t end = begin; end <= shape[axis]; ++end) {
        Tape tape(DType::kF64);
        const Var x = tape.Input("x", shape);
        const Var cut = slice(x, axis - 3, begin, end);
        const Var whole = pad(cut, axis, begin, shape[axis] - end);
        const size_t a = static_cast<size_t>(axis);
        ASSERT_EQ(cut.shape()[axis], end - begin);
        EXPECT_TRUE(AllNear(Value(cut, {x}, {at}),
                            Fill(cut.shape(),
                                 [&](std::vector<int64_t> index) {
                                   index[a] += begin;
                                   return at.at(Ravel(index, shape));
                                 }),
                            0));
        EXPECT_TRUE(AllNear(Value(whole, {x}, {at}),
                            Fill(shape,
                                 [&](const std::vector<int64_t>& index) {
                                   return index[a] >= begin && index[a] < end ? at.at(Ravel(index, shape)) : 0.0;
                                 }),
                            0));
      }
    }
  }
}

TEST(Layout, ConcatAndStackMatchALoopOnEveryAxis) {
  const Shape shape = {2, 3, 4};
  for (int axis = 0; axis < 3; ++axis) {
    Shape other = shape, none = shape;
    other[axis] = 5;
    none[axis] = 0;
    const Tensor p = Uniform(shape, -1, 1, 1), q = Uniform(other, -1, 1, 2);
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", shape), y = tape.Input("y", other);
    const Var joined = concat({x, tape.Constant(1.0, none), y, x}, axis);
    const int64_t first = shape[axis];
    ASSERT_EQ(joined.shape()[axis], 2 * first + 5);
    EXPECT_TRUE(AllNear(Value(joined, {x, y}, {p, q}),
                        Fill(joined.shape(),
                             [&](std::vector<int64_t> index) {
                               int64_t& i = index[static_cast<size_t>(axis)];
                               if (i < first) return p.at(Ravel(index, shape));
                               if (i < first + 5) return i -= first, q.at(Ravel(index, other));
                               return i -= first + 5, p.at(Ravel(index, shape));
                             }),
                        0));
  }
  for (int axis = -4; axis < 4; ++axis) {
    const int a = axis < 0 ? axis + 4 : axis;
    const Tensor p = Uniform(shape, -1, 1, 1), q = Uniform(shape, -1, 1, 2);
    Tape tape(DType::kF64);
    const Var x = tape.Input("x", shape), y = tape.Input("y", shape);
    const Var both = stack({x, y}, axis);
    ASSERT_EQ(both.shape()[a], 2);
    EXPECT_TRUE(AllNear(Value(both, {x, y}, {p, q}),
                        Fill(both.shape(),
                             [&](std::vector<int64_t> index) {
                               const bool second = index[static_cast<size_t>(a)] == 1;
                               index.erase(index.begin() + a);
                               return (second ? q : p).at(Ravel(index, shape));
                             }),
                        0));
  }
}

// --- Products ---

struct Product {
  Shape a, b;  // before transposition
};

// op(A) op(B) with broadcast leading axes, by the definition.
std::vector<double> NaiveMatmul(const Tensor& a, const Tensor& b, bool ta, bool tb, const Shape& out) {
  const int ra = a.shape().rank();
  const int64_t k = a.shape()[ta ? ra - 2 : ra - 1];
  auto element = [&](const Tensor& t, bool transposed, std::vector<int64_t> index) {
    const int rank = t.shape().rank();
    index.erase(index.begin(), index.end() - rank);
    if (transposed) std::swap(index[static_cast<size_t>(rank) - 1], index[static_cast<size_t>(rank) - 2]);
    for (int i = 0; i < rank - 2; ++i) {
      if (t.shape()[i] == 1) index[static_cast<size_t>(i)] = 0;
    }
    return t.at(Ravel(index, t.shape()));
  };
  return Fill(out, [&](const std::vector<int64_t>& index) {
    double total = 0;
    for (int64_t i = 0; i < k; ++i) {
      std::vector<int64_t> p = index, q = index;
      p.back() = i;
      q[q.size() - 2] = i;
      total += element(a, ta, p) * element(b, tb, q);
    }
    return total;
  });
}

TEST(Matmul, MatchesTheDefinitionWithFlagsAndBroadcasting) {
  const std::vector<Product> products = {
      {{3, 4}, {4, 5}},          {{1, 4}, {4, 1}},          {{17, 33}, {33, 9}},    {{3, 1}, {1, 5}},
      {{2, 3, 4}, {2, 4, 5}},    {{2, 3, 4}, {4, 5}},       {{3, 4}, {2, 4, 5}},    {{2, 3, 4}, {1, 4, 5}},
      {{6, 1, 3, 4}, {2, 4, 5}}, {{2, 1, 3, 4}, {5, 4, 2}}, {{2, 3, 1}, {2, 1, 5}}, {{2, 3, 1}, {1, 5}},
      {{3, 0}, {0, 5}},          {{2, 3, 0}, {0, 5}},       {{0, 4}, {4, 5}},       {{2, 0, 4}, {4, 5}},
      {{3, 4}, {4, 0}},          {{0, 3, 4}, {4, 5}},       {{2, 3, 0}, {2, 0, 5}},
  };
  for (DType dtype : {DType::kF32, DType::kF64}) {
    for (Product p : products) {
      for (int flags = 0; flags < 4; ++flags) {
        const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
        Shape a = p.a, b = p.b;
        if (ta) std::swap(a[a.rank() - 1], a[a.rank() - 2]);
        if (tb) std::swap(b[b.rank() - 1], b[b.rank() - 2]);
        SCOPED_TRACE(absl::StrCat(a.ToString(), ta ? "ᵀ" : "", " · ", b.ToString(), tb ? "ᵀ " : " ", Name(dtype)));
        Tape tape(dtype);
        const Var x = tape.Input("x", a), y = tape.Input("y", b);
        const Var z = matmul(x, y, {.transpose_a = ta, .transpose_b = tb});
        ASSERT_TRUE(z.ok()) << tape.status();
        const Tensor at_x = Uniform(a, -1, 1, 1, dtype), at_y = Uniform(b, -1, 1, 2, dtype);
        EXPECT_TRUE(AllNear(Value(z, {x, y}, {at_x, at_y}), NaiveMatmul(at_x, at_y, ta, tb, z.shape()),
                            dtype == DType::kF32 ? 5e-6 : 1e-13));
      }
    }
  }
}

struct Convolution {
  Shape x, w;
  ConvOptions options;
};

std::vector<Convolution> Convolutions() {
  return {
      {{2, 5, 6, 3}, {3, 3, 3, 4}, {}},
      {{2, 5, 6, 3}, {3, 3, 3, 4}, ConvOptions::Same(1, 1)},
      {{1, 8, 7, 1}, {4, 4, 1, 5}, ConvOptions::Same(2, 1)},
      {{1, 4, 4, 2}, {1, 1, 2, 3}, {}},
      {{3, 4, 5, 2}, {4, 5, 2, 1}, {}},
      {{2, 7, 5, 2},
       {3, 2, 2, 3},
       {.stride_h = 3, .stride_w = 2, .pad_top = 2, .pad_bottom = 0, .pad_left = 0, .pad_right = 1}},
      {{1, 2, 2, 1}, {3, 3, 1, 2}, ConvOptions::Same(1, 2)},
      {{0, 5, 6, 3}, {3, 3, 3, 4}, {}},
  };
}

// The definition, as a sum over (pixel of x, tap of w, pixel of the output).
void ForEachProduct(const Convolution& c, const Shape& y, const std::function<void(int64_t, int64_t, int64_t)>& f) {
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t i = 0; i < y[1]; ++i) {
      for (int64_t j = 0; j < y[2]; ++j) {
        for (int64_t ki = 0; ki < c.w[0]; ++ki) {
          for (int64_t kj = 0; kj < c.w[1]; ++kj) {
            const int64_t h = i * c.options.stride_h + ki - c.options.pad_top;
            const int64_t w = j * c.options.stride_w + kj - c.options.pad_left;
            if (h < 0 || w < 0 || h >= c.x[1] || w >= c.x[2]) continue;
            for (int64_t in = 0; in < c.w[2]; ++in) {
              for (int64_t out = 0; out < c.w[3]; ++out) {
                f(Ravel({n, h, w, in}, c.x), Ravel({ki, kj, in, out}, c.w), Ravel({n, i, j, out}, y));
              }
            }
          }
        }
      }
    }
  }
}

TEST(Conv2d, AndItsAdjointsMatchTheDefinition) {
  for (DType dtype : {DType::kF32, DType::kF64}) {
    const double tolerance = dtype == DType::kF32 ? 1e-5 : 1e-13;
    for (const Convolution& c : Convolutions()) {
      SCOPED_TRACE(absl::StrCat(c.x.ToString(), " * ", c.w.ToString(), " ", Name(dtype)));
      Tape tape(dtype);
      const Var x = tape.Input("x", c.x), w = tape.Input("w", c.w);
      const Var y = conv2d(x, w, c.options);
      ASSERT_TRUE(y.ok()) << tape.status();
      const Shape& out = y.shape();
      EXPECT_EQ(out,
                Shape({c.x[0], (c.x[1] + c.options.pad_top + c.options.pad_bottom - c.w[0]) / c.options.stride_h + 1,
                       (c.x[2] + c.options.pad_left + c.options.pad_right - c.w[1]) / c.options.stride_w + 1, c.w[3]}));
      const Var g = tape.Input("g", out);
      const Tensor at_x = Uniform(c.x, -1, 1, 1, dtype), at_w = Uniform(c.w, -1, 1, 2, dtype),
                   at_g = Uniform(out, -1, 1, 3, dtype);
      std::vector<double> values(static_cast<size_t>(out.num_elements())),
          inputs(static_cast<size_t>(c.x.num_elements())), weights(static_cast<size_t>(c.w.num_elements()));
      ForEachProduct(c, out, [&](int64_t xi, int64_t wi, int64_t yi) {
        values[static_cast<size_t>(yi)] += at_x.at(xi) * at_w.at(wi);
        inputs[static_cast<size_t>(xi)] += at_g.at(yi) * at_w.at(wi);
        weights[static_cast<size_t>(wi)] += at_g.at(yi) * at_x.at(xi);
      });
      EXPECT_TRUE(AllNear(Value(y, {x, w}, {at_x, at_w}), values, tolerance));
      EXPECT_TRUE(AllNear(Value(conv2d_input_adjoint(g, w, c.x[1], c.x[2], c.options), {g, w}, {at_g, at_w}), inputs,
                          tolerance));
      EXPECT_TRUE(AllNear(Value(conv2d_weight_adjoint(x, g, c.w[0], c.w[1], c.options), {x, g}, {at_x, at_g}), weights,
                          tolerance));
    }
  }
}

// --- Against another program ---

// sin(seed + 1.7 i), so that no weights need to be written down.
Tensor Sines(double seed, const Shape& shape) {
  Tensor t(shape, DType::kF64);
  for (int64_t i = 0; i < t.num_elements(); ++i) t.set(i, std::sin(seed + 1.7 * static_cast<double>(i)));
  return t;
}

// Double backprop through a network of two hidden layers, against PyTorch 2.13.0 in float64:
//
//   import torch
//   from torch.nn.functional import silu
//   torch.set_default_dtype(torch.float64)
//   def fill(seed, *shape):
//       return torch.sin(seed + 1.7 * torch.arange(torch.Size(shape).numel())).reshape(shape)
//   x, y = fill(1, 3, 2), (fill(1, 3, 2) + 0.5 * fill(2, 3, 2)).requires_grad_()
//   p = [fill(3, 2, 4), fill(4, 4), fill(5, 4, 4), fill(6, 4), fill(7, 4)]
//   for q in p: q.requires_grad_()
//   w1, b1, w2, b2, w3 = p
//   phi = (silu(silu(y @ w1 + b1) @ w2 + b2) * w3).sum(1)
//   score, = torch.autograd.grad(phi.sum(), y, create_graph=True)
//   loss = (x - (y - 0.25 * score)).square().sum(1).mean()
//   for t in [phi, loss, *torch.autograd.grad(loss, p)]:
//       print(t.flatten().tolist())
TEST(Reference, GradientOfTheObjectiveMatchesPyTorch) {
  Tape tape(DType::kF64);
  const Var x = tape.Constant(Sines(1, {3, 2}));
  const Var y = x + 0.5 * tape.Constant(Sines(2, {3, 2}));
  const Var w1 = tape.Input("w1", {2, 4}), b1 = tape.Input("b1", {4}), w2 = tape.Input("w2", {4, 4}),
            b2 = tape.Input("b2", {4}), w3 = tape.Input("w3", {4});
  const std::vector<Var> p = {w1, b1, w2, b2, w3};
  const std::vector<Tensor> values = {Sines(3, {2, 4}), Sines(4, {4}), Sines(5, {4, 4}), Sines(6, {4}), Sines(7, {4})};
  const Var phi = dot(silu(matmul(silu(matmul(y, w1) + b1), w2) + b2), w3);
  const Var x_hat = y - 0.25 * grad(phi, y);
  const Var loss = mean(squared_norm(x - x_hat, {1}));
  std::vector<Var> outputs = {phi, loss};
  for (Var g : grad(loss, p)) outputs.push_back(g);

  const std::vector<std::vector<double>> expected = {
      {2.2138565410161175, 0.8015143135085837, 1.577071965942121},
      {0.3322485698285787},
      {0.017045731545160984, 0.010534128578468409, 0.040055455279426166, -0.03945924692281794, -0.013050254565463722,
       -0.008961763090354862, 0.06720163956990881, 0.14949836559329885},
      {0.007367745247806204, -0.007096741530502816, 0.012323724056734597, 0.014820486494153011},
      {-0.009922204317164937, -0.013142364785170738, -0.002587609279245381, -0.0006728272915201481,
       -0.0004191952188868249, -0.01009544885649476, 0.004029492522566945, -0.0017559602107815823, 0.041091513895562815,
       0.056193407503581774, 0.011367945176367501, 0.0035622947820250776, 0.0393940726000279, 0.06860654404580661,
       0.005944252786511048, 0.006320284000917973},
      {0.009653098316580455, -0.0009060907620580599, 0.021739400226504203, 0.0008970992305158947},
      {0.013352629491420572, 0.16042003746801603, -0.013390603209021426, 0.012359660939207803},
  };
  const auto result = Evaluate(outputs, p, values);
  ASSERT_EQ(result.status(), absl::OkStatus());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(AllNear((*result)[i], expected[i], 1e-14)) << i;
}

}  // namespace
}  // namespace autodiff
