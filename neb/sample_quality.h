// How good samples are: their distance from data as distributions, and from the single samples that were learned.
//
//   absl::StatusOr<Measured> far = SlicedWasserstein(jumps, held_out.x, {});
//   absl::StatusOr<Discrepancy> mmd = MeanDiscrepancy(jumps, held_out.x, {});    // differ if value >> standard_error
//   absl::StatusOr<std::vector<Nearest>> copied = NearestSamples(jumps, train.x);
//
// All points are rows of float32 tensors, [n, d], finite; InvalidArgument otherwise. Results do not depend on the
// number of threads.
#ifndef NEB_NEB_SAMPLE_QUALITY_H_
#define NEB_NEB_SAMPLE_QUALITY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

struct Measured {
  double value = 0;
  double standard_error = 0;
};

// The p-Wasserstein distance between two sets of numbers, of equal weight within each: (∫ |F⁻¹(u) − G⁻¹(u)|^p du)^(1/p)
// over 0 < u < 1, exact also for sets of different sizes. Sorts its arguments. Neither may be empty; p >= 1.
double Wasserstein1D(std::vector<float>& a, std::vector<float>& b, int p);

struct SlicedWassersteinOptions {
  int64_t directions = 256;
  int p = 2;  // 1 or 2
  uint64_t seed = 1;
  autodiff::ThreadPool* pool = nullptr;
};
// (mean of W_p^p over random directions)^(1/p), W_p the distance between the sets' projections (Rabin, Peyré, Delon,
// Bernot 2012; Bonneel et al. 2015). The standard error is that of the choice of directions, not of the samples: two
// sets of draws of one distribution have a distance above 0, so compare with that of data and data. x: [n, d], y:
// [m, d], n and m >= 1. O(directions · ((n + m) d + n log n + m log m)) time.
absl::StatusOr<Measured> SlicedWasserstein(const autodiff::Tensor& x, const autodiff::Tensor& y,
                                           const SlicedWassersteinOptions& options);

struct DiscrepancyOptions {
  // h of the kernel exp(−‖a − b‖²/2h²). 0: the median of the distances between points of both sets together (of up to
  // 1,000 of them, evenly spaced).
  double bandwidth = 0;
  autodiff::ThreadPool* pool = nullptr;
};
struct Discrepancy {
  double value = 0;  // MMD²; its expectation is 0 for equal distributions, so it may be negative
  double standard_error =
      0;  // by the jackknife over both sets; too large, by up to √2, where the distributions are equal
  double bandwidth = 0;
};
// The unbiased estimate of the squared maximum mean discrepancy (Gretton et al., JMLR 13, 2012, eq. 3). x: [n, d], y:
// [m, d], n and m >= 3. O((n + m)² d) time.
absl::StatusOr<Discrepancy> MeanDiscrepancy(const autodiff::Tensor& x, const autodiff::Tensor& y,
                                            const DiscrepancyOptions& options);

struct Nearest {
  int64_t index = 0;    // the row of `among`; of equally near ones, the first
  double distance = 0;  // Euclidean
};
// The nearest row of `among` [m, d] to each row of x [n, d]; exact. A jump that lies much nearer to its nearest
// training sample than held-out samples do is memorised: measure those too. O(n m d) time.
absl::StatusOr<std::vector<Nearest>> NearestSamples(const autodiff::Tensor& x, const autodiff::Tensor& among,
                                                    autodiff::ThreadPool* pool = nullptr);

}  // namespace neb

#endif  // NEB_NEB_SAMPLE_QUALITY_H_
