// What an energy must know of the data for its network to see inputs of order one, whatever σ and the data are: what
// makes one set of defaults serve all.
//
//   Scales scales = MeasureScales(train.x, /*sigma=*/0.3);
//   Standardized s = Standardize(y, scales, p);                            // inside an energy
//   return 0.5 * squared_norm(s.z, {1}) + reshape(Mlp(p, s.bounded, {256, 1}), {-1});
#ifndef NEB_NEB_SCALES_H_
#define NEB_NEB_SCALES_H_

#include "autodiff/autodiff.h"

namespace neb {

using autodiff::Params;
using autodiff::Tensor;
using autodiff::Var;

struct Scales {
  Tensor mean;        // μ, [d]
  double stddev = 1;  // s >= 0: root mean square over the coordinates of the deviation from μ
  double sigma = 1;   // σ > 0 of the noise, in the units of the data
  // The network is shown no point farther from μ than this, in units of √d √(s² + σ²); <= 0: no bound.
  double radius = 0;
};
// From samples x [n, d], float32, finite, n >= 1 (not checked; training checks them). σ > 0. radius is set to 1.25
// times that of the farthest sample (its noise included).
Scales MeasureScales(const Tensor& x, double sigma);

// Points y [batch, d] as a network sees them.
struct Standardized {
  Var z;             // (y − μ) / √(s² + σ²), [batch, d]; poisoned if scales.mean is not [d]
  Var bounded;       // z · min(1, radius √d / ‖z‖): exactly z inside the radius
  Var noisy_stddev;  // √(s² + σ²), []
};
// Parameters, not trained but saved: mean, stddev, radius. Those of a model that was loaded win over `scales`, except
// σ.
Standardized Standardize(Var y, const Scales& scales, Params& p);

}  // namespace neb

#endif  // NEB_NEB_SCALES_H_
