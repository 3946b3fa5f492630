// Training as programs do it: into a folder, with a line of progress, and nothing lost when it is stopped.
//
//   absl::StatusOr<TrainResult> result = TrainInFolder(*model, data, {.steps = 10000},
//                                                      {.out = *out, .settings = {{"sigma", 0.3}}, .items = "images"});
//   if (absl::IsCancelled(result.status())) return Interrupt::ExitCode();
#ifndef NEB_NEB_CLI_FOLDER_TRAINING_H_
#define NEB_NEB_CLI_FOLDER_TRAINING_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "neb/cli/run_folder.h"
#include "neb/dataset.h"
#include "neb/model.h"
#include "neb/trainer.h"
#include "nlohmann/json.hpp"

namespace neb {

struct FolderTraining {
  const RunFolder& out;
  nlohmann::ordered_json settings = {};                    // settings.json
  std::string items = "samples";                           // what they are called
  std::map<std::string, std::string> metadata = {};        // of the checkpoint, see CheckpointOptions
  double checkpoint_seconds = 60;                          // between checkpoints
  bool resume = false;                                     // goes on from the folder's checkpoint, if there is one
  std::function<absl::Status(const Progress&)> save = {};  // the model as it is; at each new held-out loss
};

// The file of the checkpoint in that folder.
std::string CheckpointFile(const RunFolder& out);

// Train, with metrics.jsonl, settings.json and checkpoint.safetensors. Ctrl-C, SIGTERM and SIGHUP end it after a
// checkpoint: Cancelled then, and Interrupt::ExitCode() (interrupt.h) is what the program should exit with. A file that
// cannot be written is a warning while it trains; metrics are tried once more at the end, when it is an error. The
// options' callbacks, stop and checkpoint are set here.
absl::StatusOr<TrainResult> TrainInFolder(Model& model, const TrainHeldOut& data, TrainOptions options,
                                          const FolderTraining& training);

}  // namespace neb

#endif  // NEB_NEB_CLI_FOLDER_TRAINING_H_
