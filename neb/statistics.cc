#include "neb/statistics.h"

#include <cmath>
#include <cstdint>
#include <span>

#include "autodiff/kernels/gemm.h"
#include "neb/products.h"

namespace neb {

namespace {

template <typename T>
std::vector<double> SecondMomentIn(const autodiff::Tensor& x, const std::vector<double>& c, autodiff::ThreadPool* pool,
                                   std::span<const double> weights) {
  const int64_t n = x.shape()[0], d = x.shape()[1];
  constexpr int64_t kBlock = 512;
  constexpr autodiff::DType kDType = autodiff::DTypeOf<T>();
  const std::span<const float> values = x.data<float>();
  autodiff::Tensor centred({kBlock, d}, kDType), product({d, d}, kDType);
  T* const to = centred.data<T>().data();
  Products<T> products(pool, autodiff::GemmScratchBytes(d, d, kBlock, kDType));
  std::vector<double> moment(static_cast<size_t>(d * d), 0.0);
  int64_t rows = 0;  // in the block
  const auto add_block = [&] {
    products.Run({.m = d,
                  .n = d,
                  .k = rows,
                  .a = to,
                  .lda = d,
                  .transpose_a = true,
                  .b = to,
                  .ldb = d,
                  .c = product.data<T>().data(),
                  .ldc = d});
    const std::span<const T> sums = product.data<T>();
    for (size_t i = 0; i < moment.size(); ++i) moment[i] += static_cast<double>(sums[i]);
    rows = 0;
  };
  double total = weights.empty() ? static_cast<double>(n) : 0;
  for (int64_t i = 0; i < n; ++i) {
    const double weight = weights.empty() ? 1 : weights[static_cast<size_t>(i)];
    if (weight == 0) continue;
    if (!weights.empty()) total += weight;
    const double root = std::sqrt(weight);
    for (int64_t j = 0; j < d; ++j) {
      to[rows * d + j] = static_cast<T>(root * (values[static_cast<size_t>(i * d + j)] - c[static_cast<size_t>(j)]));
    }
    if (++rows == kBlock) add_block();
  }
  if (rows > 0) add_block();
  // Products below and above the diagonal may have been added up in different orders.
  const auto at = [&moment, d](int64_t i, int64_t j) -> double& { return moment[static_cast<size_t>(i * d + j)]; };
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j <= i; ++j) at(i, j) = at(j, i) = (at(i, j) + at(j, i)) / 2 / total;
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

std::vector<double> WeightedMean(const autodiff::Tensor& x, std::span<const double> weights) {
  const auto d = static_cast<size_t>(x.shape()[1]);
  const std::span<const float> values = x.data<float>();
  std::vector<double> mean(d, 0.0);
  double total = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    total += weights[i];
    for (size_t j = 0; j < d; ++j) mean[j] += weights[i] * static_cast<double>(values[i * d + j]);
  }
  for (double& m : mean) m /= total;
  return mean;
}

std::vector<double> SecondMoment(const autodiff::Tensor& x, const std::vector<double>& c, autodiff::DType products,
                                 autodiff::ThreadPool* pool, std::span<const double> weights) {
  return products == autodiff::DType::kF64 ? SecondMomentIn<double>(x, c, pool, weights)
                                           : SecondMomentIn<float>(x, c, pool, weights);
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
