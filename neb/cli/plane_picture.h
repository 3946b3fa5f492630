// Pictures of a model of points in the plane.
//
//   absl::StatusOr<Image> energy = EnergyPicture(model, held_out.x, {.title = "two_moons, σ = 0.15"});
//   absl::StatusOr<Image> basins = BasinsPicture(model, held_out.x, {.title = "two_moons, σ = 0.15"});
#ifndef NEB_NEB_CLI_PLANE_PICTURE_H_
#define NEB_NEB_CLI_PLANE_PICTURE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/image.h"
#include "neb/model.h"

namespace neb {

struct PlanePictureOptions {
  std::string title = {};  // continued with what the picture shows
  int64_t points = 500;    // of x, at most
  int64_t descents = 24;
  uint64_t seed = 1;  // of the noise that descents start with
  int width = 720;    // pixels
  autodiff::ThreadPool* pool = nullptr;
};

// φ − min φ around points x [n, 2] as a heat map with contours; −∇φ as arrows; the points; the attractors as large
// discs. Errors: a model of another dimension than 2; those of Descend.
absl::StatusOr<Image> EnergyPicture(Model& model, const Tensor& x, const PlanePictureOptions& options);

// The same heat map; a grid of starts in the colours of the attractors that they lead to; some descents from noisy
// points, x + σε, to the attractors.
absl::StatusOr<Image> BasinsPicture(Model& model, const Tensor& x, const PlanePictureOptions& options);

}  // namespace neb

#endif  // NEB_NEB_CLI_PLANE_PICTURE_H_
