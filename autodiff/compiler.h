// Internal: turns a graph into instructions, in order, with every value placed in memory.
#ifndef NEB_AUTODIFF_COMPILER_H_
#define NEB_AUTODIFF_COMPILER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "autodiff/lower.h"
#include "autodiff/program.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"

namespace autodiff {

// A graph and what of it is wanted. Inputs are named by their index on the graph's tape.
struct CodeSpec {
  Tape* graph = nullptr;         // nodes may be appended
  std::vector<int64_t> inputs;   // read only
  std::vector<bool> fixed;       // which of them products may keep packed; as many, or none
  std::vector<int64_t> updates;  // read, and then overwritten
  std::vector<int> roots;        // nodes: the new values of `updates`, then the outputs
  bool optimize = true;
};

// Spaces that its Locations name: 0 the arena, then the constants, then the bindings: inputs, updates, outputs; then
// the packed factors.
struct Code {
  std::vector<std::unique_ptr<Tensor>> constants;
  std::vector<Instruction> instructions;
  std::vector<PackedFactor> packed;
  ProgramStats stats;
};

Code Generate(const CodeSpec& spec);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_COMPILER_H_
