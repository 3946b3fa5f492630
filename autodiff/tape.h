// The tape: a record of which operations were applied to which values. It holds shapes and operations, never numbers.
//
//   Tape tape;                                // float32
//   Var y = tape.Input("y", {128, 784});
//   Var phi = 0.5 * sum(square(y), {1});      // recorded, not computed; see ops.h
//   Var score = grad(phi, y);                 // recorded on the same tape; see grad.h
//
// Recording the same operation on the same operands twice gives the same node (hash-consing), so common
// subexpressions are shared from the start. A tape only grows. It is not thread-safe.
#ifndef NEB_AUTODIFF_TAPE_H_
#define NEB_AUTODIFF_TAPE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "autodiff/kernels/elementwise.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"

namespace autodiff {

class Tape;
struct Node;

// A value on a tape: a handle, cheap to copy. A Var that came out of a mistake is *poisoned*: it can be used like any
// other, every result of it is poisoned too, and compiling reports the tape's first mistake.
class Var {
 public:
  Var() = default;  // belongs to no tape

  Tape* tape() const { return tape_; }
  int id() const { return id_; }
  bool ok() const { return tape_ != nullptr && id_ >= 0; }
  const Node& node() const;
  // The shape; [] when poisoned.
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  // Extent of an axis; negative axes count from the end. 1 when there is no such axis.
  int64_t dim(int axis) const;

  friend bool operator==(Var a, Var b) = default;

 private:
  friend class Tape;
  Var(Tape* tape, int id) : tape_(tape), id_(id) {}
  Tape* tape_ = nullptr;
  int id_ = -1;
};

// A line of the caller's source. `__builtin_FILE()` as a default argument names the call, not the declaration.
struct SourceLocation {
  const char* file = nullptr;
  int line = 0;
  static SourceLocation Here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

// An operand: a Var or a number, together with the place in the source where it was handed over. Every op takes its
// operands this way, so that an error can name the user's line. Not for use in signatures of energies: take a Var.
class Arg {
 public:
  Arg(Var var, const char* file = __builtin_FILE(), int line = __builtin_LINE())  // NOLINT: implicit by design
      : var_(var), location_{file, line} {}
  Arg(double number, const char* file = __builtin_FILE(), int line = __builtin_LINE())  // NOLINT: implicit by design
      : number_(number), is_number_(true), location_{file, line} {}

  bool is_number() const { return is_number_; }
  double number() const { return number_; }
  Var var() const { return var_; }
  Tape* tape() const { return var_.tape(); }
  SourceLocation location() const { return location_; }

 private:
  Var var_;
  double number_ = 0;
  bool is_number_ = false;
  SourceLocation location_;
};

// A compiled program's matmul and convolutions may be sums of several products: pairs of inputs (join_products.h).
enum class OpKind : uint8_t {
  kInput,        // attributes: index among the tape's inputs
  kConstant,     // one number in every element; attributes: bits of the double
  kTensor,       // constant array: Node::tensor
  kElementwise,  // Node::elementwise; all inputs have the node's shape; attributes: none (see passes/recompute.h)
  kBroadcast,    // NumPy-broadcast to the node's shape
  kSum,          // attributes: first and last+1 of the axes that are summed away
  kMax,          // the same, maximum
  kReshape,
  kPermute,            // attributes: output axis i is input axis attributes[i]
  kSlice,              // attributes: first index per axis; the node's shape gives the extents
  kPad,                // attributes: zeros before, per axis; the node's shape gives the extents
  kConcat,             // attributes: axis
  kMatmul,             // attributes: transpose_a, transpose_b
  kConv,               // attributes: stride_h, stride_w, pad_top, pad_bottom, pad_left, pad_right
  kConvInputAdjoint,   // the same
  kConvWeightAdjoint,  // the same
  kStopGradient,
};
const char* Name(OpKind kind);

using Attributes = absl::InlinedVector<int64_t, 6>;

struct Node {
  OpKind kind = OpKind::kInput;
  Elementwise elementwise{};
  absl::InlinedVector<int, 3> inputs;  // ids of earlier nodes
  Shape shape;
  Attributes attributes;
  std::shared_ptr<const Tensor> tensor;
  // Not part of the identity of a node:
  std::string name;  // of an input
  SourceLocation location;
  int gradient_of = -1;  // the node whose gradient rule appended this one; -1: none, it is the user's own

  double constant() const;  // kConstant only
  // "matmul", "tanh", ...
  const char* op_name() const;
};

class Tape {
 public:
  explicit Tape(DType dtype = DType::kF32) : dtype_(dtype), unique_(0, NodeHash{this}, NodeEqual{this}) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  DType dtype() const { return dtype_; }

  // A value that is given at each run. Two inputs are never the same node.
  Var Input(std::string name, Shape shape, SourceLocation location = SourceLocation::Here());
  // A scalar, or an array with this number in every element.
  Var Constant(double value, Shape shape = {}, SourceLocation location = SourceLocation::Here());
  // A copy of an array, rounded to the tape's dtype.
  Var Constant(const Tensor& value);

  // The first mistake, or OK. It stays: a tape with an error compiles to that error.
  const absl::Status& status() const { return status_; }
  // Records `op: message (file:line)` as the first mistake if there was none; returns a poisoned Var.
  Var Fail(const char* op, const std::string& message, SourceLocation location);

  int size() const { return static_cast<int>(nodes_.size()); }
  const Node& node(int id) const { return nodes_[static_cast<size_t>(id)]; }
  Var var(int id) { return Var(this, id); }

  // For the recording functions: nodes appended from now on come from this place of the user's source.
  void set_location(SourceLocation location) { location_ = location; }
  // For grad: nodes appended from now on belong to the gradient of this node, and to its place; -1: to no gradient.
  void set_gradient_of(int id) { gradient_of_ = id; }

  // For the recording functions: appends the node, or returns the equal one that is there already. The inputs must be
  // on this tape and the shape right.
  Var Append(Node node);

 private:
  friend class CallSite;
  struct NodeHash {
    const Tape* tape;
    size_t operator()(int id) const;
  };
  struct NodeEqual {
    const Tape* tape;
    bool operator()(int a, int b) const;
  };

  DType dtype_;
  std::deque<Node> nodes_;
  absl::flat_hash_set<int, NodeHash, NodeEqual> unique_;
  absl::Status status_;
  SourceLocation location_;
  SourceLocation call_site_;
  int gradient_of_ = -1;
  int64_t num_inputs_ = 0;
};

// While it lives, mistakes are reported at `arg`'s line: a layer opens one so that an error inside names the line that
// called the layer. The outermost one counts.
class CallSite {
 public:
  CallSite(Tape* tape, SourceLocation location);
  explicit CallSite(const Arg& arg) : CallSite(arg.tape(), arg.location()) {}
  ~CallSite();
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;

 private:
  Tape* tape_ = nullptr;  // null when an outer one is open
};

}  // namespace autodiff

#endif  // NEB_AUTODIFF_TAPE_H_
