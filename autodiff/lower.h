// Internal: turns the steps of a schedule into instructions that know where their operands live.
#ifndef NEB_AUTODIFF_LOWER_H_
#define NEB_AUTODIFF_LOWER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autodiff/chain.h"
#include "autodiff/passes/schedule.h"
#include "autodiff/tape.h"

namespace autodiff {

struct Instruction {
  std::string name;
  // Computes part `part` of `parts`. `bases` resolves Locations; `scratch` is this thread's own.
  std::function<void(std::byte* const* bases, std::byte* scratch, int part, int parts)> run;
  std::vector<Location> reads;
  std::vector<Location> writes;
  int64_t scratch_bytes = 0;
  bool parallel = false;        // worth splitting over threads
  bool barrier_before = false;  // set by the program: must not start before all earlier ones have ended
};

// Where the value of any node starts; constants and views included.
using LocationOf = std::function<Location(int id)>;
// Whether the value of a node of a chain must be in memory.
using IsStored = std::function<bool(int id)>;

// The chain of a step of elementwise nodes.
ChainSpec MakeChainSpec(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored, bool fuse);

Instruction LowerChain(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored, bool fuse);
// The instructions of any other node.
std::vector<Instruction> LowerNode(const Tape& tape, int id, const LocationOf& where);
// Copies a value of `bytes` bytes.
Instruction LowerCopy(const Location& from, const Location& to);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_LOWER_H_
