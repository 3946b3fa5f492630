// Data drawn from known distributions: the toy sets of the literature, with its values as defaults.
//
//   absl::StatusOr<Dataset> spirals = Spirals(/*n=*/10000, /*seed=*/1);
//   absl::StatusOr<Dataset> rings = Rings(10000, 1, {.radii = {1, 2}, .noise = 0.05});
//   absl::StatusOr<Dataset> any = MakeSynthetic("pinwheel", 10000, 1);
//
// Rows are independent draws, and row i depends on the seed, i and the options only, never on n (but for TwoMoons,
// which is spaced evenly). Random numbers are those of autodiff/random.h. x is [n, d] float32, item_shape {d}. `noise`
// is the standard deviation of normal noise on every coordinate. InvalidArgument, naming the option: n < 1; a scale or
// noise that is negative or not finite, and what the options say.
//
// [SKL] scikit-learn's sklearn.datasets. [FFJORD] Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud: "FFJORD", ICLR
// 2019, with its lib/toy_data.py, whose values have since been everybody's.
#ifndef NEB_NEB_SYNTHETIC_H_
#define NEB_NEB_SYNTHETIC_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"
#include "neb/dataset.h"

namespace neb {

// --- curves ---

// Two interleaving half circles of radius 1, as [SKL] make_moons draws them: ⌊n/2⌋ points (cos t, sin t), then ⌈n/2⌉
// points (1 − cos t, ½ − sin t), t evenly spaced over [0, π] in each. The noise is [FFJORD]'s.
struct TwoMoonsOptions {
  double noise = 0.1;
};
absl::StatusOr<Dataset> TwoMoons(int64_t n, uint64_t seed, const TwoMoonsOptions& options = {});

// Concentric circles, each as likely as another, the angle uniform; [FFJORD] "rings".
struct RingsOptions {
  std::vector<double> radii = {0.75, 1.5, 2.25, 3};  // at least one
  double noise = 0.08;
};
absl::StatusOr<Dataset> Rings(int64_t n, uint64_t seed, const RingsOptions& options = {});

// Arms (−r cos t, r sin t), t = 2π turns √u, r = radius √u, u uniform: even over the arm, nearly. Arm k is arm 0 turned
// by 2πk/arms. [FFJORD] "2spirals", without the jitter of up to 1/6 that it adds to both coordinates.
struct SpiralsOptions {
  int64_t arms = 2;                   // at least 1
  double turns = 1.5;                 // of an arm around the origin
  double radius = 3.141592653589793;  // where an arm ends
  double noise = 0.1;
};
absl::StatusOr<Dataset> Spirals(int64_t n, uint64_t seed, const SpiralsOptions& options = {});

// A plane rolled up: scale · (t cos t, [height · v,] t sin t), t = 3π/2 (1 + 2u), u and v uniform; [SKL]
// make_swiss_roll, whose noise is added before scaling. In the plane with the values of [FFJORD] "swissroll"; in space,
// {.dimension = 3, .scale = 1} with the same noise, it is [SKL]'s own.
struct SwissRollOptions {
  int64_t dimension = 2;  // 2 or 3
  double noise = 1;
  double scale = 0.2;
  double height = 21;  // in space
};
absl::StatusOr<Dataset> SwissRoll(int64_t n, uint64_t seed, const SwissRollOptions& options = {});

// --- areas ---

// Blades: with normal z₁ and z₂, the point (1 + radial z₁, tangential z₂), turned clockwise by 2πk/blades + rate ·
// exp(its first coordinate), blade k at random, times scale; [FFJORD] "pinwheel", which goes back to Johnson, Duvenaud,
// Wiltschko, Datta, Adams: "Composing graphical models with neural networks", NIPS 2016.
struct PinwheelOptions {
  int64_t blades = 5;  // at least 1
  double radial = 0.3;
  double tangential = 0.1;
  double rate = 0.25;
  double scale = 2;
};
absl::StatusOr<Dataset> Pinwheel(int64_t n, uint64_t seed, const PinwheelOptions& options = {});

// Uniform on the black squares of a board of cells × cells around the origin, the lower left square being black;
// [FFJORD] "checkerboard".
struct CheckerboardOptions {
  int64_t cells = 4;  // to a side; even
  double side = 2;    // of a square
};
absl::StatusOr<Dataset> Checkerboard(int64_t n, uint64_t seed, const CheckerboardOptions& options = {});

// --- Gaussians ---

// The density Σ_k weights[k] N(x; means[k], stddev² I) on R^d. With noise of level σ it becomes that of stddev
// √(stddev²
// + σ²), so that energy, score and x̂ of these sets are known in closed form.
struct IsotropicMixture {
  int64_t d = 0;
  std::vector<double> means;  // [components, d], row-major
  double stddev = 0;
  std::vector<double> weights;  // [components], positive, of sum 1

  int64_t components() const { return static_cast<int64_t>(weights.size()); }
};
// Draws from a mixture: from component k with probability weights[k] (to 2⁻⁵³).
absl::StatusOr<Dataset> SampleMixture(int64_t n, uint64_t seed, const IsotropicMixture& mixture,
                                      const std::string& name = "mixture");

// Equal Gaussians on a circle; [FFJORD] "8gaussians": 4 and 0.5, over √2. Component k is at the angle 2πk/components.
struct GaussianRingOptions {
  int64_t components = 8;              // at least 1
  double radius = 2.8284271247461903;  // 2√2
  double stddev = 0.3535533905932738;  // √2/4
};
absl::StatusOr<IsotropicMixture> GaussianRing(const GaussianRingOptions& options = {});

// Equal Gaussians on a square grid around the origin, row by row from the lower left. The 25 of the literature on GANs:
// 2 apart, standard deviation 0.05 (Gulrajani et al.: "Improved training of Wasserstein GANs", NIPS 2017, gan_toy.py,
// before it divides by 2.828).
struct GaussianGridOptions {
  int64_t side = 5;  // components to a side; at least 1
  double spacing = 2;
  double stddev = 0.05;
};
absl::StatusOr<IsotropicMixture> GaussianGrid(const GaussianGridOptions& options = {});

// A Gaussian on a k-dimensional subspace of R^d: x = Σ_j stddevs[j] z_j f_j, z normal, f the rows of
// RandomFrame(k, d, frame_seed). So the covariance is Σ_j stddevs[j]² f_j f_jᵀ, the squared distance from the origin
// has the mean Σ_j stddevs[j]², and the least possible loss at noise σ is Σ_j stddevs[j]² σ²/(stddevs[j]² + σ²).
struct GaussianManifoldOptions {
  int64_t d = 100;
  std::vector<double> stddevs = {1, 1};  // k = their number, 1 to d
  uint64_t frame_seed = 0;  // which subspace; apart from the seed, so that fresh draws are from the same one
};
absl::StatusOr<Dataset> GaussianManifold(int64_t n, uint64_t seed, const GaussianManifoldOptions& options = {});

// k orthonormal vectors of R^d as rows, [k, d] float64, every orientation being equally likely (Mezzadri: "How to
// generate random matrices from the classical compact groups", 2007). 1 <= k <= d.
absl::StatusOr<autodiff::Tensor> RandomFrame(int64_t k, int64_t d, uint64_t seed);

// --- by name ---

// two_moons, rings, spirals, swiss_roll, pinwheel, checkerboard, eight_gaussians, twenty_five_gaussians (all in the
// plane), swiss_roll_3d, gaussian_manifold.
std::vector<std::string> SyntheticNames();

// The one of that name, with its defaults (swiss_roll_3d with a scale of 0.2, as swiss_roll). InvalidArgument for a
// name that is none, listing them.
absl::StatusOr<Dataset> MakeSynthetic(std::string_view name, int64_t n, uint64_t seed);

}  // namespace neb

#endif  // NEB_NEB_SYNTHETIC_H_
