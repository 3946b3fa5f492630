// Squared distances between many points, by differences: exact to float32's rounding also where points nearly coincide,
// which ‖a‖² + ‖b‖² − 2a·b is not.
//
//   PackedPoints points(x, /*scale=*/1);
//   std::vector<double> tile(PackedPoints::kPanel * PackedPoints::kPanel);
//   SquaredDistances(points.panel(0), points.panel(1), points.d(), tile.data());
#ifndef NEB_NEB_POINT_DISTANCES_H_
#define NEB_NEB_POINT_DISTANCES_H_

#include <cstdint>

#include "autodiff/tensor.h"

namespace neb {

// A copy of points in panels of kPanel, each [d, kPanel] with a coordinate of all its points side by side. The last
// panel is filled up with zeros.
class PackedPoints {
 public:
  static constexpr int64_t kPanel = 64;

  // x [n, d], float32. Every coordinate is multiplied by `scale`, which is exact if that is a power of two.
  PackedPoints(const autodiff::Tensor& x, float scale);

  int64_t n() const { return n_; }
  int64_t d() const { return d_; }
  int64_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  // Points panel · kPanel and following.
  const float* panel(int64_t panel) const { return values_.data<float>().data() + panel * d_ * kPanel; }

 private:
  int64_t n_, d_;
  autodiff::Tensor values_;
};

// out[i, j] = ‖a_i − b_j‖² of two panels, [kPanel, kPanel]. Differences and sums of up to 128 squares are rounded to
// float32, longer sums are taken in float64: the relative error is below 1e-5, some 2e-7 as a rule. Equal points have
// distance 0. The bits depend on the two points and the SIMD target only, and are the same for (b, a).
void SquaredDistances(const float* a, const float* b, int64_t d, double* out);

}  // namespace neb

#endif  // NEB_NEB_POINT_DISTANCES_H_
