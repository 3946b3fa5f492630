#include "neb/trainer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/find_non_finite.h"
#include "autodiff/random.h"
#include "neb/checkpoint.h"
#include "neb/dataset.h"
#include "neb/far_samples.h"
#include "neb/fingerprint.h"
#include "neb/inner_samples.h"
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
  std::vector<int> trained;  // their places in the model's store
  std::vector<const Tensor*> inputs;
  std::vector<Tensor*> state;
  int64_t step = 0;
  mutable std::string data;  // the samples' fingerprint, once it is asked for

  const std::string& Data() const {
    if (data.empty()) data = Fingerprint(x);
    return data;
  }
  // The state that the model does not hold, by its names in a checkpoint.
  std::vector<std::pair<std::string, Tensor*>> State() {
    std::vector<std::pair<std::string, Tensor*>> all;
    for (size_t i = 0; i < trained.size(); ++i) {
      const std::string& name = model.params()[trained[i]].name;
      if (!weights.empty()) all.emplace_back(absl::StrCat("@trained/", name), &weights[i]);
      all.emplace_back(absl::StrCat("@first_moment/", name), &first_moments[i]);
      all.emplace_back(absl::StrCat("@second_moment/", name), &second_moments[i]);
    }
    return all;
  }
};

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;
int64_t Trainer::step() const { return impl_->step; }
double Trainer::last_loss() const { return impl_->loss.at(0); }
double Trainer::last_rate() const { return LearningRate(impl_->schedule, std::max<int64_t>(0, impl_->step - 1)); }

namespace {

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
// go on without them. Looking at every gradient takes a replay op by op, so it is done at steps 100, 200, 400, 800, ...
bool IsLookDue(int64_t step) {
  return step >= 100 && step % 100 == 0 && std::has_single_bit(static_cast<uint64_t>(step / 100));
}

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

constexpr int kCheckpointVersion = 1;

// What the parameters after a step depend on. Not the threads, nor when the losses are reported.
Settings SettingsOf(const Model& model, const TrainOptions& o) {
  return {{"item_shape", model.item_shape().ToString()},
          {"sigma", ExactText(model.sigma())},
          {"steps", absl::StrCat(o.steps)},  // the rate's schedule ends there
          {"batch", absl::StrCat(o.batch)},
          {"learning_rate", ExactText(o.learning_rate)},
          {"warmup", absl::StrCat(o.warmup)},
          {"adam.beta1", ExactText(o.adam.beta1)},
          {"adam.beta2", ExactText(o.adam.beta2)},
          {"adam.epsilon", ExactText(o.adam.epsilon)},
          {"adam.weight_decay", ExactText(o.adam.weight_decay)},
          {"adam.clip_norm", ExactText(o.adam.clip_norm)},
          {"adam.ema_decay", ExactText(o.adam.ema_decay)},
          {"measurements", absl::StrCat(o.measurements)},
          {"far_fraction", ExactText(o.far_fraction)},
          {"inner_fraction", ExactText(o.inner_fraction)},
          {"seed", absl::StrCat(o.seed)},
          {"parameter_seed", absl::StrCat(model.params().seed())}};
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
  if (!(options.inner_fraction >= 0 && options.inner_fraction <= 0.5)) {
    return absl::InvalidArgumentError(absl::StrCat("inner_fraction must be in [0, 0.5], got ", options.inner_fraction));
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
  std::vector<int>& indices = impl->trained;
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
  ShrinkNoise(t.options.inner_fraction,
              {.seed = t.options.seed, .stream = autodiff::kInnerSamples, .step = static_cast<uint64_t>(t.step)},
              t.noise);
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
  if (IsLookDue(t.step)) {
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

TensorFile Trainer::Save(const std::map<std::string, std::string>& metadata) const { return CopyOf(State(metadata)); }

TensorFileView Trainer::State(const std::map<std::string, std::string>& metadata) const {
  TensorFileView file = impl_->model.Contents(metadata);
  for (const auto& [name, tensor] : impl_->State()) file.tensors.emplace_back(name, tensor);
  file.metadata["checkpoint"] = absl::StrCat(kCheckpointVersion);
  file.metadata["step"] = absl::StrCat(impl_->step);
  file.metadata["data"] = impl_->Data();
  AddSettings(SettingsOf(impl_->model, impl_->options), file.metadata);
  return file;
}

absl::Status Trainer::Restore(const TensorFile& file, const std::map<std::string, std::string>& metadata) {
  Impl& t = *impl_;
  auto same = [&file](const std::string& key, const std::string& value) {
    const auto it = file.metadata.find(key);
    if (it != file.metadata.end() && it->second == value) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        key, " is ", value, ", but ", it == file.metadata.end() ? "missing" : it->second, " in the checkpoint"));
  };
  if (!IsCheckpoint(file)) return absl::InvalidArgumentError("not a checkpoint: no metadata \"checkpoint\"");
  if (absl::Status s = same("checkpoint", absl::StrCat(kCheckpointVersion)); !s.ok()) return s;
  for (const auto& [key, value] : metadata) {
    if (absl::Status s = same(key, value); !s.ok()) return s;
  }
  if (absl::Status s = CheckSettings(file, SettingsOf(t.model, t.options)); !s.ok()) return s;
  if (absl::Status s = same("data", t.Data()); !s.ok()) return s;
  if (absl::Status s = CheckParameters(file, t.model.params()); !s.ok()) return s;
  const absl::StatusOr<int64_t> step = CountIn(file, "step");
  if (!step.ok()) return step.status();
  if (*step > t.options.steps) {
    return absl::InvalidArgumentError(absl::StrCat("not a checkpoint: step ", *step, " of ", t.options.steps));
  }
  // All is found before anything is changed.
  std::vector<std::pair<const Tensor*, Tensor*>> copies;
  for (int i = 0; i < t.model.params().size(); ++i) {
    ParamStore::Entry& entry = t.model.params()[i];
    copies.emplace_back(file.Find(entry.name), &entry.value);
  }
  for (const auto& [name, tensor] : t.State()) {
    const Tensor* const stored = file.Find(name);
    if (stored == nullptr || !(stored->shape() == tensor->shape()) || stored->dtype() != tensor->dtype()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "not a checkpoint: \"", name, "\" should be ", Name(tensor->dtype()), tensor->shape().ToString(), ", and is ",
          stored == nullptr ? "missing" : absl::StrCat(Name(stored->dtype()), stored->shape().ToString())));
    }
    copies.emplace_back(stored, tensor);
  }
  // The program knows where the values are: they stay in place.
  for (const auto& [from, to] : copies) {
    std::memcpy(to->bytes(), from->bytes(), static_cast<size_t>(to->num_bytes()));
  }
  t.step = *step;
  return absl::OkStatus();
}

}  // namespace neb
