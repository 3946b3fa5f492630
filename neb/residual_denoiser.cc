#include "neb/residual_denoiser.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace neb {

Energy ResidualDenoiser(Network network, Scales scales) {
  return [network = std::move(network), scales = std::move(scales)](Var y, Params& p) {
    const Standardized s = Standardize(y, scales, p);
    if (!s.z.ok()) return s.z;
    Params scope = p.Scope("nu");
    const Var n = network(s.bounded, scope);
    if (n.ok() && !(n.shape() == s.z.shape())) {  // checked, because it might broadcast
      return y.tape()->Fail("residual_denoiser",
                            absl::StrCat("the network returned a result of shape ", n.shape().ToString(),
                                         " for points of shape ", y.shape().ToString()),
                            {});
    }
    return 0.5 * squared_norm(s.z - n, {1});
  };
}

}  // namespace neb
