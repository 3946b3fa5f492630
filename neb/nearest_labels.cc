#include "neb/nearest_labels.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "neb/pairwise.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

namespace {

// Of neighbours in the order of their distance, indices into `labels`.
std::pair<int, double> Vote(std::span<const std::pair<double, int64_t>> neighbours, std::span<const int> labels) {
  std::pair<int, int64_t> best = {0, 0};
  for (const auto& [distance, row] : neighbours) {
    const int label = labels[static_cast<size_t>(row)];
    const int64_t votes = std::count_if(neighbours.begin(), neighbours.end(), [&](const auto& other) {
      return labels[static_cast<size_t>(other.second)] == label;
    });
    if (votes > best.second) best = {label, votes};
  }
  return {best.first, static_cast<double>(best.second) / static_cast<double>(neighbours.size())};
}

}  // namespace

absl::StatusOr<std::vector<Labelled>> NearestLabels(const Tensor& x, const Tensor& among, std::span<const int> labels,
                                                    int64_t neighbours, autodiff::ThreadPool* pool) {
  if (absl::Status s = CheckPoints("x", x, 0); !s.ok()) return s;
  if (absl::Status s = CheckPoints("among", among, 1); !s.ok()) return s;
  if (absl::Status s = CheckSameWidth(x, among); !s.ok()) return s;
  const int64_t m = among.shape()[0];
  if (static_cast<int64_t>(labels.size()) != m) {
    return absl::InvalidArgumentError(absl::StrCat("expected ", m, " labels, one for each row, got ", labels.size()));
  }
  if (neighbours < 1 || neighbours > m) {
    return absl::InvalidArgumentError(absl::StrCat("neighbours must be in [1, ", m, "], got ", neighbours));
  }
  std::vector<Labelled> found(static_cast<size_t>(x.shape()[0]));
  const auto d = static_cast<size_t>(x.shape()[1]);
  const auto k = static_cast<std::ptrdiff_t>(neighbours);
  const SquaredDistances squared(x, among);
  squared.ForEachRow(pool, [&](int64_t i, std::span<const float> row) {
    // The products tell which rows can be among the k nearest; of those, the differences themselves are squared.
    std::vector<float> sorted(row.begin(), row.end());
    std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end());
    const double limit = sorted[static_cast<size_t>(k - 1)] + 2 * squared.ErrorBound(i);
    const std::span<const float> point = x.data<float>().subspan(static_cast<size_t>(i) * d, d);
    std::vector<std::pair<double, int64_t>> near;
    for (size_t j = 0; j < row.size(); ++j) {
      if (row[j] > limit) continue;
      near.emplace_back(SquaredDistance(point, among.data<float>().subspan(j * d, d)), static_cast<int64_t>(j));
    }
    std::sort(near.begin(), near.end());
    near.resize(static_cast<size_t>(k));
    const auto [label, share] = Vote(near, labels);
    found[static_cast<size_t>(i)] = {
        .label = label, .nearest = near[0].second, .distance = std::sqrt(near[0].first), .share = share};
  });
  return found;
}

ClassVisits VisitsOf(std::span<const int> labels, int64_t hold) {
  ClassVisits visits;
  int64_t stretch = 0;
  for (size_t t = 0; t < labels.size(); ++t) {
    const bool same = t > 0 && labels[t] == labels[t - 1];
    if (t > 0 && !same) ++visits.changes;
    stretch = same ? stretch + 1 : 1;
    ++visits.count[labels[t]];
    int64_t& longest = visits.longest[labels[t]];
    longest = std::max(longest, stretch);
  }
  for (const auto& [label, longest] : visits.longest) visits.held += longest >= hold ? 1 : 0;
  return visits;
}

}  // namespace neb
