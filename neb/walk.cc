#include "neb/walk.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace neb {

using autodiff::Program;
using autodiff::Tape;

struct Walk::Impl {
  Impl(Model& model_, Tensor start, const WalkOptions& options_, Program program_)
      : model(model_), options(options_), program(std::move(program_)), y(std::move(start)), noise(y.shape()) {}

  Model& model;
  WalkOptions options;
  Program program;
  Tensor y, noise;
  std::vector<const Tensor*> inputs;
  int64_t iterations = 0;
};

Walk::Walk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Walk::Walk(Walk&&) noexcept = default;
Walk& Walk::operator=(Walk&&) noexcept = default;
Walk::~Walk() = default;
const Tensor& Walk::y() const { return impl_->y; }
int64_t Walk::iterations() const { return impl_->iterations; }

absl::StatusOr<Walk> Walk::Create(Model& model, Tensor start, const WalkOptions& options) {
  if (start.shape().rank() != 2 || start.shape()[1] != model.d() || start.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(absl::StrCat("starts must be f32 [chains, ", model.d(), "], got ",
                                                   Name(start.dtype()), start.shape().ToString()));
  }
  const double delta = options.step_size == 0 ? model.sigma() / 2 : options.step_size;
  if (!(delta > 0) || !std::isfinite(delta)) {
    return absl::InvalidArgumentError(absl::StrCat("the step size must be positive, got ", options.step_size));
  }
  Tape tape;
  Params p(&tape, &model.params());
  const Var y = tape.Input("y", start.shape()), noise = tape.Input("noise", start.shape());
  const Var phi = RecordEnergy(model.energy(), y, p);
  const Var next = y - (delta * delta) * autodiff::grad(phi, y) + (std::sqrt(2.0) * delta) * noise;
  std::vector<Var> inputs = BoundVars(p);
  inputs.insert(inputs.begin(), noise);
  absl::StatusOr<Program> program =
      autodiff::Compile({.inputs = inputs, .state = {{y, next}}, .outputs = {}, .samples = {y, noise}},
                        {.optimize = true, .pool = options.pool});
  if (!program.ok()) return program.status();
  auto impl = std::make_unique<Impl>(model, std::move(start), options, *std::move(program));
  impl->inputs = BoundTensors(p, model.params());
  impl->inputs.insert(impl->inputs.begin(), &impl->noise);
  return Walk(std::move(impl));
}

absl::Status Walk::Run(int64_t iterations) {
  Impl& w = *impl_;
  Tensor* const y = &w.y;
  for (int64_t i = 0; i < iterations; ++i) {
    autodiff::FillNormal(
        {.seed = w.options.seed, .stream = autodiff::kWalkNoise, .step = static_cast<uint64_t>(w.iterations)},
        w.options.pool, w.noise);
    if (absl::Status s = w.program.Run(w.inputs, {&y, 1}, {}); !s.ok()) return s;
    ++w.iterations;
  }
  const std::span<const float> values = w.y.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::FailedPreconditionError(absl::StrCat("chain ", static_cast<int64_t>(i) / w.model.d(),
                                                        " diverged within ", w.iterations, " iterations"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Walk::Jump() {
  Tensor x_hat(impl_->y.shape());
  absl::Status s = impl_->model.Evaluate(
      impl_->y.data<float>(), {.energy = {}, .gradient = {}, .x_hat = x_hat.data<float>()}, impl_->options.pool);
  if (!s.ok()) return s;
  return x_hat;
}

Tensor UniformStarts(int64_t chains, const Model& model, uint64_t seed) {
  Tensor uniform({chains, model.d()});
  autodiff::FillUniform({.seed = seed, .stream = autodiff::kStarts, .step = 1}, 0, uniform.data<float>());
  return NoisyStarts(uniform, model, seed);
}

Tensor NoisyStarts(const Tensor& x, const Model& model, uint64_t seed) {
  Tensor y(x.shape());
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kStarts, .step = 0}, 0, y.data<float>());
  const std::span<const float> clean = x.data<float>();
  const std::span<float> noisy = y.data<float>();
  for (size_t i = 0; i < noisy.size(); ++i) noisy[i] = clean[i] + static_cast<float>(model.sigma()) * noisy[i];
  return y;
}

}  // namespace neb
