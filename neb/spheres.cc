#include "neb/spheres.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/point_distances.h"

namespace neb {

using autodiff::Tensor;

namespace {

constexpr int64_t kPanel = PackedPoints::kPanel;

struct Pair {
  double squared = 0;  // the distance
  int64_t i = -1, j = -1;
};
// Ties go to the first pair, whichever thread came upon it.
bool Before(const Pair& a, const Pair& b) { return std::make_pair(a.i, a.j) < std::make_pair(b.i, b.j); }
bool Closer(const Pair& a, const Pair& b) { return a.squared < b.squared || (a.squared == b.squared && Before(a, b)); }
bool Farther(const Pair& a, const Pair& b) { return a.squared > b.squared || (a.squared == b.squared && Before(a, b)); }

// What one thread has seen. None of it depends on the order in which pairs come.
struct Seen {
  FloatHistogram squared;
  Pair closest{std::numeric_limits<double>::infinity()}, farthest{-1};
};

// Counts the pairs of a tile, of panels a <= b. Returns the sum of their distances.
double CountTile(const double* tile, int64_t a, int64_t b, int64_t n, Seen& seen) {
  const int64_t rows = std::min(kPanel, n - a * kPanel), columns = std::min(kPanel, n - b * kPanel);
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = a == b ? i + 1 : 0; j < columns; ++j) {
      const double squared = tile[i * kPanel + j];
      sum += std::sqrt(squared);
      seen.squared.Add(static_cast<float>(squared));
      const Pair pair{squared, a * kPanel + i, b * kPanel + j};
      if (Closer(pair, seen.closest)) seen.closest = pair;
      if (Farther(pair, seen.farthest)) seen.farthest = pair;
    }
  }
  return sum;
}

double ExactDistance(const Tensor& x, const Pair& pair) {
  const int64_t d = x.shape()[1];
  double squared = 0;
  for (int64_t k = 0; k < d; ++k) {
    const double r = x.at(pair.i * d + k) - x.at(pair.j * d + k);
    squared += r * r;
  }
  return std::sqrt(squared);
}

}  // namespace

void FloatHistogram::Add(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  std::unique_ptr<Page>& page = pages_[bits >> 23];
  if (page == nullptr) page = std::make_unique<Page>();
  ++(*page)[bits >> (23 - kKeptBits) & (kPageSize - 1)];
}

void FloatHistogram::Add(const FloatHistogram& other) {
  for (size_t p = 0; p < pages_.size(); ++p) {
    if (other.pages_[p] == nullptr) continue;
    if (pages_[p] == nullptr) pages_[p] = std::make_unique<Page>();
    for (size_t i = 0; i < kPageSize; ++i) (*pages_[p])[i] += (*other.pages_[p])[i];
  }
}

namespace {

// The lower bound of a bin, and with one past the last bin that of the next page.
double LowerBound(size_t page, size_t bin, int kept_bits) {
  return std::bit_cast<float>(static_cast<uint32_t>((page << 23) + (bin << (23 - kept_bits))));
}

}  // namespace

double FloatHistogram::AtRank(int64_t rank) const {
  double before = 0;
  for (size_t p = 0; p < pages_.size(); ++p) {
    for (size_t i = 0; pages_[p] != nullptr && i < kPageSize; ++i) {
      const double count = static_cast<double>((*pages_[p])[i]);
      if (before + count > static_cast<double>(rank)) {
        const double low = LowerBound(p, i, kKeptBits), high = LowerBound(p, i + 1, kKeptBits);
        // k values spread evenly lie at 1/2k, 3/2k, … of the bin.
        return low + (high - low) * (static_cast<double>(rank) - before + 0.5) / count;
      }
      before += count;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double FloatHistogram::CountBelow(double bound) const {
  double before = 0;
  for (size_t p = 0; p < pages_.size(); ++p) {
    for (size_t i = 0; pages_[p] != nullptr && i < kPageSize; ++i) {
      const double low = LowerBound(p, i, kKeptBits), high = LowerBound(p, i + 1, kKeptBits);
      if (bound <= low) return before;
      before += static_cast<double>((*pages_[p])[i]) * std::min(1.0, (bound - low) / (high - low));
    }
  }
  return before;
}

absl::StatusOr<Chi> Chi::Measure(const Tensor& x, autodiff::ThreadPool* pool) {
  if (x.dtype() != autodiff::DType::kF32 || x.shape().rank() != 2 || x.shape()[0] < 2 || x.shape()[1] < 1) {
    return absl::InvalidArgumentError(absl::StrCat("χ is of pairs of samples: expected f32 [n, d] with n >= 2, d >= 1,",
                                                   " got ", Name(x.dtype()), x.shape().ToString()));
  }
  const int64_t n = x.shape()[0], d = x.shape()[1];
  float largest = 0;
  const std::span<const float> values = x.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(absl::StrCat("sample ", static_cast<int64_t>(i) / d, " is not finite"));
    }
    largest = std::max(largest, std::abs(values[i]));
  }
  // Coordinates within [−1, 1], so that no square overflows, nor underflows where it matters.
  const int exponent = largest == 0 ? 0 : std::clamp(-std::ilogb(largest) - 1, -126, 126);
  const PackedPoints points(x, std::ldexp(1.0f, exponent));

  // Threads take rows of tiles as they come. What is added up in float64 is kept apart by row, so that it does not
  // matter who took which.
  const int64_t panels = points.panels();
  std::vector<Seen> seen(static_cast<size_t>(pool == nullptr ? 1 : pool->threads()));
  std::vector<double> sums(static_cast<size_t>(panels), 0.0);
  std::atomic<int64_t> next = 0;
  const auto work = [&](int thread) {
    std::vector<double> tile(static_cast<size_t>(kPanel * kPanel));
    for (int64_t a = next++; a < panels; a = next++) {
      for (int64_t b = a; b < panels; ++b) {
        SquaredDistances(points.panel(a), points.panel(b), d, tile.data());
        sums[static_cast<size_t>(a)] += CountTile(tile.data(), a, b, n, seen[static_cast<size_t>(thread)]);
      }
    }
  };
  if (pool == nullptr) {
    work(0);
  } else {
    pool->Run(work);
  }

  Chi chi;
  for (size_t t = 1; t < seen.size(); ++t) {
    seen[0].squared.Add(seen[t].squared);
    if (Closer(seen[t].closest, seen[0].closest)) seen[0].closest = seen[t].closest;
    if (Farther(seen[t].farthest, seen[0].farthest)) seen[0].farthest = seen[t].farthest;
  }
  double sum = 0;
  for (double s : sums) sum += s;
  const double diameter = 2 * std::sqrt(static_cast<double>(d)), scale = std::ldexp(1.0, exponent);
  chi.pairs_ = n * (n - 1) / 2;
  chi.mean_ = sum / static_cast<double>(chi.pairs_) / (scale * diameter);
  chi.min_ = ExactDistance(x, seen[0].closest) / diameter;
  chi.max_ = ExactDistance(x, seen[0].farthest) / diameter;
  chi.closest_ = {seen[0].closest.i, seen[0].closest.j};
  chi.farthest_ = {seen[0].farthest.i, seen[0].farthest.j};
  chi.unit_ = 1 / (scale * diameter);
  chi.unit_ *= chi.unit_;
  chi.squared_ = std::move(seen[0].squared);
  return chi;
}

double Chi::Quantile(double q) const {
  if (q <= 0) return min_;
  if (q >= 1) return max_;
  const double rank = q * static_cast<double>(pairs_ - 1);
  const int64_t below = static_cast<int64_t>(rank), above = std::min(below + 1, pairs_ - 1);
  const double low = std::sqrt(unit_ * squared_.AtRank(below)), high = std::sqrt(unit_ * squared_.AtRank(above));
  return std::clamp(low + (rank - static_cast<double>(below)) * (high - low), min_, max_);
}

double Chi::Overlapping(double sigma) const {
  if (!(sigma > min_)) return 0;
  if (sigma > max_) return 1;
  return squared_.CountBelow(sigma * sigma / unit_) / static_cast<double>(pairs_);
}

std::vector<double> Chi::Counts(double low, double high, int bins) const {
  std::vector<double> counts;
  const auto below = [&](int i) {
    return static_cast<double>(pairs_) * Overlapping(low + (high - low) * static_cast<double>(i) / bins);
  };
  for (int i = 0; i < bins; ++i) counts.push_back(below(i + 1) - below(i));
  return counts;
}

absl::StatusOr<double> SigmaFromGeometry(const Tensor& x, const SigmaChoice& choice, autodiff::ThreadPool* pool) {
  if (!(choice.quantile >= 0 && choice.quantile <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("the quantile of χ must be in [0, 1], got ", choice.quantile));
  }
  if (!(choice.multiple > 0) || !std::isfinite(choice.multiple)) {
    return absl::InvalidArgumentError(absl::StrCat("the multiple of χ must be positive, got ", choice.multiple));
  }
  const absl::StatusOr<Chi> chi = Chi::Measure(x, pool);
  if (!chi.ok()) return chi.status();
  const double sigma = choice.multiple * chi->Quantile(choice.quantile);
  if (sigma > 0) return sigma;
  return absl::InvalidArgumentError(
      absl::StrCat("the ", choice.quantile, " quantile of χ is 0: too many of the samples are equal"));
}

}  // namespace neb
