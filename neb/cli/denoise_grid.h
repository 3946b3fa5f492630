// Images clean, noisy and denoised, in three rows.
//
//   absl::StatusOr<Image> grid = DenoiseGrid(model, held_out, {.images = 16, .pool = &pool});
#ifndef NEB_NEB_CLI_DENOISE_GRID_H_
#define NEB_NEB_CLI_DENOISE_GRID_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/dataset.h"
#include "neb/image.h"
#include "neb/model.h"

namespace neb {

struct DenoiseGridOptions {
  int64_t images = 16;  // the first ones of the data set, at most
  uint64_t seed = 1;    // of the noise
  autodiff::ThreadPool* pool = nullptr;
};

// x, y = x + σε and x̂(y). A model of M measurements is shown its first noisy copy, and x̂ of all M. Errors: items that
// are no images, or not the model's.
absl::StatusOr<Image> DenoiseGrid(Model& model, const Dataset& clean, const DenoiseGridOptions& options);

}  // namespace neb

#endif  // NEB_NEB_CLI_DENOISE_GRID_H_
