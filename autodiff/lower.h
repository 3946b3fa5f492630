// Internal: turns the steps of a schedule into instructions that know where their operands live.
#ifndef NEB_AUTODIFF_LOWER_H_
#define NEB_AUTODIFF_LOWER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
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

// The right factor op(B)[k, n] of products, B an input that stays as it is for many runs: packed once for all of them
// (kernels/gemm.h).
struct PackedFactor {
  size_t input = 0;  // which of the code's read-only inputs
  int64_t k = 0, n = 0;
  bool transposed = false;

  bool operator==(const PackedFactor&) const = default;
  int64_t Bytes(DType dtype) const;
  void Pack(DType dtype, const std::byte* b, std::byte* packed, int part, int parts) const;
};
// Where such a factor will be, or nothing if the value of that node may change from run to run.
using PackedOf = std::function<std::optional<Location>(int id, int64_t k, int64_t n, bool transposed)>;

// The chain of a step of elementwise nodes.
ChainSpec MakeChainSpec(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored, bool fuse);

Instruction LowerChain(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored, bool fuse);
// The instructions of any other node.
std::vector<Instruction> LowerNode(const Tape& tape, int id, const LocationOf& where, const PackedOf& packed);
// Copies a value of `bytes` bytes.
Instruction LowerCopy(const Location& from, const Location& to);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_LOWER_H_
