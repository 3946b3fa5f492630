#include "neb/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/find_non_finite.h"
#include "autodiff/random.h"
#include "neb/dataset.h"
#include "neb/far_samples.h"
#include "neb/measurements.h"

namespace neb {

using autodiff::ParamStore;
using autodiff::Program;
using autodiff::Shape;
using autodiff::Tape;

struct Trainer::Impl {
  Impl(Model& model_, const Tensor& x_, const TrainOptions& options_)
      : model(model_),
        x(x_),
        options(options_),
        batches(x_.shape()[0], {.batch_size = options_.batch, .seed = options_.seed}) {}

  Model& model;
  const Tensor& x;
  TrainOptions options;
  Schedule schedule;
  Batches batches;
  std::unique_ptr<Program> program;
  // What the program was made of, to find out where a number went wrong.
  Tape tape;
  std::vector<Var> given;           // what `inputs` and `state` are the values of
  std::vector<Var> watched;         // the loss and its gradients
  std::unique_ptr<FarSamples> far;  // null: none
  Tensor samples, shift, noise, loss{Shape{}};
  std::vector<Tensor> scalars;
  // Per trained parameter: the value, its moments. The average is the model's own; without averaging the value is.
  std::vector<Tensor> weights, first_moments, second_moments;
  std::vector<const Tensor*> inputs;
  std::vector<Tensor*> state;
  int64_t step = 0;
};

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;
int64_t Trainer::step() const { return impl_->step; }
double Trainer::last_loss() const { return impl_->loss.at(0); }

namespace {

absl::Status CheckSamples(const Model& model, const Tensor& x, int64_t measurements) {
  if (measurements < 1 || model.d() % measurements != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("measurements must be a divisor of the model's d = ", model.d(), ", got ", measurements));
  }
  const int64_t d = model.d() / measurements;
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] != d || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, ", d, "] with n >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  const std::span<const float> values = x.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(absl::StrCat("sample ", static_cast<int64_t>(i) / d, " has a value of ",
                                                     values[i], " at position ", static_cast<int64_t>(i) % d));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMeasurable(const Model& model, const Tensor& x, int64_t samples, int64_t measurements) {
  if (samples < 1) return absl::InvalidArgumentError("the loss of no samples is not defined");
  return CheckSamples(model, x, measurements);
}

Schedule ScheduleOf(const TrainOptions& o) {
  return {.peak = o.learning_rate, .warmup = std::min(o.warmup, o.steps / 10), .total = o.steps};
}

// Which op it was, as a sentence; empty when an op-by-op replay, whose rounding differs, finds nothing.
std::string WhatWentWrong(const std::vector<Var>& watched, const std::vector<Var>& given,
                          std::vector<const Tensor*> values, const std::vector<Tensor*>& state) {
  values.insert(values.end(), state.begin(), state.end());
  const auto found = autodiff::FindNonFinite(watched, given, values);
  return found.ok() && found->has_value() ? absl::StrCat("First to go wrong: ", ToString(**found), ". ") : "";
}

// A gradient may be NaN while the loss is finite; its numbers then stay as they are (optimizer.h), and training would
// go on without them. To look at every gradient at every step would cost time: once in so many steps, the first
// included.
constexpr int64_t kStepsBetweenLooks = 1000;

constexpr double kMaxRate = 1e30;  // a step is about as long as the rate, and must be a float

absl::Status CheckAdam(const AdamOptions& o) {
  auto check = [](const char* name, double value, double low, double high, const char* range) {
    if (value >= low && value <= high) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("adam.", name, " must be ", range, ", got ", value));
  };
  absl::Status s = check("beta1", o.beta1, 0, std::nextafter(1.0, 0.0), "in [0, 1)");
  s.Update(check("beta2", o.beta2, 0, std::nextafter(1.0, 0.0), "in [0, 1)"));
  s.Update(check("epsilon", o.epsilon, 0, kMaxRate, ">= 0"));
  s.Update(check("weight_decay", o.weight_decay, 0, kMaxRate, ">= 0"));
  s.Update(check("clip_norm", o.clip_norm, 0, kMaxRate, ">= 0"));
  s.Update(check("ema_decay", o.ema_decay, 0, 1, "in [0, 1]"));
  return s;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(Model& model, const Tensor& x, const TrainOptions& options) {
  if (absl::Status s = CheckSamples(model, x, options.measurements); !s.ok()) return s;
  if (options.steps < 0) return absl::InvalidArgumentError(absl::StrCat("steps must be >= 0, got ", options.steps));
  if (options.batch < 1) return absl::InvalidArgumentError(absl::StrCat("batch must be >= 1, got ", options.batch));
  if (!(options.learning_rate > 0 && options.learning_rate <= kMaxRate)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the learning rate must be positive and at most ", kMaxRate, ", got ", options.learning_rate));
  }
  if (absl::Status s = CheckAdam(options.adam); !s.ok()) return s;
  if (!(options.far_fraction >= 0 && options.far_fraction <= 0.5)) {
    return absl::InvalidArgumentError(absl::StrCat("far_fraction must be in [0, 0.5], got ", options.far_fraction));
  }
  auto impl = std::make_unique<Impl>(model, x, options);
  impl->schedule = ScheduleOf(options);
  const int64_t batch = impl->batches.batch_size();
  const Shape of_samples = {batch, x.shape()[1]}, of_noise = {batch, model.d()};

  Tape& tape = impl->tape;
  ParamStore& store = model.params();
  Params p(&tape, &store);
  const Var samples = tape.Input("x", of_samples), noise = tape.Input("noise", of_noise);
  const bool far = options.far_fraction > 0;
  const Var shift = tape.Input("shift", of_samples);
  const Var clean_or_far = far ? samples + shift : samples;
  const Var y = Repeat(clean_or_far, options.measurements) + model.sigma() * noise;
  const Var loss = mean(MeasurementsLoss(model.energy(), samples, y, options.measurements, model.sigma(), p));
  const std::vector<Var> trained = p.trainable();
  if (!tape.status().ok()) return tape.status();
  if (trained.empty()) return absl::InvalidArgumentError("the energy has no parameters to train");
  const std::vector<Var> gradients = autodiff::grad(loss, trained);
  const AdamStep adam = RecordAdam(loss, trained, gradients, options.adam);

  std::vector<Var> inputs = {samples, noise};
  if (far) inputs.push_back(shift);
  inputs.insert(inputs.end(), adam.scalars.begin(), adam.scalars.end());
  impl->samples = Tensor(of_samples);
  impl->noise = Tensor(of_noise);
  impl->scalars.assign(adam.scalars.size(), Tensor(Shape{}));
  impl->inputs = {&impl->samples, &impl->noise};
  if (far) {
    impl->far = std::make_unique<FarSamples>(x, options.far_fraction);
    impl->shift = Tensor(of_samples);
    impl->inputs.push_back(&impl->shift);
  }
  for (const Tensor& t : impl->scalars) impl->inputs.push_back(&t);
  std::vector<int> indices;
  for (const Params::Bound& b : p.bound()) {
    if (store[b.index].trainable) {
      indices.push_back(b.index);
    } else {
      inputs.push_back(b.var);
      impl->inputs.push_back(&store[b.index].value);
    }
  }
  const bool averaged = options.adam.ema_decay > 0;
  for (int i : indices) {
    if (averaged) impl->weights.push_back(store[i].value);
    impl->first_moments.emplace_back(store[i].value.shape());
    impl->second_moments.emplace_back(store[i].value.shape());
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    Tensor* const own = &store[indices[i]].value;
    impl->state.insert(impl->state.end(),
                       {averaged ? &impl->weights[i] : own, &impl->first_moments[i], &impl->second_moments[i]});
    if (averaged) impl->state.push_back(own);
  }
  std::vector<Var> by_sample = {samples, noise};
  if (far) by_sample.push_back(shift);
  absl::StatusOr<Program> program =
      autodiff::Compile({.inputs = inputs, .state = adam.updates, .outputs = {loss}, .samples = std::move(by_sample)},
                        {.optimize = true, .pool = options.pool});
  if (!program.ok()) return program.status();
  impl->program = std::make_unique<Program>(*std::move(program));
  impl->given = std::move(inputs);
  for (const autodiff::Update& u : adam.updates) impl->given.push_back(u.before);
  impl->watched = gradients;
  impl->watched.push_back(loss);
  return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
}

absl::Status Trainer::Step() {
  Impl& t = *impl_;
  GatherRows(t.x, t.batches.At(t.step), t.samples);
  FillNormal({.seed = t.options.seed, .stream = autodiff::kDataNoise, .step = static_cast<uint64_t>(t.step)},
             t.options.pool, t.noise);
  if (t.far != nullptr) {
    t.far->FillShift(t.samples,
                     {.seed = t.options.seed, .stream = autodiff::kFarSamples, .step = static_cast<uint64_t>(t.step)},
                     t.shift);
  }
  const AdamScalars s = ScalarsAt(t.options.adam, t.schedule, t.step);
  t.scalars[0].set(0, s.rate);
  t.scalars[1].set(0, s.correction1);
  t.scalars[2].set(0, s.correction2);
  t.scalars[3].set(0, s.ema_weight);
  auto failure = [&](const std::string& what, const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat(what, " at step ", t.step + 1, " of ", t.options.steps,
                                                      " (learning rate ", s.rate,
                                                      "); the parameters are those of the step before. ", why,
                                                      "A smaller learning rate or gradient clipping may help"));
  };
  if (t.step % kStepsBetweenLooks == 0) {
    const std::string why = WhatWentWrong(t.watched, t.given, t.inputs, t.state);
    if (!why.empty()) return failure("the loss or its gradient became nan or infinite", why);
  }
  Tensor* const loss = &t.loss;
  if (absl::Status status = t.program->Run(t.inputs, t.state, {&loss, 1}); !status.ok()) return status;
  if (!std::isfinite(last_loss())) {
    return failure(absl::StrCat("the loss became ", last_loss()), WhatWentWrong(t.watched, t.given, t.inputs, t.state));
  }
  ++t.step;
  return absl::OkStatus();
}

absl::StatusOr<TrainResult> Train(Model& model, const Tensor& x, const Tensor* held_out, const TrainOptions& options) {
  absl::StatusOr<std::unique_ptr<Trainer>> created = Trainer::Create(model, x, options);
  if (!created.ok()) return created.status();
  if (held_out != nullptr) {
    absl::Status s = CheckMeasurable(model, *held_out, options.held_out_samples, options.measurements);
    if (!s.ok()) return s;
  }
  Trainer& trainer = **created;
  using Clock = std::chrono::steady_clock;
  auto seconds_since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  const Clock::time_point start = Clock::now();
  TrainResult result;
  double loss_sum = 0;
  int64_t loss_count = 0;
  double training_seconds = 0;  // without the measurements
  while (trainer.step() < options.steps) {
    const Clock::time_point before = Clock::now();
    if (absl::Status s = trainer.Step(); !s.ok()) return s;
    training_seconds += seconds_since(before);
    loss_sum += trainer.last_loss();
    ++loss_count;
    const int64_t step = trainer.step();
    const bool last = step == options.steps;
    const bool measure = held_out != nullptr && (step % std::max<int64_t>(1, options.evaluate_every) == 0 || last);
    if (step % std::max<int64_t>(1, options.report_every) != 0 && !measure && !last) continue;
    Progress progress{.step = step, .steps = options.steps, .loss = loss_sum / static_cast<double>(loss_count)};
    progress.held_out_loss = std::numeric_limits<double>::quiet_NaN();
    if (measure) {
      absl::StatusOr<double> measured =
          MeasureLoss(model, *held_out, options.held_out_samples, options.seed, options.pool, options.measurements);
      if (!measured.ok()) return measured.status();
      progress.held_out_loss = *measured;
    }
    progress.rate = LearningRate(ScheduleOf(options), step - 1);
    progress.samples_per_second = static_cast<double>(step * std::min(options.batch, x.shape()[0])) / training_seconds;
    progress.seconds = seconds_since(start);
    result.history.push_back(progress);
    if (options.on_progress) options.on_progress(progress);
    loss_sum = 0;
    loss_count = 0;
  }
  result.seconds = seconds_since(start);
  return result;
}

absl::StatusOr<double> MeasureLoss(Model& model, const Tensor& x, int64_t samples, uint64_t seed,
                                   autodiff::ThreadPool* pool, int64_t measurements) {
  if (absl::Status s = CheckMeasurable(model, x, samples, measurements); !s.ok()) return s;
  const int64_t n = std::min(samples, x.shape()[0]), width = x.shape()[1];
  constexpr int64_t kChunk = 1024;  // bounds the memory
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t rows = std::min(kChunk, n - begin);
    const std::span<const float> clean =
        x.data<float>().subspan(static_cast<size_t>(begin * width), static_cast<size_t>(rows * width));
    const absl::StatusOr<Tensor> repeated = Repeat(Tensor::From<float>({rows, width}, clean), measurements);
    if (!repeated.ok()) return repeated.status();
    Tensor y(repeated->shape()), estimates(repeated->shape());
    const std::span<float> noisy = y.data<float>();
    autodiff::FillNormal({.seed = seed, .stream = autodiff::kEvaluationNoise, .step = 0}, begin * model.d(), noisy);
    for (size_t i = 0; i < noisy.size(); ++i) {
      noisy[i] = repeated->data<float>()[i] + static_cast<float>(model.sigma()) * noisy[i];
    }
    absl::Status s = model.Evaluate(noisy, {.energy = {}, .gradient = {}, .x_hat = estimates.data<float>()}, pool);
    if (!s.ok()) return s;
    const absl::StatusOr<Tensor> x_hat = MeanOfMeasurements(estimates, measurements);
    if (!x_hat.ok()) return x_hat.status();
    for (size_t i = 0; i < clean.size(); ++i) {
      const double r = static_cast<double>(clean[i]) - x_hat->data<float>()[i];
      total += r * r;
    }
  }
  return total / static_cast<double>(n);
}

}  // namespace neb
