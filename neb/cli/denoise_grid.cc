#include "neb/cli/denoise_grid.h"

#include <algorithm>
#include <vector>

#include "neb/image_grid.h"
#include "neb/measurements.h"
#include "neb/walk.h"

namespace neb {

absl::StatusOr<Image> DenoiseGrid(Model& model, const Dataset& clean, const DenoiseGridOptions& options) {
  const int64_t count = std::min(options.images, clean.size()), d = clean.x.shape()[1];
  const auto size = static_cast<size_t>(count * d);
  const int64_t measurements = std::max<int64_t>(1, model.d() / d);
  const absl::StatusOr<Tensor> x =
      Repeat(Tensor::From<float>({count, d}, clean.x.data<float>().first(size)), measurements);
  if (!x.ok()) return x.status();
  const Tensor noisy = NoisyStarts(*x, model, options.seed);
  Tensor estimates(noisy.shape());
  absl::Status s = model.Evaluate(noisy.data<float>(), {.x_hat = estimates.data<float>()}, options.pool);
  if (!s.ok()) return s;
  const absl::StatusOr<Tensor> x_hat = MeanOfMeasurements(estimates, measurements);
  if (!x_hat.ok()) return x_hat.status();

  std::vector<float> cells(clean.x.data<float>().begin(),
                           clean.x.data<float>().begin() + static_cast<std::ptrdiff_t>(size));
  for (int64_t i = 0; i < count; ++i) {
    const std::span<const float> first = noisy.data<float>().subspan(static_cast<size_t>(i * model.d()));
    cells.insert(cells.end(), first.begin(), first.begin() + d);
  }
  cells.insert(cells.end(), x_hat->data<float>().begin(), x_hat->data<float>().end());
  return Grid(Tensor::From<float>({3 * count, d}, cells), clean.item_shape, 3, static_cast<int>(count),
              {.row_labels = {"clean", "noisy", "x̂"}});
}

}  // namespace neb
