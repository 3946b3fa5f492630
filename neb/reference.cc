#include "neb/reference.h"

#include <cmath>
#include <utility>

#include "Eigen/Cholesky"
#include "Eigen/Core"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

namespace {

using Matrix = Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using ConstMatrix = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

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
  std::vector<double> covariance = SecondMoment(x, out.mean_, autodiff::DType::kF32, pool);
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
  const std::vector<double> moment = SecondMoment(x, mean_, autodiff::DType::kF32, pool);
  const ConstMatrix s(moment.data(), d, d), b(residual_.data(), d, d);
  const double bias = (b * s).cwiseProduct(b).sum();
  const double noise = (Eigen::MatrixXd::Identity(d, d) - b).squaredNorm();
  return bias + sigma_ * sigma_ * noise;
}

}  // namespace neb
