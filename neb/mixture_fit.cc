#include "neb/mixture_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "Eigen/Cholesky"
#include "Eigen/Core"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"
#include "neb/products.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::DType;
using autodiff::Tensor;

namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int64_t kBlock = 512;  // samples in a product
constexpr int kMaxIterations = 200;
constexpr double kTolerance = 1e-4;    // nats per coordinate
constexpr double kLeastShare = 1e-12;  // smaller ones count as none, and cost nothing
constexpr double kResolution = 0.1;    // τ/σ

std::span<const float> Row(const Tensor& x, int64_t i) {
  const auto d = static_cast<size_t>(x.shape()[1]);
  return x.data<float>().subspan(static_cast<size_t>(i) * d, d);
}

// The nearest of `centres` (rows of x) for each sample. They are chosen one after the other with probabilities in
// proportion to the squared distance from those before; of a few candidates that which leaves the least sum of squares.
std::vector<int64_t> NearestOfPlusPlus(const Tensor& x, const GaussianMixtureOptions& options,
                                       Products<double>& products) {
  const int64_t n = x.shape()[0];
  const int candidates = 2 + static_cast<int>(std::log(static_cast<double>(options.components)));
  const autodiff::NoiseKey key{.seed = static_cast<uint64_t>(options.seed), .stream = autodiff::kStarts, .step = 0};
  std::vector<double> squared(static_cast<size_t>(n), std::numeric_limits<double>::infinity());
  std::vector<int64_t> nearest(static_cast<size_t>(n), 0);
  int64_t draws = 0;
  for (int64_t k = 0; k < options.components; ++k) {
    double total = 0;
    for (const double v : squared) total += v;
    if (total == 0) break;  // Every sample is a centre.
    std::vector<double> best, trial(static_cast<size_t>(n));
    double least = std::numeric_limits<double>::infinity();
    for (int c = 0; c < (k == 0 ? 1 : candidates); ++c) {
      int64_t chosen = 0;
      if (k == 0) {
        chosen = autodiff::RandomInteger(key, draws++, n);
      } else {
        double u = 0;
        autodiff::FillUniform(key, draws++, {&u, 1});
        u *= total;
        while (chosen + 1 < n && (u -= squared[static_cast<size_t>(chosen)]) >= 0) ++chosen;
      }
      products.For(n, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const auto at = static_cast<size_t>(i);
          trial[at] = std::min(squared[at], SquaredDistance(Row(x, i), Row(x, chosen)));
        }
      });
      double sum = 0;
      for (const double v : trial) sum += v;
      if (sum >= least) continue;
      least = sum;
      best = trial;
    }
    for (size_t i = 0; i < squared.size(); ++i) {
      if (best[i] < squared[i]) nearest[i] = k;
    }
    squared = std::move(best);
  }
  return nearest;
}

class Expectation {
 public:
  Expectation(const Tensor& x, double tau, int64_t components, autodiff::ThreadPool* pool)
      : x_(x),
        n_(x.shape()[0]),
        d_(x.shape()[1]),
        tau_(tau),
        pool_(pool),
        shares_(static_cast<size_t>(components), std::vector<double>(static_cast<size_t>(n_), 0.0)) {}

  void Assign(const std::vector<int64_t>& nearest) {
    for (size_t i = 0; i < nearest.size(); ++i) shares_[static_cast<size_t>(nearest[i])][i] = 1;
  }

  // Weights, means and covariances from the shares.
  void Maximise(bool spherical) {
    std::erase_if(shares_,
                  [this](const std::vector<double>& r) { return Sum(r) < kLeastShare * static_cast<double>(n_); });
    fitted_.clear();
    for (const std::vector<double>& r : shares_) {
      std::vector<double> mean = WeightedMean(x_, r);
      std::vector<double> covariance =
          spherical ? std::vector<double>{Spread(mean, r)} : SecondMoment(x_, mean, DType::kF64, pool_, r);
      fitted_.push_back(
          {.weight = Sum(r) / static_cast<double>(n_), .mean = std::move(mean), .covariance = std::move(covariance)});
    }
  }

  // Shares from weights, means and covariances; returns F.
  double Expect(Products<double>& products) {
    for (size_t k = 0; k < fitted_.size(); ++k) LogTerms(fitted_[k], products, shares_[k]);
    double bound = 0;
    for (size_t i = 0; i < static_cast<size_t>(n_); ++i) {
      double highest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (const std::vector<double>& r : shares_) highest = std::max(highest, r[i]);
      for (std::vector<double>& r : shares_) sum += r[i] = std::exp(r[i] - highest);
      for (std::vector<double>& r : shares_) r[i] = r[i] < kLeastShare * sum ? 0 : r[i] / sum;
      bound += (highest + std::log(sum)) / static_cast<double>(n_);
    }
    return bound;
  }

  const std::vector<GaussianComponent>& fitted() const { return fitted_; }

 private:
  static double Sum(const std::vector<double>& r) {
    double sum = 0;
    for (const double v : r) sum += v;
    return sum;
  }

  // The mean of the coordinates' variances.
  double Spread(const std::vector<double>& mean, const std::vector<double>& r) const {
    double sum = 0;
    for (int64_t i = 0; i < n_; ++i) {
      if (r[static_cast<size_t>(i)] == 0) continue;
      const std::span<const float> row = Row(x_, i);
      double squared = 0;
      for (size_t j = 0; j < row.size(); ++j) squared += (row[j] - mean[j]) * (row[j] - mean[j]);
      sum += r[static_cast<size_t>(i)] * squared;
    }
    return sum / (Sum(r) * static_cast<double>(d_));
  }

  // The logarithm of the component's term in F for each sample.
  void LogTerms(const GaussianComponent& component, Products<double>& products, std::vector<double>& logs) const {
    const bool spherical = component.covariance.size() == 1;
    const auto d = static_cast<double>(d_);
    Tensor whitening;  // L⁻ᵀ of C = LLᵀ
    double scale = 1, inverse_trace = 0, log_determinant = 0;
    if (spherical) {
      const double variance = component.covariance[0] + tau_ * tau_;
      scale = 1 / variance;
      inverse_trace = d / variance;
      log_determinant = d * std::log(variance);
    } else {
      RowMajor smoothed = Eigen::Map<const RowMajor>(component.covariance.data(), d_, d_);
      smoothed.diagonal().array() += tau_ * tau_;
      const Eigen::LLT<RowMajor> factor(smoothed);
      const RowMajor inverse = factor.matrixL().solve(RowMajor::Identity(d_, d_)).transpose();
      whitening = Tensor({d_, d_}, DType::kF64);
      std::copy_n(inverse.data(), inverse.size(), whitening.data<double>().data());
      inverse_trace = inverse.squaredNorm();
      log_determinant = -2 * inverse.diagonal().array().log().sum();
    }
    const double log_factor =
        std::log(component.weight) - 0.5 * (d * std::log(2 * M_PI) + log_determinant + tau_ * tau_ * inverse_trace);
    Tensor off({kBlock, d_}, DType::kF64), white({kBlock, d_}, DType::kF64);
    double* const from = off.data<double>().data();
    for (int64_t first = 0; first < n_; first += kBlock) {
      const int64_t rows = std::min(kBlock, n_ - first);
      products.For(rows, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const std::span<const float> row = Row(x_, first + i);
          for (size_t j = 0; j < row.size(); ++j) from[i * d_ + static_cast<int64_t>(j)] = row[j] - component.mean[j];
        }
      });
      // All kBlock rows, whatever is in the last: a product of fewer may add up in another order.
      const double* const to = spherical ? from : white.data<double>().data();
      if (!spherical) {
        products.Run({.m = kBlock,
                      .n = d_,
                      .k = d_,
                      .a = from,
                      .lda = d_,
                      .b = whitening.data<double>().data(),
                      .ldb = d_,
                      .c = white.data<double>().data(),
                      .ldc = d_});
      }
      products.For(rows, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          double squared = 0;
          for (int64_t j = 0; j < d_; ++j) squared += to[i * d_ + j] * to[i * d_ + j];
          logs[static_cast<size_t>(first + i)] = log_factor - 0.5 * scale * squared;
        }
      });
    }
  }

  const Tensor& x_;
  const int64_t n_, d_;
  const double tau_;
  autodiff::ThreadPool* const pool_;
  std::vector<std::vector<double>> shares_;  // r_ik, [K][n]
  std::vector<GaussianComponent> fitted_;
};

}  // namespace

absl::StatusOr<MixtureFit> FitMixture(const Tensor& x, double sigma, const GaussianMixtureOptions& options,
                                      autodiff::ThreadPool* pool) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  if (options.components < 1 || options.components > n) {
    return absl::InvalidArgumentError(
        absl::StrCat("components must be from 1 to the number of samples, ", n, ", got ", options.components));
  }
  if (options.covariance != "full" && options.covariance != "spherical") {
    return absl::InvalidArgumentError(
        absl::StrCat("covariance must be full or spherical, got \"", options.covariance, "\""));
  }
  const bool full = options.covariance == "full";
  if (full && d > kMaxMixtureDimension) {
    return absl::InvalidArgumentError(absl::StrCat("full covariances of samples of ", d,
                                                   " numbers; they are limited to ", kMaxMixtureDimension,
                                                   ", spherical ones are not"));
  }
  Products<double> products(pool, autodiff::GemmScratchBytes(kBlock, d, d, DType::kF64));
  Expectation em(x, kResolution * sigma, options.components, pool);
  em.Assign(NearestOfPlusPlus(x, options, products));
  MixtureFit fit;
  // Full covariances begin where spherical ones ended, which cost little and cannot fit a line through few samples.
  for (const bool spherical : {true, false}) {
    if (!spherical && !full) break;
    fit.bounds.clear();
    fit.converged = false;
    while (!fit.converged && fit.bounds.size() < kMaxIterations) {
      em.Maximise(spherical);
      const double bound = em.Expect(products);
      fit.converged = !fit.bounds.empty() && bound - fit.bounds.back() < kTolerance * static_cast<double>(d);
      fit.bounds.push_back(bound);
    }
  }
  fit.components = em.fitted();
  return fit;
}

}  // namespace neb
