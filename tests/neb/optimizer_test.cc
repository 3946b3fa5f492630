#include "neb/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Numbers;
using autodiff::Program;
using autodiff::Tape;
using autodiff::Tensor;
using autodiff::Var;

// --- The schedule ---

TEST(LearningRate, WarmsUpLinearlyToThePeak) {
  const Schedule s{.peak = 0.2, .warmup = 10, .total = 100};
  for (int64_t t = 0; t < 10; ++t) EXPECT_DOUBLE_EQ(LearningRate(s, t), 0.2 * static_cast<double>(t + 1) / 10);
  EXPECT_DOUBLE_EQ(LearningRate(s, 10), 0.2);
}

TEST(LearningRate, FallsByHalfACosine) {
  const Schedule s{.peak = 0.2, .warmup = 10, .total = 110, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(LearningRate(s, 10), 0.2);
  EXPECT_NEAR(LearningRate(s, 60), 0.2 * (0.1 + 0.9 * 0.5), 1e-15);  // cos(π/2) = 0
  EXPECT_NEAR(LearningRate(s, 10 + 75), 0.2 * (0.1 + 0.9 * 0.5 * (1 - std::sqrt(0.5))), 1e-15);
  EXPECT_NEAR(LearningRate(s, 110), 0.02, 1e-15);
  EXPECT_NEAR(LearningRate(s, 100000), 0.02, 1e-15);  // and stays there
  for (int64_t t = 10; t < 110; ++t) EXPECT_GT(LearningRate(s, t), LearningRate(s, t + 1));
}

TEST(LearningRate, IsPositiveBeforeTheEnd) {
  for (int64_t total : {1, 2, 9, 10, 11, 1000}) {
    for (int64_t warmup : {int64_t{0}, int64_t{1}, total / 10, total}) {
      const Schedule s{.peak = 1e-3, .warmup = warmup, .total = total};
      for (int64_t t = 0; t < total; ++t) {
        EXPECT_GT(LearningRate(s, t), 0) << t << " of " << total << ", warm-up " << warmup;
        EXPECT_LE(LearningRate(s, t), 1e-3);
      }
      EXPECT_EQ(LearningRate(s, total), warmup < total ? 0 : 1e-3);
    }
  }
}

TEST(ScalarsAt, CorrectsTheBiasOfYoungMoments) {
  const AdamOptions options{.beta1 = 0.9, .beta2 = 0.99};
  const Schedule s{.peak = 1, .warmup = 0, .total = 100};
  // The moments of a constant gradient g after t steps are (1 − βᵗ) g and (1 − βᵗ) g².
  double m = 0, v = 0;
  for (int64_t step = 0; step < 50; ++step) {
    m = 0.9 * m + 0.1 * 3;
    v = 0.99 * v + 0.01 * 9;
    const AdamScalars scalars = ScalarsAt(options, s, step);
    EXPECT_NEAR(m * scalars.correction1, 3, 1e-12);
    EXPECT_NEAR(v * scalars.correction2, 9, 1e-12);
    EXPECT_EQ(scalars.rate, LearningRate(s, step));
  }
}

// --- Adam on a small problem with three parameters w and one b, whose target x moves with t = 0, 1, ... ---
//   loss = ½ Σ (w − x)² + ¼ b² Σ w⁴ + sin b,   x_i = cos(0.3 t + i)
using Point = std::array<double, 4>;  // w, b

constexpr Point kStart = {0.5, -1.2, 2.0, 0.7};

double Target(int64_t t, size_t i) { return std::cos(0.3 * static_cast<double>(t) + static_cast<double>(i)); }

Point GradientAt(const Point& p, int64_t t) {
  Point g;
  double fourth = 0;
  for (size_t i = 0; i < 3; ++i) {
    g[i] = p[i] - Target(t, i) + p[3] * p[3] * std::pow(p[i], 3);
    fourth += std::pow(p[i], 4);
  }
  g[3] = 0.5 * p[3] * fourth + std::cos(p[3]);
  return g;
}

struct State {
  Point value = kStart, first = {}, second = {}, average = {};
};

// One step as in Kingma & Ba's algorithm 1, with decoupled decay.
void StepByLoops(State& s, const AdamOptions& o, double rate, int64_t step) {
  Point g = GradientAt(s.value, step);
  double squared = 0;
  for (double x : g) squared += x * x;
  const double norm = std::sqrt(squared);
  const double t = static_cast<double>(step) + 1;
  const double keep = std::min(o.ema_decay, t / (t + 9));
  for (size_t i = 0; i < 4; ++i) {
    if (o.clip_norm > 0 && norm > o.clip_norm) g[i] *= o.clip_norm / norm;
    s.first[i] = o.beta1 * s.first[i] + (1 - o.beta1) * g[i];
    s.second[i] = o.beta2 * s.second[i] + (1 - o.beta2) * g[i] * g[i];
    const double m = s.first[i] / (1 - std::pow(o.beta1, t)), v = s.second[i] / (1 - std::pow(o.beta2, t));
    s.value[i] -= rate * o.weight_decay * s.value[i] + rate * m / (std::sqrt(v) + o.epsilon);
    s.average[i] = keep * s.average[i] + (1 - keep) * s.value[i];
  }
}

// The same with RecordAdam.
class Recorded {
 public:
  Recorded(const AdamOptions& options, DType dtype) : options_(options), dtype_(dtype) {
    Tape tape(dtype);
    const Var x = tape.Input("x", {3}), w = tape.Input("w", {3}), b = tape.Input("b", {});
    const Var loss = 0.5 * sum(square(w - x)) + 0.25 * square(b) * sum(square(square(w))) + sin(b);
    const std::vector<Var> params = {w, b};
    const AdamStep adam = RecordAdam(loss, params, autodiff::grad(loss, params), options);
    std::vector<Var> inputs = {x};
    inputs.insert(inputs.end(), adam.scalars.begin(), adam.scalars.end());
    absl::StatusOr<Program> program = autodiff::Compile({.inputs = inputs, .state = adam.updates, .outputs = {loss}});
    EXPECT_TRUE(program.ok()) << program.status();
    program_ = std::make_unique<Program>(*std::move(program));
    for (const autodiff::Update& u : adam.updates) state_.emplace_back(u.before.shape(), dtype);
    EXPECT_EQ(state_.size(), 2 * fields());
    state_[0] = Tensor::From<double>({3}, {kStart[0], kStart[1], kStart[2]}).Cast(dtype);
    state_[fields()] = Tensor::Full({}, kStart[3], dtype);
  }

  // Parameters, first moments, second moments and, if they are kept, averages.
  size_t fields() const { return options_.ema_decay > 0 ? 4 : 3; }
  Point Get(size_t field) const {
    const Tensor& w = state_[field];
    return {w.at(0), w.at(1), w.at(2), state_[fields() + field].at(0)};
  }

  // Returns the loss.
  double Step(const Schedule& schedule, int64_t step, double added_to_target = 0) {
    Tensor x({3}, dtype_), loss({}, dtype_);
    for (size_t i = 0; i < 3; ++i) x.set(static_cast<int64_t>(i), Target(step, i) + added_to_target);
    const AdamScalars s = ScalarsAt(options_, schedule, step);
    std::vector<Tensor> scalars;
    for (double v : {s.rate, s.correction1, s.correction2, s.ema_weight}) {
      scalars.push_back(Tensor::Full({}, v, dtype_));
    }
    std::vector<Tensor*> state;
    for (Tensor& t : state_) state.push_back(&t);
    Tensor* const out = &loss;
    const absl::Status status =
        program_->Run({&x, &scalars[0], &scalars[1], &scalars[2], &scalars[3]}, state, {&out, 1});
    EXPECT_TRUE(status.ok()) << status;
    return loss.at(0);
  }

 private:
  AdamOptions options_;
  DType dtype_;
  std::unique_ptr<Program> program_;
  std::vector<Tensor> state_;
};

const std::vector<AdamOptions>& Variants() {
  static const auto& variants = *new std::vector<AdamOptions>{
      {},
      {.weight_decay = 0.1},
      {.clip_norm = 0.5},
      {.beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3, .weight_decay = 0.05, .clip_norm = 2, .ema_decay = 0.8},
      {.beta1 = 0, .beta2 = 0, .ema_decay = 0}};
  return variants;
}

TEST(Adam, FollowsTheLoopsForFiftySteps) {
  const Schedule schedule{.peak = 0.05, .warmup = 10, .total = 60};
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    const double tolerance = dtype == DType::kF64 ? 1e-12 : 2e-5;
    for (const AdamOptions& options : Variants()) {
      State expected;
      Recorded recorded(options, dtype);
      for (int64_t step = 0; step < 50; ++step) {
        StepByLoops(expected, options, LearningRate(schedule, step), step);
        recorded.Step(schedule, step);
        const Point* const fields[] = {&expected.value, &expected.first, &expected.second, &expected.average};
        for (size_t f = 0; f < recorded.fields(); ++f) {
          for (size_t i = 0; i < 4; ++i) {
            ASSERT_NEAR(recorded.Get(f)[i], (*fields[f])[i], tolerance * (1 + std::abs((*fields[f])[i])))
                << "dtype " << Name(dtype) << " clip " << options.clip_norm << " decay " << options.weight_decay
                << " step " << step << " field " << f << " number " << i;
          }
        }
      }
    }
  }
}

// Printed by PyTorch 2.13.0:
//   torch.set_default_dtype(torch.float64)
//   w = torch.tensor([0.5, -1.2, 2.0], requires_grad=True); b = torch.tensor(0.7, requires_grad=True)
//   opt = torch.optim.AdamW([w, b], lr=0.05, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
//   for t in range(50):
//       x = torch.tensor([math.cos(0.3 * t + i) for i in range(3)])
//       loss = 0.5 * ((w - x) ** 2).sum() + 0.25 * b ** 2 * (w ** 4).sum() + torch.sin(b)
//       opt.zero_grad(); loss.backward()
//       if clip: torch.nn.utils.clip_grad_norm_([w, b], clip)
//       opt.step()
//   print([*w.tolist(), b.item()])
TEST(Adam, EndsWherePyTorchEnds) {
  struct Case {
    double decay, clip;
    Point end;
    double tolerance;
  };
  const Case cases[] = {
      {0, 0, {0.021560196182434363, 0.07365949594719001, 0.49959197585647647, -0.7333119875666889}, 1e-12},
      {0.1, 0, {0.025076858155345837, 0.08925653674986038, 0.34291476289719836, -0.7182211717500782}, 1e-12},
      // PyTorch clips to clip / (norm + 1e-6).
      {0.1, 0.5, {0.010772863582391616, 0.1716772364433259, 0.03242117862238274, -1.4056219574476339}, 1e-5},
  };
  const Schedule constant{.peak = 0.05, .warmup = 0, .total = 50, .final_fraction = 1};
  for (const Case& c : cases) {
    Recorded recorded({.weight_decay = c.decay, .clip_norm = c.clip}, DType::kF64);
    for (int64_t step = 0; step < 50; ++step) recorded.Step(constant, step);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(recorded.Get(0)[i], c.end[i], c.tolerance) << "decay " << c.decay << " clip " << c.clip;
    }
  }
}

TEST(Adam, ALossThatIsNotFiniteChangesNothing) {
  const Schedule schedule{.peak = 0.05, .warmup = 0, .total = 60};
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const AdamOptions& options : Variants()) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), kInf, -kInf}) {
      Recorded disturbed(options, DType::kF64), smooth(options, DType::kF64);
      for (int64_t step = 0; step < 5; ++step) {
        disturbed.Step(schedule, step);
        smooth.Step(schedule, step);
      }
      EXPECT_FALSE(std::isfinite(disturbed.Step(schedule, 5, bad)));
      for (size_t f = 0; f < smooth.fields(); ++f) EXPECT_EQ(disturbed.Get(f), smooth.Get(f)) << "field " << f;
      disturbed.Step(schedule, 5);
      smooth.Step(schedule, 5);
      for (size_t f = 0; f < smooth.fields(); ++f) EXPECT_EQ(disturbed.Get(f), smooth.Get(f)) << "field " << f;
    }
  }
}

// loss = ⟨√w, 1⟩ at w = (0, 4): the slope at 0 is infinite, at 4 it is ¼. And 1e30 w, whose squared gradient overflows.
TEST(Adam, AGradientThatIsNotFiniteLeavesItsNumberAlone) {
  for (const bool overflow : {false, true}) {
    Tape tape;
    const Var w = tape.Input("w", {2});
    const Var scale = tape.Constant(Tensor::From<float>({2}, {1e30f, 1}));
    const Var loss = overflow ? sum(scale * w) : sum(sqrt(w));
    const AdamStep adam = RecordAdam(loss, {w}, {autodiff::grad(loss, w)}, {});
    absl::StatusOr<Program> program =
        autodiff::Compile({.inputs = adam.scalars, .state = adam.updates, .outputs = {loss}});
    ASSERT_TRUE(program.ok()) << program.status();
    const std::vector<float> start = {overflow ? 1e-30f : 0.0f, 4};
    Tensor value = Tensor::From<float>({2}, start), m({2}), v({2}), average({2}), loss_value(autodiff::Shape{});
    for (int64_t step = 0; step < 3; ++step) {
      const AdamScalars s = ScalarsAt({}, {.peak = 0.5, .warmup = 0, .total = 10}, step);
      const Tensor scalars[] = {Tensor::Full({}, s.rate), Tensor::Full({}, s.correction1),
                                Tensor::Full({}, s.correction2), Tensor::Full({}, s.ema_weight)};
      ASSERT_TRUE(
          program->Run({&scalars[0], &scalars[1], &scalars[2], &scalars[3]}, {&value, &m, &v, &average}, {&loss_value})
              .ok());
      EXPECT_TRUE(std::isfinite(loss_value.at(0)));
      EXPECT_EQ(value.at(0), start[0]);
      for (const Tensor* t : {&m, &v, &average}) EXPECT_EQ(t->at(0), 0);
      EXPECT_LT(value.at(1), 4 - 0.3 * static_cast<double>(step + 1));
      EXPECT_GT(v.at(1), 0);
    }
  }
}

// One pass over the memory of a parameter, its moments and its gradient, whatever the loss.
TEST(Adam, IsOneInstructionPerParameter) {
  for (const AdamOptions& options : Variants()) {
    if (options.clip_norm > 0) continue;  // a norm comes first
    Tape tape;
    const Var w = tape.Input("w", {7, 3}), g = tape.Input("g", {7, 3}), loss = tape.Input("loss", {});
    const AdamStep adam = RecordAdam(loss, {w}, {g}, options);
    std::vector<Var> inputs = {g, loss};
    inputs.insert(inputs.end(), adam.scalars.begin(), adam.scalars.end());
    const absl::StatusOr<Program> program = autodiff::Compile({.inputs = inputs, .state = adam.updates, .outputs = {}});
    ASSERT_TRUE(program.ok()) << program.status();
    EXPECT_EQ(program->stats().instructions, 1) << program->ToString();
  }
}

// Where only the first moment overflows, its number keeps its old values as well.
TEST(Adam, AnInfiniteFirstMomentIsNoticed) {
  Tape tape;
  const Var w = tape.Input("w", {2}), g = tape.Input("g", {2}), loss = tape.Input("loss", {});
  const AdamStep adam = RecordAdam(loss, {w}, {g}, {.ema_decay = 0});
  std::vector<Var> inputs = {g, loss};
  inputs.insert(inputs.end(), adam.scalars.begin(), adam.scalars.end());
  absl::StatusOr<Program> program = autodiff::Compile({.inputs = inputs, .state = adam.updates, .outputs = {}});
  ASSERT_TRUE(program.ok()) << program.status();
  const float inf = std::numeric_limits<float>::infinity();
  for (const float rate : {0.1f, 0.0f}) {
    Tensor value = Tensor::From<float>({2}, {1, 1}), m = Tensor::From<float>({2}, {inf, 0}), v({2});
    const Tensor gradient = Tensor::From<float>({2}, {1, 1}), scalar(autodiff::Shape{}), one = Tensor::Full({}, 1);
    const Tensor rates = Tensor::Full({}, rate), other = Tensor::Full({}, 1), third = Tensor::Full({}, 0);
    ASSERT_TRUE(program->Run({&gradient, &scalar, &rates, &one, &other, &third}, {&value, &m, &v}, {}).ok());
    EXPECT_EQ(value.at(0), 1);
    EXPECT_EQ(m.at(0), inf);
    EXPECT_EQ(v.at(0), 0);
    EXPECT_GT(m.at(1), 0);
    EXPECT_GT(v.at(1), 0);
  }
}

// The weights of the running average add up to one: parameters that stand still are their own average, wherever the
// average started, after few steps.
TEST(Adam, TheAverageForgetsItsStart) {
  const Schedule still{.peak = 0, .warmup = 0, .total = 100};
  Recorded recorded({}, DType::kF64);
  double left = 1;  // weight of the start (which is zero): the product of t / (t + 9)
  for (int64_t step = 0; step < 100; ++step) {
    recorded.Step(still, step);
    left *= static_cast<double>(step + 1) / static_cast<double>(step + 10);
    for (size_t i = 0; i < 4; ++i) ASSERT_NEAR(recorded.Get(3)[i], (1 - left) * kStart[i], 1e-14);
  }
  EXPECT_LT(left, 1e-11);
}

}  // namespace
}  // namespace neb
