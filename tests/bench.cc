// How fast training and walking are, as shares of what the machine can do at most. One JSON line per measurement.
//
//   bazel run -c opt //tests:bench -- --case=a,b,c,d,e --kind=train,langevin --threads=1,2
//   bazel run -c opt //tests:bench -- --check
//
// Cases: a MLP 2-128-128-128-1, batch 512; b MLP 784-1024-1024-1024-1, batch 128; c ConvNet on 28×28: 3×3 convolutions
// of 32 (stride 1), 64 (2), 128 (2) channels, then 128 and 1 units, batch 64; d the same with 256, 512, 1024 channels
// (all stride 2), then 10 and 1, batch 16; e residual denoiser ‖y − ν(y)‖²/2σ², ν an MLP 784-1024-1024-784, batch 128.
// SiLU. A training step is the library's own: a minibatch is gathered, noise drawn, φ and ∇φ computed, the loss
// differentiated through ∇φ, Adam run on all parameters. A Langevin step is one iteration of all chains, its noise
// included.
//
// FLOPs count the products only: for a layer of f = 2 · multiply-adds · batch, padding included, a training step takes
// 6f (first layer 5f, a last layer of one output 2f) and a Langevin step 2f (a last layer of one output f).
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "autodiff/parallel.h"
#include "autodiff/random.h"
#include "neb/neb.h"
#include "nlohmann/json.hpp"
#include "tests/autodiff/kernels/fma_peak.h"

ABSL_FLAG(std::vector<std::string>, case, std::vector<std::string>({"a", "b", "c", "d", "e"}), "cases to measure");
ABSL_FLAG(std::vector<std::string>, kind, std::vector<std::string>({"train", "langevin"}), "train, langevin");
ABSL_FLAG(std::vector<std::string>, threads, std::vector<std::string>({"1", "2"}), "numbers of threads");
ABSL_FLAG(double, seconds, 4, "to spend on each measurement");
ABSL_FLAG(int64_t, n, 0, "batch size or number of chains, instead of the case's own");
ABSL_FLAG(bool, check, false, "compare losses and gradients with float64 instead of measuring");

namespace {

using neb::Params;
using neb::Var;

constexpr double kSigma = 0.5;

struct Layer {
  int64_t flops;  // of one sample, forward
  bool single_output = false;
};

struct Case {
  std::string name;
  autodiff::Shape item_shape;
  neb::Energy energy;
  int64_t batch;
  std::vector<int64_t> chains;
  std::vector<Layer> layers;
};

Case MlpCase(std::string name, const std::vector<int64_t>& sizes, int64_t batch, std::vector<int64_t> chains) {
  Case c{std::move(name), {sizes[0]}, {}, batch, std::move(chains), {}};
  for (size_t i = 0; i + 1 < sizes.size(); ++i) c.layers.push_back({2 * sizes[i] * sizes[i + 1], sizes[i + 1] == 1});
  const std::vector<int64_t> units(sizes.begin() + 1, sizes.end());
  const bool residual = sizes.back() != 1;
  c.energy = [units, residual](Var y, Params& p) {
    const Var out = neb::Mlp(p, y, units);
    return residual ? squared_norm(y - out, {1}) * (0.5 / (kSigma * kSigma)) : reshape(out, {-1});
  };
  return c;
}

struct ConvLayer {
  int64_t channels, stride;
};

Case ConvCase(std::string name, const std::vector<ConvLayer>& convolutions, const std::vector<int64_t>& units,
              int64_t batch, std::vector<int64_t> chains) {
  Case c{std::move(name), {28, 28, 1}, {}, batch, std::move(chains), {}};
  int64_t size = 28, channels = 1;
  for (const ConvLayer& layer : convolutions) {
    size = (size - 1) / layer.stride + 1;
    c.layers.push_back({2 * 9 * channels * layer.channels * size * size});
    channels = layer.channels;
  }
  int64_t in = channels * size * size;
  for (int64_t u : units) {
    c.layers.push_back({2 * in * u, u == 1});
    in = u;
  }
  c.energy = [convolutions, units](Var y, Params& p) {
    Var h = reshape(y, {-1, 28, 28, 1});
    for (size_t i = 0; i < convolutions.size(); ++i) {
      h = silu(
          neb::Conv2d(p, absl::StrCat("conv", i), h, convolutions[i].channels, {.stride = convolutions[i].stride}));
    }
    return reshape(neb::Mlp(p.Scope("head"), reshape(h, {y.dim(0), -1}), units), {-1});
  };
  return c;
}

std::vector<Case> AllCases() {
  return {MlpCase("a", {2, 128, 128, 128, 1}, 512, {4096}),
          MlpCase("b", {784, 1024, 1024, 1024, 1}, 128, {128, 1024}),
          ConvCase("c", {{32, 1}, {64, 2}, {128, 2}}, {128, 1}, 64, {128}),
          ConvCase("d", {{256, 2}, {512, 2}, {1024, 2}}, {10, 1}, 16, {32}),
          MlpCase("e", {784, 1024, 1024, 784}, 128, {128}),
          MlpCase("tiny", {2, 16, 16, 1}, 32, {32})};
}

double Flops(const Case& c, bool train, int64_t n) {
  int64_t total = 0;
  for (size_t i = 0; i < c.layers.size(); ++i) {
    const int64_t f = c.layers[i].flops;
    if (!train) {
      total += c.layers[i].single_output ? f : 2 * f;
    } else {
      total += c.layers[i].single_output ? 2 * f : i == 0 ? 5 * f : 6 * f;
    }
  }
  return static_cast<double>(total * n);
}

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "bench: %s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}
void OrDie(const absl::Status& status) {
  if (!status.ok()) OrDie<int>(status);
}

neb::Tensor Samples(const Case& c, int64_t n) {
  neb::Tensor x({n, c.item_shape.num_elements()});
  autodiff::FillUniform({.seed = 1, .stream = autodiff::kSynthetic}, 0, x.data<float>());
  return x;
}

// Times step() in turn with the machine's peak, and prints the line.
template <typename Step>
void Measure(const Case& c, const std::string& kind, int64_t n, autodiff::ThreadPool& pool, const Step& step) {
  const double begin = Now();
  step();
  const double first = Now() - begin;
  for (int i = 0; i < 3 || (i < 50 && Now() - begin < 0.3); ++i) step();
  // Steps too short for the clock are timed in groups.
  double start = Now();
  step();
  const int group = std::max(1, static_cast<int>(200e-6 / (Now() - start)));
  std::vector<double> seconds, peaks, shares;
  const double flops = Flops(c, kind == "train", n);
  const double end = Now() + absl::GetFlag(FLAGS_seconds);
  while (Now() < end || seconds.size() < 5) {
    // The peak of one core is measured while the others work too, as they do in a step.
    std::vector<double> peak(static_cast<size_t>(pool.threads()));
    pool.Run([&peak](int t) { peak[static_cast<size_t>(t)] = autodiff::FmaPeak(); });
    peaks.push_back(std::accumulate(peak.begin(), peak.end(), 0.0));
    const double until = Now() + 0.02;
    while (Now() < until) {
      start = Now();
      for (int i = 0; i < group; ++i) step();
      seconds.push_back((Now() - start) / group);
      shares.push_back(flops / seconds.back() / peaks.back());
    }
  }
  auto median = [](std::vector<double> v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  auto rounded = [](double v) { return std::round(v * 1e4) / 1e4; };
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double m = median(seconds);
  const nlohmann::ordered_json line = {
      {"case", c.name},
      {"kind", kind},
      {"mode", "neb"},
      {"threads", pool.threads()},
      {"n", n},
      {"median_ms", rounded(m * 1e3)},
      {"min_ms", rounded(*std::min_element(seconds.begin(), seconds.end()) * 1e3)},
      {"max_ms", rounded(*std::max_element(seconds.begin(), seconds.end()) * 1e3)},
      {"gflops", rounded(flops / m * 1e-9)},
      {"gflop_per_step", rounded(flops * 1e-9)},
      {"steps_per_s", rounded(1 / m)},
      {"samples_per_s", rounded(static_cast<double>(n) / m)},
      {"steps", seconds.size() * static_cast<size_t>(group)},
      {"first_ms", rounded(first * 1e3)},
      {"peak_rss_mb", usage.ru_maxrss / 1024},
      {"peak_gflops", rounded(median(peaks) * 1e-9)},
      {"fraction_of_peak", rounded(median(shares))},
  };
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void MeasureTrain(const Case& c, int64_t n, autodiff::ThreadPool& pool) {
  neb::Model model = OrDie(neb::Model::Create(c.energy, c.item_shape, kSigma));
  const neb::Tensor x = Samples(c, n);
  neb::TrainOptions options{.steps = 1'000'000, .batch = n, .pool = &pool};
  options.adam.ema_decay = 0;  // as the peers
  const auto trainer = OrDie(neb::Trainer::Create(model, x, options));
  Measure(c, "train", n, pool, [&] { OrDie(trainer->Step()); });
}

void MeasureLangevin(const Case& c, int64_t n, autodiff::ThreadPool& pool) {
  neb::Model model = OrDie(neb::Model::Create(c.energy, c.item_shape, kSigma));
  neb::Walk walk = OrDie(neb::Walk::Create(model, Samples(c, n), {.step_size = 0.05, .pool = &pool}));
  Measure(c, "langevin", n, pool, [&] { OrDie(walk.Run(1)); });
}

// The loss and all its gradients in one precision, from the same parameters, samples and noise.
std::vector<neb::Tensor> LossAndGradients(const Case& c, autodiff::ParamStore& store, autodiff::DType dtype) {
  autodiff::Tape tape(dtype);
  Params p(&tape, &store);
  const int64_t d = c.item_shape.num_elements();
  const Var x = tape.Input("x", {c.batch, d}), noise = tape.Input("noise", {c.batch, d});
  const Var loss = mean(neb::NebLoss(c.energy, x, x + kSigma * noise, kSigma, p));
  std::vector<Var> outputs = autodiff::grad(loss, p.trainable());
  outputs.insert(outputs.begin(), loss);
  std::vector<Var> inputs = neb::BoundVars(p);
  inputs.insert(inputs.begin(), {x, noise});
  neb::Tensor eps({c.batch, d});
  autodiff::FillNormal({.seed = 1, .stream = autodiff::kDataNoise}, nullptr, eps);
  std::vector<neb::Tensor> values = {Samples(c, c.batch).Cast(dtype), eps.Cast(dtype)};
  for (const neb::Tensor* t : neb::BoundTensors(p, store)) values.push_back(t->Cast(dtype));
  return OrDie(autodiff::Evaluate(outputs, inputs, values));
}

bool Check(const Case& c) {
  autodiff::ParamStore store;
  const std::vector<neb::Tensor> single = LossAndGradients(c, store, autodiff::DType::kF32);
  const std::vector<neb::Tensor> dual = LossAndGradients(c, store, autodiff::DType::kF64);
  double worst = 0;
  std::string which = "loss";
  for (size_t i = 0; i < single.size(); ++i) {
    double difference = 0, norm = 0;
    for (int64_t j = 0; j < single[i].num_elements(); ++j) {
      difference += std::pow(single[i].at(j) - dual[i].at(j), 2);
      norm += std::pow(dual[i].at(j), 2);
    }
    // The gradient of a last bias is exactly zero: ∇φ does not depend on it.
    const double error = norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
    if (error > worst) {
      worst = error;
      which = i == 0 ? "loss" : store[static_cast<int>(i) - 1].name;
    }
  }
  const nlohmann::ordered_json line = {
      {"case", c.name},           {"check", "float32 against float64"}, {"loss", dual[0].at(0)},
      {"tensors", single.size()}, {"worst_relative_error", worst},      {"worst_of", which},
      {"ok", worst <= 1e-5}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
  return worst <= 1e-5;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures training and Langevin steps as shares of the machine's FMA peak.");
  absl::ParseCommandLine(argc, argv);
  bool ok = true;
  for (const std::string& name : absl::GetFlag(FLAGS_case)) {
    const std::vector<Case> cases = AllCases();
    const auto c = std::find_if(cases.begin(), cases.end(), [&](const Case& each) { return each.name == name; });
    if (c == cases.end()) {
      std::fprintf(stderr, "bench: no case \"%s\"\n", name.c_str());
      return 1;
    }
    if (absl::GetFlag(FLAGS_check)) {
      ok = Check(*c) && ok;
      continue;
    }
    for (const std::string& kind : absl::GetFlag(FLAGS_kind)) {
      std::vector<int64_t> sizes = kind == "train" ? std::vector<int64_t>{c->batch} : c->chains;
      if (absl::GetFlag(FLAGS_n) > 0) sizes = {absl::GetFlag(FLAGS_n)};
      for (const std::string& text : absl::GetFlag(FLAGS_threads)) {
        int threads = 0;
        if (!absl::SimpleAtoi(text, &threads) || threads < 1 || (kind != "train" && kind != "langevin")) {
          std::fprintf(stderr, "bench: bad --threads \"%s\" or --kind \"%s\"\n", text.c_str(), kind.c_str());
          return 1;
        }
        autodiff::ThreadPool pool(threads);
        for (int64_t n : sizes) kind == "train" ? MeasureTrain(*c, n, pool) : MeasureLangevin(*c, n, pool);
      }
    }
  }
  return ok ? 0 : 1;
}
