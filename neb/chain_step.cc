#include "neb/chain_step.h"

#include <cmath>
#include <utility>

namespace neb {

using autodiff::Program;
using autodiff::ProgramSpec;
using autodiff::Shape;
using autodiff::Tape;

ChainTensors ChainTensors::For(Sampler sampler, Tensor start) {
  const Shape points = start.shape(), chains{points[0]};
  ChainTensors t{.y = std::move(start), .noise = Tensor(points)};
  switch (sampler) {
    case Sampler::kUla:
      break;
    case Sampler::kMala:
      t.gradient = Tensor(points);
      t.energy = Tensor(chains);
      t.log_uniform = Tensor(chains);
      t.step_size = Tensor(Shape{});
      t.log_ratio = Tensor(chains);
      break;
    case Sampler::kBaoab:
      t.velocity = Tensor(points);
      t.gradient = Tensor(points);
      break;
    case Sampler::kAboba:
      t.velocity = Tensor(points);
      break;
    case Sampler::kHalfDenoising:
      t.noisy = Tensor(points);
      break;
  }
  return t;
}

namespace {

// A program while it is recorded: each Var beside the tensor that it reads or writes.
class Recorder {
 public:
  Recorder(Model& model, ChainTensors& chains) : tensors(chains), model_(model), params_(&tape_, &model.params()) {}

  Var Input(const char* name, const Tensor& tensor) {
    spec_.inputs.push_back(PerChain(name, tensor));
    inputs_.push_back(&tensor);
    return spec_.inputs.back();
  }
  // Known before the iteration, to be given its new value by Update.
  Var State(const char* name, const Tensor& tensor) { return PerChain(name, tensor); }
  void Update(Var before, Var after, Tensor& tensor) {
    spec_.state.push_back({before, after});
    state_.push_back(&tensor);
  }
  void Output(Var value, Tensor& tensor) {
    spec_.outputs.push_back(value);
    outputs_.push_back(&tensor);
  }

  // At one point of the iteration only: parameters can be asked for once.
  Var Phi(Var y) { return RecordEnergy(model_.energy(), y, params_); }

  absl::StatusOr<ChainStep> Finish(autodiff::ThreadPool* pool) {
    spec_.fixed = BoundVars(params_);
    spec_.inputs.insert(spec_.inputs.end(), spec_.fixed.begin(), spec_.fixed.end());
    for (const Tensor* value : BoundTensors(params_, model_.params())) inputs_.push_back(value);
    absl::StatusOr<Program> program = autodiff::Compile(spec_, {.optimize = true, .pool = pool});
    if (!program.ok()) return program.status();
    return ChainStep(*std::move(program), inputs_, state_, outputs_);
  }

  ChainTensors& tensors;

 private:
  // Arrays have a row for each chain, scalars are common to all.
  Var PerChain(const char* name, const Tensor& tensor) {
    const Var v = tape_.Input(name, tensor.shape());
    if (v.rank() > 0) spec_.samples.push_back(v);
    return v;
  }

  Model& model_;
  Tape tape_;
  Params params_;
  ProgramSpec spec_;
  std::vector<const Tensor*> inputs_;
  std::vector<Tensor*> state_, outputs_;
};

// y ← y − δ² ∇φ(y) + √2 δ ε
void RecordUla(const StepSettings& s, Recorder& r) {
  const Var y = r.State("y", r.tensors.y), noise = r.Input("noise", r.tensors.noise);
  const double delta = s.step_size;
  const Var next = y - (delta * delta) * autodiff::grad(r.Phi(y), y) + (std::sqrt(2.0) * delta) * noise;
  r.Update(y, next, r.tensors.y);
}

// With q the density of the proposal y' = y − δ²g + √2 δε, where g = ∇φ(y), g' = ∇φ(y'), the ratio is
//   log [p(y') q(y | y') / p(y) q(y' | y)] = φ − φ' + ‖ε‖²/2 − ‖ε − δ(g + g')/√2‖²/2
//                                          = φ − φ' + (δ/√2) ⟨ε, g + g'⟩ − (δ²/4) ‖g + g'‖²,
// written without the difference of the two norms, which are of the order of d. A NaN in it rejects the proposal.
void RecordMala(Recorder& r) {
  const Var y = r.State("y", r.tensors.y), gradient = r.State("gradient", r.tensors.gradient);
  const Var phi = r.State("energy", r.tensors.energy);
  const Var noise = r.Input("noise", r.tensors.noise), delta = r.Input("step_size", r.tensors.step_size);
  const Var log_uniform = r.Input("log_uniform", r.tensors.log_uniform);
  const Var proposal = y - square(delta) * gradient + std::sqrt(2.0) * delta * noise;
  const Var new_phi = r.Phi(proposal);
  const Var new_gradient = autodiff::grad(new_phi, proposal);
  const Var both = gradient + new_gradient;
  const Var log_ratio = phi - new_phi + (std::sqrt(0.5) * delta) * sum(noise * both, {1}) -
                        (0.25 * square(delta)) * squared_norm(both, {1});
  const Var accept = less(log_uniform, log_ratio);
  const Var accept_row = reshape(accept, {y.dim(0), 1});
  r.Update(y, where(accept_row, proposal, y), r.tensors.y);
  r.Update(gradient, where(accept_row, new_gradient, gradient), r.tensors.gradient);
  r.Update(phi, where(accept, new_phi, phi), r.tensors.energy);
  r.Output(log_ratio, r.tensors.log_ratio);
}

// The splittings. B is a kick for half a step, A a drift for half a step, O the thermostat for a whole one.
struct Splitting {
  explicit Splitting(const StepSettings& s)
      : half(s.step_size / 2),
        kick(s.inverse_mass * half),
        c(std::exp(-s.friction * s.step_size)),
        // 1 − c², without loss for a small friction.
        noise(std::sqrt(-s.inverse_mass * std::expm1(-2 * s.friction * s.step_size))) {}
  Var B(Var v, Var gradient) const { return v - kick * gradient; }
  Var A(Var y, Var v) const { return y + half * v; }
  Var O(Var v, Var epsilon) const { return c * v + noise * epsilon; }
  double half, kick, c, noise;
};

// B A O A B: the gradient of the last kick is kept for the first one of the next iteration.
void RecordBaoab(const StepSettings& s, Recorder& r) {
  const Splitting split(s);
  const Var y = r.State("y", r.tensors.y), v = r.State("velocity", r.tensors.velocity);
  const Var gradient = r.State("gradient", r.tensors.gradient), noise = r.Input("noise", r.tensors.noise);
  const Var kicked = split.B(v, gradient);
  const Var thermal = split.O(kicked, noise);
  const Var next = split.A(split.A(y, kicked), thermal);
  const Var next_gradient = autodiff::grad(r.Phi(next), next);
  r.Update(y, next, r.tensors.y);
  r.Update(v, split.B(thermal, next_gradient), r.tensors.velocity);
  r.Update(gradient, next_gradient, r.tensors.gradient);
}

// A B O B A: y does not move between the two kicks, so they share a gradient.
void RecordAboba(const StepSettings& s, Recorder& r) {
  const Splitting split(s);
  const Var y = r.State("y", r.tensors.y), v = r.State("velocity", r.tensors.velocity);
  const Var noise = r.Input("noise", r.tensors.noise);
  const Var middle = split.A(y, v);
  const Var gradient = autodiff::grad(r.Phi(middle), middle);
  const Var next_v = split.B(split.O(split.B(v, gradient), noise), gradient);
  r.Update(y, split.A(middle, next_v), r.tensors.y);
  r.Update(v, next_v, r.tensors.velocity);
}

// ỹ = x + σ ε, x ← ỹ − (σ²/2) ∇φ(ỹ)
void RecordHalfDenoising(double sigma, Recorder& r) {
  const Var x = r.State("x", r.tensors.y), noise = r.Input("noise", r.tensors.noise);
  const Var noisy = x + sigma * noise;
  r.Update(x, noisy - (0.5 * sigma * sigma) * autodiff::grad(r.Phi(noisy), noisy), r.tensors.y);
  r.Output(noisy, r.tensors.noisy);
}

}  // namespace

absl::StatusOr<ChainStep> CompileStep(Model& model, const StepSettings& settings, ChainTensors& tensors,
                                      autodiff::ThreadPool* pool) {
  Recorder r(model, tensors);
  switch (settings.sampler) {
    case Sampler::kUla:
      RecordUla(settings, r);
      break;
    case Sampler::kMala:
      RecordMala(r);
      break;
    case Sampler::kBaoab:
      RecordBaoab(settings, r);
      break;
    case Sampler::kAboba:
      RecordAboba(settings, r);
      break;
    case Sampler::kHalfDenoising:
      RecordHalfDenoising(model.sigma(), r);
      break;
  }
  return r.Finish(pool);
}

}  // namespace neb
