#include "autodiff/passes/join_products.h"

#include <utility>

#include "autodiff/passes/readers.h"

namespace autodiff {
namespace {

bool CanJoin(OpKind kind) { return kind == OpKind::kMatmul || kind == OpKind::kConvWeightAdjoint; }

// A product or a sum of products: the node that stands for its terms, and their operands in pairs. Empty otherwise.
struct Sum {
  int first = 0;  // a term; the others are like it
  std::vector<int> operands;
};

bool Joinable(const Tape& tape, const Sum& p, const Sum& q) {
  if (p.operands.empty() || q.operands.empty() || p.operands.size() + q.operands.size() > 2 * kMaxTerms) return false;
  const Node& a = tape.node(p.first);
  const Node& b = tape.node(q.first);
  if (a.kind != b.kind || a.attributes != b.attributes || !(a.shape == b.shape)) return false;
  if (a.kind == OpKind::kMatmul) return true;  // each term has its own summed axis
  for (size_t i = 0; i < 2; ++i) {
    if (!(tape.node(a.inputs[i]).shape == tape.node(b.inputs[i]).shape)) return false;
  }
  return true;
}

}  // namespace

std::vector<Var> JoinProducts(absl::Span<const Var> roots, Tape& to) {
  if (roots.empty()) return {};
  const Tape& from = *roots[0].tape();
  const size_t size = static_cast<size_t>(from.size());
  const std::vector<int> readers = CountReaders(roots);

  std::vector<Sum> sums(size);
  std::vector<bool> absorbed(size, false);
  for (int id = 0; id < from.size(); ++id) {
    const Node& n = from.node(id);
    Sum& sum = sums[static_cast<size_t>(id)];
    if (CanJoin(n.kind)) sum = {id, {n.inputs.begin(), n.inputs.end()}};
    if (n.kind != OpKind::kElementwise || n.elementwise != Elementwise::add) continue;
    const size_t a = static_cast<size_t>(n.inputs[0]), b = static_cast<size_t>(n.inputs[1]);
    if (readers[a] != 1 || readers[b] != 1 || !Joinable(from, sums[a], sums[b])) continue;
    sum = sums[a];
    sum.operands.insert(sum.operands.end(), sums[b].operands.begin(), sums[b].operands.end());
    absorbed[a] = absorbed[b] = true;
  }

  std::vector<int> mapped(size, -1);
  for (int id = 0; id < from.size(); ++id) {
    const size_t i = static_cast<size_t>(id);
    if (absorbed[i]) continue;
    Node node = from.node(sums[i].operands.empty() ? id : sums[i].first);
    if (!sums[i].operands.empty()) node.inputs.assign(sums[i].operands.begin(), sums[i].operands.end());
    for (int& input : node.inputs) input = mapped[static_cast<size_t>(input)];
    mapped[i] = to.Append(std::move(node)).id();
  }
  std::vector<Var> result;
  for (Var r : roots) result.push_back(to.var(mapped[static_cast<size_t>(r.id())]));
  return result;
}

}  // namespace autodiff
