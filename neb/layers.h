// The layers of networks: functions that ask for their parameters by name and record their formula.
//
//   Var h = silu(Dense(p, "hidden", y, 128));         // [batch, d] -> [batch, 128]
//   Var out = Mlp(p.Scope("net"), y, {256, 256, 1});  // SiLU between the layers, none after the last
//
// A mistake inside a layer (a shape that does not fit, a name asked for twice, units below 1) is reported at the line
// that called the layer.
#ifndef NEB_NEB_LAYERS_H_
#define NEB_NEB_LAYERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"

namespace neb {

using autodiff::Arg;
using autodiff::Params;
using autodiff::Var;
// Elementwise, and smooth in an energy: any function of the DSL such as autodiff::silu, or one's own.
using Activation = Var (*)(Arg);

struct DenseOptions {
  bool bias = true;
  autodiff::Initializer weight_init = autodiff::LecunNormal();
  autodiff::Initializer bias_init = autodiff::Zeros();
};
// x W + b: [.., in] -> [.., units]; parameters name/w [in, units] and name/b [units].
Var Dense(const Params& p, const std::string& name, Arg x, int64_t units, const DenseOptions& options = {});

struct Conv2dOptions {
  int64_t kernel = 3;   // K, to a side
  int64_t stride = 1;   // on both axes
  int64_t padding = 1;  // zeros on every side
  bool bias = true;
  autodiff::Initializer weight_init = autodiff::LecunNormal();
  autodiff::Initializer bias_init = autodiff::Zeros();
};
// Cross-correlation plus bias: [N, H, W, C] -> [N, HO, WO, channels], HO = (H + 2 padding − K)/stride + 1, rounded
// down; parameters name/w [K, K, C, channels], name/b.
Var Conv2d(const Params& p, const std::string& name, Arg x, int64_t channels, const Conv2dOptions& options = {});

// The way back up from a convolution of these options: a bias plus the adjoint of conv2d, also called transposed
// convolution. [N, HO, WO, in] -> [N, height, width, channels], where the convolution would make HO × WO of height ×
// width; parameters name/w [K, K, channels, in], name/b. The weights' variance is stride²/(K² in), whatever
// options.weight_init says: stride² is how many fewer terms than in a convolution meet at a pixel.
Var Conv2dUp(const Params& p, const std::string& name, Arg x, int64_t height, int64_t width, int64_t channels,
             const Conv2dOptions& options = {});

struct MlpOptions {
  Activation activation = autodiff::silu;
  autodiff::Initializer weight_init = autodiff::LecunNormal();
  autodiff::Initializer last_weight_init = autodiff::LecunNormal();
};
// Dense layers of these sizes, with the activation between them and none after the last: [.., in] -> [..,
// units.back()]. No units: x itself. Parameters 0/w, 0/b, 1/w, ...
Var Mlp(const Params& p, Arg x, const std::vector<int64_t>& units, const MlpOptions& options = {});

}  // namespace neb

#endif  // NEB_NEB_LAYERS_H_
