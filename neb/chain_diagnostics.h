// How much a set of chains says about its target: effective sample size, R-hat, autocorrelation time.
//
//   absl::StatusOr<Trajectory> run = Record(walk, {.iterations = 10000, .keep_every = 10, .energies = true});
//   absl::StatusOr<std::vector<ChainSummary>> energy = Summarise(run->energy);      // one entry: φ
//   absl::StatusOr<std::vector<ChainSummary>> y = Summarise(run->y);                // one for each coordinate
//
// Definitions are those of Vehtari, Gelman, Simpson, Carpenter, Bürkner, "Rank-normalization, folding, and
// localization: an improved R-hat", Bayesian Analysis 16 (2021), as Stan's posterior and ArviZ compute them: each chain
// is split into halves, and the autocorrelations are those of all halves together, cut off and smoothed by Geyer's
// initial monotone sequence ("Practical Markov chain Monte Carlo", Statistical Science 7, 1992).
#ifndef NEB_NEB_CHAIN_DIAGNOSTICS_H_
#define NEB_NEB_CHAIN_DIAGNOSTICS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"

namespace neb {

// Draws of one quantity: chains[c][t] is draw t of chain c. At least one chain, all of one length of at least 4, all
// finite (InvalidArgument otherwise, from every function here). Without burn-in.
using Chains = std::vector<std::vector<double>>;

// From a trajectory [draws, chains] (coordinate 0) or [draws, chains, d] (0 <= coordinate < d), of either dtype.
absl::StatusOr<Chains> ChainsOf(const autodiff::Tensor& trajectory, int64_t coordinate = 0);

// All below are NaN when all draws are equal, or equal within each chain: such draws say nothing.

// How many independent draws would estimate the mean as well as these. O(draws · chains) times the autocorrelation
// time. At most draws · chains · log10(draws · chains), for chains that swing about their mean.
absl::StatusOr<double> EffectiveSampleSize(const Chains& chains);
// The same of the rank-normalised draws, which is defined for heavy tails too: ArviZ's and Stan's "bulk ESS".
absl::StatusOr<double> BulkEffectiveSampleSize(const Chains& chains);
// The smaller of those of the events "below the 5 % quantile" and "below the 95 % quantile": "tail ESS".
absl::StatusOr<double> TailEffectiveSampleSize(const Chains& chains);
// The integrated autocorrelation time 1 + 2 Σ ρ_t, in draws: how many draws count as one. Draws over the effective
// sample size. (Vehtari et al. 2021, (10)-(11).) For an AR(1) chain of coefficient a it tends to (1 + a)/(1 − a).
absl::StatusOr<double> AutocorrelationTime(const Chains& chains);
// √(variance of all draws / mean variance within half-chains): 1 when the chains agree; more than 1.01 calls for longer
// ones. The larger one of the rank-normalised draws and of their folded (|x − median|) ranks, which sees chains that
// differ in location and in scale. With one chain, its halves are compared.
absl::StatusOr<double> RHat(const Chains& chains);

struct ChainSummary {
  double mean = 0;
  double stddev = 0;          // of one draw
  double standard_error = 0;  // of the mean: stddev / √EffectiveSampleSize
  double effective_samples = 0;
  double bulk_effective_samples = 0;
  double tail_effective_samples = 0;
  double autocorrelation_time = 0;  // in draws
  double r_hat = 0;
};
absl::StatusOr<ChainSummary> Summarise(const Chains& chains);
// Of each coordinate of a trajectory, see ChainsOf.
absl::StatusOr<std::vector<ChainSummary>> Summarise(const autodiff::Tensor& trajectory);

}  // namespace neb

#endif  // NEB_NEB_CHAIN_DIAGNOSTICS_H_
