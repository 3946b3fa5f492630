#include "neb/attractors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "neb/statistics.h"

namespace neb {
namespace {

std::span<const float> Row(const Tensor& x, size_t i) {
  const size_t d = static_cast<size_t>(x.shape()[1]);
  return x.data<float>().subspan(i * d, d);
}

// Whether row a is a better representative than b. Rows that are equal in both stand for the same thing.
bool Before(const Descents& descents, size_t a, size_t b) {
  const double ea = descents.rows[a].energy, eb = descents.rows[b].energy;
  if (ea != eb) return ea < eb;
  const std::span<const float> ya = Row(descents.y, a), yb = Row(descents.y, b);
  return std::lexicographical_compare(ya.begin(), ya.end(), yb.begin(), yb.end());
}

// Disjoint sets of rows (Galler & Fischer 1964).
class Sets {
 public:
  explicit Sets(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), size_t{0}); }
  size_t Find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) { parent_[Find(b)] = Find(a); }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

absl::StatusOr<Clusters> ClusterAttractors(const Descents& descents, double sigma, double gap) {
  if (!(sigma > 0) || !(gap > 0) || !std::isfinite(sigma * gap)) {
    return absl::InvalidArgumentError(absl::StrCat("σ and gap must be positive, got ", sigma, " and ", gap));
  }
  const size_t n = descents.rows.size();
  const double reach = gap * sigma, squared_gap = reach * reach * static_cast<double>(descents.y.shape()[1]);
  std::vector<size_t> converged;
  Sets sets(n);
  for (size_t i = 0; i < n; ++i) {
    if (descents.rows[i].outcome != Outcome::kConverged) continue;
    for (size_t j : converged) {
      if (sets.Find(i) == sets.Find(j)) continue;
      if (SquaredDistance(Row(descents.y, i), Row(descents.y, j)) <= squared_gap) sets.Join(i, j);
    }
    converged.push_back(i);
  }

  Clusters result{.clusters = {}, .of_row = std::vector<int64_t>(n, -1)};
  std::vector<Cluster>& clusters = result.clusters;
  std::vector<int64_t> of_root(n, -1);
  for (size_t i : converged) {
    int64_t& c = of_root[sets.Find(i)];
    if (c < 0) {
      c = static_cast<int64_t>(clusters.size());
      clusters.push_back({.representative = static_cast<int64_t>(i)});
    }
    result.of_row[i] = c;
    Cluster& cluster = clusters[static_cast<size_t>(c)];
    ++cluster.members;
    if (Before(descents, i, static_cast<size_t>(cluster.representative))) {
      cluster.representative = static_cast<int64_t>(i);
    }
  }
  for (Cluster& c : clusters) {
    c.energy = descents.rows[static_cast<size_t>(c.representative)].energy;
    c.share = static_cast<double>(c.members) / static_cast<double>(n);
  }
  std::vector<size_t> order(clusters.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (clusters[a].members != clusters[b].members) return clusters[a].members > clusters[b].members;
    return Before(descents, static_cast<size_t>(clusters[a].representative),
                  static_cast<size_t>(clusters[b].representative));
  });
  std::vector<Cluster> sorted;
  std::vector<int64_t> rank(clusters.size());
  for (size_t k = 0; k < order.size(); ++k) {
    sorted.push_back(clusters[order[k]]);
    rank[order[k]] = static_cast<int64_t>(k);
  }
  clusters = std::move(sorted);
  for (int64_t& c : result.of_row) c = c < 0 ? c : rank[static_cast<size_t>(c)];
  return result;
}

absl::StatusOr<Recall> MeasureRecall(const Tensor& rows, const Tensor& stored, std::span<const int64_t> intended,
                                     double within) {
  if (rows.shape().rank() != 2 || stored.shape().rank() != 2 || rows.shape()[1] != stored.shape()[1] ||
      stored.shape()[0] < 1 || static_cast<int64_t>(intended.size()) != rows.shape()[0] ||
      rows.dtype() != autodiff::DType::kF32 || stored.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("recall needs rows f32 [n, d], stored samples f32 [m, d] with m >= 1, and n intended ones; got ",
                     Name(rows.dtype()), rows.shape().ToString(), ", ", Name(stored.dtype()), stored.shape().ToString(),
                     " and ", intended.size()));
  }
  if (!(within >= 0)) return absl::InvalidArgumentError(absl::StrCat("within must be >= 0, got ", within));
  const int64_t n = rows.shape()[0], m = stored.shape()[0];
  Recall recall;
  int64_t recalled = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t own = intended[static_cast<size_t>(i)];
    if (own < 0 || own >= m) {
      return absl::InvalidArgumentError(absl::StrCat("row ", i, " is meant to recall sample ", own, " of ", m));
    }
    const std::span<const float> row = Row(rows, static_cast<size_t>(i));
    int64_t nearest = own;
    double smallest = SquaredDistance(row, Row(stored, static_cast<size_t>(own)));
    for (int64_t k = 0; k < m; ++k) {
      const double squared = SquaredDistance(row, Row(stored, static_cast<size_t>(k)));
      if (squared < smallest || (squared == smallest && nearest != own && k < nearest)) {
        smallest = squared;
        nearest = k;
      }
    }
    recall.nearest.push_back(nearest);
    recall.distance.push_back(std::sqrt(smallest));
    recalled += nearest == own && recall.distance.back() <= within;
  }
  recall.rate = n == 0 ? 0 : static_cast<double>(recalled) / static_cast<double>(n);
  return recall;
}

absl::StatusOr<Tensor> Occlude(const Tensor& x, const std::vector<bool>& hidden, float fill) {
  if (x.shape().rank() != 2 || x.dtype() != autodiff::DType::kF32 ||
      static_cast<int64_t>(hidden.size()) != x.shape()[1]) {
    return absl::InvalidArgumentError(absl::StrCat("occlusion needs f32 [n, d] and d flags, got ", Name(x.dtype()),
                                                   x.shape().ToString(), " and ", hidden.size()));
  }
  Tensor damaged = x;
  const std::span<float> values = damaged.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (hidden[i % hidden.size()]) values[i] = fill;
  }
  return damaged;
}

}  // namespace neb
