#include "neb/model.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "neb/checkpoint.h"
#include "neb/evaluation_batch.h"
#include "neb/file_reader.h"
#include "neb/safetensors.h"

namespace neb {

using autodiff::ParamStore;
using autodiff::Program;
using autodiff::Shape;
using autodiff::Tape;

namespace {

// Of one sample.
constexpr int64_t kMaxElements = int64_t{1} << 40;

std::string ToText(const Shape& shape) { return absl::StrJoin(shape, ","); }

absl::StatusOr<Shape> ParseShape(const std::string& text) {
  std::vector<int64_t> extents;
  if (text.empty()) return Shape(extents);  // that of single numbers
  int64_t elements = 1;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t extent = 0;
    if (!absl::SimpleAtoi(part, &extent) || extent < 1 || extent > kMaxElements / elements) {
      return absl::InvalidArgumentError(absl::StrCat(
          "item_shape ", Excerpt(text), " is not a list of positive numbers with a product of at most ", kMaxElements));
    }
    elements *= extent;
    extents.push_back(extent);
  }
  return Shape(extents);
}

}  // namespace

std::vector<const Tensor*> BoundTensors(const Params& p, const ParamStore& store) {
  std::vector<const Tensor*> tensors;
  for (const Params::Bound& b : p.bound()) tensors.push_back(&store[b.index].value);
  return tensors;
}

std::vector<Var> BoundVars(const Params& p) {
  std::vector<Var> vars;
  for (const Params::Bound& b : p.bound()) vars.push_back(b.var);
  return vars;
}

// The program for batches of one size and the wanted results, and its buffers.
struct Model::Evaluator {
  // Batch, gradient, energy, pool and its threads: a later pool may lie at the address of an earlier one.
  std::tuple<int64_t, bool, bool, autodiff::ThreadPool*, int> key;
  Program program;
  Tensor y, energy, gradient;
  std::vector<const Tensor*> inputs;
  std::vector<Tensor*> outputs;
};

Model::Model(Energy energy, Shape item_shape, double sigma, std::shared_ptr<ParamStore> params)
    : energy_(std::move(energy)), item_shape_(std::move(item_shape)), sigma_(sigma), params_(std::move(params)) {}

absl::Status Model::RecordOnce() {
  Tape tape;
  Params p(&tape, params_.get());
  const Var phi = RecordEnergy(energy_, tape.Input("y", {2, d()}), p);
  if (!tape.status().ok()) return tape.status();
  return phi.ok() ? absl::OkStatus() : absl::InvalidArgumentError("the energy returned a Var of no tape");
}

absl::StatusOr<Model> Model::Create(Energy energy, Shape item_shape, double sigma, uint64_t seed) {
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be positive, got ", sigma));
  }
  if (!item_shape.valid() || item_shape.num_elements() < 1) {
    return absl::InvalidArgumentError(absl::StrCat("samples of shape ", item_shape.ToString(), " have no elements"));
  }
  Model model(std::move(energy), std::move(item_shape), sigma, std::make_shared<ParamStore>(seed));
  if (absl::Status s = model.RecordOnce(); !s.ok()) return s;
  return model;
}

absl::StatusOr<Model> Model::Load(const std::string& path, Energy energy) {
  absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  auto fail = [&path](const std::string& why) { return absl::InvalidArgumentError(absl::StrCat(path, ": ", why)); };
  auto metadata = [&file](const char* key) {
    const auto it = file->metadata.find(key);
    return it == file->metadata.end() ? std::string() : it->second;
  };
  double sigma = 0;
  uint64_t seed = 0;
  if (!absl::SimpleAtod(metadata("sigma"), &sigma) || !(sigma > 0) || !std::isfinite(sigma)) {
    return fail(absl::StrCat("not a model: metadata \"sigma\" is ", Excerpt(metadata("sigma"))));
  }
  if (!absl::SimpleAtoi(metadata("seed"), &seed)) return fail("not a model: metadata \"seed\" is no number");
  if (file->metadata.count("item_shape") == 0) return fail("not a model: no metadata \"item_shape\"");
  absl::StatusOr<Shape> item_shape = ParseShape(metadata("item_shape"));
  if (!item_shape.ok()) return fail(std::string(item_shape.status().message()));

  auto params = std::make_shared<ParamStore>(seed);
  const std::vector<std::string> fixed = absl::StrSplit(metadata("fixed"), ',', absl::SkipEmpty());
  for (auto& [name, value] : file->tensors) {
    if (IsCheckpoint(*file) && IsTrainingState(name)) continue;
    if (value.dtype() != autodiff::DType::kF32) {
      return fail(absl::StrCat("parameter ", Excerpt(name), " is ", Name(value.dtype()), ", expected f32"));
    }
    const bool trainable = std::find(fixed.begin(), fixed.end(), name) == fixed.end();
    // A radius that is not fixed by the data is infinite.
    const std::span<const float> numbers = value.data<float>();
    const auto bad = std::find_if(numbers.begin(), numbers.end(),
                                  [trainable](float x) { return std::isnan(x) || (trainable && std::isinf(x)); });
    if (bad != numbers.end()) {
      return fail(absl::StrCat("parameter ", Excerpt(name), ": number ", bad - numbers.begin(), " (from 0) is ", *bad,
                               ", expected finite ones"));
    }
    params->Add(name, std::move(value), trainable);
  }
  // The energy comes from the file too: what it asks for may be of any size, and is not made up.
  params->Close();
  Model model(std::move(energy), *item_shape, sigma, params);
  const int stored = params->size();
  if (absl::Status s = model.RecordOnce(); !s.ok()) return fail(std::string(s.message()));
  Tape tape;
  Params p(&tape, params.get());
  RecordEnergy(model.energy_, tape.Input("y", {2, model.d()}), p);
  std::vector<bool> used(static_cast<size_t>(stored), false);
  for (const Params::Bound& b : p.bound()) used[static_cast<size_t>(b.index)] = true;
  for (int i = 0; i < stored; ++i) {
    if (!used[static_cast<size_t>(i)]) {
      return fail(absl::StrCat("the energy has no parameter ", Excerpt((*params)[i].name), ", ",
                               (*params)[i].value.shape().ToString(), " in the file"));
    }
  }
  return model;
}

TensorFileView Model::Contents(const std::map<std::string, std::string>& metadata) const {
  TensorFileView file;
  std::vector<std::string> fixed;
  for (int i = 0; i < params_->size(); ++i) {
    const ParamStore::Entry& e = (*params_)[i];
    file.tensors.emplace_back(e.name, &e.value);
    if (!e.trainable) fixed.push_back(e.name);
  }
  file.metadata = metadata;
  file.metadata["sigma"] = absl::StrFormat("%.17g", sigma_);
  file.metadata["item_shape"] = ToText(item_shape_);
  file.metadata["seed"] = absl::StrCat(params_->seed());
  file.metadata["fixed"] = absl::StrJoin(fixed, ",");
  return file;
}

absl::Status Model::Save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
  return WriteSafetensorsView(path, Contents(metadata));
}

absl::Status Model::Evaluate(std::span<const float> y, const Results& results, autodiff::ThreadPool* pool) {
  const size_t d = static_cast<size_t>(this->d());
  const size_t n = y.size() / d;
  auto fits = [](std::span<float> out, size_t size) { return out.empty() || out.size() == size; };
  if (n * d != y.size() || !fits(results.energy, n) || !fits(results.gradient, y.size()) ||
      !fits(results.x_hat, y.size())) {
    return absl::InvalidArgumentError(absl::StrCat("Evaluate: points of ", d, " numbers: got y of ", y.size(),
                                                   ", energy of ", results.energy.size(), ", gradient of ",
                                                   results.gradient.size(), ", x_hat of ", results.x_hat.size()));
  }
  const bool need_gradient = !results.gradient.empty() || !results.x_hat.empty();
  if (n == 0 || (results.energy.empty() && !need_gradient)) return absl::OkStatus();
  const int64_t batch = BatchFor(static_cast<int64_t>(n));
  const auto key =
      std::make_tuple(batch, need_gradient, !results.energy.empty(), pool, pool == nullptr ? 1 : pool->threads());
  if (evaluator_ == nullptr || evaluator_->key != key) {
    Tape tape;
    Params p(&tape, params_.get());
    const Var point = tape.Input("y", {batch, this->d()});
    const Var phi = RecordEnergy(energy_, point, p);
    std::vector<Var> inputs = BoundVars(p);
    inputs.insert(inputs.begin(), point);
    std::vector<Var> outputs;
    if (!results.energy.empty()) outputs.push_back(phi);
    if (need_gradient) outputs.push_back(autodiff::grad(phi, point));
    absl::StatusOr<Program> program = autodiff::Compile(
        {.inputs = inputs, .state = {}, .outputs = outputs, .samples = {point}}, {.optimize = true, .pool = pool});
    if (!program.ok()) return program.status();
    evaluator_ = std::make_shared<Evaluator>(Evaluator{key,
                                                       *std::move(program),
                                                       Tensor({batch, this->d()}),
                                                       Tensor(Shape{batch}),
                                                       Tensor({batch, this->d()}),
                                                       {},
                                                       {}});
    evaluator_->inputs = BoundTensors(p, *params_);
    evaluator_->inputs.insert(evaluator_->inputs.begin(), &evaluator_->y);
    if (!results.energy.empty()) evaluator_->outputs.push_back(&evaluator_->energy);
    if (need_gradient) evaluator_->outputs.push_back(&evaluator_->gradient);
  }
  Evaluator& e = *evaluator_;
  const float variance = static_cast<float>(sigma_ * sigma_);
  for (size_t begin = 0; begin < n; begin += static_cast<size_t>(batch)) {
    const size_t rows = std::min(n - begin, static_cast<size_t>(batch));
    const std::span<const float> from = y.subspan(begin * d, rows * d);
    const std::span<float> points = e.y.data<float>();
    std::copy(from.begin(), from.end(), points.begin());
    // The last batch is filled up with copies of its last point, which the energy is known to take.
    for (size_t r = rows; r < static_cast<size_t>(batch); ++r) {
      std::copy(from.end() - static_cast<std::ptrdiff_t>(d), from.end(),
                points.begin() + static_cast<std::ptrdiff_t>(r * d));
    }
    if (absl::Status s = e.program.Run(e.inputs, {}, e.outputs); !s.ok()) return s;
    const std::span<const float> energy = e.energy.data<float>(), gradient = e.gradient.data<float>();
    for (size_t i = 0; i < rows && !results.energy.empty(); ++i) results.energy[begin + i] = energy[i];
    for (size_t i = 0; i < rows * d; ++i) {
      if (!results.gradient.empty()) results.gradient[begin * d + i] = gradient[i];
      if (!results.x_hat.empty()) results.x_hat[begin * d + i] = from[i] - variance * gradient[i];
    }
  }
  return absl::OkStatus();
}

}  // namespace neb
