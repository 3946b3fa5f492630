#include "tests/autodiff/numerics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "tests/autodiff/for_each_target.h"
#include "tests/autodiff/kernels/conv_definition.h"
#include "tests/autodiff/kernels/elementwise_rows.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

std::vector<std::string> Targets() {
  std::vector<std::string> names;
  ForEachTarget([&] { names.emplace_back(hwy::TargetName(hwy::SupportedTargets())); });
  return names;
}

// --- Elementwise ---

template <typename T>
std::vector<T> UniformArguments(const ElementwiseRow& row, size_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::uniform_real_distribution<T> in_domain(static_cast<T>(row.lo), static_cast<T>(row.hi));
  std::vector<T> x(count);
  for (T& v : x) v = in_domain(bits);
  return x;
}

// Of all sizes, and the neighbours of multiples of π/2, where sin and cos are hardest.
template <typename T>
std::vector<T> AnyArguments(size_t count, uint64_t seed) {
  std::vector<T> x = RandomValues<T>(count, seed);
  for (size_t i = 0; i < std::min<size_t>(4000, count / 2); ++i) {
    const T zero = static_cast<T>(static_cast<long double>(i + 1) * 1.57079632679489661923132169163975144L);
    x[2 * i] = i % 2 == 0 ? zero : -std::nextafter(zero, T(0));
  }
  return x;
}

template <typename T>
struct Arguments {
  std::vector<T> a, b, c;
};

// The worst error on each target.
template <typename T>
std::vector<double> WorstUlp(const ElementwiseRow& row, const Arguments<T>& x) {
  std::vector<long double> want(x.a.size());
  for (size_t i = 0; i < want.size(); ++i) want[i] = row.oracle(x.a[i], x.b[i], x.c[i]);
  std::vector<double> worst;
  ForEachTarget([&] {
    const std::vector<T> got = Apply(row.op, x.a, x.b, x.c);
    double error = 0;
    for (size_t i = 0; i < got.size(); ++i) error = std::max(error, UlpError(got[i], want[i]));
    worst.push_back(error);
  });
  return worst;
}

template <typename T>
NumericsTable ElementwiseTable(size_t count) {
  NumericsTable table{.title = absl::StrCat("Elementwise ops, float", 8 * sizeof(T)),
                      .note_title = "usual arguments",
                      .targets = Targets(),
                      .rows = {}};
  const Arguments<T> any = {AnyArguments<T>(count, 1), RandomValues<T>(count, 2), RandomValues<T>(count, 3)};
  for (const ElementwiseRow& row : kRows) {
    const Arguments<T> usual = {UniformArguments<T>(row, count, 4), UniformArguments<T>(row, count, 5),
                                UniformArguments<T>(row, count, 6)};
    const std::vector<double> here = WorstUlp(row, usual), anywhere = WorstUlp(row, any);
    NumericsTable::Row out{
        .op = Name(row.op), .note = absl::StrCat(row.lo, " to ", row.hi), .errors = {}, .bound = MaxUlp(row.op)};
    for (size_t t = 0; t < here.size(); ++t) out.errors.push_back({here[t], anywhere[t]});
    table.rows.push_back(std::move(out));
  }
  return table;
}

// --- What is made of several roundings ---

using Longs = std::vector<long double>;

// An op on tensors, what it should give, and what the error of each element is relative to.
struct Case {
  std::string op, note;
  std::vector<Tensor> inputs;
  std::function<Var(const std::vector<Var>&)> record;
  Longs want, scale;
  double bound;  // in units of epsilon
};

NumericsTable::Row Measure(const Case& c) {
  NumericsTable::Row row{.op = c.op, .note = c.note, .errors = {}, .bound = c.bound};
  const double epsilon = c.inputs[0].dtype() == DType::kF32 ? 0x1p-23 : 0x1p-52;
  ForEachTarget([&] {
    Tape tape(c.inputs[0].dtype());
    std::vector<Var> inputs;
    for (const Tensor& t : c.inputs) inputs.push_back(tape.Input("x", t.shape()));
    const Tensor got = Value(c.record(inputs), inputs, c.inputs);
    double worst = got.num_elements() == static_cast<int64_t>(c.want.size()) ? 0 : HUGE_VAL;
    for (int64_t i = 0; i < got.num_elements(); ++i) {
      const size_t at = static_cast<size_t>(i);
      const long double error = std::fabs(got.at(i) - c.want[at]);
      if (error > 0) worst = std::max(worst, static_cast<double>(error / c.scale[at]) / epsilon);
      if (std::isnan(got.at(i))) worst = HUGE_VAL;
    }
    row.errors.push_back({worst});
  });
  return row;
}

long double At(const Tensor& t, int64_t i) { return t.at(i); }

// One argument in, one number out.
Case Pointwise(std::string op, std::string note, const Tensor& x, Var (*record)(const std::vector<Var>&),
               long double (*f)(long double), long double (*scale)(long double x, long double y), double bound) {
  Case c{std::move(op), std::move(note), {x}, record, {}, {}, bound};
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    c.want.push_back(f(At(x, i)));
    c.scale.push_back(std::fabs(scale(At(x, i), c.want.back())));
  }
  return c;
}

NumericsTable ComposedTable(DType dtype) {
  NumericsTable table{.title = absl::StrCat("Composed ops, ", dtype == DType::kF32 ? "float32" : "float64"),
                      .note_title = "relative to",
                      .targets = Targets(),
                      .rows = {}};
  const Tensor x = Uniform({20000}, -10, 10, 1, dtype);
  const auto of_y = [](long double, long double y) { return y; };
  const auto of_x = [](long double v, long double) { return v; };
  table.rows.push_back(Measure(Pointwise(
      "silu", "the result", x, [](const std::vector<Var>& in) { return silu(in[0]); },
      [](long double v) { return v / (1 + std::exp(-v)); }, of_y, 4)));
  table.rows.push_back(Measure(Pointwise(
      "gelu", "the argument", x, [](const std::vector<Var>& in) { return gelu(in[0]); },
      [](long double v) {
        return 0.5L * v *
               (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846264338327950288L) * (v + 0.044715L * v * v * v)));
      },
      of_x, 4)));
  table.rows.push_back(Measure(Pointwise(
      "leaky_relu", "the result", x, [](const std::vector<Var>& in) { return leaky_relu(in[0], 0.25); },
      [](long double v) { return v > 0 ? v : v / 4; }, of_y, 0)));

  // Rows of 100 numbers.
  constexpr int64_t kRowCount = 200, kWidth = 100;
  const Tensor rows = Uniform({kRowCount, kWidth}, -10, 10, 2, dtype);
  Case soft{"softmax", "result · (1 + distance from the maximum)",
            {rows},    [](const std::vector<Var>& in) { return softmax(in[0]); },
            {},        {},
            4};
  Case lse{"logsumexp",
           "1 + abs(maximum)",
           {rows},
           [](const std::vector<Var>& in) { return logsumexp(in[0], {1}); },
           {},
           {},
           4};
  Case length{"norm", "the result", {rows}, [](const std::vector<Var>& in) { return norm(in[0], {1}); }, {}, {}, 2};
  for (int64_t r = 0; r < kRowCount; ++r) {
    long double largest = -HUGE_VAL, sum = 0, squares = 0;
    for (int64_t j = 0; j < kWidth; ++j) largest = std::max(largest, At(rows, r * kWidth + j));
    for (int64_t j = 0; j < kWidth; ++j) {
      const long double v = At(rows, r * kWidth + j);
      sum += std::exp(v - largest);
      squares += v * v;
    }
    for (int64_t j = 0; j < kWidth; ++j) {
      const long double below = largest - At(rows, r * kWidth + j);
      soft.want.push_back(std::exp(-below) / sum);
      soft.scale.push_back(soft.want.back() * (1 + below));
    }
    lse.want.push_back(std::log(sum) + largest);
    lse.scale.push_back(1 + std::fabs(largest));
    length.want.push_back(std::sqrt(squares));
    length.scale.push_back(length.want.back());
  }
  for (const Case* c : {&soft, &lse, &length}) table.rows.push_back(Measure(*c));
  return table;
}

// Adds the product of two numbers to an element of the result.
void AddProduct(Case& c, int64_t at, long double a, long double b) {
  c.want[static_cast<size_t>(at)] += a * b;
  c.scale[static_cast<size_t>(at)] += std::fabs(a * b);
}

// A sum of k rounded products is within k roundings, of half an epsilon each, of Σ|terms|: γ_k in Higham, "Accuracy and
// Stability of Numerical Algorithms" (2002), §3.1.
double RoundingBound(int64_t k) { return 0.5 * static_cast<double>(k) * 1.001; }

Case MatmulCase(DType dtype, int64_t m, int64_t k, int64_t n) {
  const Tensor a = Uniform({m, k}, -1, 1, 3, dtype), b = Uniform({k, n}, -1, 1, 4, dtype);
  Case c{absl::StrCat("matmul, ", m, " × ", k, " × ", n),
         "Σ abs(terms)",
         {a, b},
         [](const std::vector<Var>& in) { return matmul(in[0], in[1]); },
         Longs(static_cast<size_t>(m * n)),
         Longs(static_cast<size_t>(m * n)),
         RoundingBound(k)};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) AddProduct(c, i * n + j, At(a, i * k + p), At(b, p * n + j));
    }
  }
  return c;
}

// conv2d and its two adjoints.
std::vector<Case> ConvCases(DType dtype, const ConvShape& s) {
  const Tensor x = Uniform({s.n, s.h, s.w, s.c}, -1, 1, 5, dtype), w = Uniform({s.kh, s.kw, s.c, s.o}, -1, 1, 6, dtype),
               g = Uniform({s.n, s.ho(), s.wo(), s.o}, -1, 1, 7, dtype);
  const ConvOptions options{s.stride_h, s.stride_w, s.pad_top, s.pad_bottom, s.pad_left, s.pad_right};
  const std::string of = absl::StrCat(", ", s.c, " to ", s.o, " channels, ", s.kh, " × ", s.kw);
  const auto zeros = [](const Tensor& t) { return Longs(static_cast<size_t>(t.num_elements())); };
  std::vector<Case> cases = {
      {absl::StrCat("conv2d", of),
       "Σ abs(terms)",
       {x, w},
       [=](const std::vector<Var>& in) { return conv2d(in[0], in[1], options); },
       zeros(g),
       zeros(g),
       RoundingBound(s.kh * s.kw * s.c)},
      {absl::StrCat("conv2d_input_adjoint", of),
       "Σ abs(terms)",
       {g, w},
       [=](const std::vector<Var>& in) { return conv2d_input_adjoint(in[0], in[1], s.h, s.w, options); },
       zeros(x),
       zeros(x),
       RoundingBound(s.kh * s.kw * s.o)},
      {absl::StrCat("conv2d_weight_adjoint", of),
       "Σ abs(terms)",
       {x, g},
       [=](const std::vector<Var>& in) { return conv2d_weight_adjoint(in[0], in[1], s.kh, s.kw, options); },
       zeros(w),
       zeros(w),
       RoundingBound(s.n * s.ho() * s.wo())}};
  ForEachProduct(s, [&](int64_t xi, int64_t wi, int64_t yi) {
    AddProduct(cases[0], yi, At(x, xi), At(w, wi));
    AddProduct(cases[1], xi, At(g, yi), At(w, wi));
    AddProduct(cases[2], wi, At(x, xi), At(g, yi));
  });
  return cases;
}

NumericsTable SumsTable(DType dtype) {
  NumericsTable table{.title = absl::StrCat("Sums and products, ", dtype == DType::kF32 ? "float32" : "float64"),
                      .note_title = "relative to",
                      .targets = Targets(),
                      .rows = {}};
  constexpr int64_t kTerms = 1000000, kColumns = 4;
  const Tensor x = Uniform({kTerms}, -1, 1, 8, dtype);
  const Tensor columns = Uniform({kTerms / kColumns, kColumns}, -1, 1, 8, dtype);  // the same numbers
  Case all{"sum, 10⁶ terms in a row",
           "the result",
           {x},
           [](const std::vector<Var>& in) { return sum(in[0]); },
           Longs(1),
           {},
           0.501};
  Case down{"sum, 250,000 terms down a column",
            "the result",
            {columns},
            [](const std::vector<Var>& in) { return sum(in[0], {0}); },
            Longs(kColumns),
            {},
            0.501};
  for (int64_t i = 0; i < kTerms; ++i) {
    all.want[0] += At(x, i);
    down.want[static_cast<size_t>(i % kColumns)] += At(x, i);
  }
  Case average{"mean, of 10⁶",         "the result", {x},  [](const std::vector<Var>& in) { return mean(in[0]); },
               {all.want[0] / kTerms}, {},           1.501};
  for (Case* c : {&all, &down, &average}) {
    for (const long double v : c->want) c->scale.push_back(std::fabs(v));
  }
  const Tensor a = Uniform({50, 1000}, -1, 1, 9, dtype), b = Uniform({50, 1000}, -1, 1, 10, dtype);
  Case inner{"dot, 1000 terms", "Σ abs(terms)", {a, b}, [](const std::vector<Var>& in) { return dot(in[0], in[1]); },
             Longs(50),         Longs(50),      1.001};
  for (int64_t i = 0; i < a.num_elements(); ++i) AddProduct(inner, i / 1000, At(a, i), At(b, i));
  for (const Case* c : {&all, &down, &average, &inner}) table.rows.push_back(Measure(*c));

  for (const int64_t k : {16, 784, 4096}) table.rows.push_back(Measure(MatmulCase(dtype, 20, k, 32)));
  table.rows.push_back(Measure(MatmulCase(dtype, 64, 784, 1)));
  const ConvShape few{.n = 4,
                      .h = 14,
                      .w = 14,
                      .c = 1,
                      .kh = 5,
                      .kw = 5,
                      .o = 16,
                      .pad_top = 2,
                      .pad_bottom = 2,
                      .pad_left = 2,
                      .pad_right = 2};
  const ConvShape many{.n = 2,
                       .h = 8,
                       .w = 8,
                       .c = 32,
                       .kh = 3,
                       .kw = 3,
                       .o = 32,
                       .stride_h = 2,
                       .stride_w = 2,
                       .pad_top = 1,
                       .pad_bottom = 1,
                       .pad_left = 1,
                       .pad_right = 1};
  for (const ConvShape& s : {few, many}) {
    for (const Case& c : ConvCases(dtype, s)) table.rows.push_back(Measure(c));
  }
  return table;
}

}  // namespace

std::vector<NumericsTable> MeasureNumerics(size_t arguments) {
  return {ElementwiseTable<float>(arguments),
          ElementwiseTable<double>(arguments),
          ComposedTable(DType::kF32),
          ComposedTable(DType::kF64),
          SumsTable(DType::kF32),
          SumsTable(DType::kF64)};
}

}  // namespace autodiff
