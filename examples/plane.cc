#include "examples/plane.h"

#include <algorithm>

#include "absl/status/status.h"

namespace examples {

absl::StatusOr<neb::Field> EnergyField(neb::Model& model, const Window& window, int64_t nx, int64_t ny) {
  neb::Field field{.values = autodiff::Tensor({ny, nx}),
                   .x_low = window.x_low,
                   .x_high = window.x_high,
                   .y_low = window.y_low,
                   .y_high = window.y_high};
  std::vector<float> y;
  for (int64_t i = 0; i < ny; ++i) {
    for (int64_t j = 0; j < nx; ++j) {
      const double u = static_cast<double>(j) / static_cast<double>(nx - 1);
      const double v = static_cast<double>(i) / static_cast<double>(ny - 1);
      y.push_back(static_cast<float>(window.x_low + u * (window.x_high - window.x_low)));
      y.push_back(static_cast<float>(window.y_low + v * (window.y_high - window.y_low)));
    }
  }
  const std::span<float> phi = field.values.data<float>();
  if (absl::Status s = model.Evaluate(y, {.energy = phi}); !s.ok()) return s;
  const float lowest = *std::min_element(phi.begin(), phi.end());
  for (float& v : phi) v -= lowest;
  return field;
}

std::vector<neb::Point> PointsOf(const autodiff::Tensor& x) {
  std::vector<neb::Point> points;
  for (int64_t i = 0; i < x.shape()[0]; ++i) points.push_back({x.at(2 * i), x.at(2 * i + 1)});
  return points;
}

neb::Image SideBySide(const std::vector<neb::Image>& pictures, int columns) {
  const int rows = (static_cast<int>(pictures.size()) + columns - 1) / columns;
  const int height = pictures[0].height, width = pictures[0].width;
  neb::Image sheet(rows * height, columns * width, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (size_t k = 0; k < pictures.size(); ++k) {
    const int top = static_cast<int>(k) / columns * height, left = static_cast<int>(k) % columns * width;
    for (int i = 0; i < height; ++i) std::copy_n(pictures[k].at(i, 0), 3 * width, sheet.at(top + i, left));
  }
  return sheet;
}

}  // namespace examples
