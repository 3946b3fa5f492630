#include "autodiff/passes/contract.h"

#include <utility>

#include "autodiff/passes/readers.h"

namespace autodiff {
namespace {

bool IsElementwise(const Node& n, Elementwise op) { return n.kind == OpKind::kElementwise && n.elementwise == op; }

}  // namespace

std::vector<Var> Contract(absl::Span<const Var> roots, Tape& to) {
  if (roots.empty()) return {};
  const Tape& from = *roots[0].tape();
  const size_t size = static_cast<size_t>(from.size());
  const std::vector<int> readers = CountReaders(roots);

  std::vector<int> product(size, -1);  // by node: which of its inputs becomes a part of it
  std::vector<bool> absorbed(size, false);
  for (int id = 0; id < from.size(); ++id) {
    const Node& n = from.node(id);
    if (!IsElementwise(n, Elementwise::add) && !IsElementwise(n, Elementwise::sub)) continue;
    for (const int i : {1, 0}) {
      const int input = n.inputs[static_cast<size_t>(i)];
      if (!IsElementwise(from.node(input), Elementwise::mul) || readers[static_cast<size_t>(input)] != 1) continue;
      product[static_cast<size_t>(id)] = i;
      absorbed[static_cast<size_t>(input)] = true;
      break;
    }
  }

  std::vector<int> mapped(size, -1);
  for (int id = 0; id < from.size(); ++id) {
    const size_t at = static_cast<size_t>(id);
    if (absorbed[at]) continue;
    Node node = from.node(id);
    if (const int i = product[at]; i >= 0) {
      const Node& mul = from.node(node.inputs[static_cast<size_t>(i)]);
      node.inputs = {mul.inputs[0], mul.inputs[1], node.inputs[static_cast<size_t>(1 - i)]};
      node.elementwise = node.elementwise == Elementwise::add ? Elementwise::mul_add
                         : i == 0                             ? Elementwise::mul_sub
                                                              : Elementwise::neg_mul_add;
    }
    for (int& input : node.inputs) input = mapped[static_cast<size_t>(input)];
    mapped[at] = to.Append(std::move(node)).id();
  }
  std::vector<Var> result;
  for (Var r : roots) result.push_back(to.var(mapped[static_cast<size_t>(r.id())]));
  return result;
}

}  // namespace autodiff
