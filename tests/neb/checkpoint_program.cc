// Test only: a training run as a process of its own, for checkpoint_kill_test to stop and to kill.
//
//   checkpoint_program CHECKPOINT MODEL STEPS EVERY
//
// Resumes from CHECKPOINT, which is written after every EVERY steps, says "started at STEP" when it trains, and writes
// MODEL at the end.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "neb/cli/interrupt.h"
#include "neb/scales.h"
#include "neb/trainer.h"
#include "tests/neb/test_energies.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  constexpr int64_t kDims = 16, kHidden = 96;
  const neb::Tensor x = neb::NormalTensor({200, kDims}, 0.5, 0.3, 1);
  absl::StatusOr<neb::Model> model =
      neb::Model::Create(neb::RandomDenoiser(neb::MeasureScales(x, 0.3), kHidden), {kDims}, 0.3, 1);
  if (!model.ok()) return 3;
  const neb::Interrupt interrupt;
  const absl::StatusOr<neb::TrainResult> result =
      neb::Train(*model, x, &x,
                 {.steps = std::atoll(argv[3]),
                  .batch = 32,
                  .far_fraction = 0.125,
                  .report_every = 7,
                  .evaluate_every = 50,
                  .on_start =
                      [](int64_t step) {
                        std::printf("started at %ld\n", static_cast<long>(step));
                        std::fflush(stdout);
                      },
                  .checkpoint = {.path = argv[1], .every_steps = std::atoll(argv[4]), .resume = true},
                  .stop = [&] { return interrupt.signal() != 0; }});
  if (!result.ok() || !result->checkpoint.ok()) {
    std::fprintf(stderr, "%s\n", std::string((result.ok() ? result->checkpoint : result.status()).message()).c_str());
    return 1;
  }
  if (result->stopped) return interrupt.ExitCode();
  // The history is part of what must come out the same.
  std::string losses;
  for (const neb::Progress& p : result->history)
    losses += std::to_string(p.loss) + " " + std::to_string(p.held_out_loss) + "\n";
  return model->Save(argv[2], {{"losses", losses}}).ok() ? 0 : 1;
}
