// How fast training and walking are, as shares of what the machine can do at most. One JSON line per measurement.
//
//   bazel run -c opt //tests:bench -- --case=a,b,c,d,e --kind=train,langevin --threads=1,2
//   bazel run -c opt //tests:bench -- --growth     # how the time of a step grows as batch, width, depth, chains double
//   bazel run -c opt //tests:bench -- --check      # float32 against float64
//
// Cases: a MLP 2-128-128-128-1, batch 512; b MLP 784-1024-1024-1024-1, batch 128; c ConvNet on 28×28: 3×3 convolutions
// of 32 (stride 1), 64 (2), 128 (2) channels, then 128 and 1 units, batch 64; d the same with 256, 512, 1024 channels
// (all stride 2), then 10 and 1, batch 16; e residual denoiser ‖y − ν(y)‖²/2σ², ν an MLP 784-1024-1024-784, batch 128;
// tiny MLP 2-16-16-1, batch 32. SiLU. A training step is the library's own: a minibatch is gathered, noise drawn, φ and
// ∇φ computed, the loss differentiated through ∇φ, Adam run on all parameters. A Langevin step is one iteration of all
// chains, its noise included, of the ten (--iterations) that one call of Walk::Run makes.
//
// FLOPs count the products only: for a layer of f = 2 · multiply-adds · batch, padding included, a training step takes
// 6f (first layer 5f, a last layer of one output 2f) and a Langevin step 2f (a last layer of one output f).
//
// Each measurement is a process of its own, so that its peak memory is. model_ms: drawing the first parameters;
// compile_ms: recording and compiling; first_ms: the first step; median_ms and the rest: steps after a warm-up.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
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
#include "tests/bench_cases.h"

ABSL_FLAG(std::vector<std::string>, case, std::vector<std::string>({"a", "b", "c", "d", "e"}), "cases to measure");
ABSL_FLAG(std::vector<std::string>, kind, std::vector<std::string>({"train", "langevin"}), "train, langevin");
ABSL_FLAG(std::vector<std::string>, threads, std::vector<std::string>({"1", "2"}), "numbers of threads");
ABSL_FLAG(double, seconds, 4, "to spend on each measurement");
ABSL_FLAG(int64_t, n, 0, "batch size or number of chains, instead of the case's own");
ABSL_FLAG(int, iterations, 10, "Langevin steps per call of Walk::Run");
ABSL_FLAG(bool, check, false, "compare losses and gradients with float64 instead of measuring");
ABSL_FLAG(bool, growth, false, "a table of growing MLPs instead of the cases, with the first of --threads");

namespace neb::bench {
namespace {

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

double Rounded(double v) { return std::round(v * 1e4) / 1e4; }

double Median(std::vector<double> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

Tensor Samples(const Case& c, int64_t n) {
  Tensor x({n, c.item_shape.num_elements()});
  autodiff::FillUniform({.seed = 1, .stream = autodiff::kSynthetic}, 0, x.data<float>());
  return x;
}

struct Job {
  const Case* c;
  bool train;
  int64_t n;
  int threads;
};

// Seconds per step, in turn with the machine's peak.
struct Timing {
  double first = 0;
  int group = 1;  // so many steps are timed at a time
  std::vector<double> seconds, peaks, shares;
};

// run(n) makes n steps. Those too short for the clock are timed in groups.
Timing Time(double flops, autodiff::ThreadPool& pool, int group, const std::function<void(int)>& run) {
  Timing t;
  const double begin = Now();
  run(1);
  t.first = Now() - begin;
  for (int i = 0; i < 3 || (i < 50 && Now() - begin < 0.3); ++i) run(1);
  double start = Now();
  run(group);
  t.group = group * std::max(1, static_cast<int>(200e-6 / (Now() - start)));
  const double end = Now() + absl::GetFlag(FLAGS_seconds);
  while (Now() < end || t.seconds.size() < 5) {
    // The peak of one core is measured while the others work too, as they do in a step.
    std::vector<double> peak(static_cast<size_t>(pool.threads()));
    pool.Run([&peak](int i) { peak[static_cast<size_t>(i)] = autodiff::FmaPeak(); });
    t.peaks.push_back(std::accumulate(peak.begin(), peak.end(), 0.0));
    const double until = Now() + 0.02;
    while (Now() < until) {
      start = Now();
      for (int i = 0; i < t.group; i += group) run(group);
      t.seconds.push_back((Now() - start) / t.group);
      t.shares.push_back(flops / t.seconds.back() / t.peaks.back());
    }
  }
  return t;
}

nlohmann::ordered_json Measure(const Job& job) {
  const double begin = Now();
  const Case& c = *job.c;
  autodiff::ThreadPool pool(job.threads);
  Model model = OrDie(Model::Create(c.energy, c.item_shape, kSigma));
  const Tensor x = Samples(c, job.n);
  const double flops = Flops(c, job.train, job.n);
  const double created = Now();
  double compiled = 0;
  Timing t;
  if (job.train) {
    TrainOptions options{.steps = 1'000'000, .batch = job.n, .pool = &pool};
    options.adam.ema_decay = 0;  // as the peers
    const auto trainer = OrDie(Trainer::Create(model, x, options));
    compiled = Now();
    t = Time(flops, pool, 1, [&](int n) {
      for (int i = 0; i < n; ++i) OrDie(trainer->Step());
    });
  } else {
    Walk walk = OrDie(Walk::Create(model, x, {.step_size = 0.05, .pool = &pool}));
    compiled = Now();
    t = Time(flops, pool, absl::GetFlag(FLAGS_iterations), [&](int n) { OrDie(walk.Run(n)); });
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double m = Median(t.seconds);
  return {
      {"case", c.name},
      {"kind", job.train ? "train" : "langevin"},
      {"mode", "neb"},
      {"threads", job.threads},
      {"n", job.n},
      {"median_ms", Rounded(m * 1e3)},
      {"min_ms", Rounded(*std::min_element(t.seconds.begin(), t.seconds.end()) * 1e3)},
      {"max_ms", Rounded(*std::max_element(t.seconds.begin(), t.seconds.end()) * 1e3)},
      {"gflops", Rounded(flops / m * 1e-9)},
      {"gflop_per_step", Rounded(flops * 1e-9)},
      {"steps_per_s", Rounded(1 / m)},
      {"samples_per_s", Rounded(static_cast<double>(job.n) / m)},
      {"steps", t.seconds.size() * static_cast<size_t>(t.group)},
      {"model_ms", Rounded((created - begin) * 1e3)},
      {"compile_ms", Rounded((compiled - created) * 1e3)},
      {"first_ms", Rounded(t.first * 1e3)},
      {"peak_rss_mb", usage.ru_maxrss / 1024},
      {"peak_gflops", Rounded(Median(t.peaks) * 1e-9)},
      {"fraction_of_peak", Rounded(Median(t.shares))},
  };
}

// Runs fn in a child process; false if that failed.
bool InChild(const std::function<void()>& fn) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    fn();
    std::fflush(stdout);
    _exit(0);
  }
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

// The loss and all its gradients in one precision, from the same parameters, samples and noise, computed as training
// does.
std::vector<Tensor> LossAndGradients(const Case& c, autodiff::ParamStore& store, autodiff::DType dtype) {
  autodiff::Tape tape(dtype);
  Params p(&tape, &store);
  const int64_t d = c.item_shape.num_elements();
  const Var x = tape.Input("x", {c.batch, d}), noise = tape.Input("noise", {c.batch, d});
  const Var loss = mean(NebLoss(c.energy, x, x + kSigma * noise, kSigma, p));
  std::vector<Var> outputs = autodiff::grad(loss, p.trainable());
  outputs.insert(outputs.begin(), loss);
  std::vector<Var> inputs = BoundVars(p);
  inputs.insert(inputs.begin(), {x, noise});
  Tensor eps({c.batch, d});
  autodiff::FillNormal({.seed = 1, .stream = autodiff::kDataNoise}, nullptr, eps);
  std::vector<Tensor> values = {Samples(c, c.batch).Cast(dtype), eps.Cast(dtype)};
  for (const Tensor* t : BoundTensors(p, store)) values.push_back(t->Cast(dtype));
  autodiff::Program program =
      OrDie(autodiff::Compile({.inputs = inputs, .state = {}, .outputs = outputs, .samples = {x, noise}}));
  std::vector<const Tensor*> in;
  for (const Tensor& v : values) in.push_back(&v);
  std::vector<Tensor> results;
  for (Var v : outputs) results.emplace_back(v.shape(), dtype);
  std::vector<Tensor*> out;
  for (Tensor& r : results) out.push_back(&r);
  OrDie(program.Run(in, {}, out));
  return results;
}

bool Check(const Case& c) {
  autodiff::ParamStore store;
  const std::vector<Tensor> single = LossAndGradients(c, store, autodiff::DType::kF32);
  const std::vector<Tensor> dual = LossAndGradients(c, store, autodiff::DType::kF64);
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
    if (!(error <= worst)) {
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

// One row per doubling: the time of a step and how it grew, beside how the FLOPs did.
bool Growth(int threads) {
  struct Series {
    const char* what;
    bool train;
    std::vector<int64_t> values;
    std::function<Case(int64_t)> make;
    bool is_n;  // the value is the batch or the number of chains
  };
  const auto mlp = [](int64_t width, int64_t depth) {
    std::vector<int64_t> sizes(static_cast<size_t>(depth), width);
    sizes.insert(sizes.begin(), 784);
    sizes.push_back(1);
    return MlpCase("growth", sizes, 256, {});
  };
  const std::vector<Series> all = {
      {"batch", true, {32, 64, 128, 256, 512, 1024, 2048}, [&](int64_t) { return mlp(512, 3); }, true},
      {"width", true, {64, 128, 256, 512, 1024, 2048}, [&](int64_t w) { return mlp(w, 3); }, false},
      {"depth", true, {1, 2, 4, 8, 16}, [&](int64_t depth) { return mlp(512, depth); }, false},
      {"chains", false, {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}, [&](int64_t) { return mlp(512, 3); }, true},
  };
  std::printf("MLP 784-512-512-512-1, batch 256, SiLU, %d thread(s); one of its numbers doubles\n", threads);
  std::printf("%-8s %6s %10s %10s %12s %12s %8s\n", "", "", "ms", "GFLOP", "time grew", "FLOPs grew", "of peak");
  for (const Series& s : all) {
    double last_ms = 0, last_flops = 0;
    for (int64_t value : s.values) {
      const Case c = s.make(value);
      const Job job{&c, s.train, s.is_n ? value : 256, threads};
      // The row goes from the child to here for the ratios of the next one.
      int ends[2];
      if (pipe(ends) != 0) return false;
      if (!InChild([&] {
            const std::string text = Measure(job).dump();
            if (write(ends[1], text.data(), text.size()) < 0) _exit(1);
          })) {
        return false;
      }
      close(ends[1]);
      std::string text(4096, '\0');
      text.resize(static_cast<size_t>(std::max<ssize_t>(0, read(ends[0], text.data(), text.size()))));
      close(ends[0]);
      const nlohmann::json line = nlohmann::json::parse(text);
      const double ms = line["median_ms"], flops = line["gflop_per_step"];
      std::printf("%-8s %6lld %10.3f %10.3f", s.what, static_cast<long long>(value), ms, flops);
      if (last_ms > 0) {
        std::printf(" %11.2fx %11.2fx", ms / last_ms, flops / last_flops);
      } else {
        std::printf(" %12s %12s", "", "");
      }
      std::printf(" %8.2f\n", line["fraction_of_peak"].get<double>());
      last_ms = ms;
      last_flops = flops;
    }
  }
  return true;
}

int Main() {
  std::vector<int> threads;
  for (const std::string& text : absl::GetFlag(FLAGS_threads)) {
    int t = 0;
    if (!absl::SimpleAtoi(text, &t) || t < 1) {
      std::fprintf(stderr, "bench: bad --threads \"%s\"\n", text.c_str());
      return 1;
    }
    threads.push_back(t);
  }
  if (absl::GetFlag(FLAGS_growth)) return !threads.empty() && Growth(threads[0]) ? 0 : 1;
  bool ok = true;
  const std::vector<Case> cases = AllCases();
  for (const std::string& name : absl::GetFlag(FLAGS_case)) {
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
      const bool train = kind == "train";
      if (!train && kind != "langevin") {
        std::fprintf(stderr, "bench: bad --kind \"%s\"\n", kind.c_str());
        return 1;
      }
      std::vector<int64_t> sizes = train ? std::vector<int64_t>{c->batch} : c->chains;
      if (absl::GetFlag(FLAGS_n) > 0) sizes = {absl::GetFlag(FLAGS_n)};
      for (int t : threads) {
        for (int64_t n : sizes) {
          ok = InChild([&] { std::printf("%s\n", Measure({&*c, train, n, t}).dump().c_str()); }) && ok;
        }
      }
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace neb::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures training and Langevin steps as shares of the machine's FMA peak.");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_iterations) < 1) {
    std::fprintf(stderr, "bench: --iterations must be at least 1\n");
    return 1;
  }
  return neb::bench::Main();
}
