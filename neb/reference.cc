#include "neb/reference.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "Eigen/Cholesky"
#include "Eigen/Core"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/kernels/gemm.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

namespace {

using Matrix = Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using ConstMatrix = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

// (1/n) Σ (x_i − c)(x_i − c)ᵀ, [d, d]. Blocks of rows are multiplied in float32 and added in float64.
std::vector<double> SecondMoment(const Tensor& x, const std::vector<double>& c, autodiff::ThreadPool* pool) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  constexpr int64_t kBlock = 512;
  const std::span<const float> values = x.data<float>();
  Tensor centred({kBlock, d}), product({d, d});
  const int threads = pool == nullptr ? 1 : pool->threads();
  const int64_t scratch_bytes = autodiff::GemmScratchBytes(d, d, kBlock, autodiff::DType::kF32);
  std::vector<autodiff::AlignedBytes> scratch;
  for (int t = 0; t < threads; ++t) scratch.push_back(autodiff::AllocateAligned(scratch_bytes));
  std::vector<double> moment(static_cast<size_t>(d * d), 0.0);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t rows = std::min(kBlock, n - begin);
    float* const to = centred.data<float>().data();
    for (int64_t i = 0; i < rows * d; ++i) {
      to[i] = static_cast<float>(values[static_cast<size_t>(begin * d + i)] - c[static_cast<size_t>(i % d)]);
    }
    const autodiff::GemmArgs<float> args{.m = d,
                                         .n = d,
                                         .k = rows,
                                         .a = to,
                                         .lda = d,
                                         .transpose_a = true,
                                         .b = to,
                                         .ldb = d,
                                         .transpose_b = false,
                                         .c = product.data<float>().data(),
                                         .ldc = d,
                                         .accumulate = false};
    auto part = [&](int t) { autodiff::Gemm(args, t, threads, scratch[static_cast<size_t>(t)].get()); };
    if (pool == nullptr) {
      part(0);
    } else {
      pool->Run(part);
    }
    const std::span<const float> sums = product.data<float>();
    for (size_t i = 0; i < moment.size(); ++i) moment[i] += sums[i];
  }
  for (double& m : moment) m /= static_cast<double>(n);
  return moment;
}

}  // namespace

double NoModelLoss(double sigma, int64_t d) { return sigma * sigma * static_cast<double>(d); }

absl::StatusOr<LinearEstimator> LinearEstimator::Fit(const Tensor& x, double sigma, autodiff::ThreadPool* pool) {
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] < 1 || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, d], n and d >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be positive, got ", sigma));
  }
  const int64_t d = x.shape()[1];
  if (d > kMaxDimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("the linear estimator is limited to ", kMaxDimension, " dimensions, got ", d));
  }
  LinearEstimator out;
  out.sigma_ = sigma;
  out.mean_ = Mean(x);
  std::vector<double> covariance = SecondMoment(x, out.mean_, pool);
  Matrix regularised(covariance.data(), d, d);
  regularised.diagonal().array() += sigma * sigma;
  out.residual_.resize(covariance.size());
  Matrix residual(out.residual_.data(), d, d);
  const Eigen::LLT<Eigen::MatrixXd> factor{Eigen::MatrixXd(regularised)};
  residual = sigma * sigma * factor.solve(Eigen::MatrixXd::Identity(d, d));
  return out;
}

absl::StatusOr<double> LinearEstimator::Loss(const Tensor& x, autodiff::ThreadPool* pool) const {
  // x − x̂ = B (x − μ) − σ A ε with B = I − A, so the loss is tr(B S Bᵀ) + σ² ‖A‖², S the samples' moment about μ.
  const int64_t d = static_cast<int64_t>(mean_.size());
  if (x.shape().rank() != 2 || x.shape()[0] < 1 || x.shape()[1] != d || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples must be f32 [n, ", d, "] with n >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  const std::vector<double> moment = SecondMoment(x, mean_, pool);
  const ConstMatrix s(moment.data(), d, d), b(residual_.data(), d, d);
  const double bias = (b * s).cwiseProduct(b).sum();
  const double noise = (Eigen::MatrixXd::Identity(d, d) - b).squaredNorm();
  return bias + sigma_ * sigma_ * noise;
}

}  // namespace neb
