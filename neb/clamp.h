// Walks on which some coordinates are known: inpainting, conditional samples (METHOD.md §3).
//
//   absl::StatusOr<Known> known = NoisyKnown(x_obs, mask, model->sigma(), /*seed=*/1);
//   absl::StatusOr<Model> clamped = ClampModel(*model, *known);
//   absl::StatusOr<Walk> walk = Walk::Create(*clamped, UniformStarts(16, *clamped, 1), {});
//   walk->Run(1000);
//   Tensor y = FillIn(walk->y(), *known), x_hat(y.shape());
//   model->Evaluate(y.data<float>(), {.x_hat = x_hat.data<float>()});            // the jump: with the whole model
//
// What is sampled. φ lives on noisy points, so what is known is made noisy too: v = x_obs + σε, drawn once. The clamped
// energy is φ with the known coordinates replaced by v, so a walk on it samples the others from p(y_free | y_known =
// v), and the jump above is E[X | Y = (y_free, v)], also for the known coordinates, where it is a denoised v: show
// x_obs there instead. As v tells less than x_obs does, the samples are spread a little wider than p(x_free | x_obs),
// less so with smaller σ; another seed gives another v.
//
// What the walk does to the known coordinates. Their gradient is exactly 0, so any Langevin walk moves them by its
// noise alone, further and further; the energy does not see it, and neither do the free coordinates (nor a Metropolis
// test: proposals are symmetric there). So the walk needs to know nothing of clamping, but what it holds in the known
// coordinates means nothing: use FillIn before looking at y or jumping, and not Walk::Jump.
#ifndef NEB_NEB_CLAMP_H_
#define NEB_NEB_CLAMP_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"
#include "neb/energy.h"
#include "neb/model.h"

namespace neb {

struct Known {
  autodiff::Tensor mask;    // [d], float32: 1 where known, 0 where free
  autodiff::Tensor values;  // v, [d], float32, noisy; not looked at where free
};

// v = x_obs + σε where mask is 1. x_obs and mask [d], float32, mask of zeros and ones, x_obs finite where it is 1; σ >=
// 0 (0: values that are noisy already).
absl::StatusOr<Known> NoisyKnown(const autodiff::Tensor& x_obs, const autodiff::Tensor& mask, double sigma,
                                 uint64_t seed);

// y -> φ(y with the known coordinates replaced). The same for every row; no parameters of its own.
Energy Clamp(Energy energy, Known known);

// A copy of a model, with its parameters as they are now, and its energy clamped. Save keeps what is known out of it.
absl::StatusOr<Model> ClampModel(const Model& model, const Known& known);

// y [n, d], float32, with the known coordinates replaced. Aborts on other shapes.
autodiff::Tensor FillIn(const autodiff::Tensor& y, const Known& known);

}  // namespace neb

#endif  // NEB_NEB_CLAMP_H_
