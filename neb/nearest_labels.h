// Which class does a sample belong to? The label of its nearest labelled samples, and what a chain of them visits.
//
//   absl::StatusOr<std::vector<Labelled>> of = NearestLabels(jumps, train.x, train_labels, /*neighbours=*/5);
//   ClassVisits visits = VisitsOf(labels_of_one_chain, /*hold=*/10);     // visits.held: classes it stayed in
#ifndef NEB_NEB_NEAREST_LABELS_H_
#define NEB_NEB_NEAREST_LABELS_H_

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

struct Labelled {
  int label = 0;
  int64_t nearest = 0;  // the row of `among` that is nearest
  double distance = 0;  // to it, Euclidean
  double share = 0;     // of the neighbours that have this label: 1 when they agree
};
// The k-nearest-neighbour rule (Cover & Hart 1967): for each row of x [n, d] the most frequent label among the
// `neighbours` nearest rows of `among` [m, d]; of equally frequent ones, that of the nearest row. Distances are exact;
// of equally near rows, the first counts. Independent of the pool's threads. O(n m d) time. InvalidArgument: points as
// of sample_quality.h, other than m labels, neighbours not in [1, m].
absl::StatusOr<std::vector<Labelled>> NearestLabels(const autodiff::Tensor& x, const autodiff::Tensor& among,
                                                    std::span<const int> labels, int64_t neighbours,
                                                    autodiff::ThreadPool* pool = nullptr);

struct ClassVisits {
  std::map<int, int64_t> count;    // of each class that occurs
  std::map<int, int64_t> longest;  // and its longest stretch without another class between
  int64_t held = 0;                // classes whose longest stretch is at least `hold`
  int64_t changes = 0;             // places where one class follows another
};
// What a chain's labels, in the order of time, say about how it mixes.
ClassVisits VisitsOf(std::span<const int> labels, int64_t hold);

}  // namespace neb

#endif  // NEB_NEB_NEAREST_LABELS_H_
