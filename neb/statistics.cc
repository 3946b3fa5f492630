#include "neb/statistics.h"

#include <algorithm>
#include <cstdint>
#include <span>

#include "autodiff/kernels/gemm.h"

namespace neb {

namespace {

template <typename T>
std::vector<double> SecondMomentIn(const autodiff::Tensor& x, const std::vector<double>& c,
                                   autodiff::ThreadPool* pool) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  constexpr int64_t kBlock = 512;
  constexpr autodiff::DType kDType = autodiff::DTypeOf<T>();
  const std::span<const float> values = x.data<float>();
  autodiff::Tensor centred({kBlock, d}, kDType), product({d, d}, kDType);
  const int threads = pool == nullptr ? 1 : pool->threads();
  const int64_t scratch_bytes = autodiff::GemmScratchBytes(d, d, kBlock, kDType);
  std::vector<autodiff::AlignedBytes> scratch;
  for (int t = 0; t < threads; ++t) scratch.push_back(autodiff::AllocateAligned(scratch_bytes));
  std::vector<double> moment(static_cast<size_t>(d * d), 0.0);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t rows = std::min(kBlock, n - begin);
    T* const to = centred.data<T>().data();
    for (int64_t i = 0; i < rows * d; ++i) {
      to[i] = static_cast<T>(values[static_cast<size_t>(begin * d + i)] - c[static_cast<size_t>(i % d)]);
    }
    const autodiff::GemmArgs<T> args{.m = d,
                                     .n = d,
                                     .k = rows,
                                     .a = to,
                                     .lda = d,
                                     .transpose_a = true,
                                     .b = to,
                                     .ldb = d,
                                     .transpose_b = false,
                                     .c = product.data<T>().data(),
                                     .ldc = d,
                                     .accumulate = false};
    auto part = [&](int t) { autodiff::Gemm(args, t, threads, scratch[static_cast<size_t>(t)].get()); };
    if (pool == nullptr) {
      part(0);
    } else {
      pool->Run(part);
    }
    const std::span<const T> sums = product.data<T>();
    for (size_t i = 0; i < moment.size(); ++i) moment[i] += static_cast<double>(sums[i]);
  }
  // Products below and above the diagonal may have been added up in different orders.
  const auto at = [&moment, d](int64_t i, int64_t j) -> double& { return moment[static_cast<size_t>(i * d + j)]; };
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j <= i; ++j) at(i, j) = at(j, i) = (at(i, j) + at(j, i)) / 2 / static_cast<double>(n);
  }
  return moment;
}

}  // namespace

std::vector<double> Mean(const autodiff::Tensor& x) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  const std::span<const float> values = x.data<float>();
  std::vector<double> mean(static_cast<size_t>(d), 0.0);
  for (size_t i = 0; i < values.size(); ++i) mean[i % mean.size()] += static_cast<double>(values[i]);
  for (double& m : mean) m /= static_cast<double>(n);
  return mean;
}

std::vector<double> SecondMoment(const autodiff::Tensor& x, const std::vector<double>& c, autodiff::DType products,
                                 autodiff::ThreadPool* pool) {
  return products == autodiff::DType::kF64 ? SecondMomentIn<double>(x, c, pool) : SecondMomentIn<float>(x, c, pool);
}

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t j = 0; j < a.size(); ++j) {
    const double difference = static_cast<double>(a[j]) - b[j];
    sum += difference * difference;
  }
  return sum;
}

}  // namespace neb
