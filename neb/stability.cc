#include "neb/stability.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "Eigen/Core"
#include "Eigen/Eigenvalues"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"
#include "neb/landscape.h"

namespace neb {
namespace {

constexpr size_t kPointsAtATime = 16;

// The Krylov space of one point: H V_k = V_k T_k + β_k v_{k+1} e_kᵀ, V_k orthonormal, T_k tridiagonal with diagonal α
// and off-diagonal β (Golub & Van Loan, Matrix Computations, §10.1).
class Krylov {
 public:
  Krylov(const LanczosOptions& options, double sigma, int64_t d)
      : bound_(options.tolerance / (sigma * sigma)), most_(std::min(options.max_products, d)) {
    Eigen::VectorXd v(d);
    autodiff::FillNormal({.seed = options.seed, .stream = autodiff::kStarts, .step = 2}, 0,
                         std::span<double>(v.data(), static_cast<size_t>(d)));
    basis_.push_back(v.normalized());
  }

  const Eigen::VectorXd& next() const { return basis_.back(); }

  // Takes H v for v = next(). True when done.
  bool Add(std::span<const double> product) {
    Eigen::VectorXd w = Eigen::Map<const Eigen::VectorXd>(product.data(), static_cast<Eigen::Index>(product.size()));
    alpha_.push_back(basis_.back().dot(w));
    scale_ = std::max(scale_, w.norm());
    // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, §6.9).
    for (int pass = 0; pass < 2; ++pass) {
      for (const Eigen::VectorXd& v : basis_) w -= v.dot(w) * v;
    }
    double beta = w.norm();
    // What is left is rounding: the space is invariant, and holds a vector of every eigenspace.
    if (beta <= 1e-12 * scale_) beta = 0;
    const bool last = beta == 0 || static_cast<int64_t>(alpha_.size()) >= most_;
    if (Solve(beta) || last) return true;
    beta_.push_back(beta);
    basis_.emplace_back(w / beta);
    return false;
  }

  Spectrum result() const { return result_; }

 private:
  // The eigenvalues of T; true when they are known well enough. The residual of a Ritz pair is β_k |last component|.
  bool Solve(double beta) {
    const auto k = static_cast<Eigen::Index>(alpha_.size());
    Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
    solver.computeFromTridiagonal(Eigen::Map<const Eigen::VectorXd>(alpha_.data(), k),
                                  Eigen::Map<const Eigen::VectorXd>(beta_.data(), k - 1));
    const Eigen::MatrixXd& s = solver.eigenvectors();
    result_.smallest = solver.eigenvalues()[0];
    result_.largest = solver.eigenvalues()[k - 1];
    result_.error = beta * std::max(std::abs(s(k - 1, 0)), std::abs(s(k - 1, k - 1)));
    result_.products = k;
    // The first product of a space cannot have seen both ends, however small its residual.
    const bool known = result_.error <= bound_ && (k > 1 || beta == 0);
    if (known || beta == 0 || k >= most_) {
      Eigen::VectorXd x = Eigen::VectorXd::Zero(basis_[0].size());
      for (Eigen::Index i = 0; i < k; ++i) x += s(i, 0) * basis_[static_cast<size_t>(i)];
      result_.direction.assign(x.data(), x.data() + x.size());
    }
    return known;
  }

  double bound_;
  int64_t most_;
  double scale_ = 0;
  std::vector<Eigen::VectorXd> basis_;
  std::vector<double> alpha_, beta_;
  Spectrum result_;
};

absl::Status Check(const Model& model, const Tensor& y, const LanczosOptions& o) {
  if (y.shape().rank() != 2 || y.shape()[1] != model.d() || y.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("points must be f32 [n, ", model.d(), "], got ", Name(y.dtype()), y.shape().ToString()));
  }
  if (!(o.tolerance > 0) || !std::isfinite(o.tolerance)) {
    return absl::InvalidArgumentError(absl::StrCat("the tolerance must be positive, got ", o.tolerance));
  }
  if (o.max_products < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_products must be >= 1, got ", o.max_products));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Spectrum>> ExtremeCurvatures(Model& model, const Tensor& y, const LanczosOptions& options) {
  if (absl::Status s = Check(model, y, options); !s.ok()) return s;
  absl::StatusOr<Landscape> landscape = Landscape::Create(model, options.pool);
  if (!landscape.ok()) return landscape.status();
  const size_t n = static_cast<size_t>(y.shape()[0]), d = static_cast<size_t>(model.d());
  std::vector<Spectrum> spectra(n);
  for (size_t begin = 0; begin < n; begin += kPointsAtATime) {
    const size_t count = std::min(kPointsAtATime, n - begin);
    std::vector<Krylov> spaces(count, Krylov(options, model.sigma(), model.d()));
    std::vector<size_t> under_way;
    for (size_t i = 0; i < count; ++i) under_way.push_back(i);
    while (!under_way.empty()) {
      std::vector<double> points, directions, products(under_way.size() * d);
      for (size_t i : under_way) {
        const std::span<const float> at = y.data<float>().subspan((begin + i) * d, d);
        points.insert(points.end(), at.begin(), at.end());
        const Eigen::VectorXd& v = spaces[i].next();
        directions.insert(directions.end(), v.data(), v.data() + d);
      }
      if (absl::Status s = landscape->HessianTimes(points, directions, products); !s.ok()) return s;
      std::vector<size_t> remaining;
      for (size_t k = 0; k < under_way.size(); ++k) {
        const size_t i = under_way[k];
        const std::span<const double> product(products.data() + k * d, d);
        if (!std::all_of(product.begin(), product.end(), [](double v) { return std::isfinite(v); })) {
          return absl::FailedPreconditionError(absl::StrCat("the Hessian of φ is not finite at point ", begin + i));
        }
        if (spaces[i].Add(product)) {
          spectra[begin + i] = spaces[i].result();
        } else {
          remaining.push_back(i);
        }
      }
      under_way = std::move(remaining);
    }
  }
  return spectra;
}

}  // namespace neb
