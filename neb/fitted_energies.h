// Energies that need no training: a density is fitted to the data, and smoothed in closed form (METHOD.md §6).
// As strong as the density is right: what learned energies must beat, and at once there to walk on and descend.
//
//   absl::StatusOr<Energy> energy = FitKernelDensity(train.x, /*sigma=*/0.3);
//   absl::StatusOr<Model> model = Model::Create(*energy, {28, 28, 1}, /*sigma=*/0.3);
//
// What is fitted are fixed parameters (known_energies.h), which are saved with the model. x: [n, d], float32, finite,
// n and d >= 1; σ > 0. InvalidArgument for others.
#ifndef NEB_NEB_FITTED_ENERGIES_H_
#define NEB_NEB_FITTED_ENERGIES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "neb/energy.h"
#include "neb/mixture_fit.h"
#include "neb/safetensors.h"

namespace neb {

// One Gaussian alike in all directions, N(μ, s²I): μ the mean of the samples, s² the mean of their coordinates'
// variances. x̂ = μ + s²/(s² + σ²)(y − μ).
absl::StatusOr<Energy> FitQuadratic(const autodiff::Tensor& x, double sigma);

// One Gaussian, N(μ, Σ), of the samples' mean and covariance (divided by n). x̂ is the Wiener estimate of reference.h.
// O(n d² + d³) time, d at most kMaxGaussianDimension: a product of [batch, d] with [d, d] for each batch.
absl::StatusOr<Energy> FitGaussian(const autodiff::Tensor& x, double sigma, autodiff::ThreadPool* pool = nullptr);
inline constexpr int64_t kMaxGaussianDimension = 4096;

// A mixture of K Gaussians, with full or with spherical covariances (mixture_fit.h; errors as there). A product of
// [batch, d] with [d, d] per full component for each batch; K d² numbers in the model's file.
absl::StatusOr<Energy> FitGaussianMixture(const autodiff::Tensor& x, double sigma,
                                          const GaussianMixtureOptions& options = {},
                                          autodiff::ThreadPool* pool = nullptr);

// The samples themselves, a Gaussian of width σ around each (kernel_density.h). They become part of the model: 4nd
// bytes of its file, and each estimate is an average of all of them, so that every jump is made of training samples.
// ResourceExhausted, naming how many samples fit, for more than `max_bytes`.
inline constexpr int64_t kMaxStoredBytes = int64_t{1} << 28;
absl::StatusOr<Energy> FitKernelDensity(const autodiff::Tensor& x, double sigma, int64_t max_bytes = kMaxStoredBytes);

// The energies again from a model's file, for samples of d numbers: a mixture's, also that of one Gaussian, and a
// kernel density's. The file is not trusted: InvalidArgument, naming
// tensor and shapes, for one without the tensors, or with others than belong together.
absl::StatusOr<Energy> StoredMixture(const TensorFile& file, int64_t d);
absl::StatusOr<Energy> StoredKernelDensity(const TensorFile& file, int64_t d, double sigma);

}  // namespace neb

#endif  // NEB_NEB_FITTED_ENERGIES_H_
