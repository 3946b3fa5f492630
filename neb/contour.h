// Contour lines of a field on a regular grid.
//
//   std::vector<Segment> line = ContourLine(values, 0.5);  // in units of nodes: x = column, y = row
#ifndef NEB_NEB_CONTOUR_H_
#define NEB_NEB_CONTOUR_H_

#include <vector>

#include "autodiff/tensor.h"
#include "neb/stroke_font.h"

namespace neb {

struct Segment {
  Point from;
  Point to;
};

// Marching squares: where `values` [ny, nx], linearly interpolated along the edges of the grid, equals `level`. A
// saddle is decided by the mean of its cell's corners. Cells with a corner that is not finite have no line.
std::vector<Segment> ContourLine(const autodiff::Tensor& values, double level);

}  // namespace neb

#endif  // NEB_NEB_CONTOUR_H_
