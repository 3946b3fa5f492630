#include "neb/pairwise.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "autodiff/kernels/gemm.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

namespace {

constexpr int64_t kBlock = 64;  // rows of x in one product

// x about c, and the squared norms of its rows.
Tensor Centred(const Tensor& x, const std::vector<double>& c, std::vector<double>& norms) {
  Tensor out(x.shape());
  const std::span<const float> from = x.data<float>();
  const std::span<float> to = out.data<float>();
  const size_t d = c.size();
  norms.assign(from.size() / d, 0.0);
  for (size_t i = 0; i < from.size(); ++i) {
    to[i] = static_cast<float>(from[i] - c[i % d]);
    norms[i / d] += static_cast<double>(to[i]) * to[i];
  }
  return out;
}

}  // namespace

absl::Status CheckPoints(absl::string_view name, const Tensor& x, int64_t min_rows) {
  if (x.shape().rank() != 2 || x.shape()[0] < min_rows || x.shape()[1] < 1 || x.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be f32 [n, d] with n >= ", min_rows,
                                                   " and d >= 1, got ", Name(x.dtype()), x.shape().ToString()));
  }
  const std::span<const float> values = x.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": row ", static_cast<int64_t>(i) / x.shape()[1], " has the number ", values[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSameWidth(const Tensor& x, const Tensor& y) {
  if (x.shape()[1] == y.shape()[1]) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("points of different dimensions: ", x.shape().ToString(), " and ", y.shape().ToString()));
}

SquaredDistances::SquaredDistances(const Tensor& x, const Tensor& y) {
  // About their mean, points are small, and so is the rounding of ‖x‖² + ‖y‖² − 2 ⟨x, y⟩.
  const std::vector<double> mean = Mean(y);
  x_ = Centred(x, mean, x_norms_);
  y_ = Centred(y, mean, y_norms_);
  for (double norm : y_norms_) largest_y_ = std::max(largest_y_, std::sqrt(norm));
}

double SquaredDistances::ErrorBound(int64_t i) const {
  // A sum of d fused products is off by at most d u Σ|x y|; centring, norms and the last rounding by a few u more.
  const double unit = 1.0 / (1 << 24), size = std::sqrt(x_norms_[static_cast<size_t>(i)]) + largest_y_;
  return (static_cast<double>(x_.shape()[1]) + 16) * unit * size * size;
}

void SquaredDistances::ForEachRow(autodiff::ThreadPool* pool,
                                  absl::FunctionRef<void(int64_t, std::span<const float>)> see) const {
  const int64_t n = x_.shape()[0], m = y_.shape()[0], d = x_.shape()[1];
  const int threads = pool == nullptr ? 1 : pool->threads();
  const int64_t scratch_bytes = autodiff::GemmScratchBytes(kBlock, m, d, autodiff::DType::kF32);
  // Each thread has whole blocks, which are the same for any number of threads.
  const auto part = [&](int thread) {
    const auto [begin, end] = autodiff::Split(n, kBlock, thread, threads);
    if (begin >= end) return;
    Tensor block({kBlock, m});
    const autodiff::AlignedBytes scratch = autodiff::AllocateAligned(scratch_bytes);
    for (int64_t first = begin; first < end; first += kBlock) {
      const int64_t rows = std::min(kBlock, end - first);
      autodiff::Gemm(autodiff::GemmArgs<float>{.m = rows,
                                               .n = m,
                                               .k = d,
                                               .a = x_.data<float>().data() + first * d,
                                               .lda = d,
                                               .b = y_.data<float>().data(),
                                               .ldb = d,
                                               .transpose_b = true,
                                               .c = block.data<float>().data(),
                                               .ldc = m},
                     0, 1, scratch.get());
      for (int64_t r = 0; r < rows; ++r) {
        const std::span<float> row = block.data<float>().subspan(static_cast<size_t>(r * m), static_cast<size_t>(m));
        const double x_norm = x_norms_[static_cast<size_t>(first + r)];
        for (size_t j = 0; j < row.size(); ++j) {
          row[j] = static_cast<float>(std::max(0.0, x_norm + y_norms_[j] - 2.0 * row[j]));
        }
        see(first + r, row);
      }
    }
  };
  if (pool == nullptr) {
    part(0);
  } else {
    pool->Run(part);
  }
}

}  // namespace neb
