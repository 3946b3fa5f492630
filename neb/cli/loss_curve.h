// How a training went, as a picture.
//
//   absl::StatusOr<Image> curve = LossCurve(result.history, references, {.title = "fashion-mnist, σ = 0.3"});
#ifndef NEB_NEB_CLI_LOSS_CURVE_H_
#define NEB_NEB_CLI_LOSS_CURVE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "neb/cli/references.h"
#include "neb/image.h"
#include "neb/trainer.h"

namespace neb {

struct LossCurveOptions {
  std::string title = {};
  std::string item = "image";  // of which the loss is: "loss per image"
  bool far_samples = false;    // whether the training loss includes them, see far_samples.h
};

// Loss against step, logarithmic, of the minibatches and of the held-out data, with dashed lines for the references.
// Errors: those of LinePlot.
absl::StatusOr<Image> LossCurve(const std::vector<Progress>& history, const std::vector<Reference>& references,
                                const LossCurveOptions& options);

}  // namespace neb

#endif  // NEB_NEB_CLI_LOSS_CURVE_H_
