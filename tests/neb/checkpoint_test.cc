#include "neb/checkpoint.h"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/energy_spec.h"
#include "neb/fingerprint.h"
#include "neb/measurements.h"
#include "neb/scales.h"
#include "neb/trainer.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::ThreadPool;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kSigma = 0.3;

struct Problem {
  Tensor x;
  Tensor held_out;
  Energy energy;
};
Problem SmallProblem(int64_t hidden = 21) {
  Tensor x = NormalTensor({50, 9}, 0.5, 0.3, 1);
  return {x, NormalTensor({20, 9}, 0.5, 0.3, 2), RandomDenoiser(MeasureScales(x, kSigma), hidden)};
}

Model Created(const Energy& energy, int64_t d = 9, double sigma = kSigma, uint64_t seed = 1) {
  absl::StatusOr<Model> model = Model::Create(energy, {d}, sigma, seed);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// Asks to stop after so many steps.
std::function<bool()> StopAfter(int64_t steps) {
  return [steps]() mutable { return steps-- == 0; };
}

// --- A resumed run is the run that was never stopped ---

// Equal numbers, NaN included.
void ExpectSameReports(const std::vector<Progress>& a, const std::vector<Progress>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].step, b[i].step);
    EXPECT_EQ(a[i].steps, b[i].steps);
    EXPECT_EQ(a[i].loss, b[i].loss);
    EXPECT_EQ(std::isnan(a[i].held_out_loss), std::isnan(b[i].held_out_loss));
    if (!std::isnan(a[i].held_out_loss)) {
      EXPECT_EQ(a[i].held_out_loss, b[i].held_out_loss);
    }
    EXPECT_EQ(a[i].rate, b[i].rate);
    EXPECT_EQ(a[i].resumed, b[i].resumed);
  }
}

// All tensors of two checkpoints but the clock's columns of the history.
void ExpectSameState(const std::string& a, const std::string& b) {
  const absl::StatusOr<TensorFile> one = ReadSafetensors(a), other = ReadSafetensors(b);
  ASSERT_TRUE(one.ok() && other.ok());
  ASSERT_EQ(one->tensors.size(), other->tensors.size());
  for (const auto& [name, tensor] : one->tensors) {
    const Tensor* const same = other->Find(name);
    ASSERT_NE(same, nullptr) << name;
    if (name == "@history") continue;
    EXPECT_EQ(Fingerprint(tensor), Fingerprint(*same)) << name;
  }
  for (const char* key : {"step", "data", "loss_sum", "loss_count", "setting/steps"}) {
    EXPECT_EQ(one->metadata.at(key), other->metadata.at(key)) << key;
  }
}

// Stops after each of the steps in turn, each time in a new model as a new process would, and goes on with other
// threads.
void ExpectResumedEqualsUnstopped(TrainOptions options) {
  const Problem problem = SmallProblem();
  const std::string folder = NewFolder("run");
  const auto energy = options.measurements == 1
                          ? problem.energy
                          : JointEnergy(RandomDenoiser(MeasureScales(problem.x, kSigma / std::sqrt(2)), 21), 2, kSigma);
  const int64_t d = 9 * options.measurements;
  options.steps = 12;
  options.batch = 16;
  options.report_every = 5;
  options.evaluate_every = 4;
  options.checkpoint = {.path = folder + "/whole", .resume = true};
  Model whole = Created(energy, d);
  const absl::StatusOr<TrainResult> expected = Train(whole, problem.x, &problem.held_out, options);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(expected->resumed_at, 0);
  EXPECT_FALSE(expected->stopped);
  ThreadPool one(1), two(2);
  for (int64_t step = 0; step <= options.steps; ++step) {
    SCOPED_TRACE(step);
    options.checkpoint.path = folder + "/" + std::to_string(step);
    options.stop = StopAfter(step);
    options.pool = step % 2 == 0 ? &one : &two;
    Model first = Created(energy, d);
    const absl::StatusOr<TrainResult> stopped = Train(first, problem.x, &problem.held_out, options);
    ASSERT_TRUE(stopped.ok()) << stopped.status();
    EXPECT_EQ(stopped->stopped, step < options.steps);
    EXPECT_TRUE(stopped->checkpoint.ok());

    options.stop = {};
    options.pool = step % 2 == 0 ? &two : nullptr;
    std::vector<Progress> reported;
    options.on_progress = [&](const Progress& p) { reported.push_back(p); };
    int64_t started_at = -1;
    options.on_start = [&](int64_t at) {
      started_at = at;
      EXPECT_TRUE(reported.empty());
    };
    Model second = Created(energy, d);
    const absl::StatusOr<TrainResult> resumed = Train(second, problem.x, &problem.held_out, options);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(resumed->resumed_at, step);
    EXPECT_EQ(started_at, step);
    EXPECT_FALSE(resumed->stopped);
    EXPECT_TRUE(SameBits(ParameterValues(second), ParameterValues(whole)));
    ExpectSameReports(resumed->history, expected->history);
    ExpectSameState(options.checkpoint.path, folder + "/whole");
    for (Progress& p : reported) {
      EXPECT_EQ(p.resumed, p.step <= step);
      p.resumed = false;
    }
    ExpectSameReports(reported, expected->history);
    options.on_progress = {};
    options.on_start = {};
  }
}

TEST(Resume, EqualsTheRunThatWasNeverStopped) { ExpectResumedEqualsUnstopped({}); }
TEST(Resume, WithoutAnAverage) { ExpectResumedEqualsUnstopped({.adam = {.ema_decay = 0}}); }
TEST(Resume, WithFarSamples) { ExpectResumedEqualsUnstopped({.far_fraction = 0.25}); }
TEST(Resume, WithInnerSamples) { ExpectResumedEqualsUnstopped({.inner_fraction = 0.25}); }
TEST(Resume, WithClippingAndDecay) {
  ExpectResumedEqualsUnstopped({.warmup = 3, .adam = {.weight_decay = 0.01, .clip_norm = 0.5}, .seed = 7});
}
TEST(Resume, WithSeveralMeasurements) { ExpectResumedEqualsUnstopped({.measurements = 2}); }

// Saving changes nothing, and a run of many stops is still the same run.
TEST(Resume, AfterEveryStep) {
  const Problem problem = SmallProblem();
  Model whole = Created(problem.energy);
  TrainOptions options{.steps = 9, .batch = 16, .report_every = 4};
  ASSERT_TRUE(Train(whole, problem.x, nullptr, options).ok());
  options.checkpoint = {.path = NewFolder("run") + "/file", .every_steps = 1, .resume = true};
  Model model = Created(problem.energy);
  for (int64_t step = 0; step < 9; ++step) {
    options.stop = StopAfter(1);
    model = Created(problem.energy);
    const absl::StatusOr<TrainResult> result = Train(model, problem.x, nullptr, options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->resumed_at, step);
  }
  EXPECT_TRUE(SameBits(ParameterValues(model), ParameterValues(whole)));
}

TEST(Resume, WithoutAskingStartsAnew) {
  const Problem problem = SmallProblem();
  TrainOptions options{.steps = 4, .batch = 8, .checkpoint = {.path = NewFolder("run") + "/file"}};
  for (int i = 0; i < 2; ++i) {
    Model model = Created(problem.energy);
    const absl::StatusOr<TrainResult> result = Train(model, problem.x, nullptr, options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->resumed_at, 0);
    options.seed = 2;  // what is there is replaced, not compared
  }
}

// --- What a checkpoint is ---

TEST(Checkpoint, HoldsWhatItsHeaderSays) {
  const Problem problem = SmallProblem();
  const std::string path = NewFolder("run") + "/file";
  Model model = Created([](Var y, Params& p) { return LearnedGaussian(y - p.Fixed("mean", Tensor({9})), p); });
  const absl::StatusOr<TrainResult> result =
      Train(model, problem.x, &problem.held_out,
            {.steps = 7, .batch = 8, .report_every = 3, .checkpoint = {.path = path, .metadata = {{"note", "δ"}}}});
  ASSERT_TRUE(result.ok()) << result.status();
  const absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file->tensors) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("mean", "log_precision", "@trained/log_precision", "@first_moment/log_precision",
                                 "@second_moment/log_precision", "@history"));
  EXPECT_TRUE(IsCheckpoint(*file));
  EXPECT_EQ(file->metadata.at("step"), "7");
  EXPECT_EQ(file->metadata.at("note"), "δ");
  EXPECT_EQ(file->metadata.at("data"), Fingerprint(problem.x));
  EXPECT_EQ(file->metadata.at("setting/sigma"), "0.3");
  EXPECT_EQ(file->metadata.at("setting/adam.beta2"), "0.999");
  EXPECT_EQ(file->metadata.at("loss_count"), "0");
  const Tensor& history = *file->Find("@history");
  ASSERT_EQ(history.shape(), (autodiff::Shape{3, 6}));
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_EQ(history.at(row * 6), static_cast<double>(result->history[static_cast<size_t>(row)].step));
    EXPECT_EQ(history.at(row * 6 + 1), result->history[static_cast<size_t>(row)].loss);
  }
  EXPECT_EQ(history.at(2 * 6 + 2), result->history[2].held_out_loss);
  // The first moment after 7 steps is not the zero that it started as, the second is positive.
  EXPECT_NE(file->Find("@first_moment/log_precision")->at(0), 0);
  EXPECT_GT(file->Find("@second_moment/log_precision")->at(0), 0);
}

TEST(Checkpoint, IsAModelToo) {
  const Problem problem = SmallProblem();
  const std::string path = NewFolder("run") + "/file";
  const EnergySpec spec = ResidualMlpOptions{.hidden = {8}};
  const absl::StatusOr<Energy> energy = MakeEnergy(spec, {9}, MeasureScales(problem.x, kSigma));
  ASSERT_TRUE(energy.ok());
  Model model = Created(*energy);
  ASSERT_TRUE(Train(model, problem.x, nullptr,
                    {.steps = 5, .batch = 8, .checkpoint = {.path = path, .metadata = {{"energy", ToJson(spec)}}}})
                  .ok());
  absl::StatusOr<Model> loaded = Model::Load(path, *energy), known = LoadModel(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_TRUE(SameBits(ParameterValues(*loaded), ParameterValues(model)));
  const std::vector<float> y = Values(problem.x);
  EXPECT_TRUE(SameBits(XHatOf(*known, y), XHatOf(model, y)));
  EXPECT_EQ(loaded->params().size(), model.params().size());
}

TEST(Checkpoint, NumbersReadBackAsTheyAre) {
  for (const double value : {0.1, 1.0 / 3, -2.5e-310, 1.7976931348623157e308, 0.0, 12345678.9}) {
    const TensorFile file{.tensors = {}, .metadata = {{"x", ExactText(value)}}};
    EXPECT_EQ(*NumberIn(file, "x"), value);
  }
  EXPECT_EQ(ExactText(0.1), "0.1");
  EXPECT_FALSE(NumberIn({}, "x").ok());
  EXPECT_FALSE(CountIn({.tensors = {}, .metadata = {{"x", "-1"}}}, "x").ok());
  EXPECT_FALSE(CountIn({.tensors = {}, .metadata = {{"x", "1.5"}}}, "x").ok());
}

// --- What does not belong together ---

// A checkpoint of 6 of 8 steps, and the message with which another run refuses it. Nothing is trained, and the file
// stays as it is.
class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    path_ = NewFolder("run") + "/file";
    options_.checkpoint = {.path = path_, .resume = true, .metadata = {{"energy", "mine"}}};
    TrainOptions stopping = options_;
    stopping.stop = StopAfter(6);
    Model model = Created(problem_.energy);
    ASSERT_TRUE(Train(model, problem_.x, nullptr, stopping).ok());
  }

  std::string Error(const TrainOptions& options, const Energy& energy, const Tensor& x, double sigma = kSigma,
                    uint64_t seed = 1) {
    Model model = Created(energy, 9, sigma, seed);
    return ErrorOf(model, x, options);
  }
  std::string ErrorOf(Model& model, const Tensor& x, const TrainOptions& options) {
    const std::vector<float> before = ParameterValues(model);
    const std::string bytes = Slurp(path_);
    const absl::StatusOr<TrainResult> result = Train(model, x, nullptr, options);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << result.status();
    EXPECT_TRUE(SameBits(ParameterValues(model), before));
    EXPECT_EQ(Slurp(path_), bytes);
    const std::string message(result.status().message());
    EXPECT_THAT(message, HasSubstr(path_));
    return message;
  }

  Problem problem_ = SmallProblem();
  TrainOptions options_{.steps = 8, .batch = 16};
  std::string path_;
};

TEST_F(Refusal, NamesTheSettingThatDiffersAndBothValues) {
  struct Case {
    const char* message;
    std::function<void(TrainOptions&)> change;
  };
  for (const Case& c :
       {Case{"steps is 9, but 8 in the checkpoint", [](TrainOptions& o) { o.steps = 9; }},
        {"batch is 17, but 16 ", [](TrainOptions& o) { o.batch = 17; }},
        {"learning_rate is 0.002, but 0.001 ", [](TrainOptions& o) { o.learning_rate = 0.002; }},
        {"warmup is 1, but 500 ", [](TrainOptions& o) { o.warmup = 1; }},
        {"adam.beta1 is 0.8, but 0.9 ", [](TrainOptions& o) { o.adam.beta1 = 0.8; }},
        {"adam.beta2 is 0.8, but 0.999 ", [](TrainOptions& o) { o.adam.beta2 = 0.8; }},
        {"adam.epsilon is 1, but 1e-08 ", [](TrainOptions& o) { o.adam.epsilon = 1; }},
        {"adam.weight_decay is 0.5, but 0 ", [](TrainOptions& o) { o.adam.weight_decay = 0.5; }},
        {"adam.clip_norm is 2, but 0 ", [](TrainOptions& o) { o.adam.clip_norm = 2; }},
        {"adam.ema_decay is 0, but 0.999 ", [](TrainOptions& o) { o.adam.ema_decay = 0; }},
        {"inner_fraction is 0.25, but 0 ", [](TrainOptions& o) { o.inner_fraction = 0.25; }},
        {"far_fraction is 0.25, but 0 ", [](TrainOptions& o) { o.far_fraction = 0.25; }},
        {"seed is 3, but 1 ", [](TrainOptions& o) { o.seed = 3; }},
        {"energy is yours, but mine ",
         [](TrainOptions& o) {
           o.checkpoint.metadata = {{"energy", "yours"}};
         }},
        {"more is this, but missing ", [](TrainOptions& o) { o.checkpoint.metadata["more"] = "this"; }}}) {
    TrainOptions other = options_;
    c.change(other);
    EXPECT_THAT(Error(other, problem_.energy, problem_.x), HasSubstr(c.message));
  }
  EXPECT_THAT(Error(options_, problem_.energy, problem_.x, 0.4), HasSubstr("sigma is 0.4, but 0.3 "));
  EXPECT_THAT(Error(options_, problem_.energy, problem_.x, kSigma, 5), HasSubstr("parameter_seed is 5, but 1 "));
}

TEST_F(Refusal, OfOtherSamples) {
  Tensor x = problem_.x;
  x.set(100, std::nextafter(x.data<float>()[100], 9.0f));  // one bit of one number
  EXPECT_THAT(Error(options_, problem_.energy, x),
              AllOf(HasSubstr("data is f32[50, 9] xxh64 "), HasSubstr("but f32[50, 9] xxh64 ")));
  EXPECT_THAT(Error(options_, problem_.energy, NormalTensor({51, 9}, 0, 1, 1)), HasSubstr("f32[51, 9]"));
}

TEST_F(Refusal, NamesTheFirstParameterThatDiffersWithBothShapes) {
  EXPECT_THAT(Error(options_, SmallProblem(22).energy, problem_.x),
              HasSubstr("parameter \"nu/0/w\" of the energy is f32[9, 22], but f32[9, 21] in the checkpoint"));
  const auto more = [&](Var y, Params& p) { return problem_.energy(y, p) + sum(p("extra", {3})); };
  EXPECT_THAT(Error(options_, more, problem_.x), HasSubstr("\"extra\" of the energy, f32[3], is not in"));
  EXPECT_THAT(Error(
                  options_, [](Var y, Params& p) { return LearnedGaussian(y, p); }, problem_.x),
              HasSubstr("\"log_precision\" of the energy, f32[], is not in"));
  const auto fewer = [](Var y, Params& p) {
    const Var mean = p.Fixed("mean", Tensor({9}));
    return squared_norm(p("nu/0/b", {21}), {0}) + squared_norm(y - mean, {1});
  };
  EXPECT_THAT(Error(options_, fewer, problem_.x), HasSubstr("number 0 of the fixed \"mean\" is 0, but 0."));
}

TEST_F(Refusal, OfParametersThatTheEnergyDoesNotHave) {
  const Tensor mean = MeasureScales(problem_.x, kSigma).mean;
  const auto fewer = [&](Var y, Params& p) {
    return sum(p("nu/0/b", {21})) * squared_norm(y - p.Fixed("mean", mean), {1});
  };
  EXPECT_THAT(Error(options_, fewer, problem_.x),
              HasSubstr("the energy has no parameter \"stddev\", f32[] in the checkpoint"));
}

TEST_F(Refusal, OfFilesThatAreNoCheckpoint) {
  ASSERT_TRUE(Created(problem_.energy).Save(path_).ok());
  EXPECT_THAT(Error(options_, problem_.energy, problem_.x), HasSubstr("not a checkpoint"));
  Spill(path_, "no file of this kind");
  Error(options_, problem_.energy, problem_.x);
}

TEST_F(Refusal, OfBrokenCheckpoints) {
  const TensorFile good = *ReadSafetensors(path_);
  const auto error_with = [&](const std::function<void(TensorFile&)>& change) {
    TensorFile file = good;
    change(file);
    EXPECT_TRUE(WriteSafetensors(path_, file).ok());
    return Error(options_, problem_.energy, problem_.x);
  };
  EXPECT_THAT(error_with([](TensorFile& f) { f.metadata["checkpoint"] = "2"; }), HasSubstr("checkpoint is 1, but 2"));
  for (const char* step : {"", "six", "-1", "9"}) {
    EXPECT_THAT(error_with([&](TensorFile& f) { f.metadata["step"] = step; }), HasSubstr("step"));
  }
  for (const char* key : {"step", "loss_sum", "loss_count", "seconds", "training_seconds", "data", "setting/batch"}) {
    EXPECT_THAT(error_with([&](TensorFile& f) { f.metadata.erase(key); }),
                HasSubstr(std::string(key).substr(std::string(key).find('/') + 1)));
  }
  EXPECT_THAT(error_with([](TensorFile& f) { f.metadata["setting/momentum"] = "1"; }),
              HasSubstr("momentum is not set, but 1"));
  for (const char* name : {"nu/1/w", "@trained/nu/1/w", "@first_moment/nu/2/b", "@second_moment/nu/0/b", "@history"}) {
    const auto without = [&](TensorFile& f) {
      std::erase_if(f.tensors, [&](const auto& t) { return t.first == name; });
    };
    EXPECT_THAT(error_with(without), HasSubstr(name));
    const auto of_another_shape = [&](TensorFile& f) {
      without(f);
      f.tensors.emplace_back(name, Tensor({2, 2}));
    };
    EXPECT_THAT(error_with(of_another_shape), HasSubstr(name));
  }
  const auto report_of_no_step = [](TensorFile& f) {
    for (auto& [name, tensor] : f.tensors) {
      if (name == "@history") tensor = Tensor::Full({1, 6}, std::nan(""), autodiff::DType::kF64);
    }
  };
  EXPECT_THAT(error_with(report_of_no_step), HasSubstr("a report of step nan"));
  ASSERT_TRUE(WriteSafetensors(path_, good).ok());
  Model model = Created(problem_.energy);
  EXPECT_TRUE(Train(model, problem_.x, nullptr, options_).ok());  // it was the changes
}

TEST_F(Refusal, NotOfOtherReportsOrThreads) {
  ThreadPool two(2);
  options_.report_every = 1;
  options_.evaluate_every = 2;
  options_.held_out_samples = 3;
  options_.pool = &two;
  Model model = Created(problem_.energy);
  const absl::StatusOr<TrainResult> result = Train(model, problem_.x, &problem_.held_out, options_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->resumed_at, 6);
}

TEST(CheckpointMistake, OptionsOutOfRange) {
  const Problem problem = SmallProblem();
  Model model = Created(problem.energy);
  const auto error = [&](const CheckpointOptions& checkpoint) {
    return std::string(Train(model, problem.x, nullptr, {.steps = 1, .checkpoint = checkpoint}).status().message());
  };
  const std::string path = NewFolder("run") + "/file";
  EXPECT_THAT(error({.resume = true}), HasSubstr("checkpoint.path"));
  EXPECT_THAT(error({.path = path, .every_seconds = -1}), HasSubstr("every_seconds"));
  EXPECT_THAT(error({.path = path, .every_seconds = std::nan("")}), HasSubstr("every_seconds"));
  EXPECT_THAT(error({.path = path, .every_steps = -1}), HasSubstr("every_steps"));
  Model at = Created([](Var y, Params& p) { return p("@w", {}) * squared_norm(y, {1}); });
  EXPECT_THAT(std::string(Train(at, problem.x, nullptr, {.steps = 1, .checkpoint = {.path = path}}).status().message()),
              HasSubstr("\"@w\""));
}

}  // namespace
}  // namespace neb
