// The program of docs/write_your_own_energy.md: trains, walks, jumps and descends energies of the plane, and measures
// what double backprop costs.
//
//   bazel run -c opt //examples:write_your_own_energy
#include "examples/write_your_own_energy.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/random.h"
#include "neb/kernel_density.h"
#include "neb/neb.h"
#include "neb/synthetic.h"

namespace examples {
namespace {

constexpr double kSigma = 0.15;

absl::Status Use(const Tensor& x) {
  absl::StatusOr<neb::Model> model = neb::Model::Create(Quadratic, /*item_shape=*/{2}, /*sigma=*/kSigma);
  if (!model.ok()) return model.status();
  absl::StatusOr<neb::TrainResult> trained = neb::Train(*model, x, nullptr, {.steps = 2000, .learning_rate = 0.02});
  if (!trained.ok()) return trained.status();

  Tensor start = neb::UniformStarts(/*chains=*/500, *model, /*seed=*/1);
  absl::StatusOr<neb::Walk> walk = neb::Walk::Create(*model, start, {.sampler = neb::Sampler::kMala});
  if (!walk.ok()) return walk.status();
  absl::Status walked = walk->BurnIn(500);  // MALA finds its step
  walked.Update(walk->Run(500));
  if (!walked.ok()) return walked;
  absl::StatusOr<Tensor> x_hat = walk->Jump();                               // [500, 2]
  absl::StatusOr<neb::Descents> memories = neb::Descend(*model, start, {});  // ends where ∇φ = 0
  if (!x_hat.ok()) return x_hat.status();
  if (!memories.ok()) return memories.status();
  std::printf("quadratic: the attractor is (%.3f, %.3f); acceptance %.2f\n", memories->y.at(0), memories->y.at(1),
              walk->mean_acceptance());
  return absl::OkStatus();
}

// The loss that training reaches, on fresh points.
absl::Status Compare(const char* name, const Energy& energy, const Tensor& x, const Tensor& fresh) {
  absl::StatusOr<neb::Model> model = neb::Model::Create(energy, {2}, kSigma);
  if (!model.ok()) return model.status();
  const absl::StatusOr<neb::TrainResult> trained = neb::Train(*model, x, nullptr, {.steps = 3000, .batch = 256});
  if (!trained.ok()) return trained.status();
  const absl::StatusOr<double> loss = neb::MeasureLoss(*model, fresh, fresh.shape()[0], /*seed=*/1);
  if (!loss.ok()) return loss.status();
  std::printf("  %-34s %.5f\n", name, *loss);
  return absl::OkStatus();
}

// --- What double backprop costs ---

struct Cost {
  std::vector<double> seconds = {};
  double megabytes = 0;
};

// Seconds of the processor, which other programs on the machine lengthen less than those of the clock.
double Now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
double Median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

absl::Status MeasureCost(const char* name, const Energy& energy, const autodiff::Shape& shape) {
  autodiff::Tape tape;
  autodiff::ParamStore store(/*seed=*/1);
  Params p(&tape, &store);
  const double sigma = 0.3;
  Var x = tape.Input("x", shape), y = tape.Input("y", shape);
  Var phi = neb::RecordEnergy(energy, y, p);  // forward
  Var gradient = grad(phi, y);                // ∇φ
  Var loss = mean(squared_norm(x - (y - sigma * sigma * gradient), {1}));
  std::vector<Var> double_backprop = grad(loss, p.trainable());  // ∂/∂θ of a loss of ∇φ

  Tensor data(shape);
  autodiff::FillNormal({.seed = 1, .stream = autodiff::kSynthetic}, nullptr, data);
  std::vector<const Tensor*> values = neb::BoundTensors(p, store);
  values.insert(values.begin(), {&data, &data});
  std::vector<Var> inputs = neb::BoundVars(p);
  inputs.insert(inputs.begin(), {x, y});
  const std::vector<std::vector<Var>> wanted = {{phi}, {gradient}, double_backprop};
  std::vector<autodiff::Program> programs;
  std::vector<std::vector<Tensor>> results;
  std::vector<Cost> costs(wanted.size());
  for (size_t k = 0; k < wanted.size(); ++k) {
    absl::StatusOr<autodiff::Program> program =
        autodiff::Compile({.inputs = inputs, .state = {}, .outputs = wanted[k], .samples = {x, y}});
    if (!program.ok()) return program.status();
    costs[k].megabytes = 1e-6 * static_cast<double>(program->stats().arena_bytes + program->stats().shard_arena_bytes);
    programs.push_back(*std::move(program));
    results.emplace_back();
    for (Var v : wanted[k]) results[k].emplace_back(v.shape());
  }
  for (int round = 0; round < 26; ++round) {  // in turn, so that all see the same machine; the first warms up
    for (size_t k = 0; k < programs.size(); ++k) {
      std::vector<Tensor*> outputs;
      for (Tensor& t : results[k]) outputs.push_back(&t);
      const double start = Now();
      if (absl::Status s = programs[k].Run(values, {}, outputs); !s.ok()) return s;
      if (round > 0) costs[k].seconds.push_back(Now() - start);
    }
  }
  const double forward = Median(costs[0].seconds);
  std::printf("  %-16s %8.2f ms    1 : %.1f : %.1f   %6.1f, %.1f, %.1f MB\n", name, 1e3 * forward,
              Median(costs[1].seconds) / forward, Median(costs[2].seconds) / forward, costs[0].megabytes,
              costs[1].megabytes, costs[2].megabytes);
  return absl::OkStatus();
}

Var Mlp784(Var y, Params& p) { return reshape(neb::Mlp(p, y, {1024, 1024, 1024, 1}), {-1}); }
Var Conv28(Var y, Params& p) {
  Var h = silu(neb::Conv2d(p, "a", reshape(y, {-1, 28, 28, 1}), 32));
  h = silu(neb::Conv2d(p, "b", h, 64, {.stride = 2}));
  h = silu(neb::Conv2d(p, "c", h, 128, {.stride = 2}));
  return reshape(neb::Dense(p, "out", reshape(h, {y.dim(0), -1}), 1), {-1});
}

absl::Status Run() {
  const absl::StatusOr<neb::Dataset> moons = neb::TwoMoons(/*n=*/10000, /*seed=*/1, {.noise = 0.02});
  const absl::StatusOr<neb::Dataset> fresh = neb::TwoMoons(/*n=*/10000, /*seed=*/2, {.noise = 0.02});
  if (!moons.ok()) return moons.status();
  if (!fresh.ok()) return fresh.status();
  absl::Status s = Use(moons->x);
  const neb::Scales scales = neb::MeasureScales(moons->x, kSigma);
  std::printf("two moons, σ = 0.15, ‖x − x̂‖² on fresh points after 3000 steps:\n");
  s.Update(Compare("Quadratic", Quadratic, moons->x, fresh->x));
  s.Update(Compare("Mixture(Expert, 16)", Mixture(Expert, 16), moons->x, fresh->x));
  s.Update(Compare("HeavyTails", HeavyTails, moons->x, fresh->x));
  s.Update(Compare("Network(scales, relu)", Network(scales, autodiff::relu), moons->x, fresh->x));
  s.Update(Compare("Network(scales, silu)", Network(scales, autodiff::silu), moons->x, fresh->x));
  s.Update(Compare("Network(scales, ExactGelu)", Network(scales, ExactGelu), moons->x, fresh->x));
  s.Update(Compare("Denoiser(scales)", Denoiser(scales), moons->x, fresh->x));
  const absl::StatusOr<neb::KernelDensity> density = neb::KernelDensity::Create(moons->x, kSigma);
  if (!density.ok()) return density.status();
  const absl::StatusOr<neb::LossEstimate> best = density->Loss(fresh->x, /*seed=*/1);
  if (!best.ok()) return best.status();
  std::printf("  %-34s %.5f\n  %-36s %.5f\n", "kernel density of the 10000", best->mean, "no model, σ²d",
              2 * kSigma * kSigma);

  std::printf("one thread; median time, forward : ∇φ : double backprop; memory of each:\n");
  s.Update(MeasureCost("MLP, batch 128", Mlp784, {128, 784}));
  s.Update(MeasureCost("conv, batch 64", Conv28, {64, 784}));
  return s;
}

}  // namespace
}  // namespace examples

int main() {
  const absl::Status status = examples::Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "write_your_own_energy: %s\n", std::string(status.message()).c_str());
  return 1;
}
