#include "neb/energies.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/file_reader.h"
#include "neb/residual_denoiser.h"

namespace neb {

using autodiff::Shape;

namespace {

// Of a network's last layer: φ begins as the bowl.
constexpr autodiff::Initializer kStartAtZero = {};

absl::Status CheckSizes(const char* what, const std::vector<int64_t>& sizes) {
  for (int64_t size : sizes) {
    if (size >= 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(what, " must be positive, got ", size));
  }
  return absl::OkStatus();
}

// Whether the scales are those of images of this shape, and the kernel one that keeps their size.
absl::Status CheckImages(const Shape& item_shape, const Scales& scales, int64_t kernel) {
  if (item_shape.rank() != 3 || !item_shape.valid() || item_shape.num_elements() != scales.mean.num_elements()) {
    return absl::InvalidArgumentError(absl::StrCat("expected samples of shape [height, width, colours], got ",
                                                   item_shape.ToString(), " with scales for ",
                                                   scales.mean.num_elements(), " numbers"));
  }
  if (kernel >= 1 && kernel % 2 == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the kernel must be odd and positive, got ", kernel));
}

// φ = ½ ‖z‖² + a n(c(z)); n gives [batch, 1].
Energy OnABowl(Network network, const Scales& scales) {
  return [network = std::move(network), scales](Var y, Params& p) {
    const Standardized s = Standardize(y, scales, p);
    if (!s.z.ok()) return s.z;
    const Var a = (std::sqrt(static_cast<double>(y.dim(1))) / scales.sigma) * s.noisy_stddev;
    return 0.5 * squared_norm(s.z, {1}) + a * reshape(network(s.bounded, p), {-1});
  };
}

std::vector<int64_t> With(std::vector<int64_t> units, int64_t last) {
  units.push_back(last);
  return units;
}

}  // namespace

absl::StatusOr<Activation> FindActivation(const std::string& name) {
  if (name == "silu") return &autodiff::silu;
  if (name == "gelu") return &autodiff::gelu;
  if (name == "softplus") return &autodiff::softplus;
  if (name == "tanh") return &autodiff::tanh;
  if (name == "sin") return &autodiff::sin;
  return absl::InvalidArgumentError(
      absl::StrCat("the activation must be silu, gelu, softplus, tanh or sin, got ", Excerpt(name)));
}

absl::StatusOr<Energy> MlpEnergy(const MlpEnergyOptions& options, const Scales& scales) {
  const absl::StatusOr<Activation> activation = FindActivation(options.activation);
  if (!activation.ok()) return activation.status();
  if (absl::Status s = CheckSizes("hidden units", options.hidden); !s.ok()) return s;
  return OnABowl(
      [units = With(options.hidden, 1), act = *activation](Var z, Params& p) {
        return Mlp(p, z, units, {.activation = act, .last_weight_init = kStartAtZero});
      },
      scales);
}

absl::StatusOr<Energy> ProductOfExperts(const ProductOfExpertsOptions& options, const Scales& scales) {
  const absl::StatusOr<Activation> activation = FindActivation(options.activation);
  if (!activation.ok()) return activation.status();
  if (absl::Status s = CheckSizes("hidden units", options.hidden); !s.ok()) return s;
  if (absl::Status s = CheckSizes("experts", {options.experts}); !s.ok()) return s;
  return OnABowl(
      [options, act = *activation](Var z, Params& p) {
        const Var h = options.hidden.empty() ? z : act(Mlp(p.Scope("trunk"), z, options.hidden, {.activation = act}));
        const Var logits = Dense(p, "experts", h, options.experts);
        return (1 / std::sqrt(static_cast<double>(options.experts))) * sum(softplus(logits), {1}, /*keepdims=*/true);
      },
      scales);
}

absl::StatusOr<Energy> ConvEnergy(const ConvEnergyOptions& options, const Shape& item_shape, const Scales& scales) {
  const absl::StatusOr<Activation> activation = FindActivation(options.activation);
  if (!activation.ok()) return activation.status();
  if (absl::Status s = CheckImages(item_shape, scales, options.kernel); !s.ok()) return s;
  if (absl::Status s = CheckSizes("channels", options.channels); !s.ok()) return s;
  if (absl::Status s = CheckSizes("strides", options.strides); !s.ok()) return s;
  if (absl::Status s = CheckSizes("bottleneck", {options.bottleneck}); !s.ok()) return s;
  if (options.channels.empty() || options.channels.size() != options.strides.size()) {
    return absl::InvalidArgumentError(absl::StrCat("expected one or more channels and a stride for each, got ",
                                                   options.channels.size(), " and ", options.strides.size()));
  }
  return OnABowl(
      [options, item_shape, act = *activation](Var z, Params& p) {
        Var h = reshape(z, {z.dim(0), item_shape[0], item_shape[1], item_shape[2]});
        for (size_t i = 0; i < options.channels.size(); ++i) {
          h = act(Conv2d(p, absl::StrCat("conv", i), h, options.channels[i],
                         {.kernel = options.kernel, .stride = options.strides[i], .padding = options.kernel / 2}));
        }
        h = act(Dense(p, "bottleneck", reshape(h, {h.dim(0), -1}), options.bottleneck));
        return Dense(p, "energy", h, 1, {.weight_init = kStartAtZero});
      },
      scales);
}

absl::StatusOr<Energy> ResidualMlp(const ResidualMlpOptions& options, const Scales& scales) {
  const absl::StatusOr<Activation> activation = FindActivation(options.activation);
  if (!activation.ok()) return activation.status();
  if (absl::Status s = CheckSizes("hidden units", options.hidden); !s.ok()) return s;
  return ResidualDenoiser(
      [hidden = options.hidden, act = *activation](Var z, Params& p) {
        return Mlp(p, z, With(hidden, z.dim(1)), {.activation = act, .last_weight_init = kStartAtZero});
      },
      scales);
}

absl::StatusOr<Energy> ResidualConv(const ResidualConvOptions& options, const Shape& item_shape, const Scales& scales) {
  const absl::StatusOr<Activation> activation = FindActivation(options.activation);
  if (!activation.ok()) return activation.status();
  if (absl::Status s = CheckImages(item_shape, scales, options.kernel); !s.ok()) return s;
  if (absl::Status s = CheckSizes("channels", options.channels); !s.ok()) return s;
  if (options.channels.empty()) return absl::InvalidArgumentError("expected one or more channels, got none");
  if (options.bottleneck < 0) {
    return absl::InvalidArgumentError(absl::StrCat("bottleneck must be >= 0, got ", options.bottleneck));
  }
  return ResidualDenoiser(
      [options, item_shape, act = *activation](Var z, Params& p) {
        const Conv2dOptions same{.kernel = options.kernel, .padding = options.kernel / 2};
        const Conv2dOptions half{.kernel = options.kernel, .stride = 2, .padding = options.kernel / 2};
        Var h = reshape(z, {z.dim(0), item_shape[0], item_shape[1], item_shape[2]});
        std::vector<Var> levels;  // what each resolution holds on the way down
        for (size_t i = 0; i < options.channels.size(); ++i) {
          h = act(Conv2d(p, absl::StrCat("down", i), h, options.channels[i], i == 0 ? same : half));
          levels.push_back(h);
        }
        h = act(Conv2d(p, "middle", h, options.channels.back(), same));
        if (options.bottleneck > 0) {
          const Var flat = reshape(h, {h.dim(0), -1});
          const Var units = act(Dense(p, "narrow", flat, options.bottleneck));
          h = h + reshape(Dense(p, "wide", units, flat.dim(1), {.weight_init = kStartAtZero}), h.shape());
        }
        for (size_t i = options.channels.size() - 1; i > 0; --i) {
          const Var level = levels[i - 1];
          h = Conv2dUp(p, absl::StrCat("up", i), h, level.dim(1), level.dim(2), level.dim(3), half);
          h = act(Conv2d(p, absl::StrCat("merge", i - 1), act(h + level), level.dim(3), same));
        }
        Conv2dOptions last = same;
        last.weight_init = kStartAtZero;
        return reshape(Conv2d(p, "out", h, item_shape[2], last), {z.dim(0), -1});
      },
      scales);
}

}  // namespace neb
