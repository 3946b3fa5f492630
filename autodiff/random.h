// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). There is no generator to carry around and no order of execution: a draw is a pure function of (seed,
// stream, step, index), so any split over calls or threads gives the same bits.
//
//   NoiseKey key{.seed = 1, .stream = kDataNoise, .step = step};
//   FillNormal(key, 0, noise.data<float>());    // the whole batch
//   FillNormal(key, begin, std::span(shard));   // or any part of it: draws begin, begin + 1, ...
//
// Each function on a key draws from its own part of the sequence (also float against double), so a normal and a
// uniform of the same key and index are independent. The same call twice is the same numbers: advance `step`.
#ifndef NEB_AUTODIFF_RANDOM_H_
#define NEB_AUTODIFF_RANDOM_H_

#include <cstdint>
#include <span>

#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace autodiff {

// Names a sequence of draws. Keys of one seed that differ in stream or step name disjoint parts of Philox's output,
// keys of different seeds another permutation of it:
//   Philox key      seed (64 bits)
//   counter word 0  block number, bits 0-31          word 1, bits 0-15   block number, bits 32-47
//   counter word 2  step, bits 0-31                  word 1, bits 16-31  step, bits 32-47
//   counter word 3  bits 0-23 stream; bits 24-31 which function draws
// One block is four 32-bit words, and Philox is a bijection of counters, so blocks are different whenever one of these
// fields is: no two uses, steps or chains (a chain is a range of indices) ever share a draw. Hence the limits, beyond
// which every function aborts rather than overlap: stream < 2^24, step < 2^48, 0 <= index < 2^48. Under another seed
// the same counters give other blocks; two of them may be equal, as two random numbers may.
struct NoiseKey {
  uint64_t seed = 0;    // which experiment; any value
  uint64_t stream = 0;  // which use of randomness in it, see Stream
  uint64_t step = 0;    // which iteration, epoch or parameter, as the use defines it
};

// Uses of randomness in this project. Further ones: kFirstFreeStream + 0, 1, 2, ...
enum Stream : uint64_t {
  kInitialization = 0,   // first values of parameters; step: number of the parameter
  kDataNoise = 1,        // noise added to training samples; step: training step
  kShuffling = 2,        // order of the training samples; step: epoch
  kEvaluationNoise = 3,  // noise added to held-out samples; step: evaluation
  kStarts = 4,           // where chains and descents start
  kWalkNoise = 5,        // noise driving a chain; step: iteration of the chain
  kAcceptance = 6,       // accept/reject decisions of a chain; step: iteration of the chain
  kSynthetic = 7,        // data drawn from a known distribution
  kFarSamples = 8,       // points off the data, for training; step: training step
  kDirections = 9,       // random directions that samples are projected on; step: unused
  kInnerSamples = 10,    // points inside the spheres of noise, for training; step: training step
  kFirstFreeStream = 64,
};

// out[i] is draw number begin + i of a standard normal, by the Box-Muller transform.
// float: radii from 32 bits, so |z| < 6.77 (a normal exceeds this with probability 1.3e-11); angles from 30 bits.
// double: radii from 64 bits (rounded to double), so |z| < 9.5 (probability 2e-21). Never infinite or NaN.
// The transform's relative error is below 4e-7 (float) and 8e-16 (double). It starts from the same bits on every SIMD
// target; the last bits of log, sin and cos may differ between targets.
void FillNormal(const NoiseKey& key, int64_t begin, std::span<float> out);
void FillNormal(const NoiseKey& key, int64_t begin, std::span<double> out);

// The whole of `out`, draws 0, 1, ... of its dtype; on the threads of `pool` unless that is null.
void FillNormal(const NoiseKey& key, ThreadPool* pool, Tensor& out);

// out[i] is draw number begin + i, uniform on [0, 1): a multiple of 2^-24 (float) or 2^-53 (double). Equal on every
// SIMD target.
void FillUniform(const NoiseKey& key, int64_t begin, std::span<float> out);
void FillUniform(const NoiseKey& key, int64_t begin, std::span<double> out);

// Draw number `index` of 64 random bits.
uint64_t RandomBits(const NoiseKey& key, int64_t index);

// Draw number `index`, uniform on {0, ..., bound - 1} without modulo bias (values of the bits above the largest
// multiple of `bound` are rejected and drawn anew). bound >= 1.
int64_t RandomInteger(const NoiseKey& key, int64_t index, int64_t bound);

// Fisher and Yates' shuffle: every order of `values` is equally likely. Uses RandomInteger(key, i, i + 1), i > 0.
void Shuffle(const NoiseKey& key, std::span<int64_t> values);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_RANDOM_H_
