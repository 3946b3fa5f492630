// Test only: random expressions over all ops, to compare two ways of computing the same thing.
//
//   Tape tape(DType::kF64);
//   const Var x = tape.Input("x", {3, 4});
//   std::vector<Var> values = RandomGraph({x}, {.seed = 7});    // x itself and what was made of it
#ifndef NEB_TESTS_AUTODIFF_RANDOM_GRAPH_H_
#define NEB_TESTS_AUTODIFF_RANDOM_GRAPH_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "autodiff/ops.h"

namespace autodiff {

struct RandomGraphOptions {
  uint64_t seed = 1;
  int ops = 14;
  // Only ops with continuous derivatives, and matrix products. Without: also kinks, steps and ties, and no products, so
  // that every way of computing the graph must give the same bits.
  bool smooth = false;
  int64_t max_elements = 400;
};

// Records `ops` random expressions, each of earlier ones, and returns them all after the inputs. Values stay finite on
// moderate inputs, mostly.
class RandomGraphMaker {
 public:
  RandomGraphMaker(const std::vector<Var>& inputs, const RandomGraphOptions& options)
      : options_(options), random_(options.seed), values_(inputs) {}

  std::vector<Var> Make() {
    const size_t size = values_.size() + static_cast<size_t>(options_.ops);
    while (values_.size() < size) {
      const Var v = Next();
      if (v.ok() && v.shape().num_elements() <= options_.max_elements) values_.push_back(v);
    }
    return values_;
  }

 private:
  template <typename N>
  int Below(N n) {
    return static_cast<int>(random_() % static_cast<uint64_t>(n));
  }
  bool Coin() { return Below(2) == 0; }
  // Later values more often, so that graphs grow deep.
  Var Pick() {
    const int64_t n = static_cast<int64_t>(values_.size());
    return values_[static_cast<size_t>(Coin() ? Below(n) : n - 1 - Below(std::min<int64_t>(n, 4)))];
  }
  // A value that broadcasts with `like`; `like` itself if none is found soon.
  Var PickLike(Var like) {
    for (int i = 0; i < 8; ++i) {
      const Var v = Pick();
      if (BroadcastShapes(v.shape(), like.shape()).ok()) return v;
    }
    return like;
  }
  std::vector<int> Axes(Var x) {
    std::vector<int> axes;
    for (int i = 0; i < x.rank(); ++i) {
      if (Coin()) axes.push_back(i);
    }
    return axes;
  }

  Var Next() {
    switch (Below(6)) {
      case 0:
        return Unary(Pick());
      case 1:
      case 2: {
        const Var a = Pick();
        return Binary(a, PickLike(a));
      }
      case 3:
        return Reduction(Pick());
      case 4:
        return Layout(Pick());
      default:
        return options_.smooth ? Product(Pick()) : Unary(Pick());
    }
  }

  Var Unary(Var x) {
    using Op = Var (*)(Var);
    static constexpr Op kSmooth[] = {
        [](Var v) { return tanh(v); },
        [](Var v) { return sin(v); },
        [](Var v) { return cos(v); },
        [](Var v) { return sigmoid(v); },
        [](Var v) { return softplus(v); },
        [](Var v) { return erf(v); },
        [](Var v) { return silu(v); },
        [](Var v) { return gelu(v); },
        [](Var v) { return exp(tanh(v)); },
        [](Var v) { return expm1(sin(v)); },
        [](Var v) { return log(square(v) + 1.0); },
        [](Var v) { return log1p(square(v)) - 0.0; },
        [](Var v) { return sqrt(square(v) + 1.0); },
        [](Var v) { return rsqrt(square(v) + 2.0); },
        [](Var v) { return reciprocal(square(v) + 0.5); },
        [](Var v) { return pow(square(v) + 1.0, 0.7); },
        [](Var v) { return stop_gradient(v); },
        [](Var v) { return -v; },
        [](Var v) { return 1.0 * v; },
    };
    static constexpr Op kOther[] = {
        [](Var v) { return abs(v); },
        [](Var v) { return relu(v); },
        [](Var v) { return sign(v) * v; },
        [](Var v) { return -(-v); },
        [](Var v) { return leaky_relu(v) / 1.0; },
    };
    return options_.smooth || Below(4) != 0 ? kSmooth[Below(std::size(kSmooth))](x)
                                            : kOther[Below(std::size(kOther))](x);
  }

  Var Binary(Var a, Var b) {
    using Op = Var (*)(Var, Var);
    static constexpr Op kSmooth[] = {
        [](Var u, Var v) { return u + v; },       [](Var u, Var v) { return u - v; },
        [](Var u, Var v) { return tanh(u) * v; }, [](Var u, Var v) { return u / (square(v) + 1.0); },
        [](Var u, Var v) { return u + (-v); },    [](Var u, Var v) { return (-sin(u)) * (-v); },
        [](Var u, Var v) { return 0.5 * u + v; },
    };
    static constexpr Op kOther[] = {
        [](Var u, Var v) { return maximum(u, v); },
        [](Var u, Var v) { return minimum(u, v); },
        [](Var u, Var v) { return where(greater(u, v), u, sin(v)); },
        [](Var u, Var v) { return less_equal(u, v) * u; },
        [](Var u, Var v) { return equal(u, v) + not_equal(u, sin(v)); },
    };
    return options_.smooth || Coin() ? kSmooth[Below(std::size(kSmooth))](a, b)
                                     : kOther[Below(std::size(kOther))](a, b);
  }

  Var Reduction(Var x) {
    const std::vector<int> axes = Axes(x);
    const bool keep = Coin();
    switch (Below(options_.smooth ? 4 : 6)) {
      case 0:
        return sum(x, axes, keep);
      case 1:
        return mean(x, axes, keep);
      case 2:
        return logsumexp(x, axes, keep);
      case 3:
        return x.rank() == 0 ? x : softmax(x, Below(x.rank()));
      case 4:
        return max(x, axes, keep);
      default:
        return norm(x, axes, keep);
    }
  }

  Var Layout(Var x) {
    if (x.rank() == 0) return broadcast_to(x, {2, 3});
    const int axis = Below(x.rank());
    const int64_t n = x.shape()[axis];
    switch (Below(8)) {
      case 0:
        return Coin() ? reshape(x, {-1}) : reshape(x, {x.dim(0), -1, 1});
      case 1: {
        std::vector<int> axes;
        for (int i = 0; i < x.rank(); ++i) axes.insert(axes.begin() + Below(i + 1), i);
        return permute(x, axes);
      }
      case 2: {
        const int64_t begin = Below(n);
        return slice(x, axis, begin, begin + 1 + Below(n - begin));
      }
      case 3:
        return pad(x, axis, Below(3), Below(3));
      case 4:
        return concat({x, sin(x), x}, axis);
      case 5:
        return stack({x, cos(x)}, Below(x.rank() + 1));
      case 6:
        return x.rank() < 2 ? x + 1.0 : transpose(x);
      default: {
        Shape shape = {2};
        for (int64_t extent : x.shape()) shape.push_back(extent);
        return broadcast_to(x, shape);
      }
    }
  }

  Var Product(Var x) {
    if (x.rank() < 2) return dot(reshape(x, {1, -1}), reshape(cos(x), {1, -1}));
    switch (Below(4)) {
      case 0:
        return tanh(matmul(x, sin(x), {.transpose_b = true}));
      case 1:
        return tanh(matmul(x, transpose(cos(x))));
      case 2:
        return tanh(matmul(transpose(x), x));
      default:
        return tanh(matmul(x, reshape(slice(reshape(x, {-1}), 0, 0, x.dim(-1)), {-1, 1})));
    }
  }

  RandomGraphOptions options_;
  std::mt19937_64 random_;
  std::vector<Var> values_;
};

inline std::vector<Var> RandomGraph(const std::vector<Var>& inputs, const RandomGraphOptions& options) {
  return RandomGraphMaker(inputs, options).Make();
}

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_RANDOM_GRAPH_H_
