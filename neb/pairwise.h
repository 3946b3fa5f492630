// The squared distances between the points of two sets, a row of them at a time, by blocked matrix products.
//
//   const SquaredDistances squared(x, y);                          // x: [n, d], y: [m, d]
//   squared.ForEachRow(pool, [&](int64_t i, std::span<const float> row) { ... ‖x_i − y_j‖² is row[j] ... });
#ifndef NEB_NEB_PAIRWISE_H_
#define NEB_NEB_PAIRWISE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

// InvalidArgument, with `name`, unless x is float32 [n, d] with n >= min_rows, d >= 1 and all numbers finite.
absl::Status CheckPoints(absl::string_view name, const autodiff::Tensor& x, int64_t min_rows);
// InvalidArgument unless the rows of x and y are of one length.
absl::Status CheckSameWidth(const autodiff::Tensor& x, const autodiff::Tensor& y);

class SquaredDistances {
 public:
  // Copies x [n, d] and y [m, d], float32, finite.
  SquaredDistances(const autodiff::Tensor& x, const autodiff::Tensor& y);

  // Calls see(i, row) once for each i < n, from the threads of `pool`, in no particular order; row: [m], valid during
  // the call. Results do not depend on the threads. Needs 256 m bytes for each thread.
  void ForEachRow(autodiff::ThreadPool* pool, absl::FunctionRef<void(int64_t, std::span<const float>)> see) const;

  // The numbers of row i are this near to the exact squared distances. It is the rounding of products in float32 of
  // points about their mean: of the order of 10⁻⁵ ‖x_i − mean‖² for 100 coordinates, in the worst case.
  double ErrorBound(int64_t i) const;

 private:
  autodiff::Tensor x_, y_;                 // about the mean of y
  std::vector<double> x_norms_, y_norms_;  // squared
  double largest_y_ = 0;                   // norm
};

}  // namespace neb

#endif  // NEB_NEB_PAIRWISE_H_
