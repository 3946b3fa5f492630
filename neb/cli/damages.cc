#include "neb/cli/damages.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/attractors.h"
#include "neb/cli/items.h"
#include "neb/dataset.h"
#include "neb/walk.h"

namespace neb {

namespace {

// Which coordinates of a picture are hidden.
absl::StatusOr<std::vector<bool>> HiddenPart(const std::string& part, const autodiff::Shape& item_shape,
                                             uint64_t seed) {
  const int64_t d = item_shape.num_elements();
  std::vector<bool> hidden(static_cast<size_t>(d));
  if (part == "half") {
    Batches order(d, {.batch_size = (d + 1) / 2, .seed = seed});
    for (const int64_t j : order.At(0)) hidden[static_cast<size_t>(j)] = true;
    return hidden;
  }
  const bool known = part == "left" || part == "right" || part == "top" || part == "bottom";
  if (!known) {
    return absl::InvalidArgumentError(
        absl::StrCat("--occlude takes left, right, top, bottom and half, got \"", part, "\""));
  }
  if (!IsPicture(item_shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--occlude=", part, " is for pictures; items of ", item_shape.ToString(), " have only half"));
  }
  const int64_t height = item_shape[0], width = item_shape[1], channels = item_shape[2];
  for (int64_t j = 0; j < d; ++j) {
    const int64_t row = j / (width * channels), column = j / channels % width;
    hidden[static_cast<size_t>(j)] = part == "left"    ? 2 * column < width
                                     : part == "right" ? 2 * column >= width
                                     : part == "top"   ? 2 * row < height
                                                       : 2 * row >= height;
  }
  return hidden;
}

Tensor AddNoise(const Tensor& x, double multiple, const Model& model, uint64_t seed) {
  Tensor y = NoisyStarts(x, model, seed);
  for (int64_t i = 0; i < y.num_elements(); ++i) y.set(i, x.at(i) + multiple * (y.at(i) - x.at(i)));
  return y;
}

}  // namespace

absl::StatusOr<std::vector<Damage>> MakeDamages(const DamageOptions& options, const Tensor& stored,
                                                const Model& model) {
  std::vector<Damage> damages;
  for (const double multiple : options.noise) {
    if (!(multiple >= 0) || !std::isfinite(multiple)) {
      return absl::InvalidArgumentError(absl::StrCat("--noise takes multiples of σ, >= 0, got ", multiple));
    }
    if (multiple == 0) damages.push_back({"none", stored});
    if (multiple > 0) {
      damages.push_back({absl::StrFormat("noise %gσ", multiple), AddNoise(stored, multiple, model, options.seed)});
    }
  }
  for (const std::string& part : options.occlude) {
    const absl::StatusOr<std::vector<bool>> hidden = HiddenPart(part, model.item_shape(), options.seed);
    if (!hidden.ok()) return hidden.status();
    absl::StatusOr<Tensor> start = Occlude(stored, *hidden);
    if (!start.ok()) return start.status();
    damages.push_back({part + " hidden", *std::move(start)});
  }
  return damages;
}

}  // namespace neb
