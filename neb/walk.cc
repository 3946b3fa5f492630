#include "neb/walk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/random.h"
#include "neb/chain_step.h"
#include "neb/step_adaptation.h"

namespace neb {

namespace {

constexpr std::array<const char*, 5> kNames = {"ula", "mala", "baoab", "aboba", "half-denoising"};

// From so many on it pays to prepare the weights (Program::RunAgain).
constexpr int64_t kManyIterations = 8;

// The first value that is NaN or infinite. Every iteration may ask, so whole blocks are judged at once: their length is
// a constant, and the loop over one has no exit, so that it becomes SIMD.
std::optional<int64_t> FirstNonFinite(std::span<const float> values) {
  constexpr size_t kBlock = 256;
  constexpr uint32_t kExponent = 0x7f800000;  // all of its bits are set in a NaN or an infinity
  size_t begin = 0;
  for (; begin + kBlock <= values.size(); begin += kBlock) {
    const float* block = values.data() + begin;
    uint32_t found = 0;
    for (size_t i = 0; i < kBlock; ++i) {
      found |= (std::bit_cast<uint32_t>(block[i]) & kExponent) == kExponent ? 1u : 0u;
    }
    if (found != 0) break;
  }
  const auto rest = values.subspan(begin);
  const auto it = std::find_if(rest.begin(), rest.end(), [](float v) { return !std::isfinite(v); });
  if (it == rest.end()) return std::nullopt;
  return static_cast<int64_t>(begin) + (it - rest.begin());
}

}  // namespace

const char* Name(Sampler sampler) { return kNames[static_cast<size_t>(sampler)]; }

absl::StatusOr<Sampler> ParseSampler(absl::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Sampler>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no sampler \"", name, "\": there are ula, mala, baoab, aboba and half-denoising"));
}

struct Walk::Impl {
  Impl(Model& model_, ChainTensors tensors_, const WalkOptions& options_, const StepSettings& settings_)
      : model(model_),
        options(options_),
        settings(settings_),
        tensors(std::move(tensors_)),
        adaptation(settings.step_size, options.target_acceptance) {}

  int64_t chains() const { return tensors.y.shape()[0]; }
  bool mala() const { return options.sampler == Sampler::kMala; }
  absl::Status Start();
  absl::Status Step(bool again);
  absl::Status Iterate(int64_t iterations, bool adapt);
  double CountAccepted();
  absl::Status CheckFinite() const;

  Model& model;
  WalkOptions options;
  StepSettings settings;  // step_size: of MALA, the one that Run uses
  ChainTensors tensors;
  std::optional<ChainStep> step;
  int64_t iterations = 0;

  // Of MALA.
  StepAdaptation adaptation;
  std::vector<double> uniform;
  std::vector<int64_t> accepted;  // of each chain
  int64_t proposed = 0;
};

// What an iteration needs to know of the place it starts from.
absl::Status Walk::Impl::Start() {
  if (options.sampler != Sampler::kMala && options.sampler != Sampler::kBaoab) return absl::OkStatus();
  uniform.resize(mala() ? static_cast<size_t>(chains()) : 0);
  accepted.resize(uniform.size());
  Model::Results results{.gradient = tensors.gradient.data<float>()};
  if (mala()) results.energy = tensors.energy.data<float>();
  return model.Evaluate(tensors.y.data<float>(), results, options.pool);
}

absl::Status Walk::Impl::Step(bool again) {
  const auto iteration = static_cast<uint64_t>(iterations);
  autodiff::FillNormal({.seed = options.seed, .stream = autodiff::kWalkNoise, .step = iteration}, options.pool,
                       tensors.noise);
  if (mala()) {
    autodiff::FillUniform({.seed = options.seed, .stream = autodiff::kAcceptance, .step = iteration}, 0,
                          std::span(uniform));
    const std::span<float> log_uniform = tensors.log_uniform.data<float>();
    for (size_t i = 0; i < uniform.size(); ++i) log_uniform[i] = static_cast<float>(std::log(uniform[i]));
  }
  if (absl::Status s = step->Run(again); !s.ok()) return s;
  ++iterations;
  return absl::OkStatus();
}

// Adds up what the last iteration accepted; returns the mean acceptance probability of its chains, min(1, ratio).
double Walk::Impl::CountAccepted() {
  const std::span<const float> log_uniform = tensors.log_uniform.data<float>();
  const std::span<const float> log_ratio = tensors.log_ratio.data<float>();
  double total = 0;
  for (size_t i = 0; i < accepted.size(); ++i) {
    accepted[i] += log_uniform[i] < log_ratio[i] ? 1 : 0;
    if (!std::isnan(log_ratio[i])) total += std::exp(std::min(0.0, static_cast<double>(log_ratio[i])));
  }
  ++proposed;
  return total / static_cast<double>(accepted.size());
}

absl::Status Walk::Impl::Iterate(int64_t count, bool adapt) {
  // Between two calls the user may have trained the model.
  const bool many = count >= kManyIterations;
  for (int64_t i = 0; i < count; ++i) {
    if (mala()) {
      const double delta = adapt ? adaptation.current() : settings.step_size;
      tensors.step_size.data<float>()[0] = static_cast<float>(delta);
    }
    if (absl::Status s = Step(/*again=*/many && i > 0); !s.ok()) return s;
    if (!mala() || chains() == 0) continue;
    const double acceptance = CountAccepted();
    if (adapt) adaptation.Observe(acceptance);
  }
  return CheckFinite();
}

absl::Status Walk::Impl::CheckFinite() const {
  if (const std::optional<int64_t> i = FirstNonFinite(tensors.y.data<float>())) {
    return absl::FailedPreconditionError(
        absl::StrCat("chain ", *i / model.d(), " diverged within ", iterations, " iterations"));
  }
  if (!mala()) return absl::OkStatus();
  // A chain whose own φ is no number rejects every proposal and would stay where it is for ever.
  const std::span<const float> energy = tensors.energy.data<float>();
  if (const std::optional<int64_t> chain = FirstNonFinite(energy)) {
    return absl::FailedPreconditionError(absl::StrCat("chain ", *chain, " diverged within ", iterations,
                                                      " iterations: its energy is ",
                                                      energy[static_cast<size_t>(*chain)]));
  }
  return absl::OkStatus();
}

Walk::Walk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Walk::Walk(Walk&&) noexcept = default;
Walk& Walk::operator=(Walk&&) noexcept = default;
Walk::~Walk() = default;
const Tensor& Walk::y() const { return impl_->tensors.y; }
int64_t Walk::iterations() const { return impl_->iterations; }

const Tensor& Walk::noisy() const {
  return impl_->options.sampler == Sampler::kHalfDenoising ? impl_->tensors.noisy : impl_->tensors.y;
}

double Walk::step_size() const {
  return impl_->options.sampler == Sampler::kHalfDenoising ? impl_->model.sigma() : impl_->settings.step_size;
}

std::vector<double> Walk::acceptance() const {
  std::vector<double> shares;
  for (int64_t count : impl_->accepted) {
    shares.push_back(static_cast<double>(count) / static_cast<double>(impl_->proposed));
  }
  return shares;
}

double Walk::mean_acceptance() const {
  const std::vector<double> shares = acceptance();
  double total = 0;
  for (double share : shares) total += share;
  return total / static_cast<double>(shares.size());
}

absl::StatusOr<Walk> Walk::Create(Model& model, Tensor start, const WalkOptions& options) {
  if (start.shape().rank() != 2 || start.shape()[1] != model.d() || start.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(absl::StrCat("starts must be f32 [chains, ", model.d(), "], got ",
                                                   Name(start.dtype()), start.shape().ToString()));
  }
  const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
  const double delta = options.step_size == 0 ? model.sigma() / 2 : options.step_size;
  if (!positive(delta)) {
    return absl::InvalidArgumentError(absl::StrCat("the step size must be positive, got ", options.step_size));
  }
  const double friction = options.friction == 0 ? 1 / delta : options.friction;
  if (!positive(friction)) {
    return absl::InvalidArgumentError(absl::StrCat("the friction must be positive, got ", options.friction));
  }
  if (!positive(options.inverse_mass)) {
    return absl::InvalidArgumentError(absl::StrCat("the inverse mass must be positive, got ", options.inverse_mass));
  }
  if (!(options.target_acceptance > 0 && options.target_acceptance < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the target acceptance must be between 0 and 1, got ", options.target_acceptance));
  }
  auto impl = std::make_unique<Impl>(
      model, ChainTensors::For(options.sampler, std::move(start)), options,
      StepSettings{
          .sampler = options.sampler, .step_size = delta, .friction = friction, .inverse_mass = options.inverse_mass});
  absl::StatusOr<ChainStep> step = CompileStep(model, impl->settings, impl->tensors, options.pool);
  if (!step.ok()) return step.status();
  impl->step.emplace(*std::move(step));
  if (absl::Status s = impl->Start(); !s.ok()) return s;
  return Walk(std::move(impl));
}

absl::Status Walk::Run(int64_t iterations) { return impl_->Iterate(iterations, /*adapt=*/false); }

absl::Status Walk::BurnIn(int64_t iterations) {
  Impl& w = *impl_;
  absl::Status status = w.Iterate(iterations, /*adapt=*/w.mala());
  if (w.mala()) w.settings.step_size = w.adaptation.averaged();
  w.proposed = 0;
  std::fill(w.accepted.begin(), w.accepted.end(), 0);
  return status;
}

absl::Status Walk::Evaluate(const Model::Results& results) {
  if (impl_->options.sampler == Sampler::kHalfDenoising && impl_->iterations == 0) {
    return absl::FailedPreconditionError("half-denoising has no noisy point before its first iteration");
  }
  return impl_->model.Evaluate(noisy().data<float>(), results, impl_->options.pool);
}

absl::StatusOr<Tensor> Walk::Jump() {
  Tensor x_hat(impl_->tensors.y.shape());
  if (absl::Status s = Evaluate({.energy = {}, .gradient = {}, .x_hat = x_hat.data<float>()}); !s.ok()) return s;
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
