#include "neb/kernel_density.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/kernels/gemm.h"
#include "autodiff/random.h"
#include "neb/products.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::DType;
using autodiff::Tensor;

namespace {

constexpr int64_t kSamples = 512;  // in a block
constexpr int64_t kPoints = 1024;  // that are evaluated at once, at most
// And at least: products of up to four rows add up in another order (see autodiff/kernels/gemm.h).
constexpr int64_t kFewestPoints = 8;

// Σ_i exp(l_i) x_i and Σ_i exp(l_i) over the samples seen so far, both divided by exp(highest): logs as low as
// −‖y − x‖²/2σ² have no exponential of their own.
struct Average {
  Average(int64_t m, int64_t d)
      : highest(static_cast<size_t>(m), -std::numeric_limits<double>::infinity()),
        weight(static_cast<size_t>(m), 0.0),
        sum({m, d}, DType::kF64) {}
  std::vector<double> highest, weight;
  Tensor sum;  // [m, d]
};

// Turns products y·x, [count] of one point, into weights, and makes room in the average for them.
void Weigh(double* products, const double* squared_norms, int64_t count, double variance, int64_t row,
           Average& average) {
  double highest = average.highest[static_cast<size_t>(row)];
  for (int64_t i = 0; i < count; ++i) {
    // log N(y; x_i, σ²I) without ‖y‖², which is common to all.
    products[i] = (products[i] - 0.5 * squared_norms[i]) / variance;
    highest = std::max(highest, products[i]);
  }
  const double shrink = std::exp(average.highest[static_cast<size_t>(row)] - highest);
  double weight = average.weight[static_cast<size_t>(row)] * shrink;
  for (int64_t i = 0; i < count; ++i) {
    products[i] = std::exp(products[i] - highest);
    weight += products[i];
  }
  if (shrink != 1) {
    const int64_t d = average.sum.shape()[1];
    for (double& v : average.sum.data<double>().subspan(static_cast<size_t>(row * d), static_cast<size_t>(d))) {
      v *= shrink;
    }
  }
  average.highest[static_cast<size_t>(row)] = highest;
  average.weight[static_cast<size_t>(row)] = weight;
}

}  // namespace

absl::StatusOr<KernelDensity> KernelDensity::Create(Tensor x, double sigma) {
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] < 1 || x.dtype() != DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, d], n and d >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be positive, got ", sigma));
  }
  KernelDensity out;
  out.sigma_ = sigma;
  out.centre_ = Mean(x);
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const std::span<const float> values = x.data<float>();
  for (int64_t i = 0; i < n; ++i) {
    double squared = 0;
    for (int64_t k = 0; k < d; ++k) {
      const double r = values[static_cast<size_t>(i * d + k)] - out.centre_[static_cast<size_t>(k)];
      squared += r * r;
    }
    out.squared_norms_.push_back(squared);
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < d; ++k) {
      if (!std::isfinite(values[static_cast<size_t>(i * d + k)])) {
        return absl::InvalidArgumentError(absl::StrCat("sample ", i, " is not finite"));
      }
    }
  }
  out.x_ = std::move(x);
  return out;
}

absl::StatusOr<Smoothed> KernelDensity::Evaluate(const Tensor& y, autodiff::ThreadPool* pool) const {
  const int64_t n = this->n(), d = this->d();
  if (y.shape().rank() != 2 || y.shape()[1] != d) {
    return absl::InvalidArgumentError(absl::StrCat("points must be [m, ", d, "], got ", y.shape().ToString()));
  }
  const int64_t m = y.shape()[0];
  const double variance = sigma_ * sigma_;
  Smoothed out{Tensor({m}, DType::kF64), Tensor({m, d}, DType::kF64), Tensor({m, d}, DType::kF64)};
  const int64_t rows = std::clamp(m, kFewestPoints, kPoints);
  Tensor points({rows, d}, DType::kF64), block({kSamples, d}, DType::kF64), weights({rows, kSamples}, DType::kF64);
  Products<double> products(pool, std::max(autodiff::GemmScratchBytes(rows, kSamples, d, DType::kF64),
                                           autodiff::GemmScratchBytes(rows, d, kSamples, DType::kF64)));
  const float* const samples = x_.data<float>().data();
  for (int64_t begin = 0; begin < m; begin += kPoints) {
    const int64_t count = std::min(kPoints, m - begin);
    double* const from = points.data<double>().data();
    // Rows beyond the last point keep what they had: they are not read.
    for (int64_t i = 0; i < count * d; ++i) from[i] = y.at(begin * d + i) - centre_[static_cast<size_t>(i % d)];
    Average average(rows, d);
    for (int64_t first = 0; first < n; first += kSamples) {
      const int64_t size = std::min(kSamples, n - first);
      double* const to = block.data<double>().data();
      products.For(size, [&](int64_t low, int64_t high) {
        for (int64_t i = low; i < high; ++i) {
          for (int64_t k = 0; k < d; ++k) {
            to[i * d + k] = samples[(first + i) * d + k] - centre_[static_cast<size_t>(k)];
          }
        }
      });
      double* const w = weights.data<double>().data();
      products.Run({.m = rows,
                    .n = size,
                    .k = d,
                    .a = from,
                    .lda = d,
                    .b = to,
                    .ldb = d,
                    .transpose_b = true,
                    .c = w,
                    .ldc = kSamples});
      products.For(rows, [&](int64_t low, int64_t high) {
        for (int64_t i = low; i < high; ++i) {
          Weigh(w + i * kSamples, squared_norms_.data() + first, size, variance, i, average);
        }
      });
      products.Run({.m = rows,
                    .n = d,
                    .k = size,
                    .a = w,
                    .lda = kSamples,
                    .b = to,
                    .ldb = d,
                    .c = average.sum.data<double>().data(),
                    .ldc = d,
                    .accumulate = true});
    }
    for (int64_t i = 0; i < count; ++i) {
      const double weight = average.weight[static_cast<size_t>(i)];
      double squared = 0;
      for (int64_t k = 0; k < d; ++k) {
        const int64_t at = (begin + i) * d + k;
        const double off = from[i * d + k], estimate = average.sum.at(i * d + k) / weight;
        squared += off * off;
        out.x_hat.set(at, centre_[static_cast<size_t>(k)] + estimate);
        out.gradient.set(at, (off - estimate) / variance);
      }
      const double log_normal = 0.5 * static_cast<double>(d) * std::log(2 * M_PI * variance);
      out.energy.set(begin + i, squared / (2 * variance) - average.highest[static_cast<size_t>(i)] - std::log(weight) +
                                    std::log(static_cast<double>(n)) + log_normal);
    }
  }
  return out;
}

absl::StatusOr<LossEstimate> KernelDensity::Loss(const Tensor& x, uint64_t seed, autodiff::ThreadPool* pool) const {
  if (x.shape().rank() != 2 || x.shape()[0] < 2 || x.shape()[1] != d() || x.dtype() != DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [m, ", d(), "] with m >= 2, got ", Name(x.dtype()), x.shape().ToString()));
  }
  Tensor y(x.shape(), DType::kF64);
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kEvaluationNoise, .step = 0}, pool, y);
  for (int64_t i = 0; i < y.num_elements(); ++i) y.set(i, x.at(i) + sigma_ * y.at(i));
  const absl::StatusOr<Smoothed> at = Evaluate(y, pool);
  if (!at.ok()) return at.status();
  const int64_t m = x.shape()[0];
  std::vector<double> losses(static_cast<size_t>(m), 0.0);
  for (int64_t i = 0; i < m; ++i) {
    double& loss = losses[static_cast<size_t>(i)];
    for (int64_t k = i * d(); k < (i + 1) * d(); ++k) loss += std::pow(x.at(k) - at->x_hat.at(k), 2);
  }
  return EstimateOf(losses);
}

}  // namespace neb
