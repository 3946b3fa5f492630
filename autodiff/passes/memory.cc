#include "autodiff/passes/memory.h"

#include <algorithm>
#include <numeric>

#include "autodiff/tensor.h"

namespace autodiff {

int64_t PlanMemory(std::vector<Lifetime>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a].bytes > values[b].bytes; });
  int64_t arena = 0;
  std::vector<const Lifetime*> placed;  // by rising offset
  for (size_t i : order) {
    Lifetime& v = values[i];
    const int64_t bytes = PaddedBytes(v.bytes);
    int64_t offset = 0;
    for (const Lifetime* p : placed) {
      if (p->last < v.first || v.last < p->first) continue;
      if (offset + bytes <= p->offset) break;
      offset = std::max(offset, p->offset + PaddedBytes(p->bytes));
    }
    v.offset = offset;
    arena = std::max(arena, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &v,
                                   [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  &v);
  }
  return arena;
}

}  // namespace autodiff
