// Pass 5: divides the work of a program whose samples do not mix into shards of the batch.
//
// A shard of a few samples runs through many instructions with its values in one core's cache, and threads that work
// on different shards need not meet. What mixes samples is computed on the whole batch, between the shards: so a
// program becomes stages, whole and sharded in turn (whole first; most programs have one sharded stage and a whole one
// that adds up gradients and updates parameters).
//
//   whole   0   what parameters alone decide, if shards need it
//   sharded 1   noise, φ, ∇φ, loss, gradients: for each shard the sum over its own samples
//   whole   2   the sums over the shards, in order; products that sum over the batch and have large results; Adam
//
// How many shards there are depends on the program and the batch only, never on the threads, and so do the results.
#ifndef NEB_AUTODIFF_PASSES_SHARD_H_
#define NEB_AUTODIFF_PASSES_SHARD_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// What is to be sharded: a simplified graph and its results.
struct ShardRequest {
  const Tape* graph = nullptr;
  std::vector<int> roots;        // nodes; the first `updates.size()` are the new values of tape inputs
  std::vector<int64_t> updates;  // which tape inputs these are (their index)
  std::vector<int64_t> samples;  // tape inputs whose first axis counts samples
  int64_t batch = 0;             // its extent, the same for all of them
  int64_t shards = 0;            // 0: as many as pay, which may be none
};

// Where a value that a stage reads or writes lives: in the caller's tensors, or in a buffer between stages.
struct StageValue {
  enum Place { kInput, kResult, kBuffer };
  Place place = kBuffer;
  int64_t index = 0;  // of the tape input, the root, or the buffer
  // Shard s, whose first sample is b, has its own part: elements b · per_sample + s · per_shard onwards.
  int64_t per_sample = 0;
  int64_t per_shard = 0;
};

// A stage as a program of its own. On `tape`, what is by samples has the extents of one shard.
struct StageGraph {
  std::unique_ptr<Tape> tape;
  std::vector<Var> inputs;         // made by Tape::Input; read only
  std::vector<Var> before, after;  // state
  std::vector<Var> outputs;
};

struct Stage {
  bool sharded = false;
  // One graph, or two: the second is for a last shard with fewer samples.
  std::vector<StageGraph> graphs;
  std::vector<StageValue> inputs, state, outputs;  // as in the graphs
};

struct ShardPlan {
  int64_t batch = 0;
  int64_t shards = 0;
  std::vector<Stage> stages;
  std::vector<int64_t> buffers;  // elements

  int64_t samples = 0;  // of each shard but the last, which may have fewer
  // First sample of shard s; that of shard `shards` is the batch.
  int64_t FirstSample(int64_t s) const { return std::min(s * samples, batch); }
};

// None when sharding would gain nothing: a small program or batch, or large parameters and few samples.
std::optional<ShardPlan> PlanShards(const ShardRequest& request);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_SHARD_H_
