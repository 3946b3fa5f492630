// Pictures of a walk: its jumps, a strip of film, φ along it, and its path in the plane.
//
//   absl::StatusOr<Image> grid = JumpsGrid(jumps, {28, 28, 1}, iterations);      // jumps: [jumps, chains, d]
//   absl::StatusOr<Image> film = WalkFilm(frames, {28, 28, 1});
#ifndef NEB_NEB_CLI_SAMPLE_PICTURES_H_
#define NEB_NEB_CLI_SAMPLE_PICTURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"
#include "neb/image.h"
#include "neb/model.h"

namespace neb {

// Jumps [jumps, chains, d] in rows by chain and columns by iteration, evenly spaced: at most 16 columns and about 10
// rows. With few chains, each takes several rows, to be read on. iterations: [jumps].
absl::StatusOr<Image> JumpsGrid(const Tensor& jumps, const autodiff::Shape& item_shape,
                                const std::vector<int64_t>& iterations);

// Frames of the first chains at jumps that follow each other.
struct WalkFrames {
  int64_t chains = 0;                    // at most as many as the walk has
  std::vector<int64_t> iterations = {};  // [frames]
  std::vector<float> y = {};             // [frames, chains, d], the noisy points
  std::vector<float> x_hat = {};         // the jumps from there
};
// For each chain a row of y above one of x̂.
absl::StatusOr<Image> WalkFilm(const WalkFrames& frames, const autodiff::Shape& item_shape);

// φ of the first chains along a walk: energies[chain][i] at iterations[i].
absl::StatusOr<Image> EnergyTrace(const std::vector<std::vector<double>>& energies,
                                  const std::vector<int64_t>& iterations, const std::string& title);

// φ around the jumps [n, 2] of a model in the plane, with contours, the jumps, and the path of one chain, [points, 2].
absl::StatusOr<Image> PlaneWalk(Model& model, const Tensor& jumps, const Tensor& path, autodiff::ThreadPool* pool);

}  // namespace neb

#endif  // NEB_NEB_CLI_SAMPLE_PICTURES_H_
