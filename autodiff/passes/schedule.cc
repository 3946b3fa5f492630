#include "autodiff/passes/schedule.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <tuple>
#include <utility>

namespace autodiff {
namespace {

// More nodes than this in a chain gain nothing, and their values no longer fit in the first-level cache.
constexpr size_t kMaxChain = 96;

class UnionFind {
 public:
  explicit UnionFind(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), size_t{0}); }
  size_t Find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) { parent_[Find(a)] = Find(b); }

 private:
  std::vector<size_t> parent_;
};

// The number of values that must be kept for computing `id` at depth d instead of earlier, and that would otherwise be
// gone by then; what is read by nobody else comes along. 2 stands for more, too.
int Held(const Tape& tape, const Depths& depths, int id, int d) {
  int count = 0;
  for (const auto& [source, direct] : Reads(tape, id, /*fuse=*/true)) {
    const size_t s = static_cast<size_t>(source);
    if (IsPassive(tape, source) || depths.is_root[s]) continue;
    bool lives_anyway = false, comes_along = direct;
    for (const Reader& r : depths.readers[s]) {
      lives_anyway = lives_anyway || (r.node != id && depths.depth[static_cast<size_t>(r.node)] >= d);
      comes_along = comes_along && r.node == id;
    }
    if (!lives_anyway) count += comes_along ? std::min(1, Held(tape, depths, source, d)) : 1;
    if (count > 1) break;
  }
  return count;
}

// Moves nodes to the chain of their readers; readers first, so that what only a moved node reads can follow.
void Sink(const Tape& tape, Depths& depths) {
  for (auto it = depths.active.rbegin(); it != depths.active.rend(); ++it) {
    const size_t id = static_cast<size_t>(*it);
    const std::vector<Reader>& readers = depths.readers[id];
    if (tape.node(*it).kind != OpKind::kElementwise || depths.is_root[id] || readers.empty()) continue;
    const int d = depths.depth[static_cast<size_t>(readers[0].node)];
    const bool one_depth = std::all_of(readers.begin(), readers.end(), [&](const Reader& r) {
      return r.direct && depths.depth[static_cast<size_t>(r.node)] == d;
    });
    // A value that is kept takes the place of this one.
    if (one_depth && d > depths.depth[id] && Held(tape, depths, *it, d) <= 1) depths.depth[id] = d;
  }
}

}  // namespace

bool IsView(const Tape& tape, int id, int64_t* offset) {
  const Node& n = tape.node(id);
  *offset = 0;
  if (n.kind == OpKind::kReshape || n.kind == OpKind::kStopGradient) return true;
  if (n.kind != OpKind::kSlice) return false;
  // A slice is contiguous when every axis inside the outermost cut one is whole and every axis outside has extent 1.
  const Shape& from = tape.node(n.inputs[0]).shape;
  const Shape strides = from.Strides();
  bool outer_is_one = true;
  for (int i = 0; i < from.rank(); ++i) {
    const bool cut = n.shape[i] != from[i];
    if (cut && !outer_is_one) return false;
    outer_is_one = outer_is_one && n.shape[i] == 1;
    *offset += n.attributes[static_cast<size_t>(i)] * strides[i];
  }
  return true;
}

Storage StorageOf(const Tape& tape, int id) {
  Storage s{id, 0};
  for (int64_t offset; IsView(tape, s.node, &offset); s.node = tape.node(s.node).inputs[0]) s.offset += offset;
  return s;
}

bool IsPassive(const Tape& tape, int id) {
  int64_t offset;
  const OpKind kind = tape.node(id).kind;
  return kind == OpKind::kInput || kind == OpKind::kConstant || kind == OpKind::kTensor || IsView(tape, id, &offset);
}

bool IsBroadcastLoad(const Tape& tape, int id) { return tape.node(id).kind == OpKind::kBroadcast; }

absl::InlinedVector<Edge, 3> Reads(const Tape& tape, int id, bool fuse) {
  const auto is_elementwise = [&](int n) { return tape.node(n).kind == OpKind::kElementwise; };
  const bool chain = fuse && is_elementwise(id);
  absl::InlinedVector<Edge, 3> result;
  for (int source : tape.node(id).inputs) {
    bool direct = chain;
    for (; chain && IsBroadcastLoad(tape, source); direct = false) source = tape.node(source).inputs[0];
    const Storage s = StorageOf(tape, source);
    direct = direct && is_elementwise(s.node) && s.offset == 0 &&
             tape.node(s.node).shape.num_elements() == tape.node(id).shape.num_elements();
    result.push_back({s.node, direct});
  }
  return result;
}

Depths FindDepths(const Tape& tape, absl::Span<const int> roots, bool fuse) {
  const size_t size = static_cast<size_t>(tape.size());
  auto is_elementwise = [&](int id) { return tape.node(id).kind == OpKind::kElementwise; };
  // Nodes whose value is needed in memory or in a chain; a broadcast only when something else than a chain reads it.
  std::vector<bool> needed(size, false);
  for (int r : roots) needed[static_cast<size_t>(r)] = true;
  for (int id = tape.size() - 1; id >= 0; --id) {
    if (!needed[static_cast<size_t>(id)]) continue;
    for (int input : tape.node(id).inputs) {
      int source = input;
      if (fuse && is_elementwise(id)) {
        while (IsBroadcastLoad(tape, source)) source = tape.node(source).inputs[0];
      }
      needed[static_cast<size_t>(source)] = true;
    }
  }

  Depths result;
  result.depth.assign(size, 0);
  result.readers.resize(size);
  result.is_root.assign(size, false);
  auto& [active, depth, readers, is_root] = result;
  for (int id = 0; id < tape.size(); ++id) {
    if (!needed[static_cast<size_t>(id)] || IsPassive(tape, id)) continue;
    active.push_back(id);
    for (const auto& [source, direct] : Reads(tape, id, fuse)) {
      const int border = direct || IsPassive(tape, source) ? 0 : 1;
      depth[static_cast<size_t>(id)] =
          std::max(depth[static_cast<size_t>(id)], depth[static_cast<size_t>(source)] + border);
      readers[static_cast<size_t>(source)].push_back({id, direct});
    }
  }
  for (int r : roots) is_root[static_cast<size_t>(StorageOf(tape, r).node)] = true;
  if (fuse) Sink(tape, result);
  return result;
}

std::vector<Step> Schedule(const Tape& tape, absl::Span<const int> roots, bool fuse) {
  const size_t size = static_cast<size_t>(tape.size());
  const Depths depths = FindDepths(tape, roots, fuse);
  const std::vector<int>& active = depths.active;
  const std::vector<int>& depth = depths.depth;
  auto is_elementwise = [&](int id) { return tape.node(id).kind == OpKind::kElementwise; };
  auto reads = [&](int id) { return Reads(tape, id, fuse); };

  // Chains: connected by an edge or by a common operand of full size, at equal depth and size.
  UnionFind chains(size);
  if (fuse) {
    std::map<std::tuple<int, int64_t, int>, int> reader;  // (depth, elements, operand) -> a node that reads it
    for (int id : active) {
      if (!is_elementwise(id)) continue;
      const int64_t n = tape.node(id).shape.num_elements();
      const int d = depth[static_cast<size_t>(id)];
      for (const auto& [source, direct] : reads(id)) {
        const size_t s = static_cast<size_t>(source);
        if (direct && depth[s] == d) {
          chains.Join(static_cast<size_t>(id), s);
        } else if (tape.node(source).kind != OpKind::kConstant && tape.node(source).shape.num_elements() == n) {
          const auto [it, first] = reader.emplace(std::make_tuple(d, n, source), id);
          if (!first) chains.Join(static_cast<size_t>(id), static_cast<size_t>(it->second));
        }
      }
    }
  }
  // A chain that is too long is cut by rising id, which keeps every edge pointing forward.
  std::map<size_t, std::vector<int>> members;
  for (int id : active) members[chains.Find(static_cast<size_t>(id))].push_back(id);
  std::vector<Step> steps;
  std::vector<int> step_of(size, -1);
  for (auto& [leader, ids] : members) {
    for (size_t begin = 0; begin < ids.size(); begin += kMaxChain) {
      Step step;
      for (size_t i = begin; i < std::min(ids.size(), begin + kMaxChain); ++i) {
        step.nodes.push_back(ids[i]);
        step_of[static_cast<size_t>(ids[i])] = static_cast<int>(steps.size());
      }
      steps.push_back(std::move(step));
    }
  }

  // Topological order, the earliest recorded first.
  std::vector<std::vector<int>> followers(steps.size());
  std::vector<int> waits(steps.size(), 0);
  for (int id : active) {
    const int to = step_of[static_cast<size_t>(id)];
    for (const auto& [source, direct] : reads(id)) {
      const int from = step_of[static_cast<size_t>(source)];
      if (from < 0 || from == to) continue;
      followers[static_cast<size_t>(from)].push_back(to);
      ++waits[static_cast<size_t>(to)];
    }
  }
  auto later = [&](int a, int b) {
    return steps[static_cast<size_t>(a)].nodes[0] > steps[static_cast<size_t>(b)].nodes[0];
  };
  std::priority_queue<int, std::vector<int>, decltype(later)> ready(later);
  for (size_t s = 0; s < steps.size(); ++s) {
    if (waits[s] == 0) ready.push(static_cast<int>(s));
  }
  std::vector<Step> ordered;
  while (!ready.empty()) {
    const size_t s = static_cast<size_t>(ready.top());
    ready.pop();
    for (int f : followers[s]) {
      if (--waits[static_cast<size_t>(f)] == 0) ready.push(f);
    }
    ordered.push_back(std::move(steps[s]));
  }
  return ordered;
}

}  // namespace autodiff
