#include "autodiff/lower.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/kernels/conv.h"
#include "autodiff/kernels/copy.h"
#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/reduce.h"
#include "autodiff/parallel.h"
#include "autodiff/passes/join_products.h"

namespace autodiff {
namespace {

// Below this many elements (or multiply-adds / 16) the threads' meeting costs more than it saves.
constexpr int64_t kParallelWork = 16 << 10;

template <typename T>
const T* Read(std::byte* const* bases, const Location& at) {
  return reinterpret_cast<const T*>(bases[at.space] + at.offset);
}
template <typename T>
T* Write(std::byte* const* bases, const Location& at) {
  return reinterpret_cast<T*>(bases[at.space] + at.offset);
}

// Strides of `from` when it is broadcast to `to`.
Shape BroadcastStrides(const Shape& from, const Shape& to) {
  const Shape dense = from.Strides();
  Shape strides;
  for (int i = 0; i < to.rank(); ++i) {
    const int j = i - (to.rank() - from.rank());
    strides.push_back(j < 0 || from[j] == 1 ? 0 : dense[j]);
  }
  return strides;
}

std::string Describe(const Tape& tape, int id) {
  const Node& n = tape.node(id);
  const bool product = n.kind == OpKind::kMatmul || n.kind == OpKind::kConv || n.kind == OpKind::kConvInputAdjoint ||
                       n.kind == OpKind::kConvWeightAdjoint;
  std::string text = absl::StrCat("%", id, " = ", n.op_name(), "(");
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    if (product && i > 0 && i % 2 == 0) {
      absl::StrAppend(&text, ") + ", n.op_name(), "(%", n.inputs[i]);
    } else {
      absl::StrAppend(&text, i > 0 ? ", %" : "%", n.inputs[i]);
    }
  }
  return absl::StrCat(text, ") ", n.shape.ToString());
}

template <typename T>
Instruction ChainInstruction(const ChainSpec& spec) {
  auto chain = std::make_shared<const Chain<T>>(spec);
  Instruction out;
  out.scratch_bytes = chain->scratch_bytes();
  out.run = [chain](std::byte* const* bases, std::byte* scratch, int part, int parts) {
    chain->Run(bases, scratch, part, parts);
  };
  return out;
}

template <typename T>
Instruction CopyInstruction(const StridedCopy& spec, const Location& from, const Location& to) {
  const StridedCopy copy = Simplify(spec);
  Instruction out;
  out.reads = {from};
  out.writes = {to};
  out.parallel = copy.dims.num_elements() >= kParallelWork && copy.dims.rank() > 0 && copy.dims[0] > 1;
  out.run = [copy, from, to](std::byte* const* bases, std::byte*, int part, int parts) {
    const auto [begin, end] = Split(copy.dims.rank() == 0 ? 1 : copy.dims[0], 1, part, parts);
    CopyStrided<T>(copy, Read<T>(bases, from), Write<T>(bases, to), begin, end);
  };
  return out;
}

template <typename T>
Instruction ZeroInstruction(const Location& to) {
  Instruction out;
  out.writes = {to};
  out.run = [to](std::byte* const* bases, std::byte*, int part, int) {
    if (part == 0) std::memset(Write<T>(bases, to), 0, static_cast<size_t>(to.bytes));
  };
  return out;
}

template <typename T>
Instruction ReduceInstruction(const Node& n, const Shape& from, const Location& in, const Location& out_at) {
  const Reduction kind = n.kind == OpKind::kSum ? Reduction::kSum : Reduction::kMax;
  int64_t outer = 1, reduce = 1, inner = 1;
  for (int i = 0; i < from.rank(); ++i) {
    (i < n.attributes[0] ? outer : i < n.attributes[1] ? reduce : inner) *= from[i];
  }
  Instruction out;
  out.reads = {in};
  out.writes = {out_at};
  out.parallel = outer * reduce * inner >= kParallelWork && outer * inner > 1;
  out.run = [=](std::byte* const* bases, std::byte*, int part, int parts) {
    const auto [begin, end] = Split(outer * inner, 16, part, parts);
    Reduce<T>(kind, Read<T>(bases, in), outer, reduce, inner, Write<T>(bases, out_at), begin, end);
  };
  return out;
}

// The factors of one term of a product.
struct Factors {
  Location a, b;
  int64_t k = 0;  // of a matrix product
};

// A smaller right factor is packed, if at all, in next to no time.
constexpr int64_t kWorthKeeping = 32 << 10;  // bytes

template <typename T>
Instruction MatmulInstruction(const Tape& tape, int id, const LocationOf& where, const PackedOf& packed_of) {
  const Node& n = tape.node(id);
  const bool ta = n.attributes[0] != 0, tb = n.attributes[1] != 0;
  const int rank = n.shape.rank();
  const int64_t rows = n.shape[rank - 2], columns = n.shape[rank - 1];
  int64_t batch = 1;
  for (int i = 0; i < rank - 2; ++i) batch *= n.shape[i];

  Instruction out;
  std::vector<Factors> terms;
  int64_t total = 0;
  for (size_t i = 0; i < n.inputs.size(); i += 2) {
    const int64_t k = tape.node(n.inputs[i]).shape[ta ? rank - 2 : rank - 1];
    terms.push_back({where(n.inputs[i]), where(n.inputs[i + 1]), k});
    out.reads.insert(out.reads.end(), {terms.back().a, terms.back().b});
    total += k;
  }
  const Location to = where(id);
  out.writes = {to};
  std::optional<Location> packed;
  if (rank == 2 && terms.size() == 1 && GainsByPackedB(rows, columns, tb) &&
      total * columns * static_cast<int64_t>(sizeof(T)) >= kWorthKeeping) {
    packed = packed_of(n.inputs[1], total, columns, tb);
  }
  out.scratch_bytes = GemmScratchBytes(rows, columns, total, DTypeOf<T>());
  out.parallel = batch * rows * columns * total / 16 >= kParallelWork;
  out.run = [=](std::byte* const* bases, std::byte* scratch, int part, int parts) {
    auto product = [&](int64_t i, int p, int ps) {
      std::array<GemmTerm<T>, kMaxTerms> here;
      for (size_t t = 0; t < terms.size(); ++t) {
        const Factors& f = terms[t];
        here[t] = {f.k, Read<T>(bases, f.a) + i * rows * f.k, ta ? rows : f.k, Read<T>(bases, f.b) + i * f.k * columns,
                   tb ? f.k : columns};
      }
      const GemmArgs<T> args = {.m = rows,
                                .n = columns,
                                .k = here[0].k,
                                .a = here[0].a,
                                .lda = here[0].lda,
                                .transpose_a = ta,
                                .b = here[0].b,
                                .ldb = here[0].ldb,
                                .transpose_b = tb,
                                .c = Write<T>(bases, to) + i * rows * columns,
                                .ldc = columns,
                                .also = absl::MakeConstSpan(here).subspan(1, terms.size() - 1),
                                .packed_b = packed.has_value() ? Read<T>(bases, *packed) : nullptr};
      Gemm<T>(args, p, ps, scratch);
    };
    if (batch >= parts) {
      const auto [begin, end] = Split(batch, 1, part, parts);
      for (int64_t i = begin; i < end; ++i) product(i, 0, 1);
    } else {
      for (int64_t i = 0; i < batch; ++i) product(i, part, parts);
    }
  };
  return out;
}

template <typename T>
Instruction ConvInstruction(const Tape& tape, int id, const LocationOf& where) {
  const Node& n = tape.node(id);
  // x [N, H, W, C] and w [KH, KW, C, O], whichever of the three the node computes.
  const Shape& x = n.kind == OpKind::kConvInputAdjoint ? n.shape : tape.node(n.inputs[0]).shape;
  const Shape& w = n.kind == OpKind::kConvWeightAdjoint ? n.shape : tape.node(n.inputs[1]).shape;
  ConvShape shape;
  shape.n = x[0], shape.h = x[1], shape.w = x[2], shape.c = x[3];
  shape.kh = w[0], shape.kw = w[1], shape.o = w[3];
  shape.stride_h = n.attributes[0], shape.stride_w = n.attributes[1];
  shape.pad_top = n.attributes[2], shape.pad_bottom = n.attributes[3];
  shape.pad_left = n.attributes[4], shape.pad_right = n.attributes[5];
  Instruction out;
  std::vector<Factors> terms;
  for (size_t i = 0; i < n.inputs.size(); i += 2) {
    terms.push_back({where(n.inputs[i]), where(n.inputs[i + 1])});
    out.reads.insert(out.reads.end(), {terms.back().a, terms.back().b});
  }
  const Location to = where(id);
  out.writes = {to};
  out.parallel = true;
  const OpKind kind = n.kind;
  out.scratch_bytes = ConvScratchBytes(shape, DTypeOf<T>());
  out.run = [=](std::byte* const* bases, std::byte* scratch, int part, int parts) {
    const auto p = [&](size_t t) { return Read<T>(bases, terms[t].a); };
    const auto q = [&](size_t t) { return Read<T>(bases, terms[t].b); };
    T* r = Write<T>(bases, to);
    if (kind == OpKind::kConv) {
      ConvForward<T>(shape, p(0), q(0), r, part, parts, scratch);
    } else if (kind == OpKind::kConvInputAdjoint) {
      ConvInputAdjoint<T>(shape, p(0), q(0), r, part, parts, scratch);
    } else {
      // Terms have equal shapes, so a part is the same piece of the result in each.
      for (size_t t = 0; t < terms.size(); ++t) {
        ConvWeightAdjoint<T>(shape, p(t), q(t), r, /*accumulate=*/t > 0, part, parts, scratch);
      }
    }
  };
  return out;
}

template <typename T>
std::vector<Instruction> LowerNodeT(const Tape& tape, int id, const LocationOf& where, const PackedOf& packed) {
  const Node& n = tape.node(id);
  const Location to = where(id);
  const Location in0 = where(n.inputs[0]);
  const Shape& from = tape.node(n.inputs[0]).shape;
  std::vector<Instruction> out;
  switch (n.kind) {
    case OpKind::kBroadcast:
      out.push_back(CopyInstruction<T>({n.shape, BroadcastStrides(from, n.shape), n.shape.Strides(), 0, 0}, in0, to));
      break;
    case OpKind::kPermute: {
      const Shape dense = from.Strides();
      Shape strides;
      for (int64_t axis : n.attributes) strides.push_back(dense[static_cast<int>(axis)]);
      out.push_back(CopyInstruction<T>({n.shape, strides, n.shape.Strides(), 0, 0}, in0, to));
      break;
    }
    case OpKind::kSlice:
    case OpKind::kPad: {
      const bool slice = n.kind == OpKind::kSlice;
      const Shape outer = (slice ? from : n.shape).Strides();
      int64_t offset = 0;
      for (int i = 0; i < outer.rank(); ++i) offset += n.attributes[static_cast<size_t>(i)] * outer[i];
      if (slice) {
        out.push_back(CopyInstruction<T>({n.shape, outer, n.shape.Strides(), offset, 0}, in0, to));
      } else {
        out.push_back(ZeroInstruction<T>(to));
        out.push_back(CopyInstruction<T>({from, from.Strides(), outer, 0, offset}, in0, to));
      }
      break;
    }
    case OpKind::kConcat: {
      const int axis = static_cast<int>(n.attributes[0]);
      const Shape strides = n.shape.Strides();
      int64_t begin = 0;
      for (int input : n.inputs) {
        const Shape& part = tape.node(input).shape;
        out.push_back(CopyInstruction<T>({part, part.Strides(), strides, 0, begin * strides[axis]}, where(input), to));
        begin += part[axis];
      }
      break;
    }
    case OpKind::kSum:
    case OpKind::kMax:
      out.push_back(ReduceInstruction<T>(n, from, in0, to));
      break;
    case OpKind::kMatmul:
      out.push_back(MatmulInstruction<T>(tape, id, where, packed));
      break;
    case OpKind::kConv:
    case OpKind::kConvInputAdjoint:
    case OpKind::kConvWeightAdjoint:
      out.push_back(ConvInstruction<T>(tape, id, where));
      break;
    case OpKind::kInput:
    case OpKind::kConstant:
    case OpKind::kTensor:
    case OpKind::kElementwise:
    case OpKind::kReshape:
    case OpKind::kStopGradient:
      break;  // no step of their own
  }
  for (Instruction& instruction : out) instruction.name = Describe(tape, id);
  return out;
}

}  // namespace

ChainSpec MakeChainSpec(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored,
                        bool fuse) {
  ChainSpec spec;
  spec.num_elements = tape.node(step.nodes[0]).shape.num_elements();
  std::map<int, size_t> result;  // node of this chain -> its op
  for (size_t i = 0; i < step.nodes.size(); ++i) result[step.nodes[i]] = i;

  // First number the constants and the loads, then the results.
  struct Ref {
    enum { kConstant, kLoad, kResult } kind;
    size_t index;
  };
  std::map<int64_t, size_t> constants;          // by their bits: a NaN has no place in an order, and −0 is not 0
  std::map<std::pair<int, int>, size_t> loads;  // (source node, node whose shape it is broadcast to or -1 if dense)
  std::vector<std::vector<Ref>> refs;
  for (int id : step.nodes) {
    refs.emplace_back();
    for (int input : tape.node(id).inputs) {
      int source = input;
      if (fuse) {
        // One broadcast can be read through; of two in a row the inner one's result is read from memory.
        if (IsBroadcastLoad(tape, source)) source = tape.node(source).inputs[0];
        while (IsBroadcastLoad(tape, source)) source = tape.node(source).inputs[0];
      }
      const Storage storage = StorageOf(tape, source);
      const Node& root = tape.node(storage.node);
      if (const auto it = result.find(storage.node); it != result.end() && source == input) {
        refs.back().push_back({Ref::kResult, it->second});
      } else if (root.kind == OpKind::kConstant) {
        const auto [c, inserted] = constants.emplace(root.attributes[0], spec.constants.size());
        if (inserted) spec.constants.push_back(root.constant());
        refs.back().push_back({Ref::kConstant, c->second});
      } else {
        const bool dense = tape.node(source).shape.num_elements() == spec.num_elements;
        const auto [l, inserted] = loads.emplace(std::make_pair(source, dense ? -1 : input), spec.loads.size());
        if (inserted) {
          ChainLoad load;
          load.location = where(source);
          load.dense = dense;
          if (!dense) {
            load.dims = tape.node(input).shape;
            load.strides = BroadcastStrides(tape.node(source).shape, load.dims);
          }
          spec.loads.push_back(load);
        }
        refs.back().push_back({Ref::kLoad, l->second});
      }
    }
  }
  for (size_t i = 0; i < step.nodes.size(); ++i) {
    ChainOp op;
    op.op = tape.node(step.nodes[i]).elementwise;
    for (const Ref& ref : refs[i]) {
      const size_t base = ref.kind == Ref::kConstant ? 0
                          : ref.kind == Ref::kLoad   ? spec.constants.size()
                                                     : spec.constants.size() + spec.loads.size();
      op.operands.push_back(static_cast<int>(base + ref.index));
    }
    op.stored = stored(step.nodes[i]);
    if (op.stored) op.location = where(step.nodes[i]);
    spec.ops.push_back(op);
  }
  return spec;
}

Instruction LowerChain(const Tape& tape, const Step& step, const LocationOf& where, const IsStored& stored, bool fuse) {
  const ChainSpec spec = MakeChainSpec(tape, step, where, stored, fuse);
  Instruction out = tape.dtype() == DType::kF32 ? ChainInstruction<float>(spec) : ChainInstruction<double>(spec);
  for (const ChainLoad& load : spec.loads) out.reads.push_back(load.location);
  for (const ChainOp& op : spec.ops) {
    if (op.stored) out.writes.push_back(op.location);
  }
  out.parallel = spec.num_elements * static_cast<int64_t>(spec.ops.size()) >= kParallelWork;
  for (int id : step.nodes) absl::StrAppend(&out.name, out.name.empty() ? "" : "; ", Describe(tape, id));
  return out;
}

std::vector<Instruction> LowerNode(const Tape& tape, int id, const LocationOf& where, const PackedOf& packed) {
  return tape.dtype() == DType::kF32 ? LowerNodeT<float>(tape, id, where, packed)
                                     : LowerNodeT<double>(tape, id, where, packed);
}

int64_t PackedFactor::Bytes(DType dtype) const { return PackedElements(k, n) * SizeOf(dtype); }

void PackedFactor::Pack(DType dtype, const std::byte* b, std::byte* packed, int part, int parts) const {
  const auto pack = [&]<typename T>(T* to) {
    const PackArgs<T> args{
        .n = n, .k = k, .b = reinterpret_cast<const T*>(b), .ldb = transposed ? k : n, .transpose_b = transposed};
    PackB<T>(args, to, part, parts);
  };
  if (dtype == DType::kF32) {
    pack(reinterpret_cast<float*>(packed));
  } else {
    pack(reinterpret_cast<double*>(packed));
  }
}

Instruction LowerCopy(const Location& from, const Location& to) {
  Instruction out;
  out.name = "copy";
  out.reads = {from};
  out.writes = {to};
  out.parallel = to.bytes / 4 >= kParallelWork;
  out.run = [from, to](std::byte* const* bases, std::byte*, int part, int parts) {
    const auto [begin, end] = Split(to.bytes, kAlignment, part, parts);
    if (begin < end)
      std::memcpy(Write<std::byte>(bases, to) + begin, Read<std::byte>(bases, from) + begin,
                  static_cast<size_t>(end - begin));
  };
  return out;
}

}  // namespace autodiff
