#include <algorithm>
#include <cmath>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/kernels/gemm.h"
#include "autodiff/random.h"
#include "neb/pairwise.h"
#include "neb/sample_quality.h"

namespace neb {

using autodiff::Tensor;

namespace {

// Unit vectors, uniform on the sphere, [count, d].
Tensor Directions(int64_t count, int64_t d, uint64_t seed) {
  Tensor directions({count, d});
  autodiff::FillNormal({.seed = seed, .stream = autodiff::kDirections, .step = 0}, nullptr, directions);
  for (int64_t k = 0; k < count; ++k) {
    const std::span<float> row = directions.data<float>().subspan(static_cast<size_t>(k * d), static_cast<size_t>(d));
    double norm = 0;
    for (float v : row) norm += static_cast<double>(v) * v;
    for (float& v : row) v = static_cast<float>(v / std::sqrt(norm));
  }
  return directions;
}

// ⟨direction k, x_i⟩ for directions first .. first + count - 1, in out[k · n + i].
void Project(const Tensor& directions, int64_t first, int64_t count, const Tensor& x, std::vector<float>& out) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  out.resize(static_cast<size_t>(count * n));
  const autodiff::AlignedBytes scratch =
      autodiff::AllocateAligned(autodiff::GemmScratchBytes(count, n, d, autodiff::DType::kF32));
  autodiff::Gemm(autodiff::GemmArgs<float>{.m = count,
                                           .n = n,
                                           .k = d,
                                           .a = directions.data<float>().data() + first * d,
                                           .lda = d,
                                           .b = x.data<float>().data(),
                                           .ldb = d,
                                           .transpose_b = true,
                                           .c = out.data(),
                                           .ldc = n},
                 0, 1, scratch.get());
}

// W_p^p.
double TransportCost(std::vector<float>& a, std::vector<float>& b, int p) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  // Both quantile functions are steps: F⁻¹ ends its step i at (i + 1)/n, G⁻¹ its step j at (j + 1)/m. Places on the
  // axis are counted in units of 1/nm, without rounding.
  const auto n = static_cast<int64_t>(a.size()), m = static_cast<int64_t>(b.size());
  double sum = 0;
  for (int64_t i = 0, j = 0, place = 0; i < n && j < m;) {
    const int64_t end = std::min((i + 1) * m, (j + 1) * n);
    const double gap = std::abs(static_cast<double>(a[static_cast<size_t>(i)]) - b[static_cast<size_t>(j)]);
    sum += static_cast<double>(end - place) * (p == 1 ? gap : p == 2 ? gap * gap : std::pow(gap, p));
    place = end;
    if (end == (i + 1) * m) ++i;
    if (end == (j + 1) * n) ++j;
  }
  return sum / (static_cast<double>(n) * static_cast<double>(m));
}

}  // namespace

double Wasserstein1D(std::vector<float>& a, std::vector<float>& b, int p) {
  return std::pow(TransportCost(a, b, p), 1.0 / p);
}

absl::StatusOr<Measured> SlicedWasserstein(const Tensor& x, const Tensor& y, const SlicedWassersteinOptions& options) {
  if (absl::Status s = CheckPoints("x", x, 1); !s.ok()) return s;
  if (absl::Status s = CheckPoints("y", y, 1); !s.ok()) return s;
  if (absl::Status s = CheckSameWidth(x, y); !s.ok()) return s;
  if (options.directions < 2) {
    return absl::InvalidArgumentError(absl::StrCat("directions must be at least 2, got ", options.directions));
  }
  if (options.p != 1 && options.p != 2) {
    return absl::InvalidArgumentError(absl::StrCat("p must be 1 or 2, got ", options.p));
  }
  const Tensor directions = Directions(options.directions, x.shape()[1], options.seed);
  std::vector<double> costs(static_cast<size_t>(options.directions));
  constexpr int64_t kBlock = 16;  // directions projected on in one product; the blocks are the same for any threads
  const auto measure = [&](int64_t begin, int64_t end) {
    std::vector<float> px, py, a, b;
    for (int64_t first = begin; first < end; first += kBlock) {
      const int64_t count = std::min(kBlock, end - first);
      Project(directions, first, count, x, px);
      Project(directions, first, count, y, py);
      const auto row = [count](const std::vector<float>& all, int64_t k) {
        const auto size = static_cast<std::ptrdiff_t>(all.size()) / count;
        return std::vector<float>(all.begin() + k * size, all.begin() + (k + 1) * size);
      };
      for (int64_t k = 0; k < count; ++k) {
        a = row(px, k);
        b = row(py, k);
        costs[static_cast<size_t>(first + k)] = TransportCost(a, b, options.p);
      }
    }
  };
  if (options.pool == nullptr) {
    measure(0, options.directions);
  } else {
    options.pool->For(options.directions, kBlock, measure);
  }
  const double count = static_cast<double>(costs.size());
  double mean = 0, variance = 0;
  for (double cost : costs) mean += cost / count;
  for (double cost : costs) variance += (cost - mean) * (cost - mean) / (count - 1);
  Measured out{.value = std::pow(mean, 1.0 / options.p)};
  // Of the p-th root of a mean, to first order.
  if (mean > 0) out.standard_error = std::sqrt(variance / count) * out.value / (options.p * mean);
  return out;
}

}  // namespace neb
