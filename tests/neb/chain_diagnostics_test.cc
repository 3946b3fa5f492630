#include "neb/chain_diagnostics.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Tensor;
using testing::AllOf;
using testing::HasSubstr;

// x_t = a x_(t−1) + u_t − ½, x_0 without the first term; u from Park and Miller's generator, which is the same
// anywhere.
Chains Autoregressive(size_t chains, size_t draws, double a) {
  std::minstd_rand generator(12345);
  Chains x(chains, std::vector<double>(draws));
  for (std::vector<double>& chain : x) {
    double previous = 0;
    for (double& v : chain) previous = v = a * previous + static_cast<double>(generator()) / 2147483647.0 - 0.5;
  }
  return x;
}

Chains Edited(Chains x, double (*f)(double v, size_t chain)) {
  for (size_t c = 0; c < x.size(); ++c) {
    for (double& v : x[c]) v = f(v, c);
  }
  return x;
}

void ExpectSummary(const char* name, const Chains& x, double size, double bulk, double tail, double r_hat, double se) {
  const absl::StatusOr<ChainSummary> s = Summarise(x);
  ASSERT_TRUE(s.ok()) << s.status();
  const auto expect = [name](double got, double expected, const char* what) {
    EXPECT_NEAR(got, expected, 1e-9 * expected) << name << ": " << what;
  };
  expect(s->effective_samples, size, "size");
  expect(s->bulk_effective_samples, bulk, "bulk");
  expect(s->tail_effective_samples, tail, "tail");
  expect(s->r_hat, r_hat, "R-hat");
  expect(s->standard_error, se, "standard error");
  expect(EffectiveSampleSize(x).value(), size, "EffectiveSampleSize");
  expect(BulkEffectiveSampleSize(x).value(), bulk, "BulkEffectiveSampleSize");
  expect(TailEffectiveSampleSize(x).value(), tail, "TailEffectiveSampleSize");
  expect(RHat(x).value(), r_hat, "RHat");
  // The two halves of an odd chain leave one draw out.
  const double halved = static_cast<double>(x.size() * (x[0].size() / 2 * 2));
  expect(AutocorrelationTime(x).value(), halved / size, "AutocorrelationTime");
}

// What ArviZ 0.23.4 says:
//   s = 12345
//   def chains(m, n, a):
//       global s; x = np.zeros((m, n))
//       for c in range(m):
//           for t in range(n):
//               s = s * 48271 % (2**31 - 1)
//               x[c, t] = (a * x[c, t - 1] if t else 0) + s / (2**31 - 1) - 0.5
//   az.ess(x, method="mean"), az.ess(x, method="bulk"), az.ess(x, method="tail"), az.rhat(x), az.mcse(x)
// (az.rhat refuses a single chain; there, its own _rhat(_z_scale(_split_chains(x))) and the folded one were taken.)
TEST(ChainDiagnostics, AgreeWithArviZ) {
  ExpectSummary("slow", Autoregressive(4, 500, 0.9), 116.622765653, 119.71788262, 259.743551123, 1.04616777614,
                0.058152848051);
  ExpectSummary("swinging, odd", Autoregressive(3, 301, -0.5), 2658.8182585, 2658.8182585, 843.359755529,
                0.999150280536, 0.0066477083349);
  ExpectSummary("one chain", Autoregressive(1, 1000, 0.5), 336.116319261, 328.205294138, 397.555413726, 1.00429625814,
                0.0179933488682);
  ExpectSummary("apart in location",
                Edited(Autoregressive(4, 100, 0), [](double v, size_t c) { return v + 0.2 * static_cast<double>(c); }),
                10.5671419864, 10.6542470655, 51.2556581288, 1.32643761163, 0.112705242214);
  ExpectSummary("apart in scale",
                Edited(Autoregressive(4, 200, 0.3), [](double v, size_t c) { return v * static_cast<double>(1 + c); }),
                512.532327098, 519.857779827, 92.5870279756, 1.20039129078, 0.0360072103039);
  ExpectSummary("with ties",
                Edited(Autoregressive(4, 250, 0.6), [](double v, size_t) { return std::nearbyint(v * 10) / 10; }),
                276.012866829, 273.41296055, 453.332153405, 1.00579949676, 0.021578569777);
  ExpectSummary("short", Autoregressive(2, 8, 0.99), 19.2659197225, 19.2659197225, 19.2659197225, 1.67742593647,
                0.127669684458);
}

// An AR(1) chain has ρ_t = a^t: τ = 1 + 2 Σ a^t = (1 + a)/(1 − a). The estimate's own error, for a cut at about W = 5τ
// lags of N draws, is τ √((4W + 2)/N) (Sokal 1997): 6 % at most here, of which three are allowed.
TEST(ChainDiagnostics, AutocorrelationTimeOfAutoregressiveChains) {
  for (const double a : {-0.3, 0.0, 0.5, 0.8, 0.95}) {
    const double expected = (1 + a) / (1 - a);
    const Chains x = Autoregressive(10, 20000, a);
    const double error = std::sqrt((20 * std::max(expected, 1.0) + 2) / 200000);
    EXPECT_NEAR(AutocorrelationTime(x).value(), expected, 3 * error * std::max(expected, 1.0)) << a;
    EXPECT_NEAR(RHat(x).value(), 1, 0.01) << a;
  }
}

TEST(ChainDiagnostics, ReadTrajectories) {
  const Tensor energy = Tensor::From<float>({4, 2}, {0, 10, 1, 11, 2, 12, 3, 13});
  EXPECT_EQ(ChainsOf(energy).value(), (Chains{{0, 1, 2, 3}, {10, 11, 12, 13}}));
  const Tensor y = Tensor::From<double>({4, 1, 2}, {0, 10, 1, 11, 2, 12, 3, 13});
  EXPECT_EQ(ChainsOf(y, 0).value(), (Chains{{0, 1, 2, 3}}));
  EXPECT_EQ(ChainsOf(y, 1).value(), (Chains{{10, 11, 12, 13}}));
  const std::vector<ChainSummary> all = Summarise(y).value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].mean, 1.5);
  EXPECT_EQ(all[1].mean, 11.5);
  EXPECT_NEAR(all[1].stddev, std::sqrt(5.0 / 3), 1e-15);
}

// 0.1 is not exact: the mean of a hundred of them is not 0.1.
TEST(ChainDiagnostics, OfChainsThatDoNotMoveAreNoNumbers) {
  for (const double second : {0.1, 0.7}) {
    const absl::StatusOr<ChainSummary> s = Summarise({std::vector<double>(100, 0.1), std::vector<double>(100, second)});
    ASSERT_TRUE(s.ok());
    EXPECT_TRUE(std::isnan(s->effective_samples));
    EXPECT_TRUE(std::isnan(s->bulk_effective_samples));
    EXPECT_TRUE(std::isnan(s->tail_effective_samples));
    EXPECT_TRUE(std::isnan(s->autocorrelation_time));
    EXPECT_TRUE(std::isnan(s->r_hat));
  }
}

TEST(ChainDiagnosticsMistake, Chains) {
  const auto error = [](const Chains& chains) {
    EXPECT_EQ(RHat(chains).status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(Summarise(chains).status().message());
  };
  EXPECT_THAT(error({}), HasSubstr("at least one chain"));
  EXPECT_THAT(error({{1, 2, 3}}), HasSubstr("at least 4"));
  EXPECT_THAT(error({{1, 2, 3, 4}, {1, 2, 3, 4, 5}}), AllOf(HasSubstr("chain 0 has 4"), HasSubstr("chain 1 has 5")));
  EXPECT_THAT(error({{1, 2, 3, 4}, {1, 2, std::nan(""), 4}}), HasSubstr("draw 2 of chain 1"));
  EXPECT_THAT(error({{std::numeric_limits<double>::infinity(), 2, 3, 4}}), HasSubstr("draw 0 of chain 0"));
  EXPECT_THAT(std::string(ChainsOf(Tensor({5})).status().message()), HasSubstr("[5]"));
  EXPECT_THAT(std::string(ChainsOf(Tensor({5, 2, 3}), 3).status().message()), HasSubstr("coordinate 3"));
}

}  // namespace
}  // namespace neb
