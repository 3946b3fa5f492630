#include "neb/synthetic.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Shape;

constexpr double kPi = std::numbers::pi;
constexpr int64_t kN = 20000;
const double kNaN = std::numeric_limits<double>::quiet_NaN();

struct XY {
  double x, y;
};
XY At(const Dataset& data, int64_t i) { return {data.x.at(2 * i), data.x.at(2 * i + 1)}; }

// A mean over the rows is within five of its own standard errors of the truth: by chance one in 1.7 million is not.
void ExpectMean(const Dataset& data, double truth, const std::function<double(XY)>& f) {
  double sum = 0, squares = 0;
  const auto n = static_cast<double>(data.size());
  for (int64_t i = 0; i < data.size(); ++i) {
    const double value = f(At(data, i));
    sum += value;
    squares += value * value;
  }
  const double mean = sum / n, error = std::sqrt(std::max(squares / n - mean * mean, 0.0) / n);
  EXPECT_NEAR(mean, truth, 5 * error + 1e-6) << data.name;
}

// Means and covariance matrix.
void ExpectMoments(const Dataset& data, XY mean, double var_x, double var_y, double cov) {
  ExpectMean(data, mean.x, [](XY p) { return p.x; });
  ExpectMean(data, mean.y, [](XY p) { return p.y; });
  ExpectMean(data, var_x, [&](XY p) { return (p.x - mean.x) * (p.x - mean.x); });
  ExpectMean(data, var_y, [&](XY p) { return (p.y - mean.y) * (p.y - mean.y); });
  ExpectMean(data, cov, [&](XY p) { return (p.x - mean.x) * (p.y - mean.y); });
}

double Norm(XY p) { return std::hypot(p.x, p.y); }
// Of two angles, at most π.
double AngleBetween(double a, double b) { return std::abs(std::remainder(a - b, 2 * kPi)); }

// --- all of them ---

TEST(SyntheticTest, EveryNameMakesAFiniteDataSet) {
  ASSERT_EQ(SyntheticNames().size(), 10u);
  for (const std::string& name : SyntheticNames()) {
    const absl::StatusOr<Dataset> data = MakeSynthetic(name, 1000, 1);
    ASSERT_TRUE(data.ok()) << data.status();
    const int64_t d = name == "gaussian_manifold" ? 100 : name == "swiss_roll_3d" ? 3 : 2;
    EXPECT_EQ(data->x.shape(), Shape({1000, d})) << name;
    EXPECT_EQ(data->item_shape, Shape({d})) << name;
    EXPECT_FALSE(data->name.empty());
    for (const float value : data->x.data<float>()) ASSERT_TRUE(std::isfinite(value)) << name;
  }
  EXPECT_EQ(MakeSynthetic("three_moons", 10, 1).status().message(),
            "no synthetic data set \"three_moons\", expected one of two_moons, rings, spirals, swiss_roll, pinwheel, "
            "checkerboard, eight_gaussians, twenty_five_gaussians, swiss_roll_3d, gaussian_manifold");
}

TEST(SyntheticTest, ARowDependsOnSeedAndNumberOnly) {
  for (const std::string& name : SyntheticNames()) {
    const absl::StatusOr<Dataset> few = MakeSynthetic(name, 10, 3), many = MakeSynthetic(name, 500, 3);
    const absl::StatusOr<Dataset> other = MakeSynthetic(name, 10, 4);
    ASSERT_TRUE(few.ok() && many.ok() && other.ok());
    int equal = 0, equal_to_other = 0;
    for (int64_t i = 0; i < few->x.num_elements(); ++i) {
      equal += few->x.at(i) == many->x.at(i);
      equal_to_other += few->x.at(i) == other->x.at(i);
    }
    if (name != "two_moons") {
      EXPECT_EQ(equal, few->x.num_elements()) << name;
    }
    EXPECT_EQ(equal_to_other, 0) << name;
  }
}

TEST(SyntheticTest, OptionsAreChecked) {
  for (const std::string& name : SyntheticNames()) {
    EXPECT_NE(std::string(MakeSynthetic(name, 0, 1).status().message()).find("n is 0, expected at least 1"),
              std::string::npos)
        << name;
  }
  EXPECT_EQ(TwoMoons(5, 1, {.noise = -1}).status().message(),
            "TwoMoons: noise is -1, expected a finite number of at least 0");
  EXPECT_FALSE(TwoMoons(5, 1, {.noise = kNaN}).ok());
  EXPECT_EQ(Rings(5, 1, {.radii = {}}).status().message(), "Rings: the number of radii is 0, expected at least 1");
  EXPECT_FALSE(Rings(5, 1, {.radii = {1, kNaN}}).ok());
  EXPECT_FALSE(Rings(5, 1, {.noise = kNaN}).ok());
  EXPECT_FALSE(Spirals(5, 1, {.arms = 0}).ok());
  EXPECT_FALSE(Spirals(5, 1, {.turns = kNaN}).ok());
  EXPECT_EQ(SwissRoll(5, 1, {.dimension = 4}).status().message(), "SwissRoll: dimension is 4, expected 2 or 3");
  EXPECT_FALSE(SwissRoll(5, 1, {.scale = std::numeric_limits<double>::infinity()}).ok());
  EXPECT_FALSE(Pinwheel(5, 1, {.blades = 0}).ok());
  EXPECT_FALSE(Pinwheel(5, 1, {.radial = -0.1}).ok());
  EXPECT_EQ(Checkerboard(5, 1, {.cells = 3}).status().message(),
            "Checkerboard: cells is 3, expected an even number from 2 to 1000000");
  EXPECT_FALSE(Checkerboard(5, 1, {.side = kNaN}).ok());
  EXPECT_FALSE(GaussianRing({.components = 0}).ok());
  EXPECT_FALSE(GaussianRing({.stddev = -1}).ok());
  EXPECT_FALSE(GaussianGrid({.side = 0}).ok());
  EXPECT_EQ(GaussianManifold(5, 1, {.d = 2, .stddevs = {1, 1, 1}}).status().message(),
            "GaussianManifold: 3 stddevs in R^2, expected 1 to the dimension");
  EXPECT_FALSE(GaussianManifold(5, 1, {.stddevs = {}}).ok());
  EXPECT_FALSE(GaussianManifold(5, 1, {.stddevs = {1, -1}}).ok());
}

// --- curves ---

// scikit-learn 1.x, make_moons(n_samples, shuffle=False): the same points in the same order.
TEST(TwoMoonsTest, WithoutNoiseAreTwoHalfCircles) {
  const absl::StatusOr<Dataset> moons = TwoMoons(7, 1, {.noise = 0});
  ASSERT_TRUE(moons.ok()) << moons.status();
  ASSERT_EQ(moons->size(), 7);
  // ⌊7/2⌋ on the upper circle, t = 0, π/2, π; then ⌈7/2⌉ on the lower one, t = 0, π/3, 2π/3, π.
  const double h = std::sqrt(3) / 2;
  const double expected[7][2] = {{1, 0},   {0, 1},         {-1, 0},  //
                                 {0, 0.5}, {0.5, 0.5 - h}, {1.5, 0.5 - h}, {2, 0.5}};
  for (int i = 0; i < 7; ++i) {
    EXPECT_NEAR(moons->x.at(2 * i), expected[i][0], 1e-6) << i;
    EXPECT_NEAR(moons->x.at(2 * i + 1), expected[i][1], 1e-6) << i;
  }
  EXPECT_TRUE(TwoMoons(1, 1).ok());
}

TEST(TwoMoonsTest, NoiseHasItsStandardDeviation) {
  const absl::StatusOr<Dataset> clean = TwoMoons(kN, 3, {.noise = 0}), noisy = TwoMoons(kN, 3, {.noise = 0.2});
  ASSERT_TRUE(clean.ok() && noisy.ok());
  double squares = 0;
  for (int64_t i = 0; i < 2 * kN; ++i) squares += std::pow(noisy->x.at(i) - clean->x.at(i), 2);
  // The relative spread of a variance estimated from 2n values is 1/√n.
  EXPECT_NEAR(squares / static_cast<double>(2 * kN) / 0.04, 1, 4 / std::sqrt(static_cast<double>(kN)));
}

TEST(RingsTest, WithoutNoiseAreCirclesEachAsLikely) {
  const absl::StatusOr<Dataset> data = Rings(kN, 1, {.radii = {1, 2, 4}, .noise = 0});
  ASSERT_TRUE(data.ok()) << data.status();
  for (int64_t i = 0; i < kN; ++i) {
    const double r = Norm(At(*data, i));
    ASSERT_LT(std::min({std::abs(r - 1), std::abs(r - 2), std::abs(r - 4)}), 1e-6);
  }
  for (const double radius : {1.0, 2.0, 4.0}) {
    ExpectMean(*data, 1.0 / 3, [&](XY p) { return std::abs(Norm(p) - radius) < 0.1 ? 1.0 : 0.0; });
  }
}

TEST(RingsTest, HaveTheirMoments) {
  const absl::StatusOr<Dataset> data = Rings(kN, 2);
  ASSERT_TRUE(data.ok()) << data.status();
  // E r²/2 in each coordinate, r = 3/4, 6/4, 9/4, 12/4, and the noise.
  const double var = (9.0 + 36 + 81 + 144) / 16 / 4 / 2 + 0.08 * 0.08;
  ExpectMoments(*data, {0, 0}, var, var, 0);
}

TEST(SpiralsTest, WithoutNoiseLieOnTheirArms) {
  for (const int64_t arms : {1, 2, 3}) {
    const absl::StatusOr<Dataset> data = Spirals(kN, 1, {.arms = arms, .turns = 1.25, .radius = 2, .noise = 0});
    ASSERT_TRUE(data.ok()) << data.status();
    std::vector<int64_t> count(static_cast<size_t>(arms), 0);
    for (int64_t i = 0; i < kN; ++i) {
      const XY p = At(*data, i);
      const double t = 2 * kPi * 1.25 * Norm(p) / 2;
      for (int64_t k = 0; k < arms; ++k) {
        const double turn = 2 * kPi * static_cast<double>(k) / static_cast<double>(arms);
        const double x = -Norm(p) * std::cos(t), y = Norm(p) * std::sin(t);
        const XY q = {x * std::cos(turn) - y * std::sin(turn), x * std::sin(turn) + y * std::cos(turn)};
        count[static_cast<size_t>(k)] += std::hypot(p.x - q.x, p.y - q.y) < 1e-5;
      }
      ASSERT_LE(Norm(p), 2 + 1e-6);
    }
    // Binomial, but for the few points so near to the origin that they are on all arms.
    const auto n = static_cast<double>(kN), share = 1 / static_cast<double>(arms);
    for (const int64_t c : count) {
      EXPECT_NEAR(static_cast<double>(c), n * share, 5 * std::sqrt(n * share * (1 - share)) + 2);
    }
    // r² = radius² u.
    ExpectMean(*data, 2, [](XY p) { return p.x * p.x + p.y * p.y; });
  }
}

TEST(SpiralsTest, TheDefaultIsFfjords) {
  const absl::StatusOr<Dataset> data = Spirals(kN, 2);
  ASSERT_TRUE(data.ok()) << data.status();
  // There the arms end at 540° in radians over 3, which is π.
  ExpectMean(*data, kPi * kPi / 2 + 2 * 0.01, [](XY p) { return p.x * p.x + p.y * p.y; });
  ExpectMean(*data, 0, [](XY p) { return p.x; });
  ExpectMean(*data, 0, [](XY p) { return p.y; });
}

TEST(SwissRollTest, WithoutNoiseIsRolledUp) {
  const absl::StatusOr<Dataset> flat = SwissRoll(kN, 1, {.noise = 0}),
                                solid = SwissRoll(kN, 1, {.dimension = 3, .noise = 0, .scale = 1});
  ASSERT_TRUE(flat.ok() && solid.ok());
  double height = 0;
  for (int64_t i = 0; i < kN; ++i) {
    const XY p = At(*flat, i);
    const double t = Norm(p) / 0.2;
    ASSERT_GE(t, 1.5 * kPi - 1e-5);
    ASSERT_LE(t, 4.5 * kPi + 1e-5);
    ASSERT_LT(AngleBetween(std::atan2(p.y, p.x), t), 1e-5);
    EXPECT_NEAR(solid->x.at(3 * i), p.x / 0.2, 1e-5);
    EXPECT_NEAR(solid->x.at(3 * i + 2), p.y / 0.2, 1e-5);
    const double y = solid->x.at(3 * i + 1);
    ASSERT_TRUE(y >= 0 && y <= 21);
    height += y / static_cast<double>(kN);
  }
  // Uniform on [0, 21]: its standard deviation is 21/√12.
  EXPECT_NEAR(height, 10.5, 5 * 21 / std::sqrt(12.0 * static_cast<double>(kN)));
}

TEST(SwissRollTest, HasItsMeanSquare) {
  const absl::StatusOr<Dataset> data = SwissRoll(kN, 2);
  ASSERT_TRUE(data.ok()) << data.status();
  // E t² for t uniform on [a, 3a], a = 3π/2: 26a³/(3 · 2a).
  const double a = 1.5 * kPi;
  ExpectMean(*data, 0.04 * (26 * a * a / 6 + 2), [](XY p) { return p.x * p.x + p.y * p.y; });
}

// --- areas ---

TEST(PinwheelTest, ABladeWithoutWidthIsACurve) {
  const absl::StatusOr<Dataset> data = Pinwheel(kN, 1, {.radial = 0.1, .tangential = 0});
  ASSERT_TRUE(data.ok()) << data.status();
  std::vector<double> count(5, 0.0);
  for (int64_t i = 0; i < kN; ++i) {
    const XY p = At(*data, i);
    const double along = Norm(p) / 2;  // ten standard deviations above 0
    for (int k = 0; k < 5; ++k) {
      const double angle = -(2 * kPi * k / 5 + 0.25 * std::exp(along));
      count[static_cast<size_t>(k)] += AngleBetween(std::atan2(p.y, p.x), angle) < 1e-5;
    }
  }
  double total = 0;
  for (const double c : count) {
    EXPECT_NEAR(c, kN / 5.0, 5 * std::sqrt(kN * 0.2 * 0.8));
    total += c;
  }
  EXPECT_EQ(total, kN);
}

TEST(PinwheelTest, HasItsMoments) {
  const absl::StatusOr<Dataset> data = Pinwheel(kN, 2);
  ASSERT_TRUE(data.ok()) << data.status();
  // Turning changes no distance: E‖x‖² = 4 ((1 + 0.3²) + 0.1²), and five blades have no direction.
  ExpectMoments(*data, {0, 0}, 2.2, 2.2, 0);
}

TEST(CheckerboardTest, IsUniformOnTheBlackSquares) {
  const absl::StatusOr<Dataset> data = Checkerboard(kN, 1);
  ASSERT_TRUE(data.ok()) << data.status();
  std::vector<double> count(16, 0.0);
  for (int64_t i = 0; i < kN; ++i) {
    const XY p = At(*data, i);
    ASSERT_LE(std::max(std::abs(p.x), std::abs(p.y)), 4);
    const auto column = std::min(static_cast<int>((p.x + 4) / 2), 3),
               row = std::min(static_cast<int>((p.y + 4) / 2), 3);
    count[static_cast<size_t>(4 * row + column)] += 1;
  }
  double chi_squared = 0;
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 4; ++column) {
      const double c = count[static_cast<size_t>(4 * row + column)];
      // On a border, rounding to float may put a point into the square beside.
      if ((row + column) % 2 == 0) {
        chi_squared += std::pow(c - kN / 8.0, 2) / (kN / 8.0);
      } else {
        EXPECT_LE(c, 1);
      }
    }
  }
  EXPECT_LT(chi_squared, 37);  // with 7 degrees of freedom: exceeded once in 200,000
  // Each coordinate is uniform on [−4, 4]. The middles (±1 or ±3) of the eight squares have the mean product 1.
  ExpectMoments(*data, {0, 0}, 64.0 / 12, 64.0 / 12, 1);
  EXPECT_TRUE(Checkerboard(10, 1, {.cells = 2, .side = 0.5}).ok());
}

// --- Gaussians ---

TEST(MixtureTest, EightGaussiansAreFfjords) {
  const absl::StatusOr<IsotropicMixture> ring = GaussianRing();
  ASSERT_TRUE(ring.ok()) << ring.status();
  ASSERT_EQ(ring->components(), 8);
  EXPECT_NEAR(ring->stddev, 0.5 / std::sqrt(2), 1e-15);
  // Its centres: (±4, 0), (0, ±4), (±4, ±4)/√2, over √2.
  for (const XY centre : {XY{4, 0}, XY{-4, 0}, XY{0, 4}, XY{0, -4}}) {
    for (const double angle : {0.0, kPi / 4}) {
      const double x = (centre.x * std::cos(angle) - centre.y * std::sin(angle)) / std::sqrt(2);
      const double y = (centre.x * std::sin(angle) + centre.y * std::cos(angle)) / std::sqrt(2);
      double nearest = 9;
      for (size_t k = 0; k < 8; ++k) {
        nearest = std::min(nearest, std::hypot(ring->means[2 * k] - x, ring->means[2 * k + 1] - y));
        EXPECT_EQ(ring->weights[k], 0.125);
      }
      EXPECT_LT(nearest, 1e-14);
    }
  }
  // The covariance is the mean one of the means, 8/2, plus stddev².
  ExpectMoments(*SampleMixture(kN, 1, *ring), {0, 0}, 4 + 0.125, 4 + 0.125, 0);
  EXPECT_EQ(MakeSynthetic("eight_gaussians", 9, 5)->x.at(17), SampleMixture(9, 5, *ring)->x.at(17));
}

TEST(MixtureTest, TwentyFiveGaussiansAreAGrid) {
  const absl::StatusOr<IsotropicMixture> grid = GaussianGrid();
  ASSERT_TRUE(grid.ok()) << grid.status();
  ASSERT_EQ(grid->components(), 25);
  for (size_t k = 0; k < 25; ++k) {
    EXPECT_EQ(grid->means[2 * k], 2.0 * static_cast<double>(k % 5) - 4);
    EXPECT_EQ(grid->means[2 * k + 1], 2.0 * static_cast<double>(k / 5) - 4);
  }
  const absl::StatusOr<Dataset> data = SampleMixture(kN, 1, *grid);
  ASSERT_TRUE(data.ok()) << data.status();
  ExpectMoments(*data, {0, 0}, 8 + 0.0025, 8 + 0.0025, 0);
  // Within its square of the grid a point is normal around the middle.
  ExpectMean(*data, 2 * 0.0025,
             [](XY p) { return std::pow(std::remainder(p.x, 2), 2) + std::pow(std::remainder(p.y, 2), 2); });
}

TEST(MixtureTest, WeightsAreProbabilities) {
  const IsotropicMixture mixture = {.d = 2, .means = {0, 0, 10, 0, 0, 10}, .stddev = 0.5, .weights = {0.2, 0.7, 0.1}};
  const absl::StatusOr<Dataset> data = SampleMixture(kN, 1, mixture);
  ASSERT_TRUE(data.ok()) << data.status();
  ExpectMean(*data, 0.7, [](XY p) { return p.x > 5 ? 1.0 : 0.0; });
  ExpectMean(*data, 0.1, [](XY p) { return p.y > 5 ? 1.0 : 0.0; });
  ExpectMoments(*data, {7, 1}, 0.7 * 100 - 49 + 0.25, 0.1 * 100 - 1 + 0.25, -7);
}

TEST(MixtureTest, MixturesThatAreNone) {
  const IsotropicMixture good = {.d = 1, .means = {0, 1}, .stddev = 1, .weights = {0.5, 0.5}};
  EXPECT_TRUE(SampleMixture(3, 1, good).ok());
  const auto error = [&](auto spoil) {
    IsotropicMixture mixture = good;
    spoil(mixture);
    return std::string(SampleMixture(3, 1, mixture).status().message());
  };
  EXPECT_EQ(error([](IsotropicMixture& m) {
              m.weights = {0.5, 0.6};
            }),
            "SampleMixture: the weights have the sum 1.1, expected 1");
  EXPECT_EQ(error([](IsotropicMixture& m) { m.weights = {1, 0}; }), "SampleMixture: a weight is 0, expected above 0");
  EXPECT_EQ(error([](IsotropicMixture& m) {
              m.weights = {0.5, kNaN};
            }),
            "SampleMixture: a weight is nan, expected above 0");
  EXPECT_EQ(error([](IsotropicMixture& m) { m.means = {1}; }), "SampleMixture: 1 numbers in means, expected 2 x 1");
  EXPECT_EQ(error([](IsotropicMixture& m) { m.d = 0; }), "SampleMixture: d is 0, expected at least 1");
  EXPECT_EQ(error([](IsotropicMixture& m) { m.weights = {}; }), "SampleMixture: components is 0, expected at least 1");
  EXPECT_EQ(error([](IsotropicMixture& m) { m.stddev = kNaN; }),
            "SampleMixture: stddev is nan, expected a finite number of at least 0");
}

TEST(RandomFrameTest, IsOrthonormal) {
  const absl::StatusOr<autodiff::Tensor> frame = RandomFrame(4, 30, 1);
  ASSERT_TRUE(frame.ok()) << frame.status();
  ASSERT_EQ(frame->shape(), Shape({4, 30}));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      double dot = 0;
      for (int64_t c = 0; c < 30; ++c) dot += frame->at(30 * i + c) * frame->at(30 * j + c);
      EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-14);
    }
  }
  EXPECT_TRUE(RandomFrame(3, 3, 1).ok());
  EXPECT_FALSE(RandomFrame(4, 3, 1).ok());
  EXPECT_FALSE(RandomFrame(0, 3, 1).ok());
}

// A coordinate of a uniform unit vector of R^d has mean 0 and variance 1/d; in R³ (Archimedes) it is uniform.
TEST(RandomFrameTest, HasNoPreferredDirection) {
  constexpr int kFrames = 2000;
  for (int64_t place = 0; place < 6; ++place) {
    double sum = 0, squares = 0;
    for (int seed = 0; seed < kFrames; ++seed) {
      const double value = RandomFrame(2, 3, static_cast<uint64_t>(seed))->at(place);
      sum += value;
      squares += value * value;
    }
    EXPECT_NEAR(sum / kFrames, 0, 5 / std::sqrt(3.0 * kFrames)) << place;
    // Var u² = 1/5 − 1/9 for u uniform on [−1, 1].
    EXPECT_NEAR(squares / kFrames, 1.0 / 3, 5 * std::sqrt((1.0 / 5 - 1.0 / 9) / kFrames)) << place;
  }
}

TEST(GaussianManifoldTest, HasItsSpreadInTheFrameAndNoneOutside) {
  const std::vector<double> stddevs = {3, 1, 0.5};
  const absl::StatusOr<autodiff::Tensor> frame = RandomFrame(3, 20, 7);
  const absl::StatusOr<Dataset> data = GaussianManifold(kN, 1, {.d = 20, .stddevs = stddevs, .frame_seed = 7});
  ASSERT_TRUE(frame.ok() && data.ok());
  double products[3][3] = {};
  for (int64_t i = 0; i < kN; ++i) {
    double along[3] = {}, square = 0;
    for (int64_t c = 0; c < 20; ++c) {
      const double x = data->x.at(20 * i + c);
      for (int64_t j = 0; j < 3; ++j) along[j] += x * frame->at(20 * j + c);
      square += x * x;
    }
    ASSERT_NEAR(square, along[0] * along[0] + along[1] * along[1] + along[2] * along[2], 1e-5 * (1 + square));
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 3; ++k) products[j][k] += along[j] * along[k] / kN;
    }
  }
  for (size_t j = 0; j < 3; ++j) {
    for (size_t k = 0; k < 3; ++k) {
      // Of n products of two normals: variance s_j² s_k², twice that on the diagonal.
      const double scale = stddevs[j] * stddevs[k];
      EXPECT_NEAR(products[j][k], j == k ? scale : 0, 5 * scale * std::sqrt((j == k ? 2.0 : 1.0) / kN)) << j << k;
    }
  }
}

// So that held-out data are of the same distribution as the training data.
TEST(GaussianManifoldTest, FreshDrawsAreOnTheSameSubspace) {
  const absl::StatusOr<Dataset> one = GaussianManifold(1, 1, {.d = 9, .stddevs = {1}});
  const absl::StatusOr<Dataset> other = GaussianManifold(1, 2, {.d = 9, .stddevs = {1}});
  ASSERT_TRUE(one.ok() && other.ok());
  const double ratio = other->x.at(0) / one->x.at(0);
  EXPECT_NE(ratio, 1);
  for (int64_t c = 1; c < 9; ++c) EXPECT_NEAR(other->x.at(c), ratio * one->x.at(c), 1e-5);
}

}  // namespace
}  // namespace neb
