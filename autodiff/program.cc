#include "autodiff/program.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/compiler.h"
#include "autodiff/passes/contract.h"
#include "autodiff/passes/join_products.h"
#include "autodiff/passes/recompute.h"
#include "autodiff/passes/shard.h"
#include "autodiff/passes/simplify.h"

namespace autodiff {
namespace {

// Where a space of some code lies: in a tensor of the caller or in a buffer between stages, for a shard further on.
struct Source {
  int binding = -1;  // inputs, state, outputs; -1: a buffer
  size_t buffer = 0;
  int64_t bytes_per_sample = 0, bytes_per_shard = 0;
};

// A part of the program between two meetings of all threads: code that they run together, or one by one on shards.
struct CompiledStage {
  bool sharded = false;
  std::vector<Code> codes;                  // sharded: for a shard, and for a last one with fewer samples
  std::vector<Source> sources;              // of the spaces after the constants
  std::vector<std::vector<size_t>> packed;  // by code: which of the program's packed factors its own are
};

// What products keep of an input, for as long as it stays as it is.
struct KeptFactor {
  PackedFactor factor;  // input: the program's binding
  AlignedBytes packed;
};

}  // namespace

struct Program::Impl {
  struct Binding {
    std::string what;  // "input 0 (\"x\")"
    Shape shape;
    std::byte* data = nullptr;  // in this run
  };
  DType dtype = DType::kF32;
  size_t num_inputs = 0, num_state = 0, num_outputs = 0;
  std::vector<Binding> bindings;  // inputs, state, outputs
  std::vector<CompiledStage> stages;
  ShardPlan shards;  // without its graphs
  std::vector<AlignedBytes> buffers;
  std::vector<KeptFactor> kept;
  bool uses_kept = false;  // in this run
  // Inputs that may stay as they are, and where they lay in the last run that was not refused.
  struct FixedInput {
    size_t binding;
    const std::byte* data = nullptr;
  };
  std::vector<FixedInput> fixed;
  AlignedBytes arena;  // of the code that all threads run
  // One per thread:
  struct Thread {
    AlignedBytes arena, scratch;
    std::vector<std::byte*> bases;
  };
  std::vector<Thread> threads;
  ThreadPool* pool = nullptr;
  ProgramStats stats;

  // Fills in where the spaces of a stage's code are.
  void Locate(const CompiledStage& stage, size_t which, std::byte* arena_bytes, int64_t sample, int64_t shard,
              std::vector<std::byte*>& at) const {
    const Code& code = stage.codes[which];
    at.clear();
    at.push_back(arena_bytes);
    for (const auto& c : code.constants) at.push_back(c->bytes());
    for (const Source& s : stage.sources) {
      std::byte* const base = s.binding < 0 ? buffers[s.buffer].get() : bindings[static_cast<size_t>(s.binding)].data;
      at.push_back(base + sample * s.bytes_per_sample + shard * s.bytes_per_shard);
    }
    for (size_t index : stage.packed[which]) at.push_back(uses_kept ? kept[index].packed.get() : nullptr);
  }
  void Add(CompiledStage stage);
  void Pack(int thread, int count) {
    for (KeptFactor& k : kept) k.factor.Pack(dtype, bindings[k.factor.input].data, k.packed.get(), thread, count);
  }
  void RunStage(const CompiledStage& stage, int thread, int count);
};

void Program::Impl::RunStage(const CompiledStage& stage, int thread, int count) {
  Thread& own = threads[static_cast<size_t>(thread)];
  if (stage.sharded) {
    const auto [begin, end] = Split(shards.shards, 1, thread, count);
    for (int64_t s = begin; s < end; ++s) {
      const int64_t sample = shards.FirstSample(s);
      const size_t which = sample + shards.samples > shards.batch ? 1 : 0;
      Locate(stage, which, own.arena.get(), sample, s, own.bases);
      for (const Instruction& i : stage.codes[which].instructions) i.run(own.bases.data(), own.scratch.get(), 0, 1);
    }
    return;
  }
  const Code& code = stage.codes[0];
  // All threads may look up the same places; each does so for itself, so that none has to wait.
  Locate(stage, 0, arena.get(), 0, 0, own.bases);
  for (const Instruction& i : code.instructions) {
    if (i.barrier_before && count > 1) pool->Barrier();
    if (i.parallel) {
      i.run(own.bases.data(), own.scratch.get(), thread, count);
    } else if (thread == 0) {
      i.run(own.bases.data(), own.scratch.get(), 0, 1);
    }
  }
}

namespace {

// Checks what a user may get wrong.
absl::Status CheckSpec(const ProgramSpec& spec) {
  Tape* tape = nullptr;
  std::set<int64_t> listed;
  std::vector<Var> all = spec.inputs;
  for (const Update& u : spec.state) all.insert(all.end(), {u.before, u.after});
  all.insert(all.end(), spec.outputs.begin(), spec.outputs.end());
  for (Var v : all) {
    if (v.tape() != nullptr && tape == nullptr) tape = v.tape();
  }
  if (tape == nullptr) return absl::InvalidArgumentError("Compile: nothing to compute (no Var is on a tape)");
  if (!tape->status().ok()) return tape->status();
  for (Var v : all) {
    if (!v.ok() || v.tape() != tape) return absl::InvalidArgumentError("Compile: a Var is not on this tape");
  }
  int binding = 0;
  auto add_input = [&](Var v) -> absl::Status {
    if (v.node().kind != OpKind::kInput) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: input ", binding, " was not made by Tape::Input"));
    }
    ++binding;
    if (!listed.insert(v.node().attributes[0]).second) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: input \"", v.node().name, "\" is listed twice"));
    }
    return absl::OkStatus();
  };
  for (Var v : spec.inputs) {
    if (absl::Status s = add_input(v); !s.ok()) return s;
  }
  for (const Update& u : spec.state) {
    if (absl::Status s = add_input(u.before); !s.ok()) return s;
    if (!(u.before.shape() == u.after.shape())) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: the update of \"", u.before.node().name, "\" has shape ",
                                                     u.after.shape().ToString(), ", not ",
                                                     u.before.shape().ToString()));
    }
  }
  for (Var v : spec.samples) {
    if (!v.ok() || v.tape() != tape || v.node().kind != OpKind::kInput || listed.count(v.node().attributes[0]) == 0) {
      return absl::InvalidArgumentError("Compile: the samples must be among the inputs and states");
    }
    if (v.rank() < 1 || v.dim(0) != spec.samples[0].dim(0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: \"", v.node().name, "\" and \"", spec.samples[0].node().name,
                       "\" differ in their number of samples: shapes ", v.shape().ToString(), " and ",
                       spec.samples[0].shape().ToString()));
    }
  }
  for (Var v : spec.fixed) {
    if (std::find(spec.inputs.begin(), spec.inputs.end(), v) == spec.inputs.end()) {
      return absl::InvalidArgumentError("Compile: what is fixed must be among the inputs");
    }
  }
  return absl::OkStatus();
}

std::vector<int64_t> InputIndices(absl::Span<const Var> inputs) {
  std::vector<int64_t> indices;
  for (Var v : inputs) indices.push_back(v.node().attributes[0]);
  return indices;
}

Code GenerateStage(StageGraph& g, const std::vector<bool>& fixed) {
  CodeSpec spec{.graph = g.tape.get(),
                .inputs = InputIndices(g.inputs),
                .fixed = fixed,
                .updates = InputIndices(g.before),
                .roots = {}};
  for (Var v : g.after) spec.roots.push_back(v.id());
  for (Var v : g.outputs) spec.roots.push_back(v.id());
  return Generate(spec);
}

}  // namespace

// Codes that want the same of the same input share it.
void Program::Impl::Add(CompiledStage stage) {
  for (const Code& code : stage.codes) {
    stage.packed.emplace_back();
    for (const PackedFactor& wanted : code.packed) {
      PackedFactor factor = wanted;
      factor.input = static_cast<size_t>(stage.sources[wanted.input].binding);
      const auto it = std::find_if(kept.begin(), kept.end(), [&](const KeptFactor& k) { return k.factor == factor; });
      stage.packed.back().push_back(static_cast<size_t>(it - kept.begin()));
      if (it != kept.end()) continue;
      stats.packed_bytes += factor.Bytes(dtype);
      kept.push_back({factor, AllocateAligned(factor.Bytes(dtype))});
    }
  }
  stages.push_back(std::move(stage));
}

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

absl::StatusOr<Program> Compile(const ProgramSpec& spec, const CompileOptions& options) {
  if (absl::Status s = CheckSpec(spec); !s.ok()) return s;
  std::vector<Var> results, inputs = spec.inputs;
  std::vector<Var> updates;
  for (const Update& u : spec.state) {
    results.push_back(u.after);
    updates.push_back(u.before);
  }
  results.insert(results.end(), spec.outputs.begin(), spec.outputs.end());
  inputs.insert(inputs.end(), updates.begin(), updates.end());

  auto impl = std::make_unique<Program::Impl>();
  impl->dtype = (inputs.empty() ? results[0] : inputs[0]).tape()->dtype();
  impl->num_inputs = spec.inputs.size();
  impl->num_state = spec.state.size();
  impl->num_outputs = spec.outputs.size();
  auto bind = [&](const char* kind, size_t i, Var v) {
    const Node& n = v.node();
    const std::string name = n.kind == OpKind::kInput ? absl::StrCat(" (\"", n.name, "\")") : "";
    impl->bindings.push_back({absl::StrCat(kind, " ", i, name), v.shape()});
  };
  for (size_t i = 0; i < spec.inputs.size(); ++i) bind("input", i, spec.inputs[i]);
  for (size_t i = 0; i < spec.state.size(); ++i) bind("state", i, spec.state[i].before);
  for (size_t i = 0; i < spec.outputs.size(); ++i) bind("output", i, spec.outputs[i]);

  Tape graph(impl->dtype);
  std::vector<int> roots;
  if (options.optimize) {
    Tape simple(impl->dtype), joined(impl->dtype), contracted(impl->dtype);
    results = JoinProducts(Simplify(results, simple, true), joined);
    if (options.contract) results = Contract(results, contracted);
    for (Var v : Recompute(results, graph)) roots.push_back(v.id());
  } else {
    for (Var v : Simplify(results, graph, false)) roots.push_back(v.id());
  }
  std::map<int64_t, int> binding_of;  // input of the tape -> binding
  for (size_t i = 0; i < inputs.size(); ++i) binding_of[inputs[i].node().attributes[0]] = static_cast<int>(i);
  for (int id = 0; id < graph.size(); ++id) {
    const Node& n = graph.node(id);
    if (n.kind == OpKind::kInput && binding_of.count(n.attributes[0]) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: the outputs need input \"", n.name, "\", which is not listed"));
    }
  }

  std::vector<bool> fixed(inputs.size());  // by binding; states are not
  for (Var v : spec.fixed) {
    const size_t binding = static_cast<size_t>(binding_of.at(v.node().attributes[0]));
    fixed[binding] = true;
    impl->fixed.push_back({.binding = binding});
  }

  std::optional<ShardPlan> plan;
  if (options.optimize && !spec.samples.empty()) {
    plan = PlanShards({.graph = &graph,
                       .roots = roots,
                       .updates = InputIndices(updates),
                       .samples = InputIndices(spec.samples),
                       .batch = spec.samples[0].dim(0),
                       .shards = options.shards});
  }
  if (plan.has_value()) {
    const int64_t size = SizeOf(impl->dtype);
    for (int64_t elements : plan->buffers) impl->buffers.push_back(AllocateAligned(elements * size));
    for (Stage& stage : plan->stages) {
      CompiledStage compiled;
      compiled.sharded = stage.sharded;
      std::vector<bool> stage_fixed;
      for (const StageValue& v : stage.inputs) {
        const bool whole_input = v.place == StageValue::kInput && v.per_sample == 0;
        stage_fixed.push_back(whole_input && fixed[static_cast<size_t>(binding_of.at(v.index))]);
      }
      for (StageGraph& g : stage.graphs) compiled.codes.push_back(GenerateStage(g, stage_fixed));
      for (const std::vector<StageValue>* values : {&stage.inputs, &stage.state, &stage.outputs}) {
        for (const StageValue& v : *values) {
          Source source{.bytes_per_sample = v.per_sample * size, .bytes_per_shard = v.per_shard * size};
          if (v.place == StageValue::kBuffer) source.buffer = static_cast<size_t>(v.index);
          if (v.place == StageValue::kInput) source.binding = binding_of.at(v.index);
          if (v.place == StageValue::kResult)
            source.binding = static_cast<int>(impl->num_inputs) + static_cast<int>(v.index);
          compiled.sources.push_back(source);
        }
      }
      impl->Add(std::move(compiled));
    }
    plan->stages.clear();
    impl->shards = std::move(*plan);
  } else {
    CompiledStage whole;
    fixed.resize(options.optimize ? impl->num_inputs : 0);
    whole.codes.push_back(Generate({.graph = &graph,
                                    .inputs = InputIndices(spec.inputs),
                                    .fixed = fixed,
                                    .updates = InputIndices(updates),
                                    .roots = std::move(roots),
                                    .optimize = options.optimize}));
    for (size_t i = 0; i < impl->bindings.size(); ++i) whole.sources.push_back({.binding = static_cast<int>(i)});
    impl->Add(std::move(whole));
  }

  ProgramStats& stats = impl->stats;
  stats.shards = impl->shards.shards;
  bool parallel = false;
  size_t spaces = 0;
  int64_t shard_arena_bytes = 0;
  for (const CompiledStage& stage : impl->stages) {
    for (const Code& code : stage.codes) {
      spaces = std::max(spaces, 1 + code.constants.size() + stage.sources.size() + code.packed.size());
      stats.scratch_bytes = std::max(stats.scratch_bytes, code.stats.scratch_bytes);
      int64_t& arena = stage.sharded ? shard_arena_bytes : stats.arena_bytes;
      arena = std::max(arena, code.stats.arena_bytes);
    }
    const Code& code = stage.codes[0];
    stats.instructions += code.stats.instructions;
    stats.fused_nodes += code.stats.fused_nodes;
    stats.unplanned_bytes += code.stats.unplanned_bytes;
    parallel = parallel || stage.sharded ||
               std::any_of(code.instructions.begin(), code.instructions.end(),
                           [](const Instruction& i) { return i.parallel; });
  }
  impl->arena = AllocateAligned(stats.arena_bytes);
  if (parallel) impl->pool = options.pool;  // else waking the threads would cost more than the work
  impl->threads.resize(static_cast<size_t>(impl->pool == nullptr ? 1 : impl->pool->threads()));
  for (Program::Impl::Thread& t : impl->threads) {
    if (shard_arena_bytes > 0) t.arena = AllocateAligned(shard_arena_bytes);
    t.scratch = AllocateAligned(stats.scratch_bytes);
    t.bases.reserve(spaces);
  }
  stats.shard_arena_bytes = shard_arena_bytes;
  return Program(std::move(impl));
}

absl::Status Program::Run(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                          absl::Span<Tensor* const> outputs) {
  return Execute(inputs, state, outputs, /*again=*/false);
}

absl::Status Program::RunAgain(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                               absl::Span<Tensor* const> outputs) {
  return Execute(inputs, state, outputs, /*again=*/true);
}

absl::Status Program::Execute(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                              absl::Span<Tensor* const> outputs, bool again) {
  Impl& p = *impl_;
  const char* const call = again ? "RunAgain" : "Run";
  if (!again) p.uses_kept = false;
  if (inputs.size() != p.num_inputs || state.size() != p.num_state || outputs.size() != p.num_outputs) {
    return absl::InvalidArgumentError(absl::StrCat(call, ": got ", inputs.size(), " inputs, ", state.size(),
                                                   " state and ", outputs.size(), " outputs; the program has ",
                                                   p.num_inputs, ", ", p.num_state, " and ", p.num_outputs));
  }
  auto bind = [&](size_t binding, const Tensor* t) -> absl::Status {
    Impl::Binding& b = p.bindings[binding];
    if (t == nullptr || t->dtype() != p.dtype || !(t->shape() == b.shape)) {
      return absl::InvalidArgumentError(
          absl::StrCat(call, ": ", b.what, " must be ", Name(p.dtype), b.shape.ToString(), ", got ",
                       t == nullptr ? "null" : absl::StrCat(Name(t->dtype()), t->shape().ToString())));
    }
    // Inputs are only read; see LowerNode.
    b.data = const_cast<std::byte*>(t->bytes());
    return absl::OkStatus();
  };
  size_t binding = 0;
  for (const Tensor* t : inputs) {
    if (absl::Status s = bind(binding++, t); !s.ok()) return s;
  }
  for (Tensor* t : state) {
    if (absl::Status s = bind(binding++, t); !s.ok()) return s;
  }
  for (Tensor* t : outputs) {
    if (absl::Status s = bind(binding++, t); !s.ok()) return s;
  }
  for (size_t w = p.num_inputs; w < p.bindings.size(); ++w) {
    for (size_t o = 0; o < w; ++o) {
      if (p.bindings[w].data == p.bindings[o].data) {
        return absl::InvalidArgumentError(
            absl::StrCat(call, ": ", p.bindings[w].what, " is the same tensor as ", p.bindings[o].what));
      }
    }
  }

  for (Impl::FixedInput& input : p.fixed) {
    const Impl::Binding& b = p.bindings[input.binding];
    if (again && b.data != input.data) {
      return absl::FailedPreconditionError(absl::StrCat(call, ": ", b.what, " is not the tensor of the last run"));
    }
    input.data = b.data;
  }
  const bool packs = again && !p.uses_kept && !p.kept.empty();
  p.uses_kept = again;

  if (p.pool == nullptr || p.pool->threads() == 1) {
    if (packs) p.Pack(0, 1);
    for (const CompiledStage& stage : p.stages) p.RunStage(stage, 0, 1);
    return absl::OkStatus();
  }
  p.pool->Run([&p, packs](int thread) {
    if (packs) {
      p.Pack(thread, p.pool->threads());
      p.pool->Barrier();
    }
    for (const CompiledStage& stage : p.stages) {
      if (&stage != &p.stages.front()) p.pool->Barrier();
      p.RunStage(stage, thread, p.pool->threads());
    }
  });
  return absl::OkStatus();
}

const ProgramStats& Program::stats() const { return impl_->stats; }

std::string Program::ToString() const {
  std::string text;
  for (const CompiledStage& stage : impl_->stages) {
    if (impl_->stages.size() > 1) {
      absl::StrAppend(&text, stage.sharded ? absl::StrCat("each of ", impl_->shards.shards, " shards:\n") : "whole:\n");
    }
    for (const Instruction& i : stage.codes[0].instructions) {
      const bool alone = !i.parallel && !stage.sharded;
      absl::StrAppend(&text, i.barrier_before && !stage.sharded ? "| " : "  ", alone ? "(one thread) " : "", i.name,
                      "\n");
    }
  }
  return text;
}

absl::StatusOr<std::vector<Tensor>> Evaluate(const std::vector<Var>& outputs, const std::vector<Var>& inputs,
                                             const std::vector<Tensor>& values, const CompileOptions& options) {
  absl::StatusOr<Program> program = Compile({.inputs = inputs, .state = {}, .outputs = outputs}, options);
  if (!program.ok()) return program.status();
  std::vector<const Tensor*> in;
  for (const Tensor& v : values) in.push_back(&v);
  std::vector<Tensor> results;
  for (Var v : outputs) results.emplace_back(v.shape(), v.tape()->dtype());
  std::vector<Tensor*> out;
  for (Tensor& r : results) out.push_back(&r);
  if (absl::Status s = program->Run(in, {}, out); !s.ok()) return s;
  return results;
}

}  // namespace autodiff
