// Initialisers against their definitions, names and scopes, and what is said when a parameter is asked for wrongly.
#include "autodiff/params.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/grad.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

std::string At(int line) { return absl::StrCat("(", __FILE__, ":", line, ")"); }

// The first value of a parameter.
Tensor FirstValue(const std::string& name, const Shape& shape, const Initializer& init, uint64_t seed = 1,
                  DType dtype = DType::kF64) {
  Tape tape(dtype);
  ParamStore store(seed);
  Params p(&tape, &store);
  p(name, shape, init);
  EXPECT_EQ(tape.status(), absl::OkStatus());
  return store[0].value;
}

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, min = 0, max = 0;
};
Moments MomentsOf(const Tensor& t) {
  const std::vector<double> v = Numbers(t);
  const double n = static_cast<double>(v.size());
  Moments m;
  for (double x : v) m.mean += x / n;
  double fourth = 0;
  for (double x : v) {
    m.variance += (x - m.mean) * (x - m.mean) / n;
    fourth += std::pow(x - m.mean, 4) / n;
  }
  m.kurtosis = fourth / (m.variance * m.variance);
  m.min = *std::min_element(v.begin(), v.end());
  m.max = *std::max_element(v.begin(), v.end());
  return m;
}

struct Definition {
  const char* name;
  Initializer init;
  Shape shape;
  double variance;
  bool uniform;
};

std::vector<Definition> Definitions() {
  return {
      {"Normal", Normal(0.3), {400, 250}, 0.09, false},
      {"LecunNormal", LecunNormal(), {400, 250}, 1.0 / 400, false},
      {"LecunUniform", LecunUniform(), {400, 250}, 1.0 / 400, true},
      {"HeNormal", HeNormal(), {400, 250}, 2.0 / 400, false},
      {"HeUniform", HeUniform(), {400, 250}, 2.0 / 400, true},
      {"XavierNormal", XavierNormal(), {400, 250}, 2.0 / 650, false},
      {"XavierUniform", XavierUniform(), {400, 250}, 2.0 / 650, true},
      // A kernel of 3 x 5 pixels from 20 to 300 channels.
      {"LecunNormal of a convolution", LecunNormal(), {3, 5, 20, 300}, 1.0 / 300, false},
      {"XavierUniform of a convolution", XavierUniform(), {3, 5, 20, 300}, 2.0 / (15 * 320), true},
  };
}

// With n = 10⁵ values or a little less, the standard error is σ/√n for the mean, √((κ−1)/n) for the relative variance
// and about √(24/n) for a normal's kurtosis; five of each are allowed.
TEST(Initializers, HaveTheMomentsOfTheirDefinition) {
  for (const Definition& d : Definitions()) {
    SCOPED_TRACE(d.name);
    const Moments m = MomentsOf(FirstValue("w", d.shape, d.init));
    const double n = static_cast<double>(d.shape.num_elements()), kurtosis = d.uniform ? 1.8 : 3;
    EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(d.variance / n));
    EXPECT_NEAR(m.variance / d.variance, 1, 5 * std::sqrt((kurtosis - 1) / n));
    EXPECT_NEAR(m.kurtosis, kurtosis, 5 * std::sqrt(24 / n));
    if (d.uniform) {
      // Inside U(−a, a), a = √(3 variance), and filling it.
      const double a = std::sqrt(3 * d.variance);
      EXPECT_GE(m.min, -a);
      EXPECT_LE(m.max, a);
      EXPECT_LT(m.min, -0.999 * a);
      EXPECT_GT(m.max, 0.999 * a);
    }
  }
}

TEST(Initializers, FansOfVectorsAndScalars) {
  // A vector's only extent counts as both fans.
  const double n = 20000;
  EXPECT_NEAR(MomentsOf(FirstValue("b", {20000}, LecunNormal())).variance * n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(MomentsOf(FirstValue("b", {20000}, XavierNormal())).variance * n, 1, 5 * std::sqrt(2 / n));
  const Tensor scalar = FirstValue("s", {}, LecunNormal());
  EXPECT_EQ(scalar.shape(), Shape());
  EXPECT_TRUE(std::isfinite(scalar.at(0)));
}

TEST(Initializers, Constants) {
  EXPECT_EQ(Numbers(FirstValue("b", {3}, Constant(2.5))), (std::vector<double>{2.5, 2.5, 2.5}));
  EXPECT_EQ(Numbers(FirstValue("b", {2}, Zeros())), (std::vector<double>{0, 0}));
}

TEST(Initializers, DependOnSeedAndNameOnly) {
  const Tensor w = FirstValue("w", {4, 4}, LecunNormal(), 7);
  EXPECT_TRUE(AllEqual(FirstValue("w", {4, 4}, LecunNormal(), 7), w));
  EXPECT_FALSE(AllEqual(FirstValue("w", {4, 4}, LecunNormal(), 8), w));
  EXPECT_FALSE(AllEqual(FirstValue("v", {4, 4}, LecunNormal(), 7), w));

  // Among others, in any order.
  for (bool first : {true, false}) {
    Tape tape(DType::kF64);
    ParamStore store(7);
    Params p(&tape, &store);
    if (first) p("w", {4, 4});
    p("a", {100});
    p.Scope("s")("w", {4, 4});
    if (!first) p("w", {4, 4});
    EXPECT_TRUE(AllEqual(store[store.Find("w")].value, w));
    EXPECT_FALSE(AllEqual(store[store.Find("s/w")].value, w));
  }
  // In float32, the same numbers rounded.
  EXPECT_TRUE(AllEqual(FirstValue("w", {4, 4}, LecunNormal(), 7, DType::kF32), w.Cast(DType::kF32)));
}

TEST(Initializers, DifferFromNameToName) {
  Tape tape(DType::kF64);
  ParamStore store(7);
  Params p(&tape, &store);
  std::set<double> values;
  for (int i = 0; i < 1000; ++i) {
    p.Scope(absl::StrCat("layer", i))("w", {}, Normal(1));
    values.insert(store[i].value.at(0));
  }
  EXPECT_EQ(values.size(), 1000u);
}

TEST(ParamsTest, ScopesArePrefixes) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  const Var w = p("w", {2, 3});
  Params left = p.Scope("left"), inner = left.Scope("inner");
  left("w", {3});
  inner("w", {4}, Zeros());
  p.Scope("right")("w", {5});
  EXPECT_EQ(store.size(), 4);
  EXPECT_EQ(store[0].name, "w");
  EXPECT_EQ(store[1].name, "left/w");
  EXPECT_EQ(store[2].name, "left/inner/w");
  EXPECT_EQ(store.Find("right/w"), 3);
  EXPECT_EQ(store.Find("right"), -1);
  EXPECT_EQ(store.num_trainable(), 6 + 3 + 4 + 5);
  // All scopes of one recording know of each other.
  EXPECT_EQ(p.bound().size(), 4u);
  EXPECT_EQ(p.bound()[0].var, w);
  EXPECT_EQ(inner.trainable().size(), 4u);
  EXPECT_EQ(p.tape(), &tape);
}

// Training, sampling and evaluation record the same energy, each on its own tape.
TEST(ParamsTest, ASecondRecordingFindsTheValues) {
  ParamStore store(3);
  for (int recording = 0; recording < 2; ++recording) {
    Tape tape;
    Params p(&tape, &store);
    if (recording == 1) p("b", {2}, Constant(9));  // in another order
    p("w", {2, 2});
    if (recording == 0) p("b", {2}, Constant(5));
    ASSERT_EQ(tape.status(), absl::OkStatus());
    EXPECT_EQ(store.size(), 2);
    EXPECT_EQ(store[store.Find("b")].value.at(0), 5);
    for (const Params::Bound& b : p.bound()) EXPECT_EQ(b.var.node().name, store[b.index].name);
  }
}

TEST(ParamsTest, FixedValuesAreNotTrained) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  const Var mean = p.Fixed("mean", Tensor::From<double>({2}, {1, 2}));
  const Var w = p("w", {2});
  EXPECT_EQ(p.trainable(), std::vector<Var>{w});
  EXPECT_EQ(p.bound().size(), 2u);
  EXPECT_EQ(store.num_trainable(), 2);
  EXPECT_FALSE(store[0].trainable);
  EXPECT_EQ(store[0].value.dtype(), DType::kF32);
  EXPECT_EQ(Numbers(store[0].value), (std::vector<double>{1, 2}));
  EXPECT_EQ(mean.shape(), Shape({2}));

  // What the store has already, from a file say, wins.
  Tape later;
  Params q(&later, &store);
  q.Fixed("mean", Tensor::From<double>({2}, {8, 9}));
  ASSERT_EQ(later.status(), absl::OkStatus());
  EXPECT_EQ(Numbers(store[0].value), (std::vector<double>{1, 2}));
}

TEST(ParamsTest, ParametersAreInputsOfAProgram) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  const Var w = p("w", {3}, Constant(2));
  absl::StatusOr<Program> program = Compile({{}, {{w, w - 0.25 * grad(sum(square(w)), p.trainable()[0])}}, {}});
  ASSERT_EQ(program.status(), absl::OkStatus());
  ASSERT_EQ(program->Run({}, {&store[0].value}, {}), absl::OkStatus());
  EXPECT_EQ(Numbers(store[0].value), (std::vector<double>{1, 1, 1}));
}

TEST(ParamsTest, EntriesStayWhereTheyAre) {
  ParamStore store;
  store.Add("first", Tensor({1}), true);
  const ParamStore::Entry* const first = &store[0];
  for (int i = 0; i < 1000; ++i) store.Add(absl::StrCat(i), Tensor({1}), true);
  EXPECT_EQ(&store[0], first);
}

// --- Mistakes ---

TEST(Mistakes, ANameAskedForTwice) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  p.Scope("a")("w", {2});
  const int line = __LINE__ + 1;
  EXPECT_FALSE(p("a/w", {2}).ok());
  const std::string message(tape.status().message());
  EXPECT_NE(message.find("\"a/w\" is asked for twice"), std::string::npos) << message;
  EXPECT_NE(message.find(At(line)), std::string::npos) << message;
}

TEST(Mistakes, AnotherShape) {
  ParamStore store;
  {
    Tape tape;
    Params(&tape, &store)("w", {2, 3});
  }
  Tape tape;
  Params p(&tape, &store);
  const int line = __LINE__ + 1;
  EXPECT_FALSE(p("w", {3, 2}).ok());
  const std::string message(tape.status().message());
  EXPECT_NE(message.find("\"w\""), std::string::npos) << message;
  EXPECT_NE(message.find("[3, 2]"), std::string::npos) << message;
  EXPECT_NE(message.find("[2, 3]"), std::string::npos) << message;
  EXPECT_NE(message.find(At(line)), std::string::npos) << message;
}

TEST(Mistakes, TrainedOrNot) {
  ParamStore store;
  store.Add("mean", Tensor({2}), /*trainable=*/false);
  store.Add("w", Tensor({2}), /*trainable=*/true);
  Tape tape, other;
  EXPECT_FALSE(Params(&tape, &store)("mean", {2}).ok());
  EXPECT_NE(std::string(tape.status().message()).find("not trained"), std::string::npos) << tape.status();
  EXPECT_FALSE(Params(&other, &store).Fixed("w", Tensor({2})).ok());
  EXPECT_NE(std::string(other.status().message()).find("\"w\""), std::string::npos) << other.status();
}

TEST(Mistakes, AnEmptyShape) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  EXPECT_FALSE(p("w", {0, 3}).ok());
  EXPECT_NE(std::string(tape.status().message()).find("[0, 3]"), std::string::npos) << tape.status();
  EXPECT_EQ(store.size(), 0);
}

// Inside a layer the mistake is the line that called it.
Var Layer(Params p, Arg x) {
  CallSite site(x);
  return x * p("w", {x.var().dim(-1)});
}

TEST(Mistakes, InALayerAreWhereItWasCalled) {
  Tape tape;
  ParamStore store;
  Params p(&tape, &store);
  const Var x = tape.Input("x", {2, 3});
  const Var h = Layer(p, x);
  const int line = __LINE__ + 1;
  EXPECT_FALSE(Layer(p, h).ok());
  const std::string message(tape.status().message());
  EXPECT_NE(message.find("\"w\" is asked for twice"), std::string::npos) << message;
  EXPECT_NE(message.find(At(line)), std::string::npos) << message;
}

}  // namespace
}  // namespace autodiff
