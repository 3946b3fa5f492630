// Endurance: training, stopping, resuming, saving, loading, walking and descending, over and over in one process, each
// round from the same seed. Nothing may wear out: memory stays flat, speed does not drift, and every round gives the
// bits of the first.
//
//   bazel run -c opt //tests/neb:soak_bench -- --minutes=60
//
// A line per round: the processor seconds of each part relative to the median of the first ten rounds, memory now and
// at most, and a hash of all results. Processor seconds, because other programs on the machine would drift the wall
// clock. Ends with a verdict, and 1 when it is bad.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/fingerprint.h"
#include "neb/neb.h"
#include "neb/synthetic.h"
#include "tests/neb/process_memory.h"

ABSL_FLAG(double, minutes, 0.5, "to go on for; five rounds at least");
ABSL_FLAG(int, threads, 1, "0: one for each processor");
ABSL_FLAG(uint64_t, seed, 1, "of every round; the hash is a function of it, not of threads or minutes");
ABSL_FLAG(double, growth_mib, 4, "by how much memory may grow after the third round");
ABSL_FLAG(double, drift, 1.1, "the most that the last tenth of rounds may take of the first tenth's time (medians)");
ABSL_FLAG(std::string, folder, "",
          "for the files; empty: one of its own under the system's folder, removed at the end");

namespace {

using autodiff::Tensor;

constexpr const char* kParts[] = {"train", "reload", "walk", "descend", "measure"};
constexpr size_t kPartCount = std::size(kParts);
constexpr size_t kReference = 10;  // rounds that the printed ratios are relative to
constexpr size_t kWarm = 3;        // rounds after which memory should be what it will be

constexpr double kSigma = 0.5;
constexpr int64_t kPoints = 4000, kDims = 32, kSteps = 2000, kChains = 64, kIterations = 600;

double ProcessorSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// All results of a round, in a hash of the hashes before.
class Hash {
 public:
  void Add(std::span<const std::byte> bytes) { value_ = neb::Xxh64(bytes, value_); }
  void Add(const Tensor& t) { Add({t.bytes(), static_cast<size_t>(t.num_bytes())}); }
  void Add(double x) { Add(std::as_bytes(std::span(&x, 1))); }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

struct Round {
  std::array<double, kPartCount> seconds = {};
  double total = 0;
  int64_t resident = 0;  // bytes at the end
  uint64_t hash = 0;
};

absl::StatusOr<Tensor> XHat(neb::Model& model, const Tensor& y, autodiff::ThreadPool* pool) {
  Tensor x_hat(y.shape());
  if (absl::Status s = model.Evaluate(y.data<float>(), {.x_hat = x_hat.data<float>()}, pool); !s.ok()) return s;
  return x_hat;
}

// What one round does, its parts in order; they hand the model on.
struct Work {
  autodiff::ThreadPool* pool;
  uint64_t seed;
  std::string folder;
  neb::EnergySpec spec = neb::ResidualMlpOptions{.hidden = {128, 128}};
  neb::Dataset data = {}, held_out = {};
  absl::StatusOr<neb::Model> model = absl::UnknownError("not trained yet");
  Hash hash = {};

  std::string File(const char* name) const { return (std::filesystem::path(folder) / name).string(); }
  absl::StatusOr<neb::Model> NewModel() const;
  absl::Status Train();
  absl::Status Reload();
  absl::Status WalkAndJump();
  absl::Status Descend();
  absl::Status Measure();
};

absl::StatusOr<neb::Model> Work::NewModel() const {
  absl::StatusOr<neb::Energy> energy = neb::MakeEnergy(spec, data.item_shape, neb::MeasureScales(data.x, kSigma));
  if (!energy.ok()) return energy.status();
  return neb::Model::Create(*energy, data.item_shape, kSigma, seed);
}

// Half of the steps, a stop, and the other half by another trainer and model, from the checkpoint.
absl::Status Work::Train() {
  absl::StatusOr<neb::Dataset> drawn =
      neb::GaussianManifold(kPoints, seed, {.d = kDims, .stddevs = {3, 2, 1, 0.5, 0.25}});
  if (!drawn.ok()) return drawn.status();
  absl::StatusOr<neb::TrainHeldOut> parts = neb::Split(*std::move(drawn), 0.25, seed);
  if (!parts.ok()) return parts.status();
  data = std::move(parts->train);
  held_out = std::move(parts->held_out);
  std::filesystem::remove(File("checkpoint.safetensors"));
  int64_t step = 0;
  neb::TrainOptions options{.steps = kSteps, .seed = seed, .pool = pool, .evaluate_every = 500};
  options.checkpoint = {.path = File("checkpoint.safetensors"), .every_steps = 500, .resume = true};
  for (const int64_t end : {kSteps / 2, kSteps}) {
    options.stop = [&step, end] { return step++ == end; };
    model = NewModel();
    if (!model.ok()) return model.status();
    absl::StatusOr<neb::TrainResult> result = neb::Train(*model, data.x, &held_out.x, options);
    if (!result.ok()) return result.status();
    if (!result->checkpoint.ok()) return result->checkpoint;
    for (const neb::Progress& p : result->history) hash.Add(p.loss);
  }
  for (int i = 0; i < model->params().size(); ++i) hash.Add(model->params()[i].value);
  return absl::OkStatus();
}

// The model of the file takes the place of the trained one, once both have given the same x̂.
absl::Status Work::Reload() {
  const Tensor y = neb::NoisyStarts(held_out.x, *model, seed);
  absl::StatusOr<Tensor> before = XHat(*model, y, pool);
  if (!before.ok()) return before.status();
  if (absl::Status s = neb::SaveModel(File("model.safetensors"), *model, spec); !s.ok()) return s;
  model = neb::LoadModel(File("model.safetensors"));
  if (!model.ok()) return model.status();
  absl::StatusOr<Tensor> after = XHat(*model, y, pool);
  if (!after.ok()) return after.status();
  if (std::memcmp(before->bytes(), after->bytes(), static_cast<size_t>(before->num_bytes())) != 0) {
    return absl::InternalError("the saved model gives another estimate than the trained one");
  }
  hash.Add(*after);
  return absl::OkStatus();
}

absl::Status Work::WalkAndJump() {
  for (const neb::Sampler sampler : {neb::Sampler::kUla, neb::Sampler::kMala, neb::Sampler::kBaoab,
                                     neb::Sampler::kAboba, neb::Sampler::kHalfDenoising}) {
    absl::StatusOr<neb::Walk> walk = neb::Walk::Create(*model, neb::UniformStarts(kChains, *model, seed),
                                                       {.sampler = sampler, .seed = seed, .pool = pool});
    if (!walk.ok()) return walk.status();
    absl::Status s = walk->BurnIn(kIterations / 2);
    if (s.ok()) s = walk->Run(kIterations);
    if (!s.ok()) return s;
    absl::StatusOr<Tensor> x_hat = walk->Jump();
    if (!x_hat.ok()) return x_hat.status();
    hash.Add(walk->y());
    hash.Add(*x_hat);
  }
  return absl::OkStatus();
}

absl::Status Work::Descend() {
  absl::StatusOr<neb::Descents> found =
      neb::Descend(*model, neb::UniformStarts(kChains, *model, seed + 1), {.max_evaluations = 200, .pool = pool});
  if (!found.ok()) return found.status();
  hash.Add(found->y);
  for (const neb::Descent& row : found->rows) hash.Add(row.energy);
  return absl::OkStatus();
}

absl::Status Work::Measure() {
  absl::StatusOr<double> loss = neb::MeasureLoss(*model, held_out.x, held_out.size(), seed, pool);
  if (!loss.ok()) return loss.status();
  hash.Add(*loss);
  return absl::OkStatus();
}

absl::StatusOr<Round> RunRound(const std::string& folder, autodiff::ThreadPool& pool) {
  Round round;
  {
    Work work{.pool = &pool, .seed = absl::GetFlag(FLAGS_seed), .folder = folder};
    const std::array<absl::Status (Work::*)(), kPartCount> parts = {&Work::Train, &Work::Reload, &Work::WalkAndJump,
                                                                    &Work::Descend, &Work::Measure};
    for (size_t i = 0; i < kPartCount; ++i) {
      const double begin = ProcessorSeconds();
      if (absl::Status s = (work.*parts[i])(); !s.ok()) {
        return absl::Status(s.code(), absl::StrCat(kParts[i], ": ", s.message()));
      }
      round.seconds[i] = ProcessorSeconds() - begin;
      round.total += round.seconds[i];
    }
    round.hash = work.hash.value();
  }
  round.resident = neb::ResidentBytes();
  return round;
}

std::vector<double> Totals(std::span<const Round> rounds) {
  std::vector<double> totals;
  for (const Round& r : rounds) totals.push_back(r.total);
  return totals;
}

void PrintRound(const std::vector<Round>& rounds) {
  const std::span<const Round> first = std::span(rounds).first(std::min(kReference, rounds.size()));
  const Round& last = rounds.back();
  std::printf("%5zu %8.3f", rounds.size(), last.total);
  for (size_t part = 0; part < kPartCount; ++part) {
    std::vector<double> seconds;
    for (const Round& r : first) seconds.push_back(r.seconds[part]);
    std::printf(" %8.3f", last.seconds[part] / Median(seconds));
  }
  std::printf(" %9.2f %9.2f  %016lx\n", neb::ToMib(last.resident), neb::ToMib(neb::PeakResidentBytes()), last.hash);
  std::fflush(stdout);
}

// Prints it; whether all is well.
bool Verdict(const std::vector<Round>& rounds) {
  const std::span<const Round> all(rounds);
  const auto other = std::find_if(all.begin(), all.end(), [&](const Round& r) { return r.hash != all[0].hash; });
  int64_t most = 0;
  for (const Round& r : all.subspan(kWarm)) most = std::max(most, r.resident);
  const double growth = neb::ToMib(most - all[kWarm - 1].resident);
  const size_t tenth = std::max<size_t>(1, all.size() / 10);
  const double drift = Median(Totals(all.last(tenth))) / Median(Totals(all.first(tenth)));
  const bool same = other == all.end(), flat = growth <= absl::GetFlag(FLAGS_growth_mib);
  const bool steady = drift <= absl::GetFlag(FLAGS_drift);
  std::printf("results  %s\n", same ? absl::StrFormat("identical in %d rounds", all.size()).c_str()
                                    : absl::StrFormat("of round %d differ", other - all.begin() + 1).c_str());
  std::printf("memory   %s: %.2f MiB more than after round %zu at most\n", flat ? "flat" : "GROWS", growth, kWarm);
  std::printf("speed    %s: the last %zu rounds took %.3f times the first %zu's processor time\n",
              steady ? "steady" : "DRIFTS", tenth, drift, tenth);
  return same && flat && steady;
}

absl::StatusOr<bool> Soak() {
  std::string folder = absl::GetFlag(FLAGS_folder);
  const bool own = folder.empty();
  if (own) folder = (std::filesystem::temp_directory_path() / absl::StrCat("neb_soak_", getpid())).string();
  std::filesystem::create_directories(folder);
  autodiff::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  std::printf("%5s %8s", "round", "seconds");
  for (const char* part : kParts) std::printf(" %8s", part);
  std::printf(" %9s %9s  hash\n", "MiB now", "at most");

  std::vector<Round> rounds;
  rounds.reserve(1 << 16);  // so that the list itself does not grow
  absl::Status status;
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double, std::ratio<60>> length(absl::GetFlag(FLAGS_minutes));
  while (status.ok() && (rounds.size() < kWarm + 2 || std::chrono::steady_clock::now() - start < length)) {
    absl::StatusOr<Round> round = RunRound(folder, pool);
    status = round.status();
    if (!round.ok()) break;
    rounds.push_back(*round);
    PrintRound(rounds);
  }
  if (own) std::filesystem::remove_all(folder);
  if (!status.ok()) return status;
  return Verdict(rounds);
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::StatusOr<bool> good = Soak();
  if (!good.ok()) std::fprintf(stderr, "soak_bench: %s\n", std::string(good.status().message()).c_str());
  return good.ok() && *good ? 0 : 1;
}
