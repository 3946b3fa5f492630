#include "neb/synthetic.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <numbers>
#include <span>
#include <utility>

#include "Eigen/Dense"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "autodiff/random.h"

namespace neb {
namespace {

constexpr double kPi = std::numbers::pi;

// The draws of one data set: number i of each kind is a function of the seed and i.
class Draws {
 public:
  explicit Draws(uint64_t seed) : key_{.seed = seed, .stream = autodiff::kSynthetic} {}

  void Normals(int64_t begin, std::span<double> out) const { autodiff::FillNormal(key_, begin, out); }
  double Uniform(int64_t i) const {
    double u = 0;
    autodiff::FillUniform(key_, i, std::span(&u, 1));
    return u;
  }
  int64_t Integer(int64_t i, int64_t bound) const { return autodiff::RandomInteger(key_, i, bound); }

 private:
  autodiff::NoiseKey key_;
};

struct NamedValue {
  const char* name;
  double value;
};

// n >= 1, and `scales` that are finite and not negative.
absl::Status Check(const char* who, int64_t n, std::initializer_list<NamedValue> scales) {
  if (n < 1) return absl::InvalidArgumentError(absl::StrCat(who, ": n is ", n, ", expected at least 1"));
  for (const NamedValue& scale : scales) {
    if (scale.value >= 0 && std::isfinite(scale.value)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(who, ": ", scale.name, " is ", scale.value, ", expected a finite number of at least 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckAtLeast(const char* who, const char* name, int64_t value, int64_t least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(who, ": ", name, " is ", value, ", expected at least ", least));
}

// Row i is what `draw` makes of i and d normals of its own.
template <typename Draw>
Dataset Fill(std::string name, int64_t n, int64_t d, uint64_t seed, Draw draw) {
  Dataset data = {.x = autodiff::Tensor({n, d}), .item_shape = {d}, .name = std::move(name)};
  const Draws draws(seed);
  const std::span<float> x = data.x.data<float>();
  const auto width = static_cast<size_t>(d);
  std::vector<double> row(width);
  for (int64_t i = 0; i < n; ++i) {
    draws.Normals(i * d, row);
    draw(i, draws, std::span(row));
    std::copy(row.begin(), row.end(), x.subspan(static_cast<size_t>(i) * width).begin());
  }
  return data;
}

}  // namespace

absl::StatusOr<Dataset> TwoMoons(int64_t n, uint64_t seed, const TwoMoonsOptions& options) {
  if (absl::Status s = Check("TwoMoons", n, {{"noise", options.noise}}); !s.ok()) return s;
  const int64_t outer = n / 2;
  return Fill("two moons", n, 2, seed, [&](int64_t i, const Draws&, std::span<double> z) {
    const bool is_outer = i < outer;
    const int64_t place = is_outer ? i : i - outer;
    const int64_t last = std::max<int64_t>((is_outer ? outer : n - outer) - 1, 1);
    const double t = kPi * static_cast<double>(place) / static_cast<double>(last);
    z[0] = (is_outer ? std::cos(t) : 1 - std::cos(t)) + options.noise * z[0];
    z[1] = (is_outer ? std::sin(t) : 0.5 - std::sin(t)) + options.noise * z[1];
  });
}

absl::StatusOr<Dataset> Rings(int64_t n, uint64_t seed, const RingsOptions& options) {
  if (absl::Status s = Check("Rings", n, {{"noise", options.noise}}); !s.ok()) return s;
  const auto rings = static_cast<int64_t>(options.radii.size());
  if (absl::Status s = CheckAtLeast("Rings", "the number of radii", rings, 1); !s.ok()) return s;
  for (const double radius : options.radii) {
    if (absl::Status s = Check("Rings", n, {{"a radius", radius}}); !s.ok()) return s;
  }
  return Fill("rings", n, 2, seed, [&](int64_t i, const Draws& draws, std::span<double> z) {
    const double r = options.radii[static_cast<size_t>(draws.Integer(i, rings))], t = 2 * kPi * draws.Uniform(i);
    z[0] = r * std::cos(t) + options.noise * z[0];
    z[1] = r * std::sin(t) + options.noise * z[1];
  });
}

absl::StatusOr<Dataset> Spirals(int64_t n, uint64_t seed, const SpiralsOptions& options) {
  const auto [arms, turns, radius, noise] = options;
  if (absl::Status s = Check("Spirals", n, {{"turns", turns}, {"radius", radius}, {"noise", noise}}); !s.ok()) return s;
  if (absl::Status s = CheckAtLeast("Spirals", "arms", arms, 1); !s.ok()) return s;
  return Fill("spirals", n, 2, seed, [&options](int64_t i, const Draws& draws, std::span<double> z) {
    const double root = std::sqrt(draws.Uniform(i)), t = 2 * kPi * options.turns * root, r = options.radius * root;
    const double arm = static_cast<double>(draws.Integer(i, options.arms)) / static_cast<double>(options.arms);
    // (−cos t, sin t) is (1, 0) turned by π − t.
    const double angle = kPi - t + 2 * kPi * arm;
    z[0] = r * std::cos(angle) + options.noise * z[0];
    z[1] = r * std::sin(angle) + options.noise * z[1];
  });
}

absl::StatusOr<Dataset> SwissRoll(int64_t n, uint64_t seed, const SwissRollOptions& options) {
  absl::Status s =
      Check("SwissRoll", n, {{"noise", options.noise}, {"scale", options.scale}, {"height", options.height}});
  if (!s.ok()) return s;
  if (options.dimension != 2 && options.dimension != 3) {
    return absl::InvalidArgumentError(absl::StrCat("SwissRoll: dimension is ", options.dimension, ", expected 2 or 3"));
  }
  return Fill("swiss roll", n, options.dimension, seed, [&](int64_t i, const Draws& draws, std::span<double> z) {
    const double t = 1.5 * kPi * (1 + 2 * draws.Uniform(2 * i));
    for (double& coordinate : z) coordinate *= options.noise;
    z.front() += t * std::cos(t);
    z.back() += t * std::sin(t);
    if (z.size() == 3) z[1] += options.height * draws.Uniform(2 * i + 1);
    for (double& coordinate : z) coordinate *= options.scale;
  });
}

absl::StatusOr<Dataset> Pinwheel(int64_t n, uint64_t seed, const PinwheelOptions& options) {
  absl::Status s = Check("Pinwheel", n,
                         {{"radial", options.radial},
                          {"tangential", options.tangential},
                          {"rate", options.rate},
                          {"scale", options.scale}});
  s.Update(CheckAtLeast("Pinwheel", "blades", options.blades, 1));
  if (!s.ok()) return s;
  return Fill("pinwheel", n, 2, seed, [&](int64_t i, const Draws& draws, std::span<double> z) {
    const double along = 1 + options.radial * z[0], across = options.tangential * z[1];
    const double blade = static_cast<double>(draws.Integer(i, options.blades)) / static_cast<double>(options.blades);
    const double angle = 2 * kPi * blade + options.rate * std::exp(along);
    z[0] = options.scale * (along * std::cos(angle) + across * std::sin(angle));
    z[1] = options.scale * (across * std::cos(angle) - along * std::sin(angle));
  });
}

absl::StatusOr<Dataset> Checkerboard(int64_t n, uint64_t seed, const CheckerboardOptions& options) {
  if (absl::Status s = Check("Checkerboard", n, {{"side", options.side}}); !s.ok()) return s;
  const int64_t cells = options.cells;
  constexpr int64_t kMost = 1'000'000;
  if (cells < 2 || cells % 2 != 0 || cells > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("Checkerboard: cells is ", cells, ", expected an even number from 2 to ", kMost));
  }
  return Fill("checkerboard", n, 2, seed, [&](int64_t i, const Draws& draws, std::span<double> z) {
    // Black square k, counted along the columns; in every other column the squares begin one higher.
    const int64_t square = 2 * draws.Integer(i, cells * cells / 2);
    const int64_t column = square / cells, row = square % cells + column % 2;
    const double middle = 0.5 * static_cast<double>(cells);  // cells is even
    z[0] = options.side * (static_cast<double>(column) + draws.Uniform(2 * i) - middle);
    z[1] = options.side * (static_cast<double>(row) + draws.Uniform(2 * i + 1) - middle);
  });
}

absl::StatusOr<Dataset> SampleMixture(int64_t n, uint64_t seed, const IsotropicMixture& mixture,
                                      const std::string& name) {
  if (absl::Status s = Check("SampleMixture", n, {{"stddev", mixture.stddev}}); !s.ok()) return s;
  if (absl::Status s = CheckAtLeast("SampleMixture", "components", mixture.components(), 1); !s.ok()) return s;
  if (absl::Status s = CheckAtLeast("SampleMixture", "d", mixture.d, 1); !s.ok()) return s;
  if (static_cast<int64_t>(mixture.means.size()) != mixture.components() * mixture.d) {
    return absl::InvalidArgumentError(absl::StrCat("SampleMixture: ", mixture.means.size(),
                                                   " numbers in means, expected ", mixture.components(), " x ",
                                                   mixture.d));
  }
  std::vector<double> upto;  // Σ of the weights up to and with each component
  double sum = 0;
  for (const double weight : mixture.weights) {
    if (!(weight > 0)) {
      return absl::InvalidArgumentError(absl::StrCat("SampleMixture: a weight is ", weight, ", expected above 0"));
    }
    upto.push_back(sum += weight);
  }
  if (!(std::abs(sum - 1) < 1e-9)) {
    return absl::InvalidArgumentError(absl::StrCat("SampleMixture: the weights have the sum ", sum, ", expected 1"));
  }
  return Fill(name, n, mixture.d, seed, [&](int64_t i, const Draws& draws, std::span<double> z) {
    const auto found = std::upper_bound(upto.begin(), upto.end() - 1, draws.Uniform(i) * sum);
    const double* mean = mixture.means.data() + (found - upto.begin()) * mixture.d;
    for (size_t c = 0; c < z.size(); ++c) z[c] = mean[c] + mixture.stddev * z[c];
  });
}

absl::StatusOr<IsotropicMixture> GaussianRing(const GaussianRingOptions& options) {
  absl::Status s = Check("GaussianRing", 1, {{"radius", options.radius}, {"stddev", options.stddev}});
  s.Update(CheckAtLeast("GaussianRing", "components", options.components, 1));
  if (!s.ok()) return s;
  const auto count = static_cast<double>(options.components);
  IsotropicMixture mixture = {.d = 2, .means = {}, .stddev = options.stddev, .weights = {}};
  for (int64_t k = 0; k < options.components; ++k) {
    const double angle = 2 * kPi * static_cast<double>(k) / count;
    mixture.means.insert(mixture.means.end(), {options.radius * std::cos(angle), options.radius * std::sin(angle)});
    mixture.weights.push_back(1 / count);
  }
  return mixture;
}

absl::StatusOr<IsotropicMixture> GaussianGrid(const GaussianGridOptions& options) {
  absl::Status s = Check("GaussianGrid", 1, {{"spacing", options.spacing}, {"stddev", options.stddev}});
  s.Update(CheckAtLeast("GaussianGrid", "side", options.side, 1));
  if (!s.ok()) return s;
  const auto place = [&](int64_t i) {
    return options.spacing * (static_cast<double>(i) - static_cast<double>(options.side - 1) / 2);
  };
  IsotropicMixture mixture = {.d = 2, .means = {}, .stddev = options.stddev, .weights = {}};
  for (int64_t row = 0; row < options.side; ++row) {
    for (int64_t column = 0; column < options.side; ++column) {
      mixture.means.insert(mixture.means.end(), {place(column), place(row)});
      mixture.weights.push_back(1 / static_cast<double>(options.side * options.side));
    }
  }
  return mixture;
}

absl::StatusOr<autodiff::Tensor> RandomFrame(int64_t k, int64_t d, uint64_t seed) {
  if (k < 1 || k > d) {
    return absl::InvalidArgumentError(absl::StrCat("RandomFrame: ", k, " orthonormal vectors of R^", d,
                                                   ", expected at least 1 and at most the dimension"));
  }
  // Step 1: apart from the rows of a data set of this seed.
  const autodiff::NoiseKey key = {.seed = seed, .stream = autodiff::kSynthetic, .step = 1};
  Eigen::MatrixXd gauss(d, k);
  autodiff::FillNormal(key, 0, std::span(gauss.data(), static_cast<size_t>(gauss.size())));
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(gauss);
  Eigen::MatrixXd q = qr.householderQ() * Eigen::MatrixXd::Identity(d, k);
  // Q alone is not uniform: Householder's signs are a convention. With a positive diagonal of R it is.
  for (int64_t j = 0; j < k; ++j) {
    if (qr.matrixQR()(j, j) < 0) q.col(j) *= -1;
  }
  // Columns one after another are the rows of the frame.
  return autodiff::Tensor::From<double>({k, d}, std::span<const double>(q.data(), static_cast<size_t>(q.size())));
}

absl::StatusOr<Dataset> GaussianManifold(int64_t n, uint64_t seed, const GaussianManifoldOptions& options) {
  for (const double stddev : options.stddevs) {
    if (absl::Status s = Check("GaussianManifold", n, {{"a stddev", stddev}}); !s.ok()) return s;
  }
  if (absl::Status s = Check("GaussianManifold", n, {}); !s.ok()) return s;
  const auto k = static_cast<int64_t>(options.stddevs.size());
  const absl::StatusOr<autodiff::Tensor> frame = RandomFrame(k, options.d, options.frame_seed);
  if (!frame.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("GaussianManifold: ", k, " stddevs in R^", options.d, ", expected 1 to the dimension"));
  }
  const std::span<const double> f = frame->data<double>();
  std::vector<double> weights(options.stddevs.size());
  return Fill("Gaussian manifold", n, options.d, seed, [&](int64_t, const Draws&, std::span<double> z) {
    // The first k of the row's normals are its coordinates in the frame.
    for (size_t j = 0; j < weights.size(); ++j) weights[j] = options.stddevs[j] * z[j];
    std::fill(z.begin(), z.end(), 0.0);
    for (size_t j = 0; j < weights.size(); ++j) {
      for (size_t c = 0; c < z.size(); ++c) z[c] += weights[j] * f[j * z.size() + c];
    }
  });
}

// --- by name ---

namespace {

struct NamedGenerator {
  const char* name;
  absl::StatusOr<Dataset> (*make)(int64_t n, uint64_t seed);
};

constexpr NamedGenerator kGenerators[] = {
    {"two_moons", [](int64_t n, uint64_t seed) { return TwoMoons(n, seed); }},
    {"rings", [](int64_t n, uint64_t seed) { return Rings(n, seed); }},
    {"spirals", [](int64_t n, uint64_t seed) { return Spirals(n, seed); }},
    {"swiss_roll", [](int64_t n, uint64_t seed) { return SwissRoll(n, seed); }},
    {"pinwheel", [](int64_t n, uint64_t seed) { return Pinwheel(n, seed); }},
    {"checkerboard", [](int64_t n, uint64_t seed) { return Checkerboard(n, seed); }},
    {"eight_gaussians",
     [](int64_t n, uint64_t seed) { return SampleMixture(n, seed, *GaussianRing(), "8 Gaussians"); }},
    {"twenty_five_gaussians",
     [](int64_t n, uint64_t seed) { return SampleMixture(n, seed, *GaussianGrid(), "25 Gaussians"); }},
    {"swiss_roll_3d", [](int64_t n, uint64_t seed) { return SwissRoll(n, seed, {.dimension = 3}); }},
    {"gaussian_manifold", [](int64_t n, uint64_t seed) { return GaussianManifold(n, seed); }},
};

}  // namespace

std::vector<std::string> SyntheticNames() {
  std::vector<std::string> names;
  for (const NamedGenerator& generator : kGenerators) names.emplace_back(generator.name);
  return names;
}

absl::StatusOr<Dataset> MakeSynthetic(std::string_view name, int64_t n, uint64_t seed) {
  for (const NamedGenerator& generator : kGenerators) {
    if (name == generator.name) return generator.make(n, seed);
  }
  return absl::InvalidArgumentError(absl::StrCat("no synthetic data set \"", std::string(name), "\", expected one of ",
                                                 absl::StrJoin(SyntheticNames(), ", ")));
}

}  // namespace neb
