#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/pairwise.h"
#include "neb/sample_quality.h"

namespace neb {

using autodiff::Tensor;

namespace {

constexpr int64_t kMaxForMedian = 1000;

// Up to `count` rows of x and y together, evenly spaced.
Tensor EvenlySpaced(const Tensor& x, const Tensor& y, int64_t count) {
  const int64_t n = x.shape()[0], all = n + y.shape()[0];
  count = std::min(count, all);
  const auto d = static_cast<size_t>(x.shape()[1]);
  Tensor out({count, x.shape()[1]});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = i * all / count;
    const std::span<const float> from = row < n ? x.data<float>().subspan(static_cast<size_t>(row) * d, d)
                                                : y.data<float>().subspan(static_cast<size_t>(row - n) * d, d);
    std::copy(from.begin(), from.end(), out.data<float>().subspan(static_cast<size_t>(i) * d, d).begin());
  }
  return out;
}

double MedianDistance(const Tensor& x, const Tensor& y) {
  const Tensor points = EvenlySpaced(x, y, kMaxForMedian);
  std::vector<float> squared;
  SquaredDistances(points, points).ForEachRow(nullptr, [&](int64_t i, std::span<const float> row) {
    squared.insert(squared.end(), row.begin() + i + 1, row.end());
  });
  const auto middle = squared.begin() + static_cast<std::ptrdiff_t>(squared.size() / 2);
  std::nth_element(squared.begin(), middle, squared.end());
  return std::sqrt(static_cast<double>(*middle));
}

// Σ_j k(a_i, b_j) for each i; without j = i when the sets are the same one.
std::vector<double> KernelSums(const Tensor& a, const Tensor& b, bool same, double bandwidth,
                               autodiff::ThreadPool* pool) {
  std::vector<double> sums(static_cast<size_t>(a.shape()[0]));
  const float scale = static_cast<float>(-0.5 / (bandwidth * bandwidth));
  SquaredDistances(a, b).ForEachRow(pool, [&](int64_t i, std::span<const float> row) {
    double sum = 0;
    for (size_t j = 0; j < row.size(); ++j) {
      if (!same || static_cast<int64_t>(j) != i) sum += static_cast<double>(std::exp(scale * row[j]));
    }
    sums[static_cast<size_t>(i)] = sum;
  });
  return sums;
}

double Total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// The estimate from sums of k over ordered pairs: within n points, within m points, between them.
double Unbiased(double within_x, double n, double within_y, double m, double between) {
  return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m);
}

// (n − 1)/n Σ (u_i − mean)²
double JackknifeVariance(const std::vector<double>& leave_one_out) {
  const double n = static_cast<double>(leave_one_out.size()), mean = Total(leave_one_out) / n;
  double sum = 0;
  for (double u : leave_one_out) sum += (u - mean) * (u - mean);
  return sum * (n - 1) / n;
}

}  // namespace

absl::StatusOr<Discrepancy> MeanDiscrepancy(const Tensor& x, const Tensor& y, const DiscrepancyOptions& options) {
  if (absl::Status s = CheckPoints("x", x, 3); !s.ok()) return s;
  if (absl::Status s = CheckPoints("y", y, 3); !s.ok()) return s;
  if (absl::Status s = CheckSameWidth(x, y); !s.ok()) return s;
  const double bandwidth = options.bandwidth == 0 ? MedianDistance(x, y) : options.bandwidth;
  if (!(bandwidth > 0) || !std::isfinite(bandwidth)) {
    return absl::InvalidArgumentError(options.bandwidth == 0
                                          ? std::string("the median distance between the points is 0: give a bandwidth")
                                          : absl::StrCat("the bandwidth must be positive, got ", options.bandwidth));
  }
  const std::vector<double> xx = KernelSums(x, x, true, bandwidth, options.pool);
  const std::vector<double> yy = KernelSums(y, y, true, bandwidth, options.pool);
  const std::vector<double> xy = KernelSums(x, y, false, bandwidth, options.pool);
  const std::vector<double> yx = KernelSums(y, x, false, bandwidth, options.pool);
  const double n = static_cast<double>(xx.size()), m = static_cast<double>(yy.size());
  const double within_x = Total(xx), within_y = Total(yy), between = Total(xy);
  // Without one point, its pairs are missing from the sums.
  std::vector<double> without_x, without_y;
  for (size_t i = 0; i < xx.size(); ++i) {
    without_x.push_back(Unbiased(within_x - 2 * xx[i], n - 1, within_y, m, between - xy[i]));
  }
  for (size_t j = 0; j < yy.size(); ++j) {
    without_y.push_back(Unbiased(within_x, n, within_y - 2 * yy[j], m - 1, between - yx[j]));
  }
  return Discrepancy{.value = Unbiased(within_x, n, within_y, m, between),
                     .standard_error = std::sqrt(JackknifeVariance(without_x) + JackknifeVariance(without_y)),
                     .bandwidth = bandwidth};
}

}  // namespace neb
