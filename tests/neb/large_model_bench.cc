// A model of a hundred million parameters: what each part of its life takes, in seconds and memory.
//
//   bazel run -c opt //tests/neb:large_model_bench -- --folder=/tmp
//
// Memory is in MiB and in copies of the parameters. While training there must be five: the values, Adam's two moments,
// the running average, and the gradients. A part that needs more says so in the column "at most".
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "autodiff/parallel.h"
#include "autodiff/random.h"
#include "neb/neb.h"
#include "tests/neb/process_memory.h"

ABSL_FLAG(int64_t, hidden, 9216, "units of each of the two hidden layers; 784 numbers go in and come out");
ABSL_FLAG(int64_t, batch, 16, "samples in a minibatch");
ABSL_FLAG(int64_t, steps, 3, "of training, and iterations of the walk");
ABSL_FLAG(int, threads, 1, "0: one for each processor");
ABSL_FLAG(std::string, folder, "/tmp", "where the two files are written, and removed at the end");

namespace {

using autodiff::Tensor;

constexpr int64_t kDims = 784;
constexpr double kSigma = 0.3;

// One line per part.
class Report {
 public:
  void SetParameters(int64_t count) { bytes_ = 4 * count; }

  absl::Status Part(const std::string& name, int64_t times, const std::function<absl::Status()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    absl::Status s = absl::OkStatus();
    for (int64_t i = 0; i < times && s.ok(); ++i) s = work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const auto copies = [this](int64_t bytes) {
      return bytes_ > 0 ? static_cast<double>(bytes) / static_cast<double>(bytes_) : 0;
    };
    const int64_t now = neb::ResidentBytes(), most = neb::PeakResidentBytes();
    std::printf("%-22s %9.2f %9.0f %6.2f %9.0f %6.2f\n", name.c_str(), seconds.count() / static_cast<double>(times),
                neb::ToMib(now), copies(now), neb::ToMib(most), copies(most));
    std::fflush(stdout);
    return s.ok() ? s : absl::Status(s.code(), absl::StrCat(name, ": ", s.message()));
  }

 private:
  int64_t bytes_ = 0;  // of the parameters
};

absl::Status Run(const std::string& checkpoint, const std::string& saved) {
  autodiff::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const int64_t hidden = absl::GetFlag(FLAGS_hidden), steps = absl::GetFlag(FLAGS_steps);
  const neb::EnergySpec spec = neb::ResidualMlpOptions{.hidden = {hidden, hidden}};
  Tensor x({512, kDims});
  autodiff::FillUniform({.seed = 1, .stream = autodiff::kStarts, .step = 0}, 0, x.data<float>());

  Report report;
  std::printf("%-22s %9s %9s %6s %9s %6s\n", "part", "seconds", "MiB now", "copies", "at most", "copies");
  absl::StatusOr<neb::Model> model = absl::UnknownError("");
  absl::Status s = report.Part("create", 1, [&] {
    absl::StatusOr<neb::Energy> energy = neb::MakeEnergy(spec, {kDims}, neb::MeasureScales(x, kSigma));
    if (!energy.ok()) return energy.status();
    model = neb::Model::Create(*energy, {kDims}, kSigma, /*seed=*/1);
    if (model.ok()) report.SetParameters(model->params().num_trainable());
    return model.status();
  });
  if (!s.ok()) return s;
  std::printf("%.1f million parameters\n", 1e-6 * static_cast<double>(model->params().num_trainable()));

  neb::TrainOptions options{.steps = steps + 1, .batch = absl::GetFlag(FLAGS_batch), .pool = &pool};
  options.checkpoint = {.path = checkpoint, .every_seconds = 1e9};
  absl::StatusOr<std::unique_ptr<neb::Trainer>> trainer = absl::UnknownError("");
  s = report.Part("compile the training", 1, [&] {
    trainer = neb::Trainer::Create(*model, x, options);
    return trainer.status();
  });
  if (s.ok()) s = report.Part("first step", 1, [&] { return (*trainer)->Step(); });
  if (s.ok()) s = report.Part("a step", steps, [&] { return (*trainer)->Step(); });
  if (s.ok())
    s = report.Part("write a checkpoint", 1,
                    [&] { return neb::WriteSafetensorsView(checkpoint, (*trainer)->State()); });
  if (s.ok()) s = report.Part("end the training", 1, [&] { return trainer->reset(), absl::OkStatus(); });
  if (!s.ok()) return s;

  const Tensor y = neb::NoisyStarts(x, *model, /*seed=*/2);
  std::vector<float> before(y.data<float>().size()), after = before;
  s = report.Part("512 estimates", 1, [&] { return model->Evaluate(y.data<float>(), {.x_hat = before}, &pool); });
  if (s.ok()) s = report.Part("save the model", 1, [&] { return neb::SaveModel(saved, *model, spec); });
  model = absl::UnknownError("");
  if (s.ok()) s = report.Part("load it", 1, [&] { return (model = neb::LoadModel(saved)).status(); });
  if (s.ok())
    s = report.Part("512 estimates", 1, [&] { return model->Evaluate(y.data<float>(), {.x_hat = after}, &pool); });
  if (!s.ok()) return s;
  if (std::memcmp(before.data(), after.data(), before.size() * sizeof(float)) != 0) {
    return absl::InternalError("the loaded model gives another estimate than the saved one");
  }
  absl::StatusOr<neb::Walk> walk = neb::Walk::Create(*model, neb::UniformStarts(16, *model, 3), {.pool = &pool});
  if (!walk.ok()) return walk.status();
  s = report.Part("16 chains: iteration", steps, [&] { return walk->Run(1); });
  if (s.ok()) s = report.Part("jump", 1, [&] { return walk->Jump().status(); });
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const std::filesystem::path folder = absl::GetFlag(FLAGS_folder);
  const std::string checkpoint = (folder / "neb_large_checkpoint.safetensors").string();
  const std::string saved = (folder / "neb_large_model.safetensors").string();
  const absl::Status s = Run(checkpoint, saved);
  std::filesystem::remove(checkpoint);
  std::filesystem::remove(saved);
  if (!s.ok()) std::fprintf(stderr, "large_model_bench: %s\n", std::string(s.message()).c_str());
  return s.ok() ? 0 : 1;
}
