#include "autodiff/tape.h"

#include <bit>
#include <cstring>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace autodiff {

const Node& Var::node() const { return tape_->node(id_); }

const Shape& Var::shape() const {
  static const Shape& scalar = *new Shape();
  return ok() ? node().shape : scalar;
}

int64_t Var::dim(int axis) const {
  if (axis < 0) axis += rank();
  return axis >= 0 && axis < rank() ? shape()[axis] : 1;
}

const char* Name(OpKind kind) {
  switch (kind) {
    case OpKind::kInput:
      return "input";
    case OpKind::kConstant:
    case OpKind::kTensor:
      return "constant";
    case OpKind::kElementwise:
      return "elementwise";
    case OpKind::kBroadcast:
      return "broadcast_to";
    case OpKind::kSum:
      return "sum";
    case OpKind::kMax:
      return "max";
    case OpKind::kReshape:
      return "reshape";
    case OpKind::kPermute:
      return "permute";
    case OpKind::kSlice:
      return "slice";
    case OpKind::kPad:
      return "pad";
    case OpKind::kConcat:
      return "concat";
    case OpKind::kMatmul:
      return "matmul";
    case OpKind::kConv:
      return "conv2d";
    case OpKind::kConvInputAdjoint:
      return "conv2d_input_adjoint";
    case OpKind::kConvWeightAdjoint:
      return "conv2d_weight_adjoint";
    case OpKind::kStopGradient:
      return "stop_gradient";
  }
  return "?";
}

double Node::constant() const { return std::bit_cast<double>(attributes[0]); }

const char* Node::op_name() const { return kind == OpKind::kElementwise ? Name(elementwise) : Name(kind); }

Var Tape::Input(std::string name, Shape shape, SourceLocation location) {
  if (!shape.valid()) {
    return Fail("input", absl::StrCat("\"", name, "\" cannot have shape ", shape.ToString()), location);
  }
  Node node;
  node.kind = OpKind::kInput;
  node.shape = std::move(shape);
  node.name = std::move(name);
  node.attributes = {num_inputs_++};
  return Append(std::move(node));
}

Var Tape::Constant(double value, Shape shape, SourceLocation location) {
  if (!shape.valid()) return Fail("constant", absl::StrCat("cannot have shape ", shape.ToString()), location);
  Node node;
  node.kind = OpKind::kConstant;
  node.shape = std::move(shape);
  node.attributes = {std::bit_cast<int64_t>(value)};
  return Append(std::move(node));
}

Var Tape::Constant(const Tensor& value) {
  Node node;
  node.kind = OpKind::kTensor;
  node.shape = value.shape();
  node.tensor = std::make_shared<const Tensor>(value.dtype() == dtype_ ? value : value.Cast(dtype_));
  return Append(std::move(node));
}

Var Tape::Fail(const char* op, const std::string& message, SourceLocation location) {
  if (call_site_.file != nullptr) location = call_site_;
  if (status_.ok()) {
    std::string where = location.file == nullptr ? "" : absl::StrCat(" (", location.file, ":", location.line, ")");
    status_ = absl::InvalidArgumentError(absl::StrCat(op, ": ", message, where));
  }
  return Var(this, -1);
}

Var Tape::Append(Node node) {
  const int id = size();
  node.location = call_site_.file != nullptr ? call_site_ : location_;
  node.gradient_of = gradient_of_;
  if (gradient_of_ >= 0) node.location = this->node(gradient_of_).location;
  nodes_.push_back(std::move(node));
  const auto [it, inserted] = unique_.insert(id);
  if (!inserted) nodes_.pop_back();
  return Var(this, *it);
}

size_t Tape::NodeHash::operator()(int id) const {
  const Node& n = tape->node(id);
  // A constant array is identified by its bytes; hashing a prefix is enough, NodeEqual compares them all.
  absl::string_view prefix;
  if (n.tensor != nullptr) {
    prefix = absl::string_view(reinterpret_cast<const char*>(n.tensor->bytes()),
                               static_cast<size_t>(std::min<int64_t>(n.tensor->num_bytes(), 256)));
  }
  return absl::HashOf(n.kind, n.elementwise, n.inputs, n.shape, n.attributes, prefix);
}

bool Tape::NodeEqual::operator()(int a, int b) const {
  const Node& p = tape->node(a);
  const Node& q = tape->node(b);
  if (p.kind != q.kind || p.elementwise != q.elementwise || p.inputs != q.inputs || !(p.shape == q.shape) ||
      p.attributes != q.attributes) {
    return false;
  }
  return p.tensor == q.tensor ||
         (p.tensor != nullptr && q.tensor != nullptr &&
          std::memcmp(p.tensor->bytes(), q.tensor->bytes(), static_cast<size_t>(p.tensor->num_bytes())) == 0);
}

CallSite::CallSite(Tape* tape, SourceLocation location) {
  if (tape == nullptr || tape->call_site_.file != nullptr) return;
  tape_ = tape;
  tape_->call_site_ = location;
}

CallSite::~CallSite() {
  if (tape_ != nullptr) tape_->call_site_ = {};
}

}  // namespace autodiff
