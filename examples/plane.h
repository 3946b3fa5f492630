// What the examples in the plane share: an energy as a field to draw, tensors as points, pictures side by side.
#ifndef NEB_EXAMPLES_PLANE_H_
#define NEB_EXAMPLES_PLANE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"
#include "neb/image.h"
#include "neb/model.h"
#include "neb/plot.h"

namespace examples {

struct Window {
  double x_low, x_high, y_low, y_high;
};

// φ − min φ of a model of the plane at the nodes of a grid that fills the window, [ny, nx]: energies are known up to a
// constant.
absl::StatusOr<neb::Field> EnergyField(neb::Model& model, const Window& window, int64_t nx, int64_t ny);

// The rows of x [n, 2].
std::vector<neb::Point> PointsOf(const autodiff::Tensor& x);

// Pictures with three channels and of one size, `columns` to a row.
neb::Image SideBySide(const std::vector<neb::Image>& pictures, int columns);

}  // namespace examples

#endif  // NEB_EXAMPLES_PLANE_H_
