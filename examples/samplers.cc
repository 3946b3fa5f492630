// The five samplers on a density that is known: what they should find, what they find, how many draws that is worth.
//
//   bazel run -c opt //examples:samplers          # prints a table, writes samplers.png
//
// X ~ N(0, τ²I) in 10 dimensions, so p_Y is N(0, s²I) with s² = τ² + σ². The quantity is ‖y‖²/d, whose mean is the
// variance. ULA and half-denoising are biased, by a formula (see neb/walk.h); the others are not. (For a quadratic φ
// and the same noise, BAOAB and ABOBA come to the same positions.)
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "neb/cli/run_folder.h"
#include "neb/image.h"
#include "neb/known_energies.h"
#include "neb/neb.h"
#include "neb/plot.h"

ABSL_FLAG(std::string, out, "samplers.png", "the picture to write");
ABSL_FLAG(int64_t, iterations, 2000, "of each of 100 chains, after 300 that are not counted");

namespace {

using neb::Sampler;
using neb::Tensor;

constexpr int64_t kDimension = 10;
constexpr double kTau2 = 1, kSigma = 0.5, kVariance = kTau2 + kSigma * kSigma;

// The variance in which each sampler ends up for steps δ.
double Predicted(Sampler sampler, double step) {
  if (sampler == Sampler::kUla) return kVariance / (1 - step * step / (2 * kVariance));
  if (sampler == Sampler::kHalfDenoising) {
    const double a = 1 - kSigma * kSigma / (2 * kVariance);
    return kSigma * kSigma * a * a / (1 - a * a);
  }
  return kVariance;
}
double Target(Sampler sampler) { return sampler == Sampler::kHalfDenoising ? kTau2 : kVariance; }

struct Outcome {
  neb::ChainSummary squares;  // of ‖y‖²/d
  double acceptance = 1;
};

absl::StatusOr<Outcome> Measure(Sampler sampler, double step) {
  absl::StatusOr<neb::Model> model =
      neb::Model::Create(neb::QuadraticEnergy(Tensor({kDimension}), kTau2, kSigma), {kDimension}, kSigma);
  if (!model.ok()) return model.status();
  absl::StatusOr<neb::Walk> walk = neb::Walk::Create(*model, neb::UniformStarts(/*chains=*/100, *model, /*seed=*/1),
                                                     {.sampler = sampler, .step_size = step});
  if (!walk.ok()) return walk.status();
  if (absl::Status s = walk->Run(300); !s.ok()) return s;  // and not BurnIn, in which MALA would choose another step
  const absl::StatusOr<neb::Trajectory> run = neb::Record(*walk, {.iterations = absl::GetFlag(FLAGS_iterations)});
  if (!run.ok()) return run.status();
  const int64_t draws = run->y.shape()[0], chains = run->y.shape()[1];
  neb::Chains squares(static_cast<size_t>(chains), std::vector<double>(static_cast<size_t>(draws)));
  for (int64_t i = 0; i < run->y.num_elements(); ++i) {
    const auto c = static_cast<size_t>(i / kDimension % chains), t = static_cast<size_t>(i / kDimension / chains);
    squares[c][t] += run->y.at(i) * run->y.at(i) / kDimension;
  }
  const absl::StatusOr<neb::ChainSummary> summary = neb::Summarise(squares);
  if (!summary.ok()) return summary.status();
  return Outcome{*summary, std::isnan(walk->mean_acceptance()) ? 1 : walk->mean_acceptance()};
}

absl::Status Run() {
  std::printf("                        --------- variance ----------\n");
  std::printf("sampler            δ    target  predicted     found  ±         ESS   R-hat  accepted\n");
  std::vector<neb::Series> series;
  for (const Sampler sampler :
       {Sampler::kUla, Sampler::kMala, Sampler::kBaoab, Sampler::kAboba, Sampler::kHalfDenoising}) {
    const bool has_step = sampler != Sampler::kHalfDenoising;
    neb::Series found{.name = neb::Name(sampler), .markers = true};
    for (const double step : {0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0}) {
      if (!has_step && step != kSigma) continue;  // its step is σ
      const absl::StatusOr<Outcome> at = Measure(sampler, step);
      if (!at.ok()) return at.status();
      const double aside = sampler == Sampler::kMala ? -0.013 : sampler == Sampler::kAboba ? 0.013 : 0;
      found.x.push_back(step + aside);
      found.y.push_back(at->squares.mean);
      if (step != 0.25 && step != 0.5 && step != 1) continue;
      std::printf("%-15s %5.3f    %.4f   %.4f    %.4f  %.4f  %6.0f   %.3f  %.2f\n", neb::Name(sampler), step,
                  Target(sampler), Predicted(sampler, step), at->squares.mean, at->squares.standard_error,
                  at->squares.effective_samples, at->squares.r_hat, at->acceptance);
    }
    series.push_back(found);
  }
  neb::Series ula{.name = "predicted for ula"};
  for (double step = 0.05; step < 1.03; step += 0.02) {
    ula.x.push_back(step);
    ula.y.push_back(Predicted(Sampler::kUla, step));
  }
  series.push_back(ula);
  const absl::StatusOr<neb::Image> plot =
      neb::LinePlot(series, {.title = "The variance that five samplers find",
                             .x_label = "step δ (the unbiased three side by side); σ = 0.5",
                             .y_label = "variance",
                             .references = {{kVariance, "p_Y: 1.25"}, {kTau2, "p_X: 1"}}});
  if (!plot.ok()) return plot.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, *plot); !s.ok()) return s;
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Runs the five samplers on a Gaussian and compares with what theory predicts.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "samplers: %s\n", std::string(status.message()).c_str());
  return 1;
}
