// A hand-written energy: a ring whose centre, radius and width are learned from noisy points.
//
//   bazel run -c opt //examples:custom_energy
#include <cmath>
#include <cstdio>
#include <numbers>

#include "autodiff/random.h"
#include "neb/neb.h"

using neb::Params;
using neb::Tensor;
using neb::Var;

// φ(y) = (‖y − c‖ − r)² / 2w²
Var Ring(Var y, Params& p) {
  Var centre = p("centre", {2}, autodiff::Zeros());
  Var radius = p("radius", {}, autodiff::Constant(1));
  Var width = p("log_width", {}, autodiff::Zeros());
  Var off = norm(y - centre, {1}) - radius;
  return 0.5 * square(off * exp(-width));
}

int main() {
  const double sigma = 0.2;
  const int64_t n = 10000;
  Tensor x({n, 2}), angle({n});  // points on the circle around (1, −0.5) with radius 2
  autodiff::FillUniform({.seed = 1, .stream = autodiff::kSynthetic}, 0, angle.data<float>());
  for (int64_t i = 0; i < n; ++i) {
    const double t = 2 * std::numbers::pi * angle.at(i);
    x.set(2 * i, 1 + 2 * std::cos(t));
    x.set(2 * i + 1, -0.5 + 2 * std::sin(t));
  }
  auto model = neb::Model::Create(Ring, {2}, sigma);
  if (!model.ok()) return std::fprintf(stderr, "%s\n", model.status().ToString().c_str()), 1;
  auto trained = neb::Train(*model, x, nullptr, {.steps = 2000, .learning_rate = 0.02});
  if (!trained.ok()) return std::fprintf(stderr, "%s\n", trained.status().ToString().c_str()), 1;
  auto value = [&](const char* name, int64_t i) { return model->params()[model->params().Find(name)].value.at(i); };
  std::printf("learned: centre (%.3f, %.3f), radius %.3f, width %.3f\n", value("centre", 0), value("centre", 1),
              value("radius", 0), std::exp(value("log_width", 0)));

  auto walk = neb::Walk::Create(*model, neb::UniformStarts(/*chains=*/500, *model, /*seed=*/1), {});
  if (!walk.ok() || !walk->Run(2000).ok()) return 1;
  const Tensor x_hat = *walk->Jump();
  double sum = 0;
  for (int64_t i = 0; i < 500; ++i) sum += std::hypot(x_hat.at(2 * i) - 1, x_hat.at(2 * i + 1) + 0.5);
  std::printf("jumps of 500 chains lie at %.3f from (1, -0.5); the data at 2\n", sum / 500);
}
