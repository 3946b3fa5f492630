// Several measurements of one sample, y_m = x + σ ε_m, m = 1 … M: [MGM], "Multimeasurement Generative Models", ICLR
// 2022. A point is then M measurements side by side, [batch, M·d]; models, training and walks take it as any other.
//
//   Energy joint = JointEnergy(energy_of_mean, /*measurements=*/4, sigma);
//   absl::StatusOr<Model> model = Model::Create(joint, {4, 28, 28, 1}, sigma);         // walks in R^{4·784}
//   Train(*model, x, nullptr, {.measurements = 4});                                   // x: [n, 784]
//   absl::StatusOr<Walk> walk = Walk::Create(*model, NoisyStarts(*Repeat(x, 4), *model, 1), {});
//   absl::StatusOr<Tensor> x_hat = MeanOfMeasurements(*walk->Jump(), 4);               // [chains, 784]
#ifndef NEB_NEB_MEASUREMENTS_H_
#define NEB_NEB_MEASUREMENTS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "neb/energy.h"

namespace neb {

// The joint energy that an energy of the mean implies, exactly (METHOD.md §7):
//
//   φ(y_1 … y_M) = Σ_m ‖y_m − ȳ‖² / 2σ² + φ̄(ȳ) + const,   ȳ the mean over m,
//
// where `energy_of_mean`, φ̄: [batch, d] -> [batch], is the energy of x with noise of level σ/√M (so its Scales are
// those of σ/√M). Each measurement's estimate y_m − σ²∇_m φ is then ȳ − (σ²/M) ∇φ̄(ȳ), the same for all m. M = 1 is φ̄
// itself, to the last bit. The mistake of a row that is not a multiple of M is on the tape.
Energy JointEnergy(Energy energy_of_mean, int64_t measurements, double sigma);

// The most that files and command lines may ask for.
inline constexpr int64_t kMaxMeasurements = 1000;

// The NEB objective for M measurements, sample by sample: ‖x − x̂‖², x̂ the mean over m of y_m − σ²∇_m φ(y). That is the
// loss of the mean estimate, as in [MGM], not the mean of M single losses; for a JointEnergy they are the same.
// `energy` may be any joint energy. x: [batch, d], y: [batch, M·d] -> [batch]. With M = 1 it records what NebLoss does.
Var MeasurementsLoss(const Energy& energy, Var x, Var y, int64_t measurements, double sigma, Params& p);

// x [batch, d] M times side by side: [batch, M·d].
Var Repeat(Var x, int64_t measurements);
absl::StatusOr<Tensor> Repeat(const Tensor& x, int64_t measurements);

// The mean over the measurements, [n, M·d] -> [n, d]: of the jumps of a joint model, their estimate of x; of M noisy
// copies of a known x, that with an error of σ²d/M. InvalidArgument: rows that are not M equal parts.
Var MeanOfMeasurements(Var y, int64_t measurements);
absl::StatusOr<Tensor> MeanOfMeasurements(const Tensor& y, int64_t measurements);

}  // namespace neb

#endif  // NEB_NEB_MEASUREMENTS_H_
