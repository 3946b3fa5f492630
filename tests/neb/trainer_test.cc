#include "neb/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/dataset.h"
#include "neb/idx.h"
#include "neb/layers.h"
#include "neb/reference.h"
#include "neb/residual_denoiser.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::AllOf;
using testing::HasSubstr;

Model Created(const Energy& energy, const autodiff::Shape& item_shape, double sigma, uint64_t seed = 1) {
  absl::StatusOr<Model> model = Model::Create(energy, item_shape, sigma, seed);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

double Measured(Model& model, const Tensor& x, int64_t samples, uint64_t seed = 5, ThreadPool* pool = nullptr) {
  const absl::StatusOr<double> loss = MeasureLoss(model, x, samples, seed, pool);
  EXPECT_TRUE(loss.ok()) << loss.status();
  return loss.ok() ? *loss : std::nan("");
}

// --- MeasureLoss ---

// φ = 0 costs σ²d (METHOD.md §8, item 1). One sample's cost, σ²χ²_d, spreads by σ²√(2d): five standard errors.
void ExpectNoModelLoss(const Tensor& x) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  for (const double sigma : {0.15, 0.3, 0.5, 1.0}) {
    Model model = Created(NoEnergy(), {d}, sigma);
    const double expected = sigma * sigma * static_cast<double>(d);
    EXPECT_NEAR(Measured(model, x, n), expected,
                5 * sigma * sigma * std::sqrt(2 * static_cast<double>(d) / static_cast<double>(n)));
    EXPECT_DOUBLE_EQ(NoModelLoss(sigma, d), expected);
  }
}

TEST(MeasureLoss, OfNoModelIsTheVarianceOfTheNoise) { ExpectNoModelLoss(NormalTensor({3000, 50}, 0.3, 2, 1)); }

TEST(MeasureLoss, OfNoModelOnMnist) {
  const std::optional<std::string> path = MnistFile("t10k-images-idx3-ubyte.gz");
  if (!path.has_value()) GTEST_SKIP() << "NEB_SHARED does not say where MNIST is";
  const absl::StatusOr<Dataset> digits = ReadIdx(*path);
  ASSERT_TRUE(digits.ok()) << digits.status();
  ASSERT_EQ(digits->x.shape(), (autodiff::Shape{10000, 784}));
  ExpectNoModelLoss(digits->x);
}

// The noise stays the same at each call: models are compared on equal terms, and a curve of losses is not rough.
TEST(MeasureLoss, IsReproducible) {
  const Tensor x = NormalTensor({2500, 12}, 0, 1, 1);
  Model model = Created(RandomDenoiser(MeasureScales(x, 0.5), 20), {12}, 0.5);
  ThreadPool three(3);
  const double loss = Measured(model, x, 2500);
  EXPECT_EQ(Measured(model, x, 2500), loss);
  EXPECT_EQ(Measured(model, x, 1'000'000), loss);  // there are no more
  EXPECT_EQ(Measured(model, x, 2500, 5, &three), loss);
  EXPECT_NE(Measured(model, x, 2500, 6), loss);
  // Only the first rows count, with the noise that they have in the whole.
  const Tensor first = Tensor::From<float>({1100, 12}, x.data<float>().subspan(0, 1100 * 12));
  EXPECT_EQ(Measured(model, x, 1100), Measured(model, first, 1100));
}

TEST(MeasureLoss, Errors) {
  Model model = Created(Gaussian(1), {3}, 0.5);
  const Tensor x({5, 3});
  EXPECT_THAT(std::string(MeasureLoss(model, x, 0, 1).status().message()), HasSubstr("no samples"));
  EXPECT_THAT(std::string(MeasureLoss(model, Tensor({5, 4}), 5, 1).status().message()),
              AllOf(HasSubstr("[n, 3]"), HasSubstr("[5, 4]")));
  EXPECT_FALSE(MeasureLoss(model, Tensor({0, 3}), 5, 1).ok());
}

// --- Training reaches what is known in closed form ---

// X ~ N(0, τ²I): 1/(τ² + σ²) is recovered, x̂ = τ²y/(τ² + σ²), the loss is dτ²σ²/(τ² + σ²) (METHOD.md §8, item 5). A
// wrong sign anywhere would push the precision to zero instead.
TEST(Train, RecoversTheVarianceOfAGaussian) {
  const double tau = 1.5, sigma = 0.8;
  const int64_t n = 20000, d = 4;
  const Tensor x = NormalTensor({n, d}, 0, tau, 1), held_out = NormalTensor({n, d}, 0, tau, 2);
  double square = 0;
  for (float v : Values(x)) square += static_cast<double>(v) * v / static_cast<double>(n * d);
  Model model = Created(LearnedGaussian, {d}, sigma);
  const absl::StatusOr<TrainResult> result =
      Train(model, x, nullptr, {.steps = 1500, .batch = 256, .learning_rate = 0.02});
  ASSERT_TRUE(result.ok()) << result.status();

  // The variance of these samples is known to it, τ² only to 1/√(nd/2) = 0.5 %.
  const double precision = std::exp(model.params()[0].value.at(0));
  EXPECT_NEAR(precision * (square + sigma * sigma), 1, 0.01);
  const double total = tau * tau + sigma * sigma;
  const std::vector<float> x_hat = XHatOf(model, {1, -2, 3, 0});
  for (size_t i = 0; i < 4; ++i) {
    const double y[] = {1, -2, 3, 0};
    EXPECT_NEAR(x_hat[i], tau * tau / total * y[i], 0.02 * std::abs(y[i]) * tau * tau / total);
  }
  const double mmse = static_cast<double>(d) * tau * tau * sigma * sigma / total;
  EXPECT_NEAR(Measured(model, held_out, n), mmse, 0.025 * mmse);  // five standard errors of the measurement
}

// Data along one direction: x_j = u + 0.3 v_j. Σ has the eigenvalues 0.09 + d and 0.09 (d − 1 times), and the MMSE is
// Σ λσ²/(λ + σ²). A network that starts as the isotropic filter learns the direction.
TEST(Train, ReachesTheMmseOfACorrelatedGaussian) {
  const double sigma = 0.5;
  const int64_t n = 10000, d = 6;
  const auto draw = [&](uint64_t seed) {
    Tensor x = NormalTensor({n, d}, 0, 0.3, seed);
    const Tensor u = NormalTensor({n}, 0, 1, seed + 100);
    for (int64_t i = 0; i < n * d; ++i) x.set(i, 2 + x.at(i) + u.at(i / d));
    return x;
  };
  const Tensor x = draw(1), held_out = draw(2);
  const auto cost = [&](double lambda) { return lambda * sigma * sigma / (lambda + sigma * sigma); };
  const double mmse = cost(0.09 + static_cast<double>(d)) + static_cast<double>(d - 1) * cost(0.09);
  const absl::StatusOr<LinearEstimator> wiener = LinearEstimator::Fit(x, sigma);
  ASSERT_TRUE(wiener.ok());
  EXPECT_NEAR(*wiener->Loss(held_out), mmse, 0.03 * mmse);

  const Energy energy = ResidualDenoiser(
      [](Var z, Params& p) {
        return Mlp(p, z, {32, d}, {.last_weight_init = autodiff::Zeros()});
      },
      MeasureScales(x, sigma));
  Model model = Created(energy, {d}, sigma);
  const double start = Measured(model, held_out, n);
  std::vector<Progress> seen;
  const absl::StatusOr<TrainResult> result = Train(model, x, &held_out,
                                                   {.steps = 1200,
                                                    .learning_rate = 3e-3,
                                                    .report_every = 100,
                                                    .evaluate_every = 400,
                                                    .held_out_samples = n,
                                                    .on_progress = [&](const Progress& p) { seen.push_back(p); }});
  ASSERT_TRUE(result.ok()) << result.status();
  // Isotropic: every coordinate has variance 1.09.
  EXPECT_NEAR(start, static_cast<double>(d) * cost(1.09), 0.03 * start);
  EXPECT_NEAR(Measured(model, held_out, n), *wiener->Loss(held_out), 0.04 * mmse);

  ASSERT_EQ(seen.size(), 12u);
  ASSERT_EQ(result->history.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(seen[i].step, static_cast<int64_t>(i + 1) * 100);
    EXPECT_EQ(seen[i].steps, 1200);
    EXPECT_EQ(std::isnan(seen[i].held_out_loss), (i + 1) % 4 != 0);
    EXPECT_GT(seen[i].samples_per_second, 0);
    EXPECT_EQ(seen[i].loss, result->history[i].loss);
  }
  EXPECT_GT(seen.front().loss, seen.back().loss);
  EXPECT_GT(seen[3].held_out_loss, seen.back().held_out_loss);
  EXPECT_NEAR(seen.back().loss, mmse, 0.1 * mmse);
}

// --- One run ---

struct Problem {
  Tensor x;
  Energy energy;
};
Problem SmallProblem() {
  Tensor x = NormalTensor({300, 64}, 0.5, 0.3, 1);
  return {x, RandomDenoiser(MeasureScales(x, 0.3), 150)};
}

TEST(Train, DoesNotDependOnThreads) {
  const Problem problem = SmallProblem();
  std::vector<float> parameters;
  double last_loss = 0;
  for (const int threads : {0, 1, 2, 3}) {  // 0: without a pool
    std::optional<ThreadPool> pool;
    if (threads > 0) pool.emplace(threads);
    Model model = Created(problem.energy, {64}, 0.3);
    const absl::StatusOr<TrainResult> result = Train(
        model, problem.x, &problem.x,
        {.steps = 30, .batch = 96, .adam = {.weight_decay = 0.01, .clip_norm = 1}, .pool = pool ? &*pool : nullptr});
    ASSERT_TRUE(result.ok()) << result.status();
    if (threads == 0) {
      parameters = ParameterValues(model);
      last_loss = result->history.back().held_out_loss;
      EXPECT_FALSE(SameBits(parameters, ParameterValues(Created(problem.energy, {64}, 0.3))));
    }
    EXPECT_TRUE(SameBits(ParameterValues(model), parameters)) << threads << " threads";
    EXPECT_EQ(result->history.back().held_out_loss, last_loss) << threads << " threads";
  }
}

TEST(Train, DependsOnItsSeedOnly) {
  const Problem problem = SmallProblem();
  const auto trained = [&](uint64_t seed) {
    Model model = Created(problem.energy, {64}, 0.3);
    EXPECT_TRUE(Train(model, problem.x, nullptr, {.steps = 5, .batch = 10, .seed = seed}).ok());
    return ParameterValues(model);
  };
  EXPECT_TRUE(SameBits(trained(1), trained(1)));
  EXPECT_FALSE(SameBits(trained(1), trained(2)));
}

TEST(Train, WithoutStepsChangesNothing) {
  const Problem problem = SmallProblem();
  Model model = Created(problem.energy, {64}, 0.3);
  const std::vector<float> before = ParameterValues(model);
  const absl::StatusOr<TrainResult> result = Train(model, problem.x, &problem.x, {.steps = 0});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->history.empty());
  EXPECT_TRUE(SameBits(ParameterValues(model), before));
}

TEST(Train, LeavesFixedValuesAlone) {
  const Problem problem = SmallProblem();
  Model model = Created(problem.energy, {64}, 0.3);
  const autodiff::ParamStore& params = model.params();
  const std::vector<float> mean = Values(params[params.Find("mean")].value);
  ASSERT_TRUE(Train(model, problem.x, nullptr, {.steps = 3}).ok());
  EXPECT_TRUE(SameBits(Values(params[params.Find("mean")].value), mean));
}

// Measurements come when they are due, also between reports.
TEST(Train, ReportsAndMeasuresWhenAsked) {
  const Problem problem = SmallProblem();
  const auto history = [&](int64_t report, int64_t evaluate, const Tensor* held_out) {
    Model model = Created(LearnedGaussian, {64}, 0.3);
    const absl::StatusOr<TrainResult> result =
        Train(model, problem.x, held_out,
              {.steps = 10, .batch = 8, .report_every = report, .evaluate_every = evaluate, .held_out_samples = 20});
    EXPECT_TRUE(result.ok()) << result.status();
    std::string text;
    for (const Progress& p : result->history) {
      text += std::to_string(p.step) + (std::isnan(p.held_out_loss) ? " " : "m ");
    }
    return text;
  };
  EXPECT_EQ(history(4, 100, nullptr), "4 8 10 ");
  EXPECT_EQ(history(4, 8, &problem.x), "4 8m 10m ");
  EXPECT_EQ(history(4, 6, &problem.x), "4 6m 8 10m ");
  EXPECT_EQ(history(4, 6, nullptr), "4 8 10 ");
}

TEST(Train, ReportsTheMeanLossSinceTheLastReport) {
  const Problem problem = SmallProblem();
  Model model = Created(problem.energy, {64}, 0.3), again = Created(problem.energy, {64}, 0.3);
  const TrainOptions options{.steps = 7, .batch = 16, .report_every = 3};
  const absl::StatusOr<TrainResult> result = Train(model, problem.x, nullptr, options);
  ASSERT_TRUE(result.ok());
  absl::StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(again, problem.x, options);
  ASSERT_TRUE(trainer.ok());
  double loss[7];
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE((*trainer)->Step().ok());
    EXPECT_EQ((*trainer)->step(), i + 1);
    loss[i] = (*trainer)->last_loss();
  }
  EXPECT_TRUE(SameBits(ParameterValues(model), ParameterValues(again)));
  ASSERT_EQ(result->history.size(), 3u);
  EXPECT_DOUBLE_EQ(result->history[0].loss, (loss[0] + loss[1] + loss[2]) / 3);
  EXPECT_DOUBLE_EQ(result->history[1].loss, (loss[3] + loss[4] + loss[5]) / 3);
  EXPECT_DOUBLE_EQ(result->history[2].loss, loss[6]);
}

// last_loss is the mean over the minibatch of ‖x − x̂‖²: σ²d for φ ≈ 0, five standard errors.
TEST(Trainer, LastLossIsPerSample) {
  const int64_t n = 4000, d = 10;
  const Tensor x = NormalTensor({n, d}, 0, 1, 1);
  const Energy energy = [](Var y, Params& p) { return p("w", {}, autodiff::Zeros()) * squared_norm(y, {1}); };
  Model model = Created(energy, {d}, 0.5);
  absl::StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(model, x, {.steps = 10, .batch = n});
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  ASSERT_TRUE((*trainer)->Step().ok());
  EXPECT_NEAR((*trainer)->last_loss(), 0.25 * d, 5 * 0.25 * std::sqrt(2.0 * d / n));
}

// x̂ = y when φ = 0, so the first loss is the noise's own square: σ²d, and where the noise is a ε, a ~ U(0, 1), a third
// of it. Standard errors, relative to σ²d: √(2/d)/√batch = 0.9 % of the normals, 1.9 % of the a² of half a batch.
TEST(Trainer, InnerSamplesHaveLessNoise) {
  const Energy flat = [](Var y, Params& p) { return p("c", {}, autodiff::Zeros()) * squared_norm(y, {1}); };
  const Tensor x = NormalTensor({64, 400}, 0, 1, 1);
  for (const double fraction : {0.0, 0.5}) {
    Model model = Created(flat, {400}, 0.5);
    const auto trainer = Trainer::Create(model, x, {.steps = 1, .batch = 64, .inner_fraction = fraction});
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    ASSERT_TRUE((*trainer)->Step().ok());
    EXPECT_NEAR((*trainer)->last_loss() / (0.25 * 400), 1 - fraction * 2 / 3, 5 * 0.021) << fraction;
  }
}

TEST(Trainer, TakesAllSamplesWhenTheBatchIsLarger) {
  const Tensor x = NormalTensor({10, 3}, 0, 1, 1);
  Model model = Created(LearnedGaussian, {3}, 0.5), other = Created(LearnedGaussian, {3}, 0.5);
  ASSERT_TRUE(Train(model, x, nullptr, {.steps = 20, .batch = 1000}).ok());
  ASSERT_TRUE(Train(other, x, nullptr, {.steps = 20, .batch = 10}).ok());
  EXPECT_TRUE(SameBits(ParameterValues(model), ParameterValues(other)));
}

TEST(Trainer, OneSampleIsEnough) {
  Model model = Created(LearnedGaussian, {1}, 0.5);
  EXPECT_TRUE(Train(model, Tensor::From<float>({1, 1}, {0.5f}), nullptr, {.steps = 3, .batch = 1}).ok());
}

// --- Mistakes ---

std::string TrainError(Model& model, const Tensor& x, const TrainOptions& options, const Tensor* held_out = nullptr) {
  const std::vector<float> before = ParameterValues(model);
  const absl::StatusOr<TrainResult> result = Train(model, x, held_out, options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << result.status();
  EXPECT_TRUE(SameBits(ParameterValues(model), before)) << "trained before it noticed";
  return std::string(result.status().message());
}

TEST(TrainMistake, OptionsOutOfRange) {
  const Tensor x = NormalTensor({10, 3}, 0, 1, 1);
  Model model = Created(LearnedGaussian, {3}, 0.5);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  EXPECT_THAT(TrainError(model, x, {.steps = -1}), AllOf(HasSubstr("steps"), HasSubstr("-1")));
  EXPECT_THAT(TrainError(model, x, {.batch = 0}), AllOf(HasSubstr("batch"), HasSubstr("0")));
  for (const double rate : {0.0, -1e-3, kInf, 1e40, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.learning_rate = rate}), HasSubstr("learning rate"));
  }
  for (const double beta : {-0.1, 1.0, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.adam = {.beta1 = beta}}), HasSubstr("beta1"));
    EXPECT_THAT(TrainError(model, x, {.adam = {.beta2 = beta}}), HasSubstr("beta2"));
  }
  for (const double epsilon : {-1e-8, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.adam = {.epsilon = epsilon}}), HasSubstr("epsilon"));
  }
  for (const double decay : {-0.1, kInf, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.adam = {.weight_decay = decay}}), HasSubstr("weight_decay"));
  }
  for (const double norm : {-1.0, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.adam = {.clip_norm = norm}}), HasSubstr("clip_norm"));
  }
  for (const double decay : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(TrainError(model, x, {.adam = {.ema_decay = decay}}), HasSubstr("ema_decay"));
  }
}

TEST(TrainMistake, Samples) {
  const Tensor x = NormalTensor({10, 3}, 0, 1, 1);
  Model model = Created(LearnedGaussian, {3}, 0.5);
  EXPECT_THAT(TrainError(model, Tensor({10, 4}), {}), AllOf(HasSubstr("[n, 3]"), HasSubstr("[10, 4]")));
  EXPECT_THAT(TrainError(model, Tensor({10, 3, 1}), {}), HasSubstr("[10, 3, 1]"));
  EXPECT_THAT(TrainError(model, Tensor({0, 3}), {}), HasSubstr("[0, 3]"));
  EXPECT_THAT(TrainError(model, x.Cast(autodiff::DType::kF64), {}), HasSubstr("f64"));
  Tensor bad = x;
  bad.set(3 * 7 + 1, std::nan(""));
  EXPECT_THAT(TrainError(model, bad, {}), AllOf(HasSubstr("sample 7"), HasSubstr("nan"), HasSubstr("position 1")));
  bad.set(3 * 7 + 1, std::numeric_limits<double>::infinity());
  EXPECT_THAT(TrainError(model, bad, {}), AllOf(HasSubstr("sample 7"), HasSubstr("inf")));
}

// Held-out data that cannot be measured are noticed before the training, not after.
TEST(TrainMistake, HeldOutSamples) {
  const Tensor x = NormalTensor({10, 3}, 0, 1, 1), other({10, 4}), none({0, 3});
  Model model = Created(LearnedGaussian, {3}, 0.5);
  EXPECT_THAT(TrainError(model, x, {.steps = 5}, &other), HasSubstr("[10, 4]"));
  EXPECT_THAT(TrainError(model, x, {.steps = 5}, &none), HasSubstr("[0, 3]"));
  EXPECT_THAT(TrainError(model, x, {.steps = 5, .held_out_samples = 0}, &x), HasSubstr("samples"));
}

TEST(TrainMistake, NothingToTrain) {
  const Tensor x = NormalTensor({10, 3}, 0, 1, 1);
  Model model = Created(Gaussian(1), {3}, 0.5);
  EXPECT_THAT(TrainError(model, x, {}), HasSubstr("no parameters"));
  Model fixed =
      Created([](Var y, Params& p) { return squared_norm(y * p.Fixed("s", Tensor::Full({}, 2)), {1}); }, {3}, 0.5);
  EXPECT_THAT(TrainError(fixed, x, {}), HasSubstr("no parameters"));
}

// --- A run that goes wrong ---

// Trains until it stops, and checks that the model is then what it was before the step that failed.
std::string Divergence(Model& model, const Tensor& x, const TrainOptions& options) {
  absl::StatusOr<std::unique_ptr<Trainer>> created = Trainer::Create(model, x, options);
  EXPECT_TRUE(created.ok()) << created.status();
  Trainer& trainer = **created;
  std::vector<float> before = ParameterValues(model);
  while (trainer.step() < options.steps) {
    const int64_t step = trainer.step();
    const absl::Status status = trainer.Step();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(status.message()), HasSubstr("step " + std::to_string(step + 1) + " of"));
      EXPECT_EQ(trainer.step(), step);
      EXPECT_TRUE(SameBits(ParameterValues(model), before));
      for (float v : before) EXPECT_TRUE(std::isfinite(v)) << v;
      EXPECT_EQ(trainer.Step().code(), absl::StatusCode::kFailedPrecondition);  // nor does it go on
      EXPECT_TRUE(SameBits(ParameterValues(model), before));
      return std::string(status.message());
    }
    before = ParameterValues(model);
  }
  ADD_FAILURE() << "did not diverge";
  return "";
}

// √c at c = 0 has slope infinity; the loss there is just σ²d, and would stay finite, with c where it is for ever.
TEST(Divergence, OfAGradientAlone) {
  const int line = __LINE__ + 2;
  const Energy energy = [](Var y, Params& p) {
    return 0.5 * (1.0 + sqrt(p("c", {}, autodiff::Zeros()))) * squared_norm(y, {1});
  };
  Model model = Created(energy, {2}, 0.5);
  const std::string message = Divergence(model, NormalTensor({100, 2}, 0, 1, 1), {.steps = 150, .batch = 32});
  EXPECT_THAT(message, AllOf(HasSubstr("the loss or its gradient"), HasSubstr("div of shape [] made inf of "),
                             HasSubstr(", 0 at []"), HasSubstr("in the gradient of sqrt"),
                             HasSubstr("trainer_test.cc:" + std::to_string(line))));
}

TEST(Divergence, OfALogarithmOfSomethingThatTurnsNegative) {
  // The best c is near e^0.4; from e³ steps of 30 lead below zero.
  const int line = __LINE__ + 2;
  const Energy energy = [](Var y, Params& p) {
    return 0.5 * log(p("c", {}, autodiff::Constant(std::exp(3)))) * squared_norm(y, {1});
  };
  Model model = Created(energy, {2}, 0.5);
  const std::string message =
      Divergence(model, NormalTensor({100, 2}, 0, 1, 1), {.steps = 50, .batch = 32, .learning_rate = 30});
  // The op, what it was given, and the line above.
  EXPECT_THAT(message, AllOf(HasSubstr("nan"), HasSubstr("learning rate"),
                             HasSubstr("First to go wrong: log of shape [] made nan of -"),
                             HasSubstr("trainer_test.cc:" + std::to_string(line))));
}

TEST(Divergence, OfALossThatOverflows) {
  // σ²∇φ is about 1e25, its square beyond the largest float: from the start.
  Model model =
      Created([](Var y, Params& p) { return p("a", {}, autodiff::Constant(1e25)) * squared_norm(y, {1}); }, {2}, 0.5);
  const std::string message = Divergence(model, NormalTensor({100, 2}, 0, 1, 1), {.steps = 50, .batch = 32});
  EXPECT_THAT(message, AllOf(HasSubstr("inf"), HasSubstr("step 1 of 50")));
}

TEST(Divergence, OfAHugeLearningRate) {
  Model model = Created(RandomDenoiser({.mean = Tensor({2}), .radius = 3}, 8), {2}, 0.5);
  Divergence(model, NormalTensor({100, 2}, 0, 1, 1), {.steps = 50, .batch = 32, .learning_rate = 1e30});
}

}  // namespace
}  // namespace neb
