// How good a model is: its loss on samples that it was not trained on.
//
//   absl::StatusOr<double> loss = MeasureLoss(model, held_out.x, /*samples=*/2000, /*seed=*/1);
#ifndef NEB_NEB_MEASURE_LOSS_H_
#define NEB_NEB_MEASURE_LOSS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

// The NEB loss of a model on samples x [n, d], mean over the samples, each with one draw of noise: an estimate of
// E‖X − x̂(X + σε)‖². The noise is the same at each call with the same seed. Uses the first `samples` rows. For a joint
// energy of M measurements, x is [n, d/M] and x̂ their mean estimate.
absl::StatusOr<double> MeasureLoss(Model& model, const Tensor& x, int64_t samples, uint64_t seed,
                                   autodiff::ThreadPool* pool = nullptr, int64_t measurements = 1);

// Whether `x` are samples of the model: float32, finite, [n, d/M], n >= 1.
absl::Status CheckSamples(const Model& model, const Tensor& x, int64_t measurements);
// Whether MeasureLoss takes them.
absl::Status CheckMeasurable(const Model& model, const Tensor& x, int64_t samples, int64_t measurements);

}  // namespace neb

#endif  // NEB_NEB_MEASURE_LOSS_H_
