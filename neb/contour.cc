#include "neb/contour.h"

#include <cmath>
#include <cstdint>

namespace neb {

std::vector<Segment> ContourLine(const autodiff::Tensor& values, double level) {
  const int64_t rows = values.shape()[0];
  const int64_t columns = values.shape()[1];
  std::vector<Segment> segments;
  for (int64_t i = 0; i + 1 < rows; ++i) {
    for (int64_t j = 0; j + 1 < columns; ++j) {
      // Corners in the order of a walk around the cell; edge k runs from corner k to corner k + 1.
      const double x[4] = {0, 1, 1, 0};
      const double y[4] = {0, 0, 1, 1};
      double above[4];
      double sum = 0;
      for (int k = 0; k < 4; ++k) {
        above[k] = values.at((i + static_cast<int64_t>(y[k])) * columns + j + static_cast<int64_t>(x[k])) - level;
        sum += above[k];
      }
      if (!std::isfinite(sum)) continue;
      Point crossing[4];
      int count = 0;
      for (int k = 0; k < 4; ++k) {
        const int next = (k + 1) % 4;
        if ((above[k] >= 0) == (above[next] >= 0)) continue;
        const double t = above[k] / (above[k] - above[next]);
        crossing[count++] = {static_cast<double>(j) + x[k] + t * (x[next] - x[k]),
                             static_cast<double>(i) + y[k] + t * (y[next] - y[k])};
      }
      if (count == 2) segments.push_back({crossing[0], crossing[1]});
      if (count == 4) {
        // Edges 0 and 1 meet in corner 1: cut it off when it lies on the other side than the middle of the cell.
        const bool cut_corner_1 = (above[1] >= 0) != (sum >= 0);
        segments.push_back({crossing[0], crossing[cut_corner_1 ? 1 : 3]});
        segments.push_back({crossing[2], crossing[cut_corner_1 ? 3 : 1]});
      }
    }
  }
  return segments;
}

}  // namespace neb
