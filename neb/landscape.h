// A model's φ, ∇φ and ∇²φ·v in float64: for questions whose answer must not drown in float32's rounding, such as
// whether φ has fallen by a step, or the sign of a curvature.
//
//   absl::StatusOr<Landscape> landscape = Landscape::Create(model);
//   absl::Status done = landscape->Evaluate(y, energy, gradient);            // y: n points, row after row
//   done = landscape->HessianTimes(y, v, product);                           // product: ∇²φ(y) v, row by row
#ifndef NEB_NEB_LANDSCAPE_H_
#define NEB_NEB_LANDSCAPE_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/model.h"

namespace neb {

// The model's float32 parameters are copied as they are now; the energy is recorded on a float64 tape. About twice the
// cost of Model::Evaluate. Not thread-safe.
class Landscape {
 public:
  // Errors: those of the energy. The pool must outlive the landscape; null: the calling thread only.
  static absl::StatusOr<Landscape> Create(Model& model, autodiff::ThreadPool* pool = nullptr);
  Landscape(Landscape&&) noexcept;
  Landscape& operator=(Landscape&&) noexcept;
  ~Landscape();

  int64_t d() const;
  double sigma() const;

  // φ(y) [n] and ∇φ(y) [n, d] for y [n, d], n >= 0. InvalidArgument: sizes that do not fit. A row's result does not
  // depend on the other rows, their number, or the pool's threads.
  absl::Status Evaluate(std::span<const double> y, std::span<double> energy, std::span<double> gradient);

  // ∇²φ(y) v, [n, d], for y and v [n, d]: the gradient of ⟨∇φ(y), v⟩ (Pearlmutter 1994). The Hessian is symmetric, so
  // ⟨u, ∇²φ v⟩ = ⟨v, ∇²φ u⟩. As above otherwise.
  absl::Status HessianTimes(std::span<const double> y, std::span<const double> v, std::span<double> product);

 private:
  struct Impl;
  explicit Landscape(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neb

#endif  // NEB_NEB_LANDSCAPE_H_
