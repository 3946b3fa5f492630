#include "autodiff/passes/recompute.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autodiff/passes/schedule.h"

namespace autodiff {
namespace {

// One instruction, more or less: cheaper than reading a number from beyond the first-level cache.
bool IsCheap(Elementwise op) {
  switch (op) {
    case Elementwise::neg:
    case Elementwise::abs:
    case Elementwise::square:
    case Elementwise::relu:
    case Elementwise::add:
    case Elementwise::sub:
    case Elementwise::mul:
    case Elementwise::equal:
    case Elementwise::not_equal:
    case Elementwise::less:
    case Elementwise::less_equal:
    case Elementwise::greater:
    case Elementwise::greater_equal:
    case Elementwise::maximum:
    case Elementwise::minimum:
    case Elementwise::where:
    case Elementwise::mul_add:
    case Elementwise::mul_sub:
    case Elementwise::neg_mul_add:
      return true;
    default:
      return false;
  }
}

// Which nodes are recomputed, and where. Members in the order in which they are set.
class Copies {
 public:
  Copies(const Tape& tape, absl::Span<const int> roots)
      : tape_(tape), depths_(FindDepths(tape, roots, /*fuse=*/true)), loads_(static_cast<size_t>(tape.size())) {
    for (int id : depths_.active) Decide(id);
  }

  int Depth(int id) const { return depths_.depth[static_cast<size_t>(id)]; }
  // Whether the chains of depth d compute node `id` for themselves.
  bool Has(int id, int d) const { return loads_[static_cast<size_t>(id)].count(d) > 0; }

 private:
  const std::vector<Reader>& Readers(int id) const { return depths_.readers[static_cast<size_t>(id)]; }

  // Whether the value is in memory whatever is decided about the nodes that follow it.
  bool IsStored(int id) const {
    if (IsPassive(tape_, id) || tape_.node(id).kind != OpKind::kElementwise || depths_.is_root[static_cast<size_t>(id)])
      return true;
    if (!loads_[static_cast<size_t>(id)].empty()) return false;
    return std::any_of(Readers(id).begin(), Readers(id).end(),
                       [&](const Reader& r) { return !r.direct || Depth(r.node) > Depth(id); });
  }

  // How many operands chains of depth d must read for a copy of `id` only; 2 when it cannot be made there.
  int LoadsFor(int id, int d) const {
    int loads = 0;
    const int64_t n = tape_.node(id).shape.num_elements();
    for (const auto& [source, direct] : Reads(tape_, id, /*fuse=*/true)) {
      if (tape_.node(source).kind == OpKind::kConstant || tape_.node(source).shape.num_elements() < n) continue;
      if (const auto& copies = loads_[static_cast<size_t>(source)]; copies.count(d) > 0) {
        loads += copies.at(d);
        continue;
      }
      if (!IsStored(source)) return 2;
      const bool read_anyway = std::any_of(Readers(source).begin(), Readers(source).end(), [&](const Reader& r) {
        return r.node != id && Depth(r.node) == d && tape_.node(r.node).kind == OpKind::kElementwise;
      });
      loads += read_anyway ? 0 : 1;
    }
    return loads;
  }

  // All or nothing: when one reader needs the value in memory, the others may as well read it there.
  void Decide(int id) {
    const Node& n = tape_.node(id);
    if (n.kind != OpKind::kElementwise || !IsCheap(n.elementwise) || depths_.is_root[static_cast<size_t>(id)]) return;
    std::map<int, int> loads;
    for (const Reader& r : Readers(id)) {
      const int d = Depth(r.node);
      if (!r.direct) return;
      if (d == Depth(id)) continue;
      const int here = LoadsFor(id, d);
      if (here > 1) return;
      loads[d] = here;
    }
    loads_[static_cast<size_t>(id)] = std::move(loads);
  }

  const Tape& tape_;
  const Depths depths_;
  std::vector<std::map<int, int>> loads_;  // node -> depth of a copy -> loads that it causes there
};

}  // namespace

std::vector<Var> Recompute(absl::Span<const Var> roots, Tape& to) {
  if (roots.empty()) return {};
  const Tape& from = *roots[0].tape();
  std::vector<int> ids;
  for (Var r : roots) ids.push_back(r.id());
  const Copies copies(from, ids);

  std::vector<int> mapped;                          // by node of `from`
  std::map<std::pair<int, int>, int> mapped_there;  // (node, depth): as chains of this depth see it
  auto in_chain = [&](auto& self, int id, int depth) -> int {
    const Node& n = from.node(id);
    int64_t offset;
    const bool view = IsView(from, id, &offset);
    if (!view && !copies.Has(id, depth)) return mapped[static_cast<size_t>(id)];
    const auto [it, inserted] = mapped_there.emplace(std::make_pair(id, depth), 0);
    if (!inserted) return it->second;
    Node copy = n;
    for (int& input : copy.inputs) input = self(self, input, depth);
    if (!view) copy.attributes = {depth};
    return mapped_there[{id, depth}] = to.Append(std::move(copy)).id();
  };
  for (int id = 0; id < from.size(); ++id) {
    Node node = from.node(id);
    const bool chain = node.kind == OpKind::kElementwise;
    for (int& input : node.inputs) {
      input = chain ? in_chain(in_chain, input, copies.Depth(id)) : mapped[static_cast<size_t>(input)];
    }
    mapped.push_back(to.Append(std::move(node)).id());
  }
  std::vector<Var> result;
  for (Var r : roots) result.push_back(to.var(mapped[static_cast<size_t>(r.id())]));
  return result;
}

}  // namespace autodiff
