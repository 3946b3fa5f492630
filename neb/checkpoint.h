// A checkpoint: a model file that also holds all that its training needs to go on. What is in one, and whether it
// belongs to the run that wants to go on from it. Train and Trainer (trainer.h) write and read them.
//
//   Train(*model, x, nullptr, {.steps = 10000, .checkpoint = {.path = "run.safetensors", .resume = true}});
//   absl::StatusOr<Model> now = Model::Load("run.safetensors", energy);      // the model as of the last checkpoint
//
//   tensors   NAME                   the model's parameters (the running average, EMA) and fixed values
//             @trained/NAME          the values that are trained; absent without an average: they are the model's
//             @first_moment/NAME     Adam's
//             @second_moment/NAME
//             @history               f64 [reports, 6], the columns of Progress: step, loss, held_out_loss, rate,
//                                    samples_per_second, seconds
//   metadata  sigma, item_shape, …   as in every model file
//             checkpoint             version of this format: "1"
//             step                   done so far
//             data                   Fingerprint of the samples
//             setting/NAME           what the numbers depend on: steps, batch, seed, adam.beta1, …
//             loss_sum, loss_count   of the steps since the last report
//             training_seconds, seconds
//
// There is no state of a random generator: every draw is a function of setting/seed and step (autodiff/random.h), and
// so is the order of the samples (dataset.h).
#ifndef NEB_NEB_CHECKPOINT_H_
#define NEB_NEB_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/params.h"
#include "neb/safetensors.h"

namespace neb {

bool IsCheckpoint(const TensorFile& file);

// Whether a tensor of a checkpoint belongs to the training, not to the model: its name begins with '@'.
bool IsTrainingState(std::string_view tensor);

// A number such that reading it gives the same bits, as short as that allows.
std::string ExactText(double value);

// Names and values of what a run's numbers depend on.
using Settings = std::vector<std::pair<std::string, std::string>>;

// Adds the settings to the metadata, each as setting/NAME.
void AddSettings(const Settings& settings, std::map<std::string, std::string>& metadata);
// InvalidArgument, naming the first setting that differs and both values.
absl::Status CheckSettings(const TensorFile& file, const Settings& settings);

// InvalidArgument, naming the first parameter that differs in name, shape or dtype, with both shapes; or the first
// fixed value that is another one.
absl::Status CheckParameters(const TensorFile& file, const autodiff::ParamStore& params);

// The steps in all, done and to come, of the run whose checkpoint it is. InvalidArgument when it is none.
absl::StatusOr<int64_t> StepsOf(const TensorFile& file);

// Numbers of the metadata. InvalidArgument when there is none of that name.
absl::StatusOr<double> NumberIn(const TensorFile& file, const std::string& key);
absl::StatusOr<int64_t> CountIn(const TensorFile& file, const std::string& key);  // >= 0

}  // namespace neb

#endif  // NEB_NEB_CHECKPOINT_H_
