#include "neb/chain_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace neb {

using autodiff::Tensor;

namespace {

constexpr int64_t kMinDraws = 4;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

absl::Status Check(const Chains& chains) {
  if (chains.empty()) return absl::InvalidArgumentError("chain diagnostics need at least one chain");
  for (size_t c = 0; c < chains.size(); ++c) {
    if (static_cast<int64_t>(chains[c].size()) < kMinDraws || chains[c].size() != chains[0].size()) {
      return absl::InvalidArgumentError(absl::StrCat("chains must be of one length of at least ", kMinDraws,
                                                     ": chain 0 has ", chains[0].size(), " draws, chain ", c, " has ",
                                                     chains[c].size()));
    }
    for (size_t t = 0; t < chains[c].size(); ++t) {
      if (!std::isfinite(chains[c][t])) {
        return absl::InvalidArgumentError(absl::StrCat("draw ", t, " of chain ", c, " is ", chains[c][t]));
      }
    }
  }
  return absl::OkStatus();
}

double MeanOf(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Divided by n − 1; 0 of a single number.
double VarianceOf(const std::vector<double>& values) {
  const double mean = MeanOf(values);
  double sum = 0;
  for (double v : values) sum += (v - mean) * (v - mean);
  return values.size() < 2 ? 0 : sum / static_cast<double>(values.size() - 1);
}

std::vector<double> Flat(const Chains& chains) {
  std::vector<double> all;
  for (const std::vector<double>& chain : chains) all.insert(all.end(), chain.begin(), chain.end());
  return all;
}

// All numbers through f, in place.
template <typename F>
Chains Mapped(Chains chains, const F& f) {
  for (std::vector<double>& chain : chains) {
    for (double& v : chain) v = f(v);
  }
  return chains;
}

// Both halves of each chain; the middle draw of an odd number belongs to none.
Chains Halves(const Chains& chains) {
  Chains halves;
  const auto half = static_cast<std::ptrdiff_t>(chains[0].size() / 2);
  for (const std::vector<double>& chain : chains) halves.emplace_back(chain.begin(), chain.begin() + half);
  for (const std::vector<double>& chain : chains) halves.emplace_back(chain.end() - half, chain.end());
  return halves;
}

// The quantile that R calls type 7: linear between the order statistics.
double Quantile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const double place = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

// Φ⁻¹(p), 0 < p < 1: Abramowitz & Stegun 26.2.23, good to 4.5e-4, then Halley's method on Φ, to rounding.
double NormalQuantile(double p) {
  const double tail = std::min(p, 1 - p), t = std::sqrt(-2 * std::log(tail));
  double z = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
  for (int i = 0; i < 3; ++i) {
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
    const double step = (0.5 * std::erfc(-z / std::sqrt(2.0)) - tail) / density;
    z -= step / (1 + z * step / 2);
  }
  return p < 0.5 ? z : -z;
}

// The normal scores of the ranks among all S draws, Φ⁻¹((rank − 3/8)/(S + 1/4)), ties sharing their mean rank.
Chains RankNormalised(const Chains& chains) {
  const std::vector<double> values = Flat(chains);
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> scores(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double rank = 1 + 0.5 * static_cast<double>(first + last);
    const double score = NormalQuantile((rank - 0.375) / (static_cast<double>(values.size()) + 0.25));
    for (size_t i = first; i <= last; ++i) scores[order[i]] = score;
    first = last + 1;
  }
  Chains out = chains;
  size_t i = 0;
  for (std::vector<double>& chain : out) {
    for (double& v : chain) v = scores[i++];
  }
  return out;
}

// ρ_t of several chains together, on demand: 1 − (W − mean autocovariance at t) / (variance of all), W the mean
// variance within chains.
class Autocorrelation {
 public:
  explicit Autocorrelation(Chains centred) : chains_(std::move(centred)) {
    std::vector<double> means;
    for (std::vector<double>& chain : chains_) {
      means.push_back(MeanOf(chain));
      for (double& v : chain) v -= means.back();
    }
    const double n = static_cast<double>(chains_[0].size());
    within_ = Autocovariance(0) * n / (n - 1);
    all_ = within_ * (n - 1) / n + VarianceOf(means);
  }
  double At(size_t lag) const { return 1 - (within_ - Autocovariance(lag)) / all_; }

 private:
  double Autocovariance(size_t lag) const {
    double total = 0;
    for (const std::vector<double>& chain : chains_) {
      double sum = 0;
      for (size_t t = lag; t < chain.size(); ++t) sum += chain[t] * chain[t - lag];
      total += sum / static_cast<double>(chain.size());
    }
    return total / static_cast<double>(chains_.size());
  }

  Chains chains_;
  double within_ = 0, all_ = 0;
};

bool NothingMoves(const Chains& chains) {
  return std::all_of(chains.begin(), chains.end(), [](const std::vector<double>& chain) {
    return std::all_of(chain.begin(), chain.end(), [&](double v) { return v == chain[0]; });
  });
}

// 1 + 2 Σ ρ_t over chains that are split already.
double SplitAutocorrelationTime(const Chains& halves) {
  if (NothingMoves(halves)) return kNaN;
  const Autocorrelation rho(halves);
  const size_t n = halves[0].size();
  // Geyer: sums of neighbours ρ_2k + ρ_2k+1 are positive and decreasing for a reversible chain. Take them while they
  // are positive, each as not more than the one before. Of the pair after the last one taken, the first member counts
  // once, which makes the estimate for chains that swing about their mean a better one (as in Stan and ArviZ).
  double even = 1, odd = rho.At(1), smallest = even + odd, sum = 0;
  for (size_t lag = 0; lag + 4 < n && even + odd > 0;) {
    smallest = std::min(smallest, even + odd);
    sum += smallest;
    lag += 2;
    even = rho.At(lag);
    odd = rho.At(lag + 1);
  }
  const double tau = -1 + 2 * sum + std::max(even, 0.0);
  const double draws = static_cast<double>(n * halves.size());
  return std::max(tau, 1 / std::log10(draws));
}

double SplitRHat(const Chains& halves) {
  if (NothingMoves(halves)) return kNaN;
  const double n = static_cast<double>(halves[0].size());
  std::vector<double> means, variances;
  for (const std::vector<double>& chain : halves) {
    means.push_back(MeanOf(chain));
    variances.push_back(VarianceOf(chain));
  }
  const double between = n * VarianceOf(means), within = MeanOf(variances);
  return std::sqrt((between / within + n - 1) / n);
}

double SplitEffectiveSampleSize(const Chains& halves) {
  return static_cast<double>(halves.size() * halves[0].size()) / SplitAutocorrelationTime(halves);
}

double TailSize(const Chains& chains) {
  const std::vector<double> all = Flat(chains);
  double smallest = kNaN;
  for (const double p : {0.05, 0.95}) {
    const double quantile = Quantile(all, p);
    const Chains below = Mapped(chains, [quantile](double v) { return v <= quantile ? 1.0 : 0.0; });
    smallest = std::fmin(smallest, SplitEffectiveSampleSize(Halves(below)));
  }
  return smallest;
}

double RankRHat(const Chains& chains) {
  const Chains halves = Halves(chains);
  const double median = Quantile(Flat(halves), 0.5);
  const Chains folded = Mapped(halves, [median](double v) { return std::abs(v - median); });
  return std::fmax(SplitRHat(RankNormalised(halves)), SplitRHat(RankNormalised(folded)));
}

// f of the chains, or what is wrong with them.
template <typename F>
absl::StatusOr<double> Checked(const Chains& chains, const F& f) {
  if (absl::Status s = Check(chains); !s.ok()) return s;
  return f(chains);
}

}  // namespace

absl::StatusOr<Chains> ChainsOf(const Tensor& trajectory, int64_t coordinate) {
  const autodiff::Shape& shape = trajectory.shape();
  const int64_t d = shape.rank() == 3 ? shape[2] : 1;
  if ((shape.rank() != 2 && shape.rank() != 3) || coordinate < 0 || coordinate >= d) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a trajectory [draws, chains] or [draws, chains, d] with "
                     "coordinate ",
                     coordinate, " in it, got ", shape.ToString()));
  }
  Chains chains(static_cast<size_t>(shape[1]), std::vector<double>(static_cast<size_t>(shape[0])));
  for (int64_t t = 0; t < shape[0]; ++t) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      chains[static_cast<size_t>(c)][static_cast<size_t>(t)] = trajectory.at((t * shape[1] + c) * d + coordinate);
    }
  }
  return chains;
}

absl::StatusOr<double> EffectiveSampleSize(const Chains& chains) {
  return Checked(chains, [](const Chains& c) { return SplitEffectiveSampleSize(Halves(c)); });
}

absl::StatusOr<double> BulkEffectiveSampleSize(const Chains& chains) {
  return Checked(chains, [](const Chains& c) { return SplitEffectiveSampleSize(RankNormalised(Halves(c))); });
}

absl::StatusOr<double> TailEffectiveSampleSize(const Chains& chains) { return Checked(chains, TailSize); }

absl::StatusOr<double> AutocorrelationTime(const Chains& chains) {
  return Checked(chains, [](const Chains& c) { return SplitAutocorrelationTime(Halves(c)); });
}

absl::StatusOr<double> RHat(const Chains& chains) { return Checked(chains, RankRHat); }

absl::StatusOr<ChainSummary> Summarise(const Chains& chains) {
  if (absl::Status s = Check(chains); !s.ok()) return s;
  const Chains halves = Halves(chains);
  const std::vector<double> all = Flat(chains);
  ChainSummary out{.mean = MeanOf(all), .stddev = std::sqrt(VarianceOf(all))};
  out.autocorrelation_time = SplitAutocorrelationTime(halves);
  out.effective_samples = static_cast<double>(halves.size() * halves[0].size()) / out.autocorrelation_time;
  out.bulk_effective_samples = SplitEffectiveSampleSize(RankNormalised(halves));
  out.tail_effective_samples = TailSize(chains);
  out.standard_error = out.stddev / std::sqrt(out.effective_samples);
  out.r_hat = RankRHat(chains);
  return out;
}

absl::StatusOr<std::vector<ChainSummary>> Summarise(const Tensor& trajectory) {
  std::vector<ChainSummary> all;
  const int64_t d = trajectory.shape().rank() == 3 ? trajectory.shape()[2] : 1;
  for (int64_t j = 0; j < d; ++j) {
    const absl::StatusOr<Chains> chains = ChainsOf(trajectory, j);
    if (!chains.ok()) return chains.status();
    absl::StatusOr<ChainSummary> summary = Summarise(*chains);
    if (!summary.ok()) return summary.status();
    all.push_back(*summary);
  }
  return all;
}

}  // namespace neb
