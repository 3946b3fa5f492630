// Where noisy samples are ([NEB] §3, METHOD.md §5): in many dimensions lengths hardly vary, so the noise lies on a
// sphere of radius σ√d, and a thin manifold of data with noise on it near the sphere ‖y‖² = E‖X‖² + σ²d.
//
//   Concentration c = *NoiseRadius(/*d=*/784, /*draws=*/10000, /*seed=*/1);  // both about 1 ± 0.025
//   Concentration m = *SquaredNorms(x, /*sigma=*/0.5, /*seed=*/1);
#ifndef NEB_NEB_CONCENTRATION_H_
#define NEB_NEB_CONCENTRATION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"

namespace neb {

struct Concentration {
  struct Moments {
    double mean = 0;
    double stddev = 0;
  };
  int64_t draws = 0;
  Moments measured;   // over the draws
  Moments predicted;  // exact, in closed form
};

// ‖Y − X‖ / (σ√d) = ‖ε‖/√d of `draws` >= 2 vectors of noise in R^d, d >= 1. Predicted: the chi distribution, mean
// √(2/d) Γ((d+1)/2) / Γ(d/2) = 1 − 1/4d + …, spread 1/√(2d) to first order (0.025 at d = 784).
absl::StatusOr<Concentration> NoiseRadius(int64_t d, int64_t draws, uint64_t seed);

// ‖x_i + σε_i‖², one draw of noise for each row of x [n, d], float32, n >= 2; σ >= 0. Predicted, from the moments of
// ‖x‖² over these rows: mean E‖X‖² + σ²d, variance Var‖X‖² + 4σ² E‖X‖² + 2σ⁴d.
absl::StatusOr<Concentration> SquaredNorms(const autodiff::Tensor& x, double sigma, uint64_t seed);

// X = N(0, stddev² I) on a k-dimensional subspace of R^d, 1 <= k <= d.
struct GaussianManifold {
  int64_t d = 1000;
  int64_t k = 10;
  double stddev = 1;  // of X along each of the k directions
  double sigma = 1;   // of the noise, along all d
};
// ‖Y‖² of `draws` >= 2 points of it with noise, "manifold disintegration–expansion": mean k·stddev² + σ²d, variance
// 2k(stddev² + σ²)² + 2(d − k)σ⁴. The spread relative to the mean vanishes as d grows, whatever the manifold: what was
// a k-dimensional manifold is a (d − 1)-sphere. (The subspace is that of the first k coordinates: N(0, σ²I) has no
// preferred directions.)
absl::StatusOr<Concentration> Expansion(const GaussianManifold& manifold, int64_t draws, uint64_t seed);

}  // namespace neb

#endif  // NEB_NEB_CONCENTRATION_H_
