// Is a point where ∇φ = 0 an attractor? The extreme eigenvalues of the Hessian ∇²φ there, by Lanczos' method.
//
//   absl::StatusOr<Descents> memories = Descend(model, start, {});                          // nebula.h
//   absl::StatusOr<std::vector<Spectrum>> spectra = ExtremeCurvatures(model, memories->y, {});
//   bool stable = (*spectra)[0].smallest > (*spectra)[0].error;
#ifndef NEB_NEB_STABILITY_H_
#define NEB_NEB_STABILITY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

struct LanczosOptions {
  double tolerance = 1e-4;     // on the error, in units of 1/σ²
  int64_t max_products = 200;  // ∇²φ v per point
  uint64_t seed = 1;           // of the first direction
  autodiff::ThreadPool* pool = nullptr;
};

// Eigenvalues λ of ∇²φ(y). The exact φ of any data has λ <= 1/σ² (METHOD.md §2), and the posterior covariance of x
// given y has the eigenvalues σ²(1 − σ²λ). At a point where ∇φ = 0: smallest > 0, an attractor; < 0, a saddle or a
// maximum; near 0, a valley or a plateau.
struct Spectrum {
  double smallest = 0;
  double largest = 0;
  // An eigenvalue is known to lie within this of each of the two. That it is the extreme one holds for almost every
  // first direction.
  double error = 0;
  int64_t products = 0;          // ∇²φ v that were computed
  std::vector<float> direction;  // of unit length, along which the curvature is `smallest`, [d]
};

// For each row of y [n, d], float32, finite. Full reorthogonalisation in float64; ends when the error is at most the
// tolerance, when the Krylov space is exhausted (at most d products: then the error is rounding), or after
// max_products. O(max_products · d) memory for each of 16 points at a time. A row's result does not depend on the
// others or on the pool's threads. InvalidArgument: shapes and options out of range; FailedPrecondition: a Hessian that
// is not finite.
absl::StatusOr<std::vector<Spectrum>> ExtremeCurvatures(Model& model, const Tensor& y, const LanczosOptions& options);

}  // namespace neb

#endif  // NEB_NEB_STABILITY_H_
