// Pass 6: puts the nodes of a simplified graph in an order of execution, elementwise nodes joined into chains.
//
// Two elementwise nodes may share a chain when they run over the same number of elements and no path between them
// leaves the elementwise world. The `depth` of a node (how many chain borders lie on the longest path to it) decides
// that without a search: nodes of equal depth can have no border between them.
//
// A node whose readers are all elementwise and of one greater depth sinks into their chain, which saves storing and
// loading it, unless more than one other value would have to be kept for it until then.
#ifndef NEB_AUTODIFF_PASSES_SCHEDULE_H_
#define NEB_AUTODIFF_PASSES_SCHEDULE_H_

#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// One instruction to be: a chain of elementwise nodes, in order, or a single other node.
struct Step {
  std::vector<int> nodes;
};

// Whether a node only renames its input's memory: its value starts `*offset` elements into it.
bool IsView(const Tape& tape, int id, int64_t* offset);

// A node's memory: follow the views. offset in elements.
struct Storage {
  int node = 0;
  int64_t offset = 0;
};
Storage StorageOf(const Tape& tape, int id);

// Whether `id` needs no step: inputs, constants and views.
bool IsPassive(const Tape& tape, int id);

// Whether a chain can read this node through its broadcast instead of having it materialised.
bool IsBroadcastLoad(const Tape& tape, int id);

// A storage node that a node reads, or a node that reads it. direct: within the elementwise world, element by element,
// so that both may be in one chain.
struct Edge {
  int node;
  bool direct;
};
using Reader = Edge;
absl::InlinedVector<Edge, 3> Reads(const Tape& tape, int id, bool fuse);

// By node: its depth, who reads it, and whether it is the memory of a root. `active` are the nodes that need a step.
struct Depths {
  std::vector<int> active;
  std::vector<int> depth;
  std::vector<std::vector<Reader>> readers;
  std::vector<bool> is_root;
};
Depths FindDepths(const Tape& tape, absl::Span<const int> roots, bool fuse);

std::vector<Step> Schedule(const Tape& tape, absl::Span<const int> roots, bool fuse);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_SCHEDULE_H_
