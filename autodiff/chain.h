// Internal: a chain of elementwise ops, run tile by tile. A tile is a run of elements short enough for all values of
// the chain to stay in the first-level cache, so an expression of many ops reads and writes main memory once.
#ifndef NEB_AUTODIFF_CHAIN_H_
#define NEB_AUTODIFF_CHAIN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "autodiff/kernels/elementwise.h"
#include "autodiff/shape.h"

namespace autodiff {

// Where a value lives: an entry of the table of base pointers that a run is given, and bytes from there.
struct Location {
  int space = 0;
  int64_t offset = 0;  // bytes
  int64_t bytes = 0;
};

// An operand from memory. `strides` (in elements, 0 = repeated) are over `dims`, the chain's elements in row-major
// order; a dense operand has neither.
struct ChainLoad {
  Location location;
  bool dense = true;
  Shape dims;
  Shape strides;
};

// Operands are numbered: first the constants, then the loads, then the results of the ops before this one.
struct ChainOp {
  Elementwise op{};
  absl::InlinedVector<int, 3> operands;
  bool stored = false;
  Location location;  // when stored
};

struct ChainSpec {
  int64_t num_elements = 0;
  std::vector<double> constants;
  std::vector<ChainLoad> loads;
  std::vector<ChainOp> ops;
};

template <typename T>
class Chain {
 public:
  explicit Chain(const ChainSpec& spec);

  int64_t scratch_bytes() const { return scratch_bytes_; }
  int64_t tile() const { return tile_; }

  // Computes part `part` of `parts` of the elements. `scratch` is aligned and this thread's own.
  void Run(std::byte* const* bases, std::byte* scratch, int part, int parts) const;

 private:
  // How an operand's tile is found.
  enum class Source : uint8_t { kMemory, kUniform, kSlot, kRefilledSlot };
  struct Operand {
    Source source = Source::kSlot;
    int slot = 0;            // all but kMemory; kUniform: one vector, the others a tile
    Location location;       // kMemory
    int load = -1;           // the load that fills the slot
    double constant = 0;     // fills the slot when load < 0 and the operand is no result
    bool prefilled = false;  // the same in every tile: filled once per run
  };
  struct Call {
    TileKernel<T> kernel;
    int a, b, c, out;  // operands
  };

  void Fill(const ChainLoad& load, const T* from, int64_t begin, int64_t n, T* to) const;
  bool IsUniform(int operand) const { return operands_[static_cast<size_t>(operand)].source == Source::kUniform; }
  void MarkUniform();
  void RunEdge(T** at, std::byte* edges, int64_t begin, int64_t n) const;
  void ChooseTile(int slots);

  ChainSpec spec_;
  std::vector<Operand> operands_;
  std::vector<Call> calls_;
  std::vector<int> streams_;  // operands in memory, each piece of memory once
  int num_uniform_ = 0;
  bool prefetch_ = false;
  int64_t tile_ = 0;
  int64_t scratch_bytes_ = 0;
};

extern template class Chain<float>;
extern template class Chain<double>;

}  // namespace autodiff

#endif  // NEB_AUTODIFF_CHAIN_H_
