// An energy in the plane, for pictures: φ on a grid, the way down as arrows, attractors and their basins.
//
//   const PlaneBox box = BoxAround(train.x, 3 * sigma);
//   absl::StatusOr<Field> phi = EnergyField(model, box);
//   absl::StatusOr<Basins> basins = FindBasins(model, box, {});
//   HeatMap(*phi, {.high = kHighEnergy, .points = basins->starts});           // plot.h
#ifndef NEB_NEB_CLI_PLANE_H_
#define NEB_NEB_CLI_PLANE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/attractors.h"
#include "neb/model.h"
#include "neb/nebula.h"
#include "neb/plot.h"

namespace neb {

struct PlaneBox {
  double x_low = 0;
  double x_high = 1;
  double y_low = 0;
  double y_high = 1;
};
// The smallest box around points x [n, 2], n >= 1, and a margin on every side.
PlaneBox BoxAround(const Tensor& x, double margin);

// The nodes of a grid over the box, row after row from below: [ny · nx, 2]; both at least 2.
Tensor GridPoints(const PlaneBox& box, int64_t nx, int64_t ny);

// At most `most` >= 1 of the rows of x [n, d], evenly spaced among them: data may be sorted.
Tensor SomeRows(const Tensor& x, int64_t most);

// Rows of x [n, 2].
std::vector<Point> PointsOf(const Tensor& x);

// φ − min φ, of a model of M measurements at (y, …, y), which is φ of their mean, on a grid of about `nodes` nodes with
// one spacing in x and y. (Energies are known up to a constant.)
absl::StatusOr<Field> EnergyField(Model& model, const PlaneBox& box, autodiff::ThreadPool* pool = nullptr,
                                  int64_t nodes = 40000);
// Colours up to here: a density e⁻¹² of that at the peak, in whatever units the data is.
inline constexpr double kHighEnergy = 12;

// −∇φ on a grid of `across` arrows in x. Their lengths grow with ‖∇φ‖ up to 1/σ and then no more, so that those near
// the data, where φ is learned, can be seen.
absl::StatusOr<std::vector<Arrow>> DownhillArrows(Model& model, const PlaneBox& box,
                                                  autodiff::ThreadPool* pool = nullptr, int64_t across = 24);

struct Basins {
  Descents descents = {};             // from the nodes of a grid all over the box
  Clusters found = {};                // the attractors they lead to
  Tensor attractors = {};             // [clusters, 2]
  std::vector<PointSet> starts = {};  // the grid, coloured by attractor; those that found none are left out
  std::vector<PointSet> marks = {};   // the attractors in the same colours
};
struct BasinsOptions {
  int64_t across = 37;  // starts in x
  autodiff::ThreadPool* pool = nullptr;
};
// Errors: those of Descend.
absl::StatusOr<Basins> FindBasins(Model& model, const PlaneBox& box, const BasinsOptions& options);

// Descents with their paths, for HeatMap.
std::vector<Path> PathsOf(const Descents& descents);

}  // namespace neb

#endif  // NEB_NEB_CLI_PLANE_H_
