// Internal to the passes: who reads a value.
#ifndef NEB_AUTODIFF_PASSES_READERS_H_
#define NEB_AUTODIFF_PASSES_READERS_H_

#include <vector>

#include "absl/types/span.h"
#include "autodiff/tape.h"

namespace autodiff {

// By node of the roots' tape: how many inputs of nodes and how many roots it is.
inline std::vector<int> CountReaders(absl::Span<const Var> roots) {
  const Tape& tape = *roots[0].tape();
  std::vector<int> readers(static_cast<size_t>(tape.size()), 0);
  for (int id = 0; id < tape.size(); ++id) {
    for (int input : tape.node(id).inputs) ++readers[static_cast<size_t>(input)];
  }
  for (Var r : roots) ++readers[static_cast<size_t>(r.id())];
  return readers;
}

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PASSES_READERS_H_
