// neb used from another Bazel workspace: declare an energy, train it, save it, load it, evaluate it on one's own
// memory.
//
//   cd examples/outside && bazel test -c opt //...
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "neb/neb.h"

// A Gaussian with a learned mean and width: φ(y) = Σ (y − m)² exp(−2 log_s) / 2.
neb::Var Gaussian(neb::Var y, neb::Params& p) {
  neb::Var mean = p("mean", {y.dim(1)}, autodiff::Zeros());
  neb::Var log_s = p("log_s", {}, autodiff::Zeros());
  return 0.5 * squared_norm(y - mean, {1}) * exp(-2.0 * log_s);
}

// The status as an exit: what a program without a better idea does with an error.
void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

int main() {
  // Points (±0.5 around 3, ±0.5 around −1): variance 0.25 per coordinate.
  neb::Tensor x({1000, 2});
  for (int64_t i = 0; i < 1000; ++i) {
    x.set(2 * i, 3 + (i % 2 == 0 ? 0.5 : -0.5));
    x.set(2 * i + 1, -1 + (i / 2 % 2 == 0 ? 0.5 : -0.5));
  }
  const double sigma = 1;
  auto model = neb::Model::Create(Gaussian, {2}, sigma);
  OrDie(model.status());
  OrDie(neb::Train(*model, x, nullptr, {.steps = 3000, .learning_rate = 0.02}).status());

  const char* const tmp = std::getenv("TEST_TMPDIR");
  const std::string path = std::string(tmp == nullptr ? "/tmp" : tmp) + "/gaussian.safetensors";
  OrDie(model->Save(path));
  auto loaded = neb::Model::Load(path, Gaussian);
  OrDie(loaded.status());

  // One's own memory in and out: two points, row after row.
  const std::vector<float> mine = {3, -1, 4, -1};
  const std::span<const float> y = mine;
  std::vector<float> phi(2), gradient(4), x_hat(4);
  OrDie(loaded->Evaluate(y, {.energy = phi, .gradient = gradient, .x_hat = x_hat}));
  std::printf("phi %.3f %.3f  gradient of the second (%.3f, %.3f)  x_hat (%.3f, %.3f)\n", phi[0], phi[1], gradient[2],
              gradient[3], x_hat[2], x_hat[3]);

  // The smoothed variance is 0.25 + σ², so one to the right of the mean ∇φ = 1/1.25 = 0.8 and x̂ lies 0.2 to the right.
  // (For this data the best Gaussian energy is that of the same variance.)
  return std::abs(gradient[2] - 0.8) < 0.05 && std::abs(x_hat[2] - 3.2) < 0.05 && std::abs(x_hat[3] + 1) < 0.05 ? 0 : 1;
}
