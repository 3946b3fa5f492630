#include "autodiff/passes/epilogues.h"

#include <algorithm>
#include <utility>

#include "autodiff/tensor.h"

namespace autodiff {
namespace {

constexpr int64_t kLine = 64;  // bytes; chains write whole vectors, so pieces of a row must not share one

bool IsLargeProduct(const Tape& tape, int id) {
  const Node& n = tape.node(id);
  const int64_t size = SizeOf(tape.dtype());
  return n.kind == OpKind::kMatmul && n.shape.rank() == 2 && n.shape[1] * size % kLine == 0 &&
         n.shape.num_elements() * size >= kMinEpilogueBytes;
}

}  // namespace

void FuseEpilogues(const Tape& tape, absl::Span<const int> roots, std::vector<Step>& steps) {
  const size_t size = static_cast<size_t>(tape.size());
  // The step that alone reads a node, element by element, and what says that there is none.
  constexpr int kUnread = -1, kUnfit = -2;
  std::vector<int> reader(size, kUnread);
  std::vector<size_t> step_of(size, steps.size());
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int id : steps[s].nodes) {
      step_of[static_cast<size_t>(id)] = s;
      const bool chain = tape.node(id).kind == OpKind::kElementwise;
      for (int input : tape.node(id).inputs) {
        int source = input;
        while (chain && IsBroadcastLoad(tape, source)) source = tape.node(source).inputs[0];
        const Storage storage = StorageOf(tape, source);
        int& at = reader[static_cast<size_t>(storage.node)];
        const bool dense = chain && source == input && storage.offset == 0 &&
                           tape.node(storage.node).shape.num_elements() == tape.node(id).shape.num_elements();
        at = dense && (at == kUnread || at == static_cast<int>(s)) ? static_cast<int>(s) : kUnfit;
      }
    }
  }
  for (int r : roots) reader[static_cast<size_t>(StorageOf(tape, r).node)] = kUnfit;

  for (int id = 0; id < tape.size(); ++id) {
    const size_t i = static_cast<size_t>(id);
    if (reader[i] < 0 || step_of[i] == steps.size() || !IsLargeProduct(tape, id)) continue;
    Step& chain = steps[static_cast<size_t>(reader[i])];
    if (chain.product >= 0) continue;
    chain.product = id;
    steps[step_of[i]].nodes.clear();
  }
  steps.erase(std::remove_if(steps.begin(), steps.end(), [](const Step& s) { return s.nodes.empty(); }), steps.end());
}

}  // namespace autodiff
