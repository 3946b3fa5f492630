#include <algorithm>
#include <cmath>
#include <limits>

#include "neb/pairwise.h"
#include "neb/sample_quality.h"
#include "neb/statistics.h"

namespace neb {

using autodiff::Tensor;

absl::StatusOr<std::vector<Nearest>> NearestSamples(const Tensor& x, const Tensor& among, autodiff::ThreadPool* pool) {
  if (absl::Status s = CheckPoints("x", x, 0); !s.ok()) return s;
  if (absl::Status s = CheckPoints("among", among, 1); !s.ok()) return s;
  if (absl::Status s = CheckSameWidth(x, among); !s.ok()) return s;
  std::vector<Nearest> nearest(static_cast<size_t>(x.shape()[0]));
  const auto d = static_cast<size_t>(x.shape()[1]);
  const SquaredDistances squared(x, among);
  squared.ForEachRow(pool, [&](int64_t i, std::span<const float> row) {
    // The products tell which rows can be the nearest; of those, the differences themselves are squared.
    const double limit = *std::min_element(row.begin(), row.end()) + 2 * squared.ErrorBound(i);
    const std::span<const float> point = x.data<float>().subspan(static_cast<size_t>(i) * d, d);
    double smallest = std::numeric_limits<double>::infinity();
    Nearest& best = nearest[static_cast<size_t>(i)];
    for (size_t j = 0; j < row.size(); ++j) {
      if (row[j] > limit) continue;
      const double exact = SquaredDistance(point, among.data<float>().subspan(j * d, d));
      if (exact >= smallest) continue;
      smallest = exact;
      best = {.index = static_cast<int64_t>(j), .distance = std::sqrt(exact)};
    }
  });
  return nearest;
}

}  // namespace neb
