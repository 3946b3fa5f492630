#include "neb/closed_form.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "Eigen/Core"
#include "Eigen/Eigenvalues"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace neb {

using autodiff::Tensor;

namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMatrix = Eigen::Map<const RowMajor>;
using ConstVector = Eigen::Map<const Eigen::VectorXd>;

ConstVector View(const std::vector<double>& v) { return {v.data(), static_cast<Eigen::Index>(v.size())}; }
ConstMatrix Square(const std::vector<double>& v, Eigen::Index d) { return {v.data(), d, d}; }

// Eigenvalues and eigenvectors of component number k, which has been found to have sizes that fit.
absl::Status Decompose(const GaussianComponent& from, size_t k, SmoothedMixture::Component& to) {
  const Eigen::Index d = static_cast<Eigen::Index>(from.mean.size());
  if (from.covariance.size() == 1) {
    to.variances.assign(from.mean.size(), from.covariance[0]);
  } else {
    const ConstMatrix covariance = Square(from.covariance, d);
    const double scale = covariance.cwiseAbs().maxCoeff();
    if (!((covariance - covariance.transpose()).cwiseAbs().maxCoeff() <= 1e-12 * scale)) {
      return absl::InvalidArgumentError(absl::StrCat("the covariance of component ", k, " is not symmetric"));
    }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver{Eigen::MatrixXd(covariance)};
    to.variances.assign(solver.eigenvalues().data(), solver.eigenvalues().data() + d);
    const RowMajor axes = solver.eigenvectors();
    to.axes.assign(axes.data(), axes.data() + axes.size());
    // A covariance of less than full rank may get eigenvalues of −rounding.
    for (double& v : to.variances) v = v < 0 && v >= -1e-12 * scale ? 0 : v;
  }
  const double least = *std::min_element(to.variances.begin(), to.variances.end());
  if (least >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the covariance of component ", k, " has the eigenvalue ", least));
}

absl::Status Check(const std::vector<GaussianComponent>& components, double sigma) {
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    return absl::InvalidArgumentError(absl::StrCat("sigma must be positive, got ", sigma));
  }
  if (components.empty()) return absl::InvalidArgumentError("a mixture needs a component");
  const size_t d = components[0].mean.size();
  for (size_t k = 0; k < components.size(); ++k) {
    const GaussianComponent& c = components[k];
    if (d < 1 || c.mean.size() != d || (c.covariance.size() != 1 && c.covariance.size() != d * d)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "component ", k, ": expected a mean of ", d < 1 ? "1 or more" : absl::StrCat(d),
          " numbers and a covariance of 1 or ", d * d, ", got ", c.mean.size(), " and ", c.covariance.size()));
    }
    if (!(c.weight > 0) || !std::isfinite(c.weight)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the weight of component ", k, " must be positive, got ", c.weight));
    }
    for (const std::vector<double>* values : {&c.mean, &c.covariance}) {
      if (std::all_of(values->begin(), values->end(), [](double v) { return std::isfinite(v); })) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("the ", values == &c.mean ? "mean" : "covariance", " of component ", k, " is not finite"));
    }
  }
  return absl::OkStatus();
}

// axes · v, axes = I if empty.
Eigen::VectorXd FromAxes(const std::vector<double>& axes, const Eigen::VectorXd& v) {
  return axes.empty() ? v : Eigen::VectorXd(Square(axes, v.size()) * v);
}

// The component a uniform number u falls to.
size_t Choose(const std::vector<SmoothedMixture::Component>& components, double u) {
  for (size_t k = 0; k + 1 < components.size(); ++k) {
    u -= std::exp(components[k].log_weight);
    if (u < 0) return k;
  }
  return components.size() - 1;
}

}  // namespace

LossEstimate EstimateOf(const std::vector<double>& losses) {
  const double n = static_cast<double>(losses.size());
  LossEstimate estimate;
  for (double v : losses) estimate.mean += v / n;
  double squared = 0;
  for (double v : losses) squared += (v - estimate.mean) * (v - estimate.mean);
  estimate.standard_error = std::sqrt(squared / (n - 1) / n);
  return estimate;
}

absl::StatusOr<SmoothedMixture> SmoothedMixture::Create(const std::vector<GaussianComponent>& components,
                                                        double sigma) {
  if (absl::Status s = Check(components, sigma); !s.ok()) return s;
  SmoothedMixture mixture;
  mixture.d_ = static_cast<int64_t>(components[0].mean.size());
  mixture.sigma_ = sigma;
  double total = 0;
  for (const GaussianComponent& c : components) total += c.weight;
  for (size_t k = 0; k < components.size(); ++k) {
    Component c;
    if (absl::Status s = Decompose(components[k], k, c); !s.ok()) return s;
    c.mean = components[k].mean;
    c.log_weight = c.log_factor = std::log(components[k].weight / total);
    Eigen::VectorXd scale(mixture.d_);
    for (size_t i = 0; i < c.variances.size(); ++i) {
      const double variance = c.variances[i] + sigma * sigma;
      c.log_factor -= 0.5 * std::log(2 * M_PI * variance);
      scale[static_cast<Eigen::Index>(i)] = 1 / std::sqrt(variance);
    }
    if (c.axes.empty()) {
      c.whitening = {scale[0]};
    } else {
      const RowMajor whitening = Square(c.axes, mixture.d_) * scale.asDiagonal();
      c.whitening.assign(whitening.data(), whitening.data() + whitening.size());
    }
    mixture.components_.push_back(std::move(c));
  }
  return mixture;
}

double SmoothedMixture::EvaluateAt(std::span<const double> y, double& energy, std::span<double> gradient,
                                   std::span<double> x_hat) const {
  const ConstVector point(y.data(), static_cast<Eigen::Index>(d_));
  // Of each component: log w_k p_k(y), ∇φ_k and E[X | y, k].
  std::vector<double> logs;
  std::vector<Eigen::VectorXd> gradients, estimates;
  for (const Component& c : components_) {
    const Eigen::VectorXd off = point - View(c.mean);
    const Eigen::VectorXd along = c.axes.empty() ? off : Eigen::VectorXd(Square(c.axes, d_).transpose() * off);
    const Eigen::ArrayXd variances = View(c.variances).array(), smoothed = variances + sigma_ * sigma_;
    logs.push_back(c.log_factor - 0.5 * (along.array().square() / smoothed).sum());
    gradients.emplace_back(FromAxes(c.axes, along.array() / smoothed));
    estimates.emplace_back(View(c.mean) + FromAxes(c.axes, along.array() * variances / smoothed));
  }
  const double highest = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (double v : logs) sum += std::exp(v - highest);
  energy = -highest - std::log(sum);
  Eigen::Map<Eigen::VectorXd> score(gradient.data(), static_cast<Eigen::Index>(d_));
  Eigen::Map<Eigen::VectorXd> estimate(x_hat.data(), static_cast<Eigen::Index>(d_));
  score.setZero();
  estimate.setZero();
  for (size_t k = 0; k < logs.size(); ++k) {
    const double share = std::exp(logs[k] - highest) / sum;
    score += share * gradients[k];
    estimate += share * estimates[k];
  }
  double variance = 0;  // within the components and between them
  for (size_t k = 0; k < logs.size(); ++k) {
    const double within = GaussianMmse(components_[k].variances, sigma_);
    variance += std::exp(logs[k] - highest) / sum * (within + (estimates[k] - estimate).squaredNorm());
  }
  return variance;
}

absl::StatusOr<Smoothed> SmoothedMixture::Evaluate(const Tensor& y) const {
  if (y.shape().rank() != 2 || y.shape()[1] != d_) {
    return absl::InvalidArgumentError(absl::StrCat("points must be [n, ", d_, "], got ", y.shape().ToString()));
  }
  const Tensor points = y.Cast(autodiff::DType::kF64);
  Smoothed out{Tensor({y.shape()[0]}, autodiff::DType::kF64), Tensor(y.shape(), autodiff::DType::kF64),
               Tensor(y.shape(), autodiff::DType::kF64)};
  const size_t d = static_cast<size_t>(d_);
  for (size_t i = 0; i < static_cast<size_t>(y.shape()[0]); ++i) {
    EvaluateAt(points.data<double>().subspan(i * d, d), out.energy.data<double>()[i],
               out.gradient.data<double>().subspan(i * d, d), out.x_hat.data<double>().subspan(i * d, d));
  }
  return out;
}

absl::StatusOr<Tensor> SmoothedMixture::Sample(int64_t n, uint64_t seed) const {
  if (n < 1) return absl::InvalidArgumentError(absl::StrCat("expected one or more samples, got ", n));
  Tensor x({n, d_});
  std::vector<double> normal(static_cast<size_t>(d_));
  const autodiff::NoiseKey key{.seed = seed, .stream = autodiff::kSynthetic, .step = 0};
  for (int64_t i = 0; i < n; ++i) {
    double u = 0;
    autodiff::FillUniform(key, i, {&u, 1});
    autodiff::FillNormal(key, i * d_, std::span<double>(normal));
    const Component& c = components_[Choose(components_, u)];
    const Eigen::VectorXd along = View(normal).array() * View(c.variances).array().sqrt();
    const Eigen::VectorXd point = View(c.mean) + FromAxes(c.axes, along);
    for (int64_t j = 0; j < d_; ++j) x.set(i * d_ + j, point[static_cast<Eigen::Index>(j)]);
  }
  return x;
}

absl::StatusOr<LossEstimate> SmoothedMixture::Mmse(int64_t draws, uint64_t seed) const {
  if (draws < 2) return absl::InvalidArgumentError(absl::StrCat("expected 2 or more draws, got ", draws));
  const absl::StatusOr<Tensor> x = Sample(draws, seed);
  if (!x.ok()) return x.status();
  std::vector<double> y(static_cast<size_t>(d_)), gradient(y.size()), x_hat(y.size()), losses;
  for (int64_t i = 0; i < draws; ++i) {
    autodiff::FillNormal({.seed = seed, .stream = autodiff::kEvaluationNoise, .step = 0}, i * d_, std::span<double>(y));
    for (size_t j = 0; j < y.size(); ++j) y[j] = x->at(i * d_ + static_cast<int64_t>(j)) + sigma_ * y[j];
    double energy = 0;
    losses.push_back(EvaluateAt(y, energy, gradient, x_hat));
  }
  return EstimateOf(losses);
}

double GaussianMmse(std::span<const double> variances, double sigma) {
  double loss = 0;
  for (double v : variances) loss += v * sigma * sigma / (v + sigma * sigma);
  return loss;
}

}  // namespace neb
