#include "autodiff/params.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace autodiff {
namespace {

// FNV-1a, cut to the 48 bits that a NoiseKey's step has.
uint64_t StepOf(const std::string& name) {
  uint64_t h = 14695981039346656037ULL;
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h >> 16;
}

// Drawn in float64 whatever the dtype, a few at a time: a large parameter is there only once.
Tensor Initialized(const Initializer& init, const Shape& shape, DType dtype, const NoiseKey& key) {
  if (init.kind == Initializer::Kind::kConstant) return Tensor::Full(shape, init.value, dtype);
  const int rank = shape.rank();
  double area = 1;
  for (int i = 0; i < rank - 2; ++i) area *= static_cast<double>(shape[i]);
  const double fan_out = rank > 0 ? area * static_cast<double>(shape[rank - 1]) : 1;
  const double fan_in = rank > 1 ? area * static_cast<double>(shape[rank - 2]) : fan_out;
  const double fan = init.fan == Initializer::Fan::kNone ? 1
                     : init.fan == Initializer::Fan::kIn ? fan_in
                                                         : 0.5 * (fan_in + fan_out);
  const double stddev = std::sqrt(init.value / fan);
  Tensor t(shape, dtype);
  constexpr int64_t kChunk = 4096;
  std::vector<double> draws(static_cast<size_t>(std::min(kChunk, t.num_elements())));
  for (int64_t begin = 0; begin < t.num_elements(); begin += kChunk) {
    const std::span<double> values =
        std::span(draws).first(static_cast<size_t>(std::min(kChunk, t.num_elements() - begin)));
    if (init.kind == Initializer::Kind::kNormal) {
      FillNormal(key, begin, values);
      for (double& v : values) v *= stddev;
    } else {
      FillUniform(key, begin, values);
      for (double& v : values) v = std::sqrt(3.0) * stddev * (2 * v - 1);
    }
    for (size_t i = 0; i < values.size(); ++i) t.set(begin + static_cast<int64_t>(i), values[i]);
  }
  return t;
}

}  // namespace

int ParamStore::Find(const std::string& name) const {
  for (int i = 0; i < size(); ++i) {
    if ((*this)[i].name == name) return i;
  }
  return -1;
}

int ParamStore::Add(std::string name, Tensor value, bool trainable) {
  entries_.push_back(std::make_unique<Entry>(Entry{std::move(name), std::move(value), trainable}));
  return size() - 1;
}

int64_t ParamStore::num_trainable() const {
  int64_t n = 0;
  for (const auto& e : entries_) n += e->trainable ? e->value.num_elements() : 0;
  return n;
}

Params::Params(Tape* tape, ParamStore* store) : recording_(std::make_shared<Recording>(Recording{tape, store, {}})) {}

Params Params::Scope(const std::string& name) const {
  Params inner = *this;
  inner.prefix_ = absl::StrCat(prefix_, name, "/");
  return inner;
}

std::vector<Var> Params::trainable() const {
  std::vector<Var> vars;
  for (const Bound& b : recording_->bound) {
    if ((*recording_->store)[b.index].trainable) vars.push_back(b.var);
  }
  return vars;
}

Var Params::operator()(const std::string& name, const Shape& shape, Initializer init, SourceLocation location) {
  return Bind(name, shape, nullptr, init, location);
}

Var Params::Fixed(const std::string& name, const Tensor& value, SourceLocation location) {
  return Bind(name, value.shape(), &value, {}, location);
}

Var Params::Bind(const std::string& name, const Shape& shape, const Tensor* value, const Initializer& init,
                 SourceLocation location) {
  Tape* const tape = recording_->tape;
  ParamStore& store = *recording_->store;
  const std::string full = prefix_ + name;
  int index = store.Find(full);
  for (const Bound& b : recording_->bound) {
    if (b.index == index) return tape->Fail("param", absl::StrCat("\"", full, "\" is asked for twice"), location);
  }
  for (int64_t extent : shape) {
    if (extent < 1) {
      return tape->Fail("param", absl::StrCat("\"", full, "\" cannot have shape ", shape.ToString()), location);
    }
  }
  const bool trainable = value == nullptr;
  if (index < 0 && store.closed()) {
    return tape->Fail("param", absl::StrCat("there is no parameter \"", full, "\", ", shape.ToString()), location);
  }
  if (index < 0) {
    const NoiseKey key{.seed = store.seed(), .stream = kInitialization, .step = StepOf(full)};
    index = store.Add(full, trainable ? Initialized(init, shape, tape->dtype(), key) : value->Cast(tape->dtype()),
                      trainable);
  }
  const ParamStore::Entry& entry = store[index];
  if (!(entry.value.shape() == shape) || entry.trainable != trainable) {
    const char* const kind = entry.trainable == trainable ? "" : trainable ? ", not trained" : ", trained";
    return tape->Fail("param",
                      absl::StrCat("\"", full, "\" is asked for with shape ", shape.ToString(),
                                   ", but its value has shape ", entry.value.shape().ToString(), kind),
                      location);
  }
  const Var var = tape->Input(full, shape);
  recording_->bound.push_back({var, index});
  return var;
}

}  // namespace autodiff
