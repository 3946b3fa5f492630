// What many descents found: which of them ended in one attractor, and which stored samples they recalled.
//
//   absl::StatusOr<Descents> memories = Descend(model, start, {});
//   absl::StatusOr<Clusters> clusters = ClusterAttractors(*memories, model.sigma());
//   absl::StatusOr<Recall> recall = MeasureRecall(memories->y, stored, intended, /*within=*/0.1);
#ifndef NEB_NEB_ATTRACTORS_H_
#define NEB_NEB_ATTRACTORS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tensor.h"
#include "neb/nebula.h"

namespace neb {

struct Cluster {
  int64_t representative = 0;  // the row of lowest φ in it
  double energy = 0;           // φ there
  int64_t members = 0;
  double share =
      0;  // of all starts, also those that found no attractor: the size of its basin under their distribution
};

struct Clusters {
  std::vector<Cluster> clusters;  // the largest first, among equals the one of lowest φ
  std::vector<int64_t> of_row;    // the cluster of each row; −1 for a row that did not converge
};

// Single linkage: two attractors belong together when a chain of attractors joins them with gaps of at most `gap` ·
// σ√d. The clusters do not depend on the order of the rows. (A valley of equal φ, such as a ring, becomes one cluster
// when it is densely enough hit.) O(n² d) time. InvalidArgument: a gap or σ that is not positive.
absl::StatusOr<Clusters> ClusterAttractors(const Descents& descents, double sigma, double gap = 0.01);

struct Recall {
  std::vector<int64_t> nearest;  // for each row, which stored sample it is nearest to
  std::vector<double> distance;  // and how far away that is, Euclidean
  double rate = 0;  // the share of rows whose nearest sample is the intended one, at a distance of at most `within`
};
// Compares rows [n, d], the attractors or their jumps, with stored samples [m, d], m >= 1; intended[i] in [0, m) is the
// sample that row i was made from. Of several nearest, the intended one counts, else the first. InvalidArgument:
// shapes, indices or `within` out of range.
absl::StatusOr<Recall> MeasureRecall(const Tensor& rows, const Tensor& stored, std::span<const int64_t> intended,
                                     double within);

// A damaged input: x [n, d] with `fill` at the hidden coordinates, those j with hidden[j]. InvalidArgument: another
// length than d.
absl::StatusOr<Tensor> Occlude(const Tensor& x, const std::vector<bool>& hidden, float fill = 0);

}  // namespace neb

#endif  // NEB_NEB_ATTRACTORS_H_
