// Points inside the spheres of noise, for training: in many dimensions ‖Y − X‖ is σ√d within a few per cent (METHOD.md
// §5), so no noisy sample ever lies near the clean one, and nothing says what φ should be there. But that is where
// NEBULA's descents end: without such points they pass the stored sample and drift on.
//
//   ShrinkNoise(/*fraction=*/0.5, {.seed = 1, .stream = autodiff::kInnerSamples, .step = step}, noise);   // y = x + σε
#ifndef NEB_NEB_INNER_SAMPLES_H_
#define NEB_NEB_INNER_SAMPLES_H_

#include "autodiff/random.h"
#include "autodiff/tensor.h"

namespace neb {

// Multiplies the noise of the last `fraction` of a minibatch, rows of noise [batch, d], by a ~ U(0, 1), one a for each
// row; 0 <= fraction <= 1. x̂ is still asked for x, which is what the exact E[X|y] is at y = x + aσε wherever x is the
// only likely origin of y: for a stored set whose samples are told apart at σ. In few dimensions the insides of the
// spheres are where p_Y lives, and samples of a lesser noise would bias the estimate: the fraction should be 0.
void ShrinkNoise(double fraction, const autodiff::NoiseKey& key, autodiff::Tensor& noise);

}  // namespace neb

#endif  // NEB_NEB_INNER_SAMPLES_H_
