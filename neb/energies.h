// Ready-made energies to be learned. Each is a function of the DSL with its options in a struct; all of them see their
// input through Scales, so one set of defaults serves every σ and data set.
//
//   Scales scales = MeasureScales(train.x, /*sigma=*/0.3);
//   absl::StatusOr<Energy> energy = ConvEnergy({.channels = {32, 64, 128}}, {28, 28, 1}, scales);
//   absl::StatusOr<Model> model = Model::Create(*energy, {28, 28, 1}, /*sigma=*/0.3);
//
// Form. With z = (y − μ)/√(s² + σ²) and c(z) = z inside the radius of the noisy data (see scales.h), the first three
// are
//
//   φ(y) = ½ ‖z‖² + a n(c(z)),   n: R^d -> R a network,   a = √d √(s² + σ²)/σ.
//
// The bowl alone is the energy of N(μ, s²I) with noise, and n starts at zero (but for the experts'), so x̂ starts at the
// isotropic Wiener estimate; far away the bowl wins and walks come back. With a, a network whose gradient in z has norm
// 1 gives ∇φ the size it has on noisy data, 1/σ per coordinate. The last two are residual denoisers
// (residual_denoiser.h).
//
// Errors: InvalidArgument for sizes that are not positive or do not fit, an unknown activation, scales of another d.
#ifndef NEB_NEB_ENERGIES_H_
#define NEB_NEB_ENERGIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "neb/energy.h"
#include "neb/layers.h"
#include "neb/scales.h"

namespace neb {

// "silu", "gelu", "softplus", "tanh" or "sin": smooth ones only, as ∇φ is trained.
absl::StatusOr<Activation> FindActivation(const std::string& name);

struct MlpEnergyOptions {
  std::vector<int64_t> hidden = {256, 256};
  std::string activation = "silu";
};
// n a multi-layer perceptron. For points in few dimensions; on images the other forms do better.
absl::StatusOr<Energy> MlpEnergy(const MlpEnergyOptions& options, const Scales& scales);

struct ProductOfExpertsOptions {
  std::vector<int64_t> hidden = {256, 256};  // of the trunk h, which the experts share
  int64_t experts = 256;
  std::string activation = "silu";  // of the trunk, after each layer
};
// n = (1/√K) Σ_k softplus(⟨w_k, h⟩ + b_k): each expert is a logistic factor of the density, and a sum of energies is a
// product of them ([DEEN]). Experts that began equal, at zero, would stay equal, so n begins at random.
absl::StatusOr<Energy> ProductOfExperts(const ProductOfExpertsOptions& options, const Scales& scales);

struct ConvEnergyOptions {
  std::vector<int64_t> channels = {32, 64, 128};  // of one convolution after the other
  std::vector<int64_t> strides = {1, 2, 2};       // of each
  int64_t kernel = 3;                             // odd; zero padding keeps the size at stride 1
  int64_t bottleneck = 16;                        // units between the last convolution and the energy
  std::string activation = "silu";
};
// n a convolutional network without pooling that narrows before the end ([NEB] §4). item_shape [height, width,
// colours].
absl::StatusOr<Energy> ConvEnergy(const ConvEnergyOptions& options, const autodiff::Shape& item_shape,
                                  const Scales& scales);

struct ResidualMlpOptions {
  std::vector<int64_t> hidden = {1024, 1024};
  std::string activation = "silu";
};
// A residual denoiser with a multi-layer perceptron.
absl::StatusOr<Energy> ResidualMlp(const ResidualMlpOptions& options, const Scales& scales);

struct ResidualConvOptions {
  std::vector<int64_t> channels = {16, 32, 64};  // at full, half, quarter, ... resolution
  int64_t kernel = 3;                            // odd
  // Units of a dense layer at the lowest resolution, through which every pixel reaches every other; 0: none. Without,
  // an estimate knows its neighbourhood only: good for denoising, but walks then draw strokes that make no whole.
  int64_t bottleneck = 256;
  std::string activation = "silu";
};
// A residual denoiser with a small convolutional network: down by convolutions of stride 2, up by their adjoints, what
// went down added on the way up (a U-Net). item_shape [height, width, colours], any size.
absl::StatusOr<Energy> ResidualConv(const ResidualConvOptions& options, const autodiff::Shape& item_shape,
                                    const Scales& scales);

}  // namespace neb

#endif  // NEB_NEB_ENERGIES_H_
