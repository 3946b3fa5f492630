#include "autodiff/passes/shard.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace autodiff {
namespace {

// The values of one shard should stay in a second-level cache of 2 MiB; about so many of the largest ones are in use
// at a time.
constexpr int64_t kCacheBytes = 2 << 20;
constexpr int64_t kLiveValues = 16;
// A graph whose values are smaller than this in all is not worth the trouble.
constexpr int64_t kSmallGraph = 1 << 20;
// Of the multiply-adds, this part may be left to the whole batch.
constexpr double kWholeShare = 0.25;
// Work for this many threads is better than shards that are as large as the cache allows.
constexpr int64_t kWantedShards = 4;

// How a node's value relates to the samples.
enum class Kind : uint8_t {
  kWhole,    // one value for the whole batch; or one that mixes samples
  kRow,      // axis 0 counts samples (or equal numbers of things of each sample), each slice is made from its sample
  kPartial,  // a sum over the samples: each shard gives a part of it
  kFree,     // a constant or a repetition: made wherever it is needed, for as many samples as are there
};

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A product of so many rows adds up in the order that larger ones do (see kernels/gemm.h).
constexpr int64_t kManyRows = 8;

// Rows of the left factor below which packing the weights, once per shard, costs too much.
int64_t RowsFor(int64_t weight_bytes) { return weight_bytes > (1 << 20) ? 256 : weight_bytes > (32 << 10) ? 48 : 8; }

// A stage number that no stage has.
constexpr int kNever = std::numeric_limits<int>::max();

class Sharder {
 public:
  explicit Sharder(const ShardRequest& request)
      : r_(request), graph_(*request.graph), size_(static_cast<size_t>(graph_.size())) {}

  bool ChooseShards();
  void Classify();
  void NumberStages();
  ShardPlan Build();

 private:
  const Node& node(int id) const { return graph_.node(id); }
  Kind kind(int id) const { return kinds_[static_cast<size_t>(id)]; }
  bool IsSample(const Node& n) const {
    return std::find(r_.samples.begin(), r_.samples.end(), n.attributes[0]) != r_.samples.end();
  }
  // Whether axis 0 of the node can be cut between samples.
  bool Divisible(int id) const { return node(id).shape.rank() > 0 && node(id).shape[0] % r_.batch == 0; }
  int64_t PerSample(int id) const { return node(id).shape.num_elements() / r_.batch; }
  // Made anew in each stage that reads it, instead of being handed from stage to stage.
  bool IsCloned(int id) const {
    const OpKind k = node(id).kind;
    return k == OpKind::kInput || k == OpKind::kConstant || k == OpKind::kTensor || k == OpKind::kReshape ||
           k == OpKind::kStopGradient || k == OpKind::kBroadcast;
  }
  // Of a node with rows: whether it reads that input sample by sample, or all of it for each sample.
  bool ReadsBySample(int id, size_t input) const;
  // Whether a shard can have just its own samples' part of the value.
  bool CanCut(int id) const;
  Kind KindOf(int id) const;
  Kind ProductKind(const Node& n) const;
  // Rows of the left factor, which for a convolution's input adjoint are the pixels of g.
  int64_t ProductRows(const Node& n, int64_t samples) const {
    const Shape& shape = n.kind == OpKind::kConvInputAdjoint ? node(n.inputs[0]).shape : n.shape;
    int64_t rows = shape[0] / r_.batch * samples;
    for (int i = 1; i + 1 < shape.rank(); ++i) rows *= shape[i];
    return rows;
  }
  int64_t WeightBytes(const Node& n) const { return node(n.inputs[1]).shape.num_elements() * SizeOf(graph_.dtype()); }

  int StageOf(int id) const { return stages_[static_cast<size_t>(id)]; }
  // Whether a row of the cloned node is made of several rows of its input.
  bool Mixes(int id, int input) const { return kind(id) != Kind::kRow && kind(input) == Kind::kRow; }
  // The last stages that read a node, also through cloned ones, as the stages are numbered so far.
  struct Reads {
    int until = -1;
    int all_until = -1;  // the last that reads rows of other samples than its own
  };
  std::vector<Reads> FindReads() const;

  // --- building ---
  struct Import {
    StageValue value;
    int source;      // node whose value the buffer holds, or -1 for an input of the caller
    bool by_sample;  // which slices a shard sees
    bool partial;    // the parts of a sum, not the sum
  };
  struct Builder {
    int stage;
    int64_t samples;  // of this graph
    StageGraph* graph;
    std::vector<Import>* imports;
    std::map<std::tuple<int, bool, bool>, Var> made;  // (node, by sample, partial)
  };
  Shape ShapeFor(const Builder& b, int id, bool by_sample) const {
    Shape s = node(id).shape;
    if (by_sample) s[0] = s[0] / r_.batch * b.samples;
    return s;
  }
  Var Get(Builder& b, int id, bool by_sample);
  Var Compute(Builder& b, int id, bool by_sample);
  Var Bring(Builder& b, int id, bool by_sample, bool partial);
  bool OfStage(int id, int stage) const {
    return !IsCloned(id) &&
           (StageOf(id) == stage || (kind(id) == Kind::kPartial && totals_[static_cast<size_t>(id)] == stage));
  }
  int64_t Buffer(int id, bool partial);

  const ShardRequest& r_;
  const Tape& graph_;
  const size_t size_;
  int64_t shards_ = 0;
  int64_t samples_ = 0;  // of each shard but the last
  std::vector<Kind> kinds_;
  std::vector<int> stages_;                          // where a node is computed, where a cloned one can first be had
  std::vector<int> totals_;                          // of a kPartial node: where the parts are added up
  std::set<int> used_;                               // stages that compute something
  int last_ = 0;                                     // whole
  std::map<std::pair<int, bool>, int64_t> buffers_;  // (node, partial) -> index
  std::vector<int64_t> buffer_sizes_;
};

bool Sharder::CanCut(int id) const {
  const Node& n = node(id);
  switch (n.kind) {
    case OpKind::kConstant:
      return true;
    case OpKind::kTensor:
      return false;
    case OpKind::kBroadcast: {
      if (kind(id) == Kind::kWhole) return false;  // it repeats all samples
      const Shape& from = node(n.inputs[0]).shape;
      return from.rank() < n.shape.rank() || from[0] != n.shape[0] || CanCut(n.inputs[0]);
    }
    case OpKind::kReshape:
    case OpKind::kStopGradient:
      return Divisible(id) && CanCut(n.inputs[0]);
    default:
      return Divisible(id);
  }
}

bool Sharder::ReadsBySample(int id, size_t input) const {
  const Node& n = node(id);
  switch (n.kind) {
    case OpKind::kMatmul:
      return kind(id) == Kind::kPartial || n.shape.rank() > 2 || input % 2 == 0;
    case OpKind::kConv:
    case OpKind::kConvInputAdjoint:
      return input % 2 == 0;
    default:
      return true;
  }
}

// A product whose inputs are pairs of a left and a right factor.
Kind Sharder::ProductKind(const Node& n) const {
  const bool transpose_a = n.attributes[0] != 0, transpose_b = n.attributes[1] != 0;
  bool rows_by_all = true, sums_samples = true, any_rows = false;
  for (size_t i = 0; i < n.inputs.size(); i += 2) {
    const int a = n.inputs[i], b = n.inputs[i + 1];
    const bool row_a = kind(a) == Kind::kRow, row_b = kind(b) == Kind::kRow;
    any_rows = any_rows || row_a || row_b;
    rows_by_all = rows_by_all && row_a && !row_b && !transpose_a;
    sums_samples = sums_samples && row_a && row_b && transpose_a && !transpose_b;
  }
  if (n.shape.rank() > 2) return any_rows && n.shape[0] % r_.batch == 0 ? Kind::kRow : Kind::kWhole;
  return rows_by_all ? Kind::kRow : sums_samples ? Kind::kPartial : Kind::kWhole;
}

Kind Sharder::KindOf(int id) const {
  const Node& n = node(id);
  const auto is_row = [this](int i) { return kind(i) == Kind::kRow; };
  const bool any_rows = std::any_of(n.inputs.begin(), n.inputs.end(), is_row);
  switch (n.kind) {
    case OpKind::kInput:
      return IsSample(n) ? Kind::kRow : Kind::kWhole;
    case OpKind::kConstant:
      return Kind::kFree;
    case OpKind::kTensor:
      return Kind::kWhole;
    case OpKind::kBroadcast: {
      if (!any_rows) return Kind::kFree;
      const Shape& from = node(n.inputs[0]).shape;
      return from.rank() == n.shape.rank() && from[0] == n.shape[0] ? Kind::kRow : Kind::kWhole;
    }
    case OpKind::kReshape:
    case OpKind::kStopGradient:
      return kind(n.inputs[0]) == Kind::kRow && Divisible(id) ? Kind::kRow : Kind::kWhole;
    default:
      break;
  }
  if (!any_rows) return Kind::kWhole;
  const Shape& from = node(n.inputs[0]).shape;
  switch (n.kind) {
    case OpKind::kElementwise:
      return Divisible(id) ? Kind::kRow : Kind::kWhole;
    case OpKind::kSum:
      return n.attributes[0] == 0 ? Kind::kPartial : Kind::kRow;
    case OpKind::kPermute:
      return n.attributes[0] == 0 ? Kind::kRow : Kind::kWhole;
    case OpKind::kSlice:
    case OpKind::kPad:
      return n.shape[0] == from[0] ? Kind::kRow : Kind::kWhole;
    case OpKind::kMax:
    case OpKind::kConcat:
      return n.attributes[0] != 0 ? Kind::kRow : Kind::kWhole;
    case OpKind::kMatmul:
      return ProductKind(n);
    case OpKind::kConv:
    case OpKind::kConvInputAdjoint:
      return is_row(n.inputs[0]) && !is_row(n.inputs[1]) ? Kind::kRow : Kind::kWhole;
    case OpKind::kConvWeightAdjoint:
      return std::all_of(n.inputs.begin(), n.inputs.end(), is_row) ? Kind::kPartial : Kind::kWhole;
    default:
      return Kind::kWhole;
  }
}

void Sharder::Classify() {
  kinds_.assign(size_, Kind::kWhole);
  for (int id = 0; id < graph_.size(); ++id) {
    const Node& n = node(id);
    Kind& k = kinds_[static_cast<size_t>(id)];
    k = KindOf(id);
    if (k != Kind::kRow && k != Kind::kPartial) continue;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (n.kind != OpKind::kBroadcast && ReadsBySample(id, i) && !CanCut(n.inputs[i])) k = Kind::kWhole;
    }
    if (shards_ == 0) continue;  // nothing is known of costs yet
    // Products that lose too much when done shard by shard: few rows to a large matrix of weights, or a large result
    // of which each shard would have a copy. And those that would lose their bits.
    const bool product = n.kind == OpKind::kMatmul || n.kind == OpKind::kConv || n.kind == OpKind::kConvInputAdjoint;
    const int64_t fewest = r_.batch % samples_ == 0 ? samples_ : r_.batch % samples_;  // in the last shard
    if (k == Kind::kRow && product && n.shape.rank() != 3 &&
        (ProductRows(n, samples_) < RowsFor(WeightBytes(n)) || ProductRows(n, fewest) < kManyRows)) {
      k = Kind::kWhole;
    }
    if (k == Kind::kPartial) {
      int64_t operands = 0;
      for (int input : n.inputs) operands += node(input).shape.num_elements();
      if (shards_ * n.shape.num_elements() > operands) k = Kind::kWhole;
    }
  }
}

bool Sharder::ChooseShards() {
  Classify();
  int64_t largest = 0, all = 0;
  double total = 0;
  std::map<int64_t, double> needs;  // samples per shard that a product wants -> its multiply-adds
  for (int id = 0; id < graph_.size(); ++id) {
    const Node& n = node(id);
    if (kind(id) != Kind::kRow || IsCloned(id)) continue;
    const int64_t bytes = PerSample(id) * SizeOf(graph_.dtype());
    largest = std::max(largest, bytes);
    all += bytes * r_.batch;
    if ((n.kind == OpKind::kMatmul && n.shape.rank() == 2) || n.kind == OpKind::kConv ||
        n.kind == OpKind::kConvInputAdjoint) {
      const int64_t weights = WeightBytes(n);
      const int64_t per_sample = std::max<int64_t>(1, ProductRows(n, 1));
      const int64_t rows = RowsFor(weights);
      const double work = static_cast<double>(per_sample) * static_cast<double>(weights);
      needs[DivideUp(rows, per_sample)] += work;
      total += work;
    }
  }
  if (r_.shards > 0) {
    samples_ = DivideUp(r_.batch, r_.shards);
    shards_ = DivideUp(r_.batch, samples_);
    return shards_ > 1;
  }
  if (largest == 0 || all < kSmallGraph) return false;
  int64_t samples = std::max<int64_t>(1, kCacheBytes / (kLiveValues * largest));
  int64_t least = 1;
  double left = 0;  // of the products that want more than `least`
  for (auto need = needs.rbegin(); need != needs.rend(); ++need) {
    left += need->second;
    if (left > kWholeShare * total) {
      least = need->first;
      break;
    }
  }
  samples = std::max(least, std::min(samples, r_.batch / kWantedShards));
  if (r_.batch < 2 * samples) return false;
  // Equal shares in whole tiles of a product.
  samples_ = DivideUp(r_.batch, r_.batch / samples);
  if (samples_ > kManyRows) {
    // Nor may the last shard have so few samples that its products add up in another order than the others' do.
    samples_ = DivideUp(samples_, kManyRows) * kManyRows;
    while (r_.batch % samples_ != 0 && r_.batch % samples_ < kManyRows) samples_ += kManyRows;
  }
  shards_ = DivideUp(r_.batch, samples_);
  return shards_ > 1;
}

std::vector<Sharder::Reads> Sharder::FindReads() const {
  std::vector<Reads> reads(size_);
  for (int root : r_.roots) {
    if (IsCloned(root)) reads[static_cast<size_t>(root)].until = last_;
  }
  for (int id = graph_.size() - 1; id >= 0; --id) {
    const size_t i = static_cast<size_t>(id);
    const bool cloned = IsCloned(id);
    const int reader = cloned                       ? reads[i].until
                       : kind(id) == Kind::kPartial ? std::max(totals_[i], StageOf(id))
                                                    : StageOf(id);
    for (int input : node(id).inputs) {
      Reads& of = reads[static_cast<size_t>(input)];
      of.until = std::max(of.until, reader);
      if (!cloned) continue;
      of.all_until = std::max(of.all_until, Mixes(id, input) ? reader : reads[i].all_until);
    }
  }
  return reads;
}

void Sharder::NumberStages() {
  stages_.assign(size_, 0);
  totals_.assign(size_, 0);
  // As early as possible; sharded stages are odd.
  for (int id = 0; id < graph_.size(); ++id) {
    const Node& n = node(id);
    const size_t i = static_cast<size_t>(id);
    const bool by_sample = kind(id) == Kind::kRow || kind(id) == Kind::kPartial;
    int first = by_sample ? 1 : 0;
    if (n.kind == OpKind::kInput) first = 0;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      const size_t input = static_cast<size_t>(n.inputs[k]);
      const bool partial = kinds_[input] == Kind::kPartial;
      const int had = partial ? totals_[input] : stages_[input];
      if (IsCloned(id) && (by_sample || kinds_[input] != Kind::kRow)) {
        first = std::max(first, had);
      } else if (by_sample) {
        first = std::max(first, had % 2 == 1 ? had : had + 1);
      } else {
        first = std::max(first, had % 2 == 0 ? had : had + 1);
      }
    }
    stages_[i] = first;
    totals_[i] = first + 1;
    last_ = std::max(last_, first % 2 == 0 ? first : first + 1);
  }
  // What is whole waits until it is needed, and so do rows that recompute.h wants to be made where they are read, or
  // that are made from rows that are read there too: less is handed from stage to stage.
  const std::vector<Reads> reads = FindReads();
  std::vector<int> first_reader(size_, kNever);
  const auto read_in = [&](int id, int stage) {
    int& first = first_reader[static_cast<size_t>(id)];
    first = std::min(first, stage);
  };
  for (int root : r_.roots) read_in(root, last_);
  for (int id = graph_.size() - 1; id >= 0; --id) {
    const size_t i = static_cast<size_t>(id);
    const int latest = std::min(first_reader[i], last_);
    if (IsCloned(id)) {
      // What mixes rows needs all of them, from a stage before.
      for (int input : node(id).inputs) read_in(input, Mixes(id, input) ? latest / 2 * 2 : latest);
      continue;
    }
    const int latest_whole = latest / 2 * 2, latest_sharded = (latest - 1) / 2 * 2 + 1;
    const bool copy = !node(id).attributes.empty();
    const bool reads_nothing_more = std::all_of(node(id).inputs.begin(), node(id).inputs.end(), [&](int input) {
      return kind(input) != Kind::kRow || reads[static_cast<size_t>(input)].until >= latest_sharded;
    });
    if (kind(id) == Kind::kWhole) stages_[i] = std::max(stages_[i], latest_whole);
    if (kind(id) == Kind::kRow && node(id).kind == OpKind::kElementwise && (copy || reads_nothing_more)) {
      stages_[i] = std::max(stages_[i], latest_sharded);
    }
    if (kind(id) == Kind::kPartial) {
      totals_[i] = std::max(totals_[i], latest_whole);
      used_.insert(totals_[i]);
    }
    used_.insert(stages_[i]);
    for (int input : node(id).inputs) read_in(input, stages_[i]);
  }
}

int64_t Sharder::Buffer(int id, bool partial) {
  const auto [it, inserted] = buffers_.emplace(std::make_pair(id, partial), static_cast<int64_t>(buffer_sizes_.size()));
  if (inserted) buffer_sizes_.push_back(node(id).shape.num_elements() * (partial ? shards_ : 1));
  return it->second;
}

// A value of another stage, or of the caller.
Var Sharder::Bring(Builder& b, int id, bool by_sample, bool partial) {
  const Node& n = node(id);
  Import import{.value = {}, .source = -1, .by_sample = by_sample, .partial = partial};
  Shape shape = ShapeFor(b, id, by_sample);
  std::string name = n.name;
  if (n.kind == OpKind::kInput) {
    import.value = {StageValue::kInput, n.attributes[0], 0, 0};
  } else {
    import.value = {StageValue::kBuffer, Buffer(id, partial), 0, 0};
    import.source = id;
    name = std::string("value ") + std::to_string(id);
    if (partial) shape = {shards_, n.shape.num_elements()};
  }
  if (by_sample) import.value.per_sample = PerSample(id);
  b.imports->push_back(import);
  const Var v = b.graph->tape->Input(std::move(name), shape);
  b.graph->inputs.push_back(v);
  return v;
}

Var Sharder::Compute(Builder& b, int id, bool by_sample) {
  Node copy = node(id);
  for (size_t i = 0; i < copy.inputs.size(); ++i) {
    const int input = node(id).inputs[i];
    bool inner = by_sample || kind(id) == Kind::kPartial;
    if (copy.kind == OpKind::kBroadcast) {
      const Shape& from = node(input).shape;
      inner = inner && from.rank() == copy.shape.rank() && from[0] == copy.shape[0];
    } else if (inner) {
      inner = ReadsBySample(id, i);
    }
    copy.inputs[i] = Get(b, input, inner).id();
  }
  copy.shape = ShapeFor(b, id, by_sample);
  return b.graph->tape->Append(std::move(copy));
}

Var Sharder::Get(Builder& b, int id, bool by_sample) {
  const bool is_part = kind(id) == Kind::kPartial && StageOf(id) == b.stage;
  const auto key = std::make_tuple(id, by_sample, is_part);
  if (const auto it = b.made.find(key); it != b.made.end()) return it->second;
  const Node& n = node(id);
  const bool given = n.kind == OpKind::kInput;
  Var v;
  if (n.kind == OpKind::kConstant) {
    v = b.graph->tape->Constant(n.constant(), ShapeFor(b, id, by_sample));
  } else if (kind(id) == Kind::kPartial && !is_part && totals_[static_cast<size_t>(id)] == b.stage) {
    Node sum;
    sum.kind = OpKind::kSum;
    sum.inputs = {Bring(b, id, false, true).id()};
    sum.shape = {n.shape.num_elements()};
    sum.attributes = {0, 1};
    Node shaped;
    shaped.kind = OpKind::kReshape;
    shaped.inputs = {b.graph->tape->Append(std::move(sum)).id()};
    shaped.shape = n.shape;
    v = b.graph->tape->Append(std::move(shaped));
  } else if (!given && (IsCloned(id) || StageOf(id) == b.stage)) {
    v = Compute(b, id, IsCloned(id) ? by_sample : b.stage % 2 == 1 && kind(id) == Kind::kRow);
  } else {
    v = Bring(b, id, by_sample, false);
  }
  b.made.emplace(key, v);
  return v;
}

ShardPlan Sharder::Build() {
  ShardPlan plan;
  plan.batch = r_.batch;
  plan.shards = shards_;
  plan.samples = samples_;

  // Which stage gives each root its final place. An update must not overtake a later stage that reads the old value.
  const std::vector<Reads> reads = FindReads();
  std::map<int64_t, Reads> last_read;  // by tape input
  for (int id = 0; id < graph_.size(); ++id) {
    if (node(id).kind == OpKind::kInput) last_read[node(id).attributes[0]] = reads[static_cast<size_t>(id)];
  }
  struct Result {
    int stage;
    bool by_sample;
  };
  std::vector<Result> results;
  bool needs_last = false;
  for (size_t i = 0; i < r_.roots.size(); ++i) {
    const int root = r_.roots[i];
    int storage = root;
    while (node(storage).kind == OpKind::kReshape || node(storage).kind == OpKind::kStopGradient) {
      storage = node(storage).inputs[0];
    }
    Result result{last_, false};
    if (!IsCloned(storage)) {
      const bool row = kind(root) == Kind::kRow;
      result.stage = kind(storage) == Kind::kPartial ? totals_[static_cast<size_t>(storage)] : StageOf(storage);
      // A row that a reshape has made indivisible ends up whole.
      if (result.stage % 2 == 1 && !row) result.stage = last_;
      result.by_sample = result.stage % 2 == 1;
    }
    if (i < r_.updates.size()) {
      const auto read = last_read.find(r_.updates[i]);
      const auto [until, all_until] = read == last_read.end() ? Reads() : read->second;
      const bool sample = std::find(r_.samples.begin(), r_.samples.end(), r_.updates[i]) != r_.samples.end();
      const bool by_others = !sample || all_until == result.stage;
      if (until > result.stage || (result.by_sample && by_others && until == result.stage)) {
        result = {last_, false};
      }
    }
    needs_last = needs_last || result.stage == last_;
    results.push_back(result);
  }
  if (needs_last) used_.insert(last_);

  // The graphs, first without what other stages want of them.
  std::map<int, size_t> index;
  std::vector<std::vector<Builder>> builders;
  std::vector<std::vector<Import>> imports;
  for (int stage : used_) {
    index[stage] = plan.stages.size();
    plan.stages.emplace_back();
    Stage& s = plan.stages.back();
    s.sharded = stage % 2 == 1;
    const bool two = s.sharded && r_.batch % samples_ != 0;
    for (int v = 0; v < (two ? 2 : 1); ++v) {
      s.graphs.emplace_back();
      s.graphs.back().tape = std::make_unique<Tape>(graph_.dtype());
    }
  }
  builders.resize(plan.stages.size());
  imports.resize(plan.stages.size());
  for (const auto& [stage, at] : index) {
    Stage& s = plan.stages[at];
    for (size_t v = 0; v < s.graphs.size(); ++v) {
      std::vector<Import> mine;
      Builder b{stage, !s.sharded ? r_.batch : v == 0 ? samples_ : r_.batch % samples_, &s.graphs[v], &mine, {}};
      for (int id = 0; id < graph_.size(); ++id) {
        if (OfStage(id, stage)) Get(b, id, s.sharded && kind(id) == Kind::kRow);
      }
      for (size_t i = 0; i < r_.roots.size(); ++i) {
        if (results[i].stage == stage) Get(b, r_.roots[i], results[i].by_sample);
      }
      imports[at] = std::move(mine);
      builders[at].push_back(std::move(b));
    }
  }

  // Then the results, and the values that later stages import.
  const auto everywhere = [&](size_t at, int id, bool by_sample, const std::function<void(StageGraph&, Var)>& add) {
    for (Builder& b : builders[at]) {
      b.imports = &imports[at];
      add(*b.graph, Get(b, id, by_sample));
    }
  };
  for (size_t i = 0; i < r_.roots.size(); ++i) {
    const Result& result = results[i];
    const size_t at = index.at(result.stage);
    Stage& s = plan.stages[at];
    StageValue value{StageValue::kResult, static_cast<int64_t>(i), 0, 0};
    if (result.by_sample) value.per_sample = PerSample(r_.roots[i]);
    if (i < r_.updates.size()) {
      s.state.push_back(value);
      for (Builder& b : builders[at]) {
        const Var after = Get(b, r_.roots[i], result.by_sample);
        // The old value: the input of this stage that holds it, if there is one.
        Var before;
        for (size_t k = 0; k < imports[at].size(); ++k) {
          const StageValue& v = imports[at][k].value;
          if (v.place == StageValue::kInput && v.index == r_.updates[i]) before = b.graph->inputs[k];
        }
        if (before.tape() == nullptr) before = b.graph->tape->Input("", after.shape());
        b.graph->before.push_back(before);
        b.graph->after.push_back(after);
      }
    } else {
      s.outputs.push_back(value);
      everywhere(at, r_.roots[i], result.by_sample, [](StageGraph& g, Var v) { g.outputs.push_back(v); });
    }
  }
  for (const auto& [key, buffer] : buffers_) {
    const auto& [id, partial] = key;
    const int stage = partial || kind(id) != Kind::kPartial ? StageOf(id) : totals_[static_cast<size_t>(id)];
    const bool by_sample = stage % 2 == 1 && !partial;
    const size_t at = index.at(stage);
    StageValue value{StageValue::kBuffer, buffer, 0, 0};
    if (partial) value.per_shard = node(id).shape.num_elements();
    if (by_sample) value.per_sample = PerSample(id);
    plan.stages[at].outputs.push_back(value);
    everywhere(at, id, by_sample, [](StageGraph& g, Var v) { g.outputs.push_back(v); });
  }
  // An input that a stage updates is not one of its read-only inputs.
  for (size_t at = 0; at < plan.stages.size(); ++at) {
    Stage& s = plan.stages[at];
    for (StageGraph& g : s.graphs) {
      std::vector<Var> kept;
      for (Var v : g.inputs) {
        if (std::find(g.before.begin(), g.before.end(), v) == g.before.end()) kept.push_back(v);
      }
      if (&g == &s.graphs.back()) {
        for (size_t k = 0; k < g.inputs.size(); ++k) {
          if (std::find(g.before.begin(), g.before.end(), g.inputs[k]) == g.before.end()) {
            s.inputs.push_back(imports[at][k].value);
          }
        }
      }
      g.inputs = std::move(kept);
    }
  }
  plan.buffers = buffer_sizes_;
  return plan;
}

}  // namespace

std::optional<ShardPlan> PlanShards(const ShardRequest& request) {
  if (request.batch < 2 || request.samples.empty()) return std::nullopt;
  Sharder sharder(request);
  if (!sharder.ChooseShards()) return std::nullopt;
  sharder.Classify();
  sharder.NumberStages();
  return sharder.Build();
}

}  // namespace autodiff
