// A compiled program: the part of a tape that some outputs need, simplified, fused and laid out in one block of
// memory, ready to be replayed thousands of times.
//
//   Tape tape;
//   Var x = tape.Input("x", {128, 2}), w = tape.Input("w", {2});
//   Var loss = mean(squared_norm(x * w, {1}));
//   absl::StatusOr<Program> program =
//       Compile({.inputs = {x}, .state = {{w, w - 0.1 * grad(loss, w)}}, .outputs = {loss}});
//   program->Run({&batch}, {&weights}, {&loss_value});          // overwrites `weights`
#ifndef NEB_AUTODIFF_PROGRAM_H_
#define NEB_AUTODIFF_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "autodiff/parallel.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"

namespace autodiff {

// A tensor that a run reads and then overwrites: `before` is an input of the tape, `after` its new value. All outputs
// and new values are those of the old state, in whatever order they are listed; `after` may be another input.
struct Update {
  Var before;
  Var after;
};

struct ProgramSpec {
  std::vector<Var> inputs;  // made by Tape::Input; read only
  std::vector<Update> state;
  std::vector<Var> outputs;
  // The inputs and states (`before`) whose axis 0 counts samples, all with the same extent. Optional: with them,
  // Compile may run the program shard by shard (passes/shard.h). Nothing is promised by listing them; what mixes
  // samples is found and computed on the whole batch. Sums over the samples are then added up in another order.
  std::vector<Var> samples = {};
  // The inputs that may stay as they are for many runs: the weights while a walk goes on. See RunAgain. Optional.
  std::vector<Var> fixed = {};
};

struct CompileOptions {
  // false: no simplification and no fusion, one instruction per node. For tests.
  bool optimize = true;
  // false: a product and the sum that it goes into are rounded each (passes/contract.h). Then nothing but the order of
  // sums makes a result differ from the unoptimised one.
  bool contract = true;
  // Runs use these threads; results do not depend on their number. Null: the calling thread only. Must outlive the
  // program.
  ThreadPool* pool = nullptr;
  // Into how many shards the samples are divided; 0: as many as pay, 1: none. For tests.
  int64_t shards = 0;
};

// What a program holds and does, for tests and for the curious.
struct ProgramStats {
  int instructions = 0;
  int fused_nodes = 0;  // elementwise nodes that run inside a chain with others
  int64_t arena_bytes = 0;
  int64_t unplanned_bytes = 0;    // what the arena would take if no two values shared memory
  int64_t scratch_bytes = 0;      // per thread
  int64_t shards = 0;             // 0: the program is not sharded
  int64_t shard_arena_bytes = 0;  // per thread
  int64_t packed_bytes = 0;       // what products keep of fixed inputs
};

class Program {
 public:
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  // Computes all outputs and the new state. Tensors are matched with the spec by position and must have the shapes and
  // the dtype of the tape (InvalidArgument otherwise, and nothing is touched). No tensor may be given twice, except the
  // same one in two inputs. Allocates nothing. Not thread-safe: one run of one program, and of one pool, at a time.
  absl::Status Run(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                   absl::Span<Tensor* const> outputs);
  // The same, with the same bits, when the inputs that are `fixed` in the spec are the tensors of the last run and have
  // not changed since. The first such run packs those that are factors of products, which costs about what five runs
  // gain by it and takes (of memory that Compile has asked for) as much as they do once or twice more. Errors: also
  // FailedPrecondition when one of them does not lie where it did in the last run.
  absl::Status RunAgain(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                        absl::Span<Tensor* const> outputs);

  const ProgramStats& stats() const;
  // One line per instruction: what it computes, from where to where.
  std::string ToString() const;

 private:
  friend absl::StatusOr<Program> Compile(const ProgramSpec& spec, const CompileOptions& options);
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  absl::Status Execute(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                       absl::Span<Tensor* const> outputs, bool again);
  std::unique_ptr<Impl> impl_;
};

// Errors: the first mistake recorded on the tape; a Var of another tape; an output that needs an input which is not
// listed (named); a state update of another shape.
absl::StatusOr<Program> Compile(const ProgramSpec& spec, const CompileOptions& options = {});

// Compiles and runs once. For tests, examples and other places that are not in a hurry.
absl::StatusOr<std::vector<Tensor>> Evaluate(const std::vector<Var>& outputs, const std::vector<Var>& inputs = {},
                                             const std::vector<Tensor>& values = {},
                                             const CompileOptions& options = {});

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PROGRAM_H_
