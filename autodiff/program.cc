#include "autodiff/program.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/lower.h"
#include "autodiff/passes/epilogues.h"
#include "autodiff/passes/join_products.h"
#include "autodiff/passes/memory.h"
#include "autodiff/passes/recompute.h"
#include "autodiff/passes/schedule.h"
#include "autodiff/passes/simplify.h"

namespace autodiff {

struct Program::Impl {
  struct Binding {
    std::string what;  // "input 0 (\"x\")"
    Shape shape;
  };
  DType dtype = DType::kF32;
  size_t num_inputs = 0, num_state = 0, num_outputs = 0;
  std::vector<Binding> bindings;  // inputs, state, outputs
  std::vector<std::unique_ptr<Tensor>> constants;
  std::vector<Instruction> instructions;
  AlignedBytes arena;
  std::vector<AlignedBytes> scratch;  // one per thread
  std::vector<std::byte*> bases;      // the arena, the constants, the bindings
  ThreadPool* pool = nullptr;
  ProgramStats stats;
};

namespace {

// Builds one program. The members are the state shared by the phases, in the order they are set.
class Compiler {
 public:
  Compiler(const ProgramSpec& spec, const CompileOptions& options) : spec_(spec), options_(options) {}

  absl::Status CheckSpec();
  void Schedule(Tape& graph);
  void Place();
  void Lower(std::vector<Instruction>& instructions);

  std::vector<std::unique_ptr<Tensor>>& constants() { return constants_; }
  Tape* tape() const { return tape_; }
  ProgramStats stats;

 private:
  int InputSpace(int64_t tape_input) const { return input_space_.at(tape_input); }
  int FirstBindingSpace() const { return 1 + static_cast<int>(constants_.size()); }
  int64_t Bytes(int id) const { return graph_->node(id).shape.num_elements() * SizeOf(graph_->dtype()); }
  bool IsRoot(int id) const { return StorageOf(*graph_, id).node == id && !IsPassive(*graph_, id); }
  Location Where(int id);
  void BindResults();
  void ReuseDyingInputs(std::map<int, int>& shared_with);
  bool CanOverwrite(int step, int reader_of, int producer) const;

  const ProgramSpec& spec_;
  const CompileOptions& options_;
  Tape* tape_ = nullptr;
  std::map<int64_t, int> input_binding_;  // tape's input index -> binding

  Tape* graph_ = nullptr;
  std::vector<int> roots_;  // state, then outputs: node ids of the graph
  std::vector<Step> steps_;
  std::vector<int> step_of_;   // node -> step, -1 if passive
  std::vector<int> last_use_;  // storage node -> last step that reads it
  std::vector<bool> stored_;   // storage node -> needs memory of its own

  std::vector<std::unique_ptr<Tensor>> constants_;
  std::map<int, int> constant_space_;
  std::map<int64_t, int> input_space_;
  std::map<int, int> bound_;                 // node -> binding it is computed into directly
  std::vector<std::pair<int, int>> copies_;  // (node, binding) copied at the end
  std::map<int, int64_t> arena_offset_;
};

absl::Status Compiler::CheckSpec() {
  std::vector<Var> all = spec_.inputs;
  for (const Update& u : spec_.state) all.insert(all.end(), {u.before, u.after});
  all.insert(all.end(), spec_.outputs.begin(), spec_.outputs.end());
  for (Var v : all) {
    if (v.tape() != nullptr && tape_ == nullptr) tape_ = v.tape();
  }
  if (tape_ == nullptr) return absl::InvalidArgumentError("Compile: nothing to compute (no Var is on a tape)");
  if (!tape_->status().ok()) return tape_->status();
  for (Var v : all) {
    if (!v.ok() || v.tape() != tape_) return absl::InvalidArgumentError("Compile: a Var is not on this tape");
  }
  int binding = 0;
  auto add_input = [&](Var v) -> absl::Status {
    if (v.node().kind != OpKind::kInput) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: input ", binding, " was not made by Tape::Input"));
    }
    if (!input_binding_.emplace(v.node().attributes[0], binding++).second) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: input \"", v.node().name, "\" is listed twice"));
    }
    return absl::OkStatus();
  };
  for (Var v : spec_.inputs) {
    if (absl::Status s = add_input(v); !s.ok()) return s;
  }
  for (const Update& u : spec_.state) {
    if (absl::Status s = add_input(u.before); !s.ok()) return s;
    if (!(u.before.shape() == u.after.shape())) {
      return absl::InvalidArgumentError(absl::StrCat("Compile: the update of \"", u.before.node().name, "\" has shape ",
                                                     u.after.shape().ToString(), ", not ",
                                                     u.before.shape().ToString()));
    }
  }
  return absl::OkStatus();
}

void Compiler::Schedule(Tape& graph) {
  graph_ = &graph;
  std::vector<Var> results;
  for (const Update& u : spec_.state) results.push_back(u.after);
  results.insert(results.end(), spec_.outputs.begin(), spec_.outputs.end());
  if (options_.optimize) {
    Tape simple(graph.dtype()), joined(graph.dtype());
    results = Recompute(JoinProducts(Simplify(results, simple, true), joined), graph);
  } else {
    results = Simplify(results, graph, false);
  }
  for (Var v : results) roots_.push_back(v.id());
  // A state that takes the old value of another one must get it before that one changes: by a step of its own (a
  // broadcast to the shape that it has already), placed and ordered like any other.
  for (size_t s = 0; s < spec_.state.size(); ++s) {
    const Node& source = graph.node(StorageOf(graph, roots_[s]).node);
    if (source.kind != OpKind::kInput || source.attributes == spec_.state[s].before.node().attributes) continue;
    Node copy;
    copy.kind = OpKind::kBroadcast;
    copy.inputs = {roots_[s]};
    copy.shape = graph.node(roots_[s]).shape;
    roots_[s] = graph.Append(std::move(copy)).id();
  }

  steps_ = autodiff::Schedule(graph, roots_, options_.optimize);
  if (options_.optimize) FuseEpilogues(graph, roots_, steps_);
  step_of_.assign(static_cast<size_t>(graph.size()), -1);
  for (size_t s = 0; s < steps_.size(); ++s) {
    for (int id : steps_[s].nodes) step_of_[static_cast<size_t>(id)] = static_cast<int>(s);
    if (steps_[s].product >= 0) step_of_[static_cast<size_t>(steps_[s].product)] = static_cast<int>(s);
    if (steps_[s].nodes.size() > 1) stats.fused_nodes += static_cast<int>(steps_[s].nodes.size());
  }
}

// Decides which values need memory, and for how long.
void Compiler::Place() {
  const size_t size = static_cast<size_t>(graph_->size());
  last_use_.assign(size, -1);
  stored_.assign(size, false);
  const int end = static_cast<int>(steps_.size());
  auto use = [&](int node, int step, bool from_memory) {
    const size_t root = static_cast<size_t>(StorageOf(*graph_, node).node);
    last_use_[root] = std::max(last_use_[root], step);
    if (from_memory) stored_[root] = true;
  };
  for (int s = 0; s < end; ++s) {
    const bool chain = graph_->node(steps_[static_cast<size_t>(s)].nodes[0]).kind == OpKind::kElementwise;
    for (int id : steps_[static_cast<size_t>(s)].nodes) {
      for (int input : graph_->node(id).inputs) {
        int source = input;
        while (chain && options_.optimize && IsBroadcastLoad(*graph_, source)) {
          source = graph_->node(source).inputs[0];
        }
        const int root = StorageOf(*graph_, source).node;
        // A result of the same chain is handed on within a tile.
        use(source, s, step_of_[static_cast<size_t>(root)] != s);
        // Constants in other places than chains need an array of their own.
        if (graph_->node(root).kind == OpKind::kTensor || (graph_->node(root).kind == OpKind::kConstant && !chain)) {
          constant_space_.emplace(root, 0);
        }
      }
    }
    const int product = steps_[static_cast<size_t>(s)].product;
    if (product < 0) continue;
    stored_[static_cast<size_t>(product)] = true;
    for (int input : graph_->node(product).inputs) {
      use(input, s, true);
      const int root = StorageOf(*graph_, input).node;
      const OpKind kind = graph_->node(root).kind;
      if (kind == OpKind::kTensor || kind == OpKind::kConstant) constant_space_.emplace(root, 0);
    }
  }
  for (int root : roots_) {
    use(root, end, true);
    const Node& n = graph_->node(StorageOf(*graph_, root).node);
    if (n.kind == OpKind::kTensor || n.kind == OpKind::kConstant) {
      constant_space_.emplace(StorageOf(*graph_, root).node, 0);
    }
  }
  for (auto& [id, space] : constant_space_) {
    const Node& n = graph_->node(id);
    constants_.push_back(std::make_unique<Tensor>(
        n.kind == OpKind::kTensor ? *n.tensor : Tensor::Full(n.shape, n.constant(), graph_->dtype())));
    space = static_cast<int>(constants_.size());
  }
  for (const auto& [input, binding] : input_binding_) input_space_[input] = FirstBindingSpace() + binding;
  BindResults();

  // A chain may write over an operand that dies in it: the two values share one place.
  std::map<int, int> shared_with;
  ReuseDyingInputs(shared_with);
  std::map<int, Lifetime> lives;  // by the first of the values that share a place
  for (size_t id = 0; id < size; ++id) {
    const int node = static_cast<int>(id);
    if (!stored_[id] || !IsRoot(node) || bound_.count(node) > 0) continue;
    int owner = node;
    while (shared_with.count(owner) > 0) owner = shared_with[owner];
    const int first = step_of_[id], last = std::max(first, last_use_[id]);
    const auto [it, inserted] = lives.emplace(owner, Lifetime{Bytes(node), first, last, 0});
    it->second.first = std::min(it->second.first, first);
    it->second.last = std::max(it->second.last, last);
    stats.unplanned_bytes += PaddedBytes(Bytes(node));
  }
  std::vector<Lifetime> values;
  for (const auto& [owner, life] : lives) values.push_back(life);
  stats.arena_bytes = PlanMemory(values);
  size_t i = 0;
  for (const auto& [owner, life] : lives) arena_offset_[owner] = values[i++].offset;
  for (const auto& [node, other] : shared_with) {
    int owner = other;
    while (shared_with.count(owner) > 0) owner = shared_with[owner];
    arena_offset_[node] = arena_offset_[owner];
  }
}

// Whether chain `step` may write the value of `producer` over the memory of the value `victim`: every read of it is
// over, or is dense and comes no later in the chain than the write. What the chain's product reads it reads to the end.
bool Compiler::CanOverwrite(int step, int victim, int producer) const {
  if (graph_->node(producer).kind != OpKind::kElementwise) return false;
  if (const int product = steps_[static_cast<size_t>(step)].product; product >= 0) {
    for (int input : graph_->node(product).inputs) {
      if (StorageOf(*graph_, input).node == victim) return false;
    }
  }
  for (int id : steps_[static_cast<size_t>(step)].nodes) {
    for (int input : graph_->node(id).inputs) {
      int source = input;
      bool broadcast = false;
      for (; IsBroadcastLoad(*graph_, source); broadcast = true) source = graph_->node(source).inputs[0];
      const Storage storage = StorageOf(*graph_, source);
      if (storage.node != victim) continue;
      if (broadcast || storage.offset != 0 || Bytes(source) != Bytes(producer) || id > producer) return false;
    }
  }
  return true;
}

// Lets results be computed in the caller's tensors where that is possible, and copied there at the end where not.
void Compiler::BindResults() {
  const int end = static_cast<int>(steps_.size());
  for (size_t r = 0; r < roots_.size(); ++r) {
    const bool is_state = r < spec_.state.size();
    const int binding = static_cast<int>(spec_.inputs.size() + r);
    const Storage storage = StorageOf(*graph_, roots_[r]);
    bool direct = IsRoot(storage.node) && storage.offset == 0 && Bytes(storage.node) == Bytes(roots_[r]) &&
                  bound_.count(storage.node) == 0;
    if (direct && is_state) {
      // The old value must not be needed after the new one is written.
      const int64_t index = spec_.state[r].before.node().attributes[0];
      for (int id = 0; id < graph_->size() && direct; ++id) {
        if (graph_->node(id).kind != OpKind::kInput || graph_->node(id).attributes[0] != index) continue;
        const int step = step_of_[static_cast<size_t>(storage.node)];
        const int last = last_use_[static_cast<size_t>(id)];
        direct = last != end && last <= step && (last < step || CanOverwrite(step, id, storage.node));
      }
    }
    if (direct) {
      bound_[storage.node] = binding;
    } else {
      copies_.emplace_back(roots_[r], binding);
    }
  }
}

void Compiler::ReuseDyingInputs(std::map<int, int>& shared_with) {
  if (!options_.optimize) return;
  std::set<int> taken;
  for (int s = 0; s < static_cast<int>(steps_.size()); ++s) {
    const Step& step = steps_[static_cast<size_t>(s)];
    if (graph_->node(step.nodes[0]).kind != OpKind::kElementwise) continue;
    for (int producer : step.nodes) {
      if (!stored_[static_cast<size_t>(producer)] || bound_.count(producer) > 0) continue;
      for (int id : step.nodes) {
        if (id > producer || shared_with.count(producer) > 0) break;
        for (int input : graph_->node(id).inputs) {
          const int victim = StorageOf(*graph_, input).node;
          const size_t v = static_cast<size_t>(victim);
          if (!IsRoot(victim) || step_of_[v] == s || last_use_[v] != s || bound_.count(victim) > 0 ||
              Bytes(victim) != Bytes(producer) || taken.count(victim) > 0 || !CanOverwrite(s, victim, producer)) {
            continue;
          }
          shared_with[producer] = victim;
          taken.insert(victim);
          break;
        }
      }
    }
  }
}

Location Compiler::Where(int id) {
  const Storage storage = StorageOf(*graph_, id);
  const Node& root = graph_->node(storage.node);
  Location at{0, storage.offset * SizeOf(graph_->dtype()), Bytes(id)};
  if (root.kind == OpKind::kInput) {
    at.space = InputSpace(root.attributes[0]);
  } else if (const auto c = constant_space_.find(storage.node); c != constant_space_.end()) {
    at.space = c->second;
  } else if (const auto b = bound_.find(storage.node); b != bound_.end()) {
    at.space = FirstBindingSpace() + b->second;
  } else {
    at.offset += arena_offset_.at(storage.node);
  }
  return at;
}

void Compiler::Lower(std::vector<Instruction>& instructions) {
  const LocationOf where = [this](int id) { return Where(id); };
  const IsStored stored = [this](int id) { return stored_[static_cast<size_t>(id)]; };
  for (const Step& step : steps_) {
    if (graph_->node(step.nodes[0]).kind == OpKind::kElementwise) {
      instructions.push_back(LowerChain(*graph_, step, where, stored, options_.optimize));
    } else {
      for (Instruction& i : LowerNode(*graph_, step.nodes[0], where)) instructions.push_back(std::move(i));
    }
  }
  // Outputs before state: an output may be the old value of a state.
  std::stable_sort(copies_.begin(), copies_.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [node, binding] : copies_) {
    instructions.push_back(LowerCopy(Where(node), {FirstBindingSpace() + binding, 0, Bytes(node)}));
  }

  // Threads meet before an instruction that touches what an earlier one since the last meeting wrote, or writes what
  // it read.
  auto overlap = [](const std::vector<Location>& a, const std::vector<Location>& b) {
    for (const Location& x : a) {
      for (const Location& y : b) {
        if (x.space == y.space && x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes) return true;
      }
    }
    return false;
  };
  std::vector<Location> reads, writes;
  bool parallel = false;  // among those since the last meeting
  for (Instruction& i : instructions) {
    const bool conflict = overlap(i.reads, writes) || overlap(i.writes, writes) || overlap(i.writes, reads);
    if (conflict && (parallel || i.parallel)) {
      i.barrier_before = true;
      reads.clear();
      writes.clear();
      parallel = false;
    }
    reads.insert(reads.end(), i.reads.begin(), i.reads.end());
    writes.insert(writes.end(), i.writes.begin(), i.writes.end());
    parallel = parallel || i.parallel;
  }
}

}  // namespace

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

absl::StatusOr<Program> Compile(const ProgramSpec& spec, const CompileOptions& options) {
  Compiler compiler(spec, options);
  if (absl::Status s = compiler.CheckSpec(); !s.ok()) return s;
  auto impl = std::make_unique<Program::Impl>();
  impl->dtype = compiler.tape()->dtype();
  impl->num_inputs = spec.inputs.size();
  impl->num_state = spec.state.size();
  impl->num_outputs = spec.outputs.size();
  std::set<int64_t> listed;
  auto bind = [&](const char* kind, size_t i, Var v) {
    const Node& n = v.node();
    if (n.kind == OpKind::kInput) listed.insert(n.attributes[0]);
    const std::string name = n.kind == OpKind::kInput ? absl::StrCat(" (\"", n.name, "\")") : "";
    impl->bindings.push_back({absl::StrCat(kind, " ", i, name), v.shape()});
  };
  for (size_t i = 0; i < spec.inputs.size(); ++i) bind("input", i, spec.inputs[i]);
  for (size_t i = 0; i < spec.state.size(); ++i) bind("state", i, spec.state[i].before);

  Tape graph(impl->dtype);
  compiler.Schedule(graph);
  for (int id = 0; id < graph.size(); ++id) {
    const Node& n = graph.node(id);
    if (n.kind == OpKind::kInput && listed.count(n.attributes[0]) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: the outputs need input \"", n.name, "\", which is not listed"));
    }
  }
  for (size_t i = 0; i < spec.outputs.size(); ++i) bind("output", i, spec.outputs[i]);
  compiler.Place();
  compiler.Lower(impl->instructions);

  impl->constants = std::move(compiler.constants());
  impl->pool = options.pool;
  impl->stats = compiler.stats;
  impl->stats.instructions = static_cast<int>(impl->instructions.size());
  for (const Instruction& i : impl->instructions) {
    impl->stats.scratch_bytes = std::max(impl->stats.scratch_bytes, i.scratch_bytes);
  }
  impl->arena = AllocateAligned(impl->stats.arena_bytes);
  const bool parallel = std::any_of(impl->instructions.begin(), impl->instructions.end(),
                                    [](const Instruction& i) { return i.parallel; });
  if (!parallel) impl->pool = nullptr;  // waking the threads would cost more than the work
  const int threads = impl->pool == nullptr ? 1 : impl->pool->threads();
  for (int t = 0; t < threads; ++t) impl->scratch.push_back(AllocateAligned(impl->stats.scratch_bytes));
  impl->bases.push_back(impl->arena.get());
  for (const auto& c : impl->constants) impl->bases.push_back(c->bytes());
  impl->bases.resize(impl->bases.size() + impl->bindings.size());
  return Program(std::move(impl));
}

absl::Status Program::Run(absl::Span<const Tensor* const> inputs, absl::Span<Tensor* const> state,
                          absl::Span<Tensor* const> outputs) {
  Impl& p = *impl_;
  if (inputs.size() != p.num_inputs || state.size() != p.num_state || outputs.size() != p.num_outputs) {
    return absl::InvalidArgumentError(absl::StrCat("Run: got ", inputs.size(), " inputs, ", state.size(), " state and ",
                                                   outputs.size(), " outputs; the program has ", p.num_inputs, ", ",
                                                   p.num_state, " and ", p.num_outputs));
  }
  const size_t first = p.bases.size() - p.bindings.size();
  auto bind = [&](size_t binding, const Tensor* t) -> absl::Status {
    const Impl::Binding& b = p.bindings[binding];
    if (t == nullptr || t->dtype() != p.dtype || !(t->shape() == b.shape)) {
      return absl::InvalidArgumentError(
          absl::StrCat("Run: ", b.what, " must be ", Name(p.dtype), b.shape.ToString(), ", got ",
                       t == nullptr ? "null" : absl::StrCat(Name(t->dtype()), t->shape().ToString())));
    }
    // Inputs are only read; see LowerNode.
    p.bases[first + binding] = const_cast<std::byte*>(t->bytes());
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
      if (p.bases[first + w] == p.bases[first + o]) {
        return absl::InvalidArgumentError(
            absl::StrCat("Run: ", p.bindings[w].what, " is the same tensor as ", p.bindings[o].what));
      }
    }
  }

  std::byte* const* const bases = p.bases.data();
  if (p.pool == nullptr || p.pool->threads() == 1) {
    for (const Instruction& i : p.instructions) i.run(bases, p.scratch[0].get(), 0, 1);
    return absl::OkStatus();
  }
  p.pool->Run([&p, bases](int thread) {
    const int threads = p.pool->threads();
    std::byte* const scratch = p.scratch[static_cast<size_t>(thread)].get();
    for (const Instruction& i : p.instructions) {
      if (i.barrier_before) p.pool->Barrier();
      if (i.parallel) {
        i.run(bases, scratch, thread, threads);
      } else if (thread == 0) {
        i.run(bases, scratch, 0, 1);
      }
    }
  });
  return absl::OkStatus();
}

const ProgramStats& Program::stats() const { return impl_->stats; }

std::string Program::ToString() const {
  std::string text;
  for (const Instruction& i : impl_->instructions) {
    absl::StrAppend(&text, i.barrier_before ? "| " : "  ", i.parallel ? "" : "(one thread) ", i.name, "\n");
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
