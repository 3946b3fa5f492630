// Pass 7: places values in one arena so that values alive at the same time do not overlap.
#ifndef NEB_AUTODIFF_PASSES_MEMORY_H_
#define NEB_AUTODIFF_PASSES_MEMORY_H_

#include <cstdint>
#include <vector>

namespace autodiff {

// A value written at step `first` and read until step `last`, both included.
struct Lifetime {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
  int64_t offset = 0;  // result
};

// Sets the offsets (multiples of kAlignment) and returns the size of the arena. Greedy: the largest first, each at the
// lowest place that is free throughout its life; O(n²) in the number of values.
int64_t PlanMemory(std::vector<Lifetime>& values);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_MEMORY_H_
