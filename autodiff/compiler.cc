#include "autodiff/compiler.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autodiff/passes/memory.h"
#include "autodiff/passes/schedule.h"
#include "autodiff/passes/simplify.h"

namespace autodiff {
namespace {

// Makes the code of one graph. The members are the state shared by the phases, in the order they are set.
class Compiler {
 public:
  explicit Compiler(const CodeSpec& spec)
      : graph_(spec.graph),
        num_inputs_(spec.inputs.size()),
        fixed_(spec.fixed),
        updates_(spec.updates),
        fuse_(spec.optimize),
        roots_(spec.roots) {
    for (int64_t input : spec.inputs) input_binding_[input] = static_cast<int>(input_binding_.size());
    for (int64_t input : spec.updates) input_binding_[input] = static_cast<int>(input_binding_.size());
  }

  void Schedule();
  void Place();
  void Lower(std::vector<Instruction>& instructions);

  std::vector<std::unique_ptr<Tensor>>& constants() { return constants_; }
  std::vector<PackedFactor>& packed() { return packed_; }
  ProgramStats stats;

 private:
  int InputSpace(int64_t tape_input) const { return input_space_.at(tape_input); }
  int FirstBindingSpace() const { return 1 + static_cast<int>(constants_.size()); }
  int64_t Bytes(int id) const { return graph_->node(id).shape.num_elements() * SizeOf(graph_->dtype()); }
  bool IsRoot(int id) const { return StorageOf(*graph_, id).node == id && !IsPassive(*graph_, id); }
  Location Where(int id);
  std::optional<Location> WherePacked(int id, int64_t k, int64_t n, bool transposed);
  void BindResults();
  void ReuseDyingInputs(std::map<int, int>& shared_with);
  bool CanOverwrite(int step, int reader_of, int producer) const;

  Tape* const graph_;
  const size_t num_inputs_;
  const std::vector<bool> fixed_;       // by input
  const std::vector<int64_t> updates_;  // inputs of the graph
  const bool fuse_;
  std::map<int64_t, int> input_binding_;  // input of the graph -> binding
  std::vector<int> roots_;                // state, then outputs: node ids of the graph
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
  std::vector<PackedFactor> packed_;
};

void Compiler::Schedule() {
  Tape& graph = *graph_;
  // A state that takes the old value of another one must get it before that one changes: by a step of its own (a
  // broadcast to the shape that it has already), placed and ordered like any other.
  for (size_t s = 0; s < updates_.size(); ++s) {
    const Node& source = graph.node(StorageOf(graph, roots_[s]).node);
    if (source.kind != OpKind::kInput || source.attributes[0] == updates_[s]) continue;
    Node copy;
    copy.kind = OpKind::kBroadcast;
    copy.inputs = {roots_[s]};
    copy.shape = graph.node(roots_[s]).shape;
    roots_[s] = graph.Append(std::move(copy)).id();
  }

  steps_ = autodiff::Schedule(graph, roots_, fuse_);
  step_of_.assign(static_cast<size_t>(graph.size()), -1);
  for (size_t s = 0; s < steps_.size(); ++s) {
    for (int id : steps_[s].nodes) step_of_[static_cast<size_t>(id)] = static_cast<int>(s);
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
        while (chain && fuse_ && IsBroadcastLoad(*graph_, source)) {
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
// over, or is dense and comes no later in the chain than the write.
bool Compiler::CanOverwrite(int step, int victim, int producer) const {
  if (graph_->node(producer).kind != OpKind::kElementwise) return false;
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
    const bool is_state = r < updates_.size();
    const int binding = static_cast<int>(num_inputs_ + r);
    const Storage storage = StorageOf(*graph_, roots_[r]);
    bool direct = IsRoot(storage.node) && storage.offset == 0 && Bytes(storage.node) == Bytes(roots_[r]) &&
                  bound_.count(storage.node) == 0;
    if (direct && is_state) {
      // The old value must not be needed after the new one is written.
      const int64_t index = updates_[r];
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
  if (!fuse_) return;
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

std::optional<Location> Compiler::WherePacked(int id, int64_t k, int64_t n, bool transposed) {
  const Storage storage = StorageOf(*graph_, id);
  const Node& root = graph_->node(storage.node);
  if (root.kind != OpKind::kInput || storage.offset != 0) return std::nullopt;
  const size_t input = static_cast<size_t>(input_binding_.at(root.attributes[0]));
  if (input >= fixed_.size() || !fixed_[input]) return std::nullopt;
  const PackedFactor factor{input, k, n, transposed};
  const auto it = std::find(packed_.begin(), packed_.end(), factor);
  const int index = static_cast<int>(it - packed_.begin());
  if (it == packed_.end()) packed_.push_back(factor);
  const int first = FirstBindingSpace() + static_cast<int>(num_inputs_ + roots_.size());
  return Location{first + index, 0, factor.Bytes(graph_->dtype())};
}

void Compiler::Lower(std::vector<Instruction>& instructions) {
  const LocationOf where = [this](int id) { return Where(id); };
  const PackedOf packed = [this](int id, int64_t k, int64_t n, bool transposed) {
    return WherePacked(id, k, n, transposed);
  };
  const IsStored stored = [this](int id) { return stored_[static_cast<size_t>(id)]; };
  for (const Step& step : steps_) {
    if (graph_->node(step.nodes[0]).kind == OpKind::kElementwise) {
      instructions.push_back(LowerChain(*graph_, step, where, stored, fuse_));
    } else {
      for (Instruction& i : LowerNode(*graph_, step.nodes[0], where, packed)) instructions.push_back(std::move(i));
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

Code Generate(const CodeSpec& spec) {
  Compiler compiler(spec);
  compiler.Schedule();
  compiler.Place();
  Code code;
  compiler.Lower(code.instructions);
  code.constants = std::move(compiler.constants());
  code.packed = std::move(compiler.packed());
  code.stats = compiler.stats;
  code.stats.instructions = static_cast<int>(code.instructions.size());
  for (const Instruction& i : code.instructions) {
    code.stats.scratch_bytes = std::max(code.stats.scratch_bytes, i.scratch_bytes);
  }
  return code;
}

}  // namespace autodiff
