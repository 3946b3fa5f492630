// Points off the data, for training: without them nothing says what φ should be where no noisy sample ever lies, and a
// long walk finds the places where the network made something up.
//
//   FarSamples far(x, /*fraction=*/0.125);
//   far.FillShift(batch, {.seed = 1, .stream = autodiff::kFarSamples, .step = step}, shift);   // y = x + shift + σ ε
#ifndef NEB_NEB_FAR_SAMPLES_H_
#define NEB_NEB_FAR_SAMPLES_H_

#include <cstdint>

#include "autodiff/random.h"
#include "autodiff/tensor.h"

namespace neb {

// Moves the first `fraction` of a minibatch away from where p_Y lives, each sample in one of two ways, with equal
// chance:
//   faded     towards c μ:        x + (a − 1)(x − c μ),  a ~ U(0, 0.75), c ~ U(0, 1)
//   overlaid  by another sample:  x + b (x' − μ),        b ~ U(0.3, 1)
// and x̂ is still asked for x. Noise of level σ on such a point leaves it recognisably off: along one direction, a
// sample of norm r about the mean is moved by r/4 or more, many σ when r is. So where the data is, the estimate is
// asked for the same as without, and the walk is not biased there; elsewhere, φ learns to point home. For data whose
// spread is not many σ (a cloud of points in the plane) the two regions are one, and the fraction should be 0. (c: for
// images, both the mean and an empty picture are places that walks were seen to get stuck at.)
class FarSamples {
 public:
  // From the data x [n, d], float32; 0 <= fraction <= 1/2.
  FarSamples(const autodiff::Tensor& x, double fraction);

  // Sets the rows of shift [batch, d] that are moved; the others are left as they are, zero. `samples`: [batch, d].
  void FillShift(const autodiff::Tensor& samples, const autodiff::NoiseKey& key, autodiff::Tensor& shift) const;

 private:
  autodiff::Tensor mean_;
  double fraction_;
};

}  // namespace neb

#endif  // NEB_NEB_FAR_SAMPLES_H_
