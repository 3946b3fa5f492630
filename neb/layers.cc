#include "neb/layers.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace neb {

using autodiff::CallSite;

Var Dense(const Params& p, const std::string& name, Arg x, int64_t units, const DenseOptions& options) {
  CallSite site(x);
  Params scope = p.Scope(name);
  const Var w = scope("w", {x.var().dim(-1), units}, options.weight_init);
  const Var product = autodiff::matmul(x, w);
  return options.bias ? product + scope("b", {units}, options.bias_init) : product;
}

Var Conv2d(const Params& p, const std::string& name, Arg x, int64_t channels, const Conv2dOptions& options) {
  CallSite site(x);
  Params scope = p.Scope(name);
  const Var w = scope("w", {options.kernel, options.kernel, x.var().dim(-1), channels}, options.weight_init);
  const Var y = autodiff::conv2d(x, w, autodiff::ConvOptions::Same(options.stride, options.padding));
  return options.bias ? y + scope("b", {channels}, options.bias_init) : y;
}

Var Conv2dUp(const Params& p, const std::string& name, Arg x, int64_t height, int64_t width, int64_t channels,
             const Conv2dOptions& options) {
  CallSite site(x);
  Params scope = p.Scope(name);
  const int64_t in = x.var().dim(-1);
  const double fan =
      static_cast<double>(options.kernel) * static_cast<double>(options.kernel) * static_cast<double>(in);
  const Var w = scope("w", {options.kernel, options.kernel, channels, in},
                      autodiff::Normal(static_cast<double>(options.stride) / std::sqrt(fan)));
  const Var y =
      autodiff::conv2d_input_adjoint(x, w, height, width, autodiff::ConvOptions::Same(options.stride, options.padding));
  return options.bias ? y + scope("b", {channels}, options.bias_init) : y;
}

Var Mlp(const Params& p, Arg x, const std::vector<int64_t>& units, const MlpOptions& options) {
  CallSite site(x);
  Var h = x.var();
  for (size_t i = 0; i < units.size(); ++i) {
    const bool last = i + 1 == units.size();
    h = Dense(p, absl::StrCat(i), h, units[i],
              {.bias = true, .weight_init = last ? options.last_weight_init : options.weight_init});
    if (!last) h = options.activation(h);
  }
  return h;
}

}  // namespace neb
