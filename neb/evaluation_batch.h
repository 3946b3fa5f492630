// Internal: the batch sizes that points are evaluated in.
#ifndef NEB_NEB_EVALUATION_BATCH_H_
#define NEB_NEB_EVALUATION_BATCH_H_

#include <cstdint>

namespace neb {

// Points are cut into batches of at most kMaxBatch. At least kMinBatch, because products of up to four rows add up in
// another order (see autodiff/kernels/gemm.h).
inline constexpr int64_t kMinBatch = 8;
inline constexpr int64_t kMaxBatch = 128;

// The smallest batch that holds n points, or kMaxBatch: among few sizes, so that a varying n does not compile each
// time.
constexpr int64_t BatchFor(int64_t n) {
  int64_t batch = kMinBatch;
  while (batch < n && batch < kMaxBatch) batch *= 2;
  return batch;
}

}  // namespace neb

#endif  // NEB_NEB_EVALUATION_BATCH_H_
