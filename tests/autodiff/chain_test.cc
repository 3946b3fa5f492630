// Fused elementwise chains against the same ops one by one: every pattern of broadcasting, lengths around the tile's,
// both dtypes, any number of threads, every SIMD target. A fused op rounds as it does alone, so results agree to the
// last bit.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/ops.h"
#include "autodiff/parallel.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

// Runs `check` on every target that this CPU has.
void OnEveryTarget(const std::function<void()>& check) {
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
}

std::vector<Var> Inputs(Tape& tape, const std::vector<Shape>& shapes) {
  std::vector<Var> inputs;
  for (size_t i = 0; i < shapes.size(); ++i) inputs.push_back(tape.Input(absl::StrCat("x", i), shapes[i]));
  return inputs;
}

// Compares fused with unfused, and contracted with itself, for 1, 2 and 3 threads.
void ExpectSame(const std::function<std::vector<Var>(const std::vector<Var>&)>& f, const std::vector<Shape>& shapes,
                DType dtype, bool one_instruction = true) {
  static ThreadPool& two = *new ThreadPool(2);
  static ThreadPool& three = *new ThreadPool(3);
  Tape tape(dtype);
  const std::vector<Var> x = Inputs(tape, shapes);
  const std::vector<Var> y = f(x);
  std::vector<Tensor> at;
  for (size_t i = 0; i < shapes.size(); ++i) at.push_back(Uniform(shapes[i], -2, 2, i, dtype));
  const auto expected = Evaluate(y, x, at, {.optimize = false});
  const auto contracted = Evaluate(y, x, at);
  ASSERT_EQ(expected.status(), absl::OkStatus());
  ASSERT_EQ(contracted.status(), absl::OkStatus());
  for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), &two, &three}) {
    const CompileOptions options = {.contract = false, .pool = pool};
    if (one_instruction) {
      EXPECT_EQ(Compile({x, {}, y}, options)->stats().instructions, 1);
    }
    const auto got = Evaluate(y, x, at, options);
    ASSERT_EQ(got.status(), absl::OkStatus());
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(AllEqual((*got)[i], (*expected)[i]))
          << "output " << i << ", threads " << (pool == nullptr ? 0 : pool->threads());
    }
    if (pool == nullptr) continue;
    const auto again = Evaluate(y, x, at, {.pool = pool});
    ASSERT_EQ(again.status(), absl::OkStatus());
    for (size_t i = 0; i < y.size(); ++i) ASSERT_TRUE(AllEqual((*again)[i], (*contracted)[i])) << "output " << i;
  }
}

std::string Describe(const std::vector<Shape>& shapes, DType dtype) {
  std::string text = Name(dtype);
  for (const Shape& s : shapes) absl::StrAppend(&text, " ", s.ToString());
  return text;
}

// Uses every operand at both ends of the chain.
std::vector<Var> Mix(const std::vector<Var>& x) {
  Var y = tanh(x[0]);
  for (size_t i = 1; i < x.size(); ++i) y = sin(y * x[i]) + x[i];
  for (size_t i = 1; i < x.size(); ++i) y = maximum(y, x[i]) - x[0];
  return {y};
}

constexpr int64_t kLengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129, 1023, 1024, 1025, 2047, 2049, 5000, 40000};

TEST(Chain, LengthsAroundTheTile) {
  OnEveryTarget([] {
    for (DType dtype : {DType::kF32, DType::kF64}) {
      for (int64_t n : kLengths) {
        SCOPED_TRACE(Describe({{n}}, dtype));
        ExpectSame(Mix, {{n}, {n}, {n}}, dtype);
      }
    }
  });
}

// More memory than a second-level cache holds.
TEST(Chain, ManyTiles) { ExpectSame(Mix, {{300001}, {300001}, {300001}}, DType::kF32); }

// A value against the formula itself, so that fused and unfused cannot be wrong together.
TEST(Chain, MatchesALoop) {
  for (int64_t n : kLengths) {
    Tape tape(DType::kF64);
    const std::vector<Var> x = Inputs(tape, {{n}, {}});
    const Tensor a = Uniform({n}, -2, 2, 1), b = Uniform({}, -2, 2, 2);
    std::vector<double> expected;
    for (double v : Numbers(a)) expected.push_back(std::exp(-v * v) * b.at(0) + v);
    EXPECT_TRUE(AllNear(Value(exp(-square(x[0])) * x[1] + x[0], x, {a, b}), expected, 1e-14)) << n;
  }
}

TEST(Chain, RowsColumnsAndScalars) {
  for (DType dtype : {DType::kF32, DType::kF64}) {
    for (int64_t columns : kLengths) {
      for (int64_t rows : {1, 2, 3, 16, 17}) {
        if (rows * columns > 50000) continue;
        for (const Shape& other : {Shape{columns}, Shape{1, columns}, Shape{rows, 1}, Shape{}, Shape{1}, Shape{1, 1}}) {
          const std::vector<Shape> shapes = {{rows, columns}, other};
          SCOPED_TRACE(Describe(shapes, dtype));
          ExpectSame(Mix, shapes, dtype);
        }
      }
    }
  }
}

TEST(Chain, RowsColumnsAndScalarsTogetherOnEveryTarget) {
  OnEveryTarget([] {
    for (DType dtype : {DType::kF32, DType::kF64}) {
      for (int64_t columns : {1, 3, 16, 33, 1000, 3000}) {
        const std::vector<Shape> shapes = {{9, columns}, {columns}, {9, 1}, {}, {1, 1}, {1, columns}};
        SCOPED_TRACE(Describe(shapes, dtype));
        ExpectSame(Mix, shapes, dtype);
      }
    }
  });
}

// Every subset of three axes may be repeated.
TEST(Chain, ThreeAxes) {
  for (DType dtype : {DType::kF32, DType::kF64}) {
    for (const Shape& whole :
         {Shape{3, 5, 7}, Shape{4, 16, 8}, Shape{2, 3, 700}, Shape{11, 1, 130}, Shape{64, 24, 20}}) {
      for (int mask = 0; mask < 8; ++mask) {
        Shape part = whole;
        for (int i = 0; i < 3; ++i) {
          if ((mask >> i & 1) != 0) part[i] = 1;
        }
        const std::vector<Shape> shapes = {whole, part};
        SCOPED_TRACE(Describe(shapes, dtype));
        ExpectSame(Mix, shapes, dtype);
      }
    }
  }
}

TEST(Chain, FourAxesAndFewerAxesThanTheResult) {
  const Shape whole = {3, 4, 5, 6};
  for (const Shape& part :
       {Shape{6}, Shape{5, 1}, Shape{4, 1, 6}, Shape{4, 1, 1}, Shape{3, 1, 5, 1}, Shape{1, 4, 1, 6}}) {
    SCOPED_TRACE(Describe({whole, part}, DType::kF64));
    ExpectSame(Mix, {whole, part}, DType::kF64);
  }
}

// Both operands repeated: the result is larger than any of them.
TEST(Chain, OuterProduct) {
  for (int64_t n : {1, 5, 16, 100, 300}) {
    ExpectSame([](const std::vector<Var>& x) { return std::vector<Var>{tanh(x[0] * x[1]) + x[1]}; }, {{n, 1}, {1, n}},
               DType::kF32);
  }
}

// A row of one shape and the same row seen through a reshape; a slice, whose memory starts inside another array.
TEST(Chain, ViewsAsOperands) {
  const auto f = [](const std::vector<Var>& x) {
    const Var row = reshape(slice(x[1], 0, 3, 3 + 37), {1, 37});
    const Var dense = slice(x[2], 0, 1, 6);
    return std::vector<Var>{sin(dense) * row + dense - reshape(slice(x[2], 0, 6, 11), {5, 37})};
  };
  for (DType dtype : {DType::kF32, DType::kF64}) ExpectSame(f, {{1}, {50}, {12, 37}}, dtype);
}

// Operands that are one number for all elements: next to arrays, among themselves, and on all sides of one op.
TEST(Chain, NumbersAsOperands) {
  const auto f = [](const std::vector<Var>& x) {
    const Shape shape = x[0].shape();
    const Var a = broadcast_to(x[1], shape), b = broadcast_to(x[2], shape);
    return std::vector<Var>{x[0] * x[1] + 0.5, exp(a) - x[0], a / b, where(a, b, x[0]), 2.0 - (b + x[1] * x[0])};
  };
  OnEveryTarget([&f] {
    for (DType dtype : {DType::kF32, DType::kF64}) {
      for (int64_t n : {1, 9, 2049}) ExpectSame(f, {{n}, {}, {1}}, dtype, /*one_instruction=*/false);
    }
  });
}

TEST(Chain, SeveralResults) {
  const auto f = [](const std::vector<Var>& x) {
    const Var a = exp(x[0]), b = a * x[1], c = b - a;
    return std::vector<Var>{a, c, b, c * 2.0, a + x[0]};
  };
  for (int64_t n : kLengths) ExpectSame(f, {{n}, {n}}, DType::kF32);
}

// A value that is used twice by its last reader gives its place in the tile away once only.
TEST(Chain, TheSameOperandTwice) {
  const auto f = [](const std::vector<Var>& x) {
    const Var a = sin(x[0]), b = a * a, c = cos(x[0]), d = where(c, c, c), e = exp(x[0]);
    return std::vector<Var>{b * d + e * e};
  };
  for (int64_t n : {1, 17, 5000}) ExpectSame(f, {{n}}, DType::kF64);
}

// Longer than a chain may be, so it is cut; many values alive at once, so the tile is small.
TEST(Chain, VeryLongAndVeryWide) {
  const auto longer = [](const std::vector<Var>& x) {
    Var y = x[0];
    for (int i = 0; i < 250; ++i) y = sin(y + 0.01 * i) * x[1];
    return std::vector<Var>{y};
  };
  ExpectSame(longer, {{3000}, {3000}}, DType::kF32, /*one_instruction=*/false);
  const auto wide = [](const std::vector<Var>& x) {
    std::vector<Var> powers = {x[0]};
    for (int i = 1; i < 40; ++i) powers.push_back(sin(powers.back()) + x[1]);
    Var y = x[0];
    for (const Var p : powers) y = y * 0.5 + p;
    return std::vector<Var>{y};
  };
  ExpectSame(wide, {{50, 77}, {77}}, DType::kF64, /*one_instruction=*/false);
}

TEST(Chain, WhereWithThreeOperandsOfThreeShapes) {
  const auto f = [](const std::vector<Var>& x) {
    return std::vector<Var>{where(greater(x[0], 0.0), x[1], x[2]) + where(x[1], x[0], x[2])};
  };
  for (int64_t n : {1, 17, 600}) ExpectSame(f, {{7, n}, {n}, {7, 1}}, DType::kF32);
}

}  // namespace
}  // namespace autodiff
