#include "neb/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "autodiff/random.h"

namespace neb {
namespace {

void CheckOwn(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "neb/dataset: %s\n", what);
  std::abort();
}

// The permutation that a split is cut from. Batches shuffles with steps 0, 1, …: this one no run reaches.
constexpr uint64_t kSplitStep = (uint64_t{1} << 48) - 1;

// Row i becomes what row order[i] was, in place: cycle by cycle of the permutation, with one row set aside.
void Permute(std::vector<int64_t> order, autodiff::Tensor& x) {
  const size_t bytes = static_cast<size_t>(x.num_bytes()) / order.size();
  if (bytes == 0) return;
  std::vector<std::byte> aside(bytes);
  const auto row = [&](size_t i) { return x.bytes() + i * bytes; };
  for (size_t start = 0; start < order.size(); ++start) {
    std::memcpy(aside.data(), row(start), bytes);
    size_t to = start;
    while (static_cast<size_t>(order[to]) != start) {
      const auto from = static_cast<size_t>(std::exchange(order[to], static_cast<int64_t>(to)));
      std::memcpy(row(to), row(from), bytes);
      to = from;
    }
    order[to] = static_cast<int64_t>(to);
    std::memcpy(row(to), aside.data(), bytes);
  }
}

}  // namespace

absl::StatusOr<TrainHeldOut> Split(Dataset data, double held_out, uint64_t seed) {
  const int64_t n = data.size();
  const double wanted = held_out < 1 ? std::round(held_out * static_cast<double>(n)) : held_out;
  // Written so that NaN fails too.
  if (!(wanted >= 1 && wanted <= static_cast<double>(n - 1) && wanted == std::floor(wanted))) {
    return absl::InvalidArgumentError(absl::StrCat(data.name, ": cannot hold out ", held_out, " of ", n,
                                                   " items: expected a fraction below 1, or a whole number from 1 to ",
                                                   n - 1, ", that leaves at least one item on either side"));
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  autodiff::Shuffle({.seed = seed, .stream = autodiff::kShuffling, .step = kSplitStep}, order);
  // The first ones are held out; they go to the end.
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end());
  Permute(std::move(order), data.x);
  const int64_t rest = n - static_cast<int64_t>(wanted);
  autodiff::Shape shape = data.x.shape();
  shape[0] = static_cast<int64_t>(wanted);
  Dataset part = {.x = autodiff::Tensor(shape, data.x.dtype()),
                  .item_shape = data.item_shape,
                  .name = absl::StrCat(data.name, " (held out)")};
  const auto size = static_cast<size_t>(part.x.num_bytes());
  if (size > 0) std::memcpy(part.x.bytes(), data.x.bytes() + static_cast<size_t>(data.x.num_bytes()) - size, size);
  data.x = std::move(data.x).FirstRows(rest);
  return TrainHeldOut{.train = std::move(data), .held_out = std::move(part)};
}

Batches::Batches(int64_t n, BatchOptions options)
    : batch_size_(options.batch_size), seed_(options.seed), order_(static_cast<size_t>(std::max<int64_t>(n, 0))) {
  CheckOwn(n >= 1 && options.batch_size >= 1, "Batches: n and batch_size must be at least 1");
  batch_size_ = std::min(batch_size_, n);
  per_epoch_ = options.keep_partial ? (n + batch_size_ - 1) / batch_size_ : n / batch_size_;
}

std::span<const int64_t> Batches::At(int64_t step) {
  CheckOwn(step >= 0, "Batches::At: step must not be negative");
  const int64_t epoch = step / per_epoch_;
  if (epoch != epoch_) {
    std::iota(order_.begin(), order_.end(), 0);
    autodiff::Shuffle({.seed = seed_, .stream = autodiff::kShuffling, .step = static_cast<uint64_t>(epoch)}, order_);
    epoch_ = epoch;
  }
  const auto begin = static_cast<size_t>((step % per_epoch_) * batch_size_);
  return std::span(order_).subspan(begin, std::min(static_cast<size_t>(batch_size_), order_.size() - begin));
}

void GatherRows(const autodiff::Tensor& x, std::span<const int64_t> indices, autodiff::Tensor& out) {
  const int64_t rows = x.shape().rank() > 0 ? x.shape()[0] : 0;
  const bool same_rows = x.shape().rank() == out.shape().rank() && out.shape().rank() > 0 && x.dtype() == out.dtype() &&
                         std::equal(x.shape().begin() + 1, x.shape().end(), out.shape().begin() + 1);
  CheckOwn(same_rows, "GatherRows: out's rows differ from x's in shape or dtype");
  CheckOwn(out.shape()[0] == static_cast<int64_t>(indices.size()), "GatherRows: out's row count differs from indices'");
  if (indices.empty() || rows == 0) {
    CheckOwn(indices.empty(), "GatherRows: index out of range");
    return;
  }
  const auto row_bytes = static_cast<size_t>(x.num_bytes() / rows);
  std::byte* to = out.bytes();
  for (const int64_t index : indices) {
    CheckOwn(index >= 0 && index < rows, "GatherRows: index out of range");
    std::memcpy(to, x.bytes() + static_cast<size_t>(index) * row_bytes, row_bytes);
    to += row_bytes;
  }
}

}  // namespace neb
