// The geometry of noisy samples ([NEB] §3; METHOD.md §5): in R^d the noise σε has a length near σ√d, so around each
// sample lies a sphere of that radius, and
//
//   χ_ij = ‖x_i − x_j‖ / (2√d)
//
// is the σ at which the spheres of samples i and j begin to overlap. Beyond σ_c = max χ all of them do.
//
//   absl::StatusOr<Chi> chi = Chi::Measure(test.x, &pool);   // all 49,995,000 pairs of MNIST's test images
//   chi->sigma_c();                                          // 0.2870
//   chi->Quantile(0.5);                                      // 0.183: half of the pairs overlap at this σ
#ifndef NEB_NEB_SPHERES_H_
#define NEB_NEB_SPHERES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

// Counts of non-negative finite floats in bins whose width is 2⁻¹³ (1.2e-4) of their lower bound: the bits of a float,
// read as an integer, grow with it. Memory grows with the number of powers of two that occur, 64 KB each.
class FloatHistogram {
 public:
  void Add(float value);
  void Add(const FloatHistogram& other);

  // The value of rank 0, 1, ... in the order of all; those of one bin are taken as evenly spread in it. The rank is
  // below the number of values.
  double AtRank(int64_t rank) const;
  // How many values are below `bound`, those of its own bin in proportion.
  double CountBelow(double bound) const;

 private:
  static constexpr int kKeptBits = 13;  // of the mantissa's 23
  static constexpr int kPageSize = 1 << kKeptBits;
  using Page = std::array<int64_t, kPageSize>;
  std::array<std::unique_ptr<Page>, 256> pages_;  // one for each exponent; null: empty
};

// The distribution of χ over all pairs of different rows.
class Chi {
 public:
  // x [n, d], float32, finite, n >= 2, d >= 1. O(n² d) time: about a second on one AVX-512 core for 10,000 × 784;
  // memory: a copy of x. The same for any number of threads.
  static absl::StatusOr<Chi> Measure(const autodiff::Tensor& x, autodiff::ThreadPool* pool = nullptr);

  int64_t pairs() const { return pairs_; }
  // Exact to float64's rounding for the pairs below, which are the extreme ones up to float32's rounding.
  double min() const { return min_; }
  double max() const { return max_; }
  double sigma_c() const { return max_; }
  // Relative error below 1e-6.
  double mean() const { return mean_; }
  // Rows i < j of the closest and of the farthest pair; of several, the first.
  std::pair<int64_t, int64_t> closest() const { return closest_; }
  std::pair<int64_t, int64_t> farthest() const { return farthest_; }

  // The value that a share q of the pairs is below: linear between order statistics, as NumPy's quantile. Relative
  // error below 1e-4 (the bins' width, halved by the square root; within a bin the values are taken as evenly spread).
  // q in [0, 1]; Quantile(0) = min(), Quantile(1) = max().
  double Quantile(double q) const;
  // The share of the pairs whose spheres overlap at this σ: of those with χ < σ.
  double Overlapping(double sigma) const;
  // For plotting: the number of pairs in each of `bins` >= 1 equal intervals between low < high.
  std::vector<double> Counts(double low, double high, int bins) const;

 private:
  int64_t pairs_ = 0;
  double min_ = 0, max_ = 0, mean_ = 0;
  std::pair<int64_t, int64_t> closest_, farthest_;
  double unit_ = 1;  // χ² = unit_ times what is in the histogram
  FloatHistogram squared_;
};

struct SigmaChoice {
  double quantile = 1;  // of χ, in [0, 1]; 1 is σ_c
  double multiple = 1;  // of that quantile, positive
};
// A σ for data x [n, d] from its geometry: multiple × quantile of χ. {} is σ_c; {.quantile = 0.5} the σ at which half
// of the pairs overlap. InvalidArgument also when that is 0 (all samples equal, or too many duplicates).
absl::StatusOr<double> SigmaFromGeometry(const autodiff::Tensor& x, const SigmaChoice& choice = {},
                                         autodiff::ThreadPool* pool = nullptr);

}  // namespace neb

#endif  // NEB_NEB_SPHERES_H_
