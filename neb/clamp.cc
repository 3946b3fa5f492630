#include "neb/clamp.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace neb {

using autodiff::Shape;

namespace {

absl::Status CheckMask(const Tensor& mask) {
  if (mask.dtype() != autodiff::DType::kF32 || mask.shape().rank() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the mask must be f32 [d], got ", Name(mask.dtype()), mask.shape().ToString()));
  }
  for (int64_t i = 0; i < mask.num_elements(); ++i) {
    if (mask.at(i) == 0 || mask.at(i) == 1) continue;
    return absl::InvalidArgumentError(absl::StrCat("the mask must be 0 or 1, got ", mask.at(i), " at ", i));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Known> NoisyKnown(const Tensor& x_obs, const Tensor& mask, double sigma, uint64_t seed) {
  if (absl::Status s = CheckMask(mask); !s.ok()) return s;
  if (x_obs.dtype() != autodiff::DType::kF32 || !(x_obs.shape() == mask.shape())) {
    return absl::InvalidArgumentError(absl::StrCat("what is known must be f32 ", mask.shape().ToString(),
                                                   ", as the mask, got ", Name(x_obs.dtype()),
                                                   x_obs.shape().ToString()));
  }
  if (!(sigma >= 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be >= 0, got ", sigma));
  }
  Known known{mask, Tensor(mask.shape())};
  // Not the step that NoisyStarts uses: a chain that starts at noisy x_obs should not have the same noise.
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kStarts, .step = 2}, 0, known.values.data<float>());
  for (int64_t i = 0; i < mask.num_elements(); ++i) {
    if (mask.at(i) == 1 && !std::isfinite(x_obs.at(i))) {
      return absl::InvalidArgumentError(absl::StrCat("known coordinate ", i, " is not finite"));
    }
    known.values.set(i, mask.at(i) == 1 ? x_obs.at(i) + sigma * known.values.at(i) : 0);
  }
  return known;
}

Energy Clamp(Energy energy, Known known) {
  return [energy = std::move(energy), known = std::move(known)](Var y, Params& p) {
    const Shape d{y.dim(1)};
    if (!(known.mask.shape() == d) || !(known.values.shape() == d)) {  // both would broadcast
      return y.tape()->Fail(
          "clamp",
          absl::StrCat("mask of shape ", known.mask.shape().ToString(), " and values of shape ",
                       known.values.shape().ToString(), " for points of shape ", y.shape().ToString()),
          {});
    }
    // `where`, not a product: the walk's own value may be anything.
    return RecordEnergy(energy, where(y.tape()->Constant(known.mask), y.tape()->Constant(known.values), y), p);
  };
}

absl::StatusOr<Model> ClampModel(const Model& model, const Known& known) {
  absl::StatusOr<Model> clamped =
      Model::Create(Clamp(model.energy(), known), model.item_shape(), model.sigma(), model.params().seed());
  if (!clamped.ok()) return clamped.status();
  for (int i = 0; i < clamped->params().size(); ++i) {
    autodiff::ParamStore::Entry& entry = clamped->params()[i];
    entry.value = model.params()[model.params().Find(entry.name)].value;
  }
  return clamped;
}

Tensor FillIn(const Tensor& y, const Known& known) {
  const int64_t d = known.mask.num_elements();
  autodiff::CheckTensorAccess(y.shape().rank() == 2 && y.shape()[1] == d && known.values.num_elements() == d,
                              "FillIn(): y is not [n, d]");
  Tensor filled = y;
  for (int64_t i = 0; i < y.num_elements(); ++i) {
    if (known.mask.at(i % d) == 1) filled.set(i, known.values.at(i % d));
  }
  return filled;
}

}  // namespace neb
