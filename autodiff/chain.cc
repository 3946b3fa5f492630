#include "autodiff/chain.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace autodiff {
namespace {

constexpr int64_t kCacheBudget = 32 << 10;  // bytes for the tiles of a chain, in its slots and in memory
constexpr int64_t kMaxTile = 1024;          // elements
constexpr int64_t kMinTile = 128;
// A chain over more memory than this finds little of it in the second-level cache. Below, prefetching costs time.
constexpr int64_t kPrefetchFrom = 2 << 20;
constexpr int64_t kLine = 64;  // bytes of a cache line, and of the longest vector

// Drops axes of extent 1 and merges neighbours that are walked with one stride.
void Collapse(ChainLoad& load) {
  Shape dims, strides;
  for (int i = 0; i < load.dims.rank(); ++i) {
    if (load.dims[i] == 1) continue;
    const int last = dims.rank() - 1;
    if (last >= 0 && strides[last] == load.strides[i] * load.dims[i]) {
      dims[last] *= load.dims[i];
      strides[last] = load.strides[i];
    } else {
      dims.push_back(load.dims[i]);
      strides.push_back(load.strides[i]);
    }
  }
  load.dims = dims;
  load.strides = strides;
}

// The number of elements after which a load repeats itself for ever; 0 when it never does.
int64_t Period(const ChainLoad& load) {
  if (load.dims.rank() == 0) return 1;
  if (load.dims.rank() == 1) return load.strides[0] == 0 ? 1 : 0;
  return load.dims.rank() == 2 && load.strides[0] == 0 ? load.dims[1] : 0;
}

}  // namespace

// Operands that are one number stay in a register, except where an op has no others.
template <typename T>
void Chain<T>::MarkUniform() {
  const size_t num_constants = spec_.constants.size();
  for (size_t i = 0; i < num_constants + spec_.loads.size(); ++i) {
    const bool one =
        i < num_constants || (!spec_.loads[i - num_constants].dense && Period(spec_.loads[i - num_constants]) == 1);
    if (one) operands_[i].source = Source::kUniform;
  }
  for (const ChainOp& op : spec_.ops) {
    if (std::all_of(op.operands.begin(), op.operands.end(), [this](int o) { return IsUniform(o); })) {
      operands_[static_cast<size_t>(op.operands[0])].source = Source::kSlot;
    }
  }
}

template <typename T>
void Chain<T>::ChooseTile(int slots) {
  // Whole vectors are written, so tiles must not share one.
  const int64_t granule = kLine / static_cast<int64_t>(sizeof(T));
  const int64_t tiles = slots + static_cast<int64_t>(streams_.size());
  int64_t tile = kCacheBudget / std::max<int64_t>(1, tiles * static_cast<int64_t>(sizeof(T)));
  tile = std::clamp(tile / granule * granule, kMinTile, kMaxTile);
  // If rows fit a tile, let tiles hold whole rows: operands that are the same for every row are then filled once.
  int64_t period = 1;
  for (const ChainLoad& load : spec_.loads) {
    if (!load.dense) period = std::max(period, Period(load));
  }
  const int64_t rows = std::lcm(period, granule);
  if (rows <= tile) {
    tile = tile / rows * rows;
  } else if (rows <= 2 * tile) {
    tile = rows;
  }
  tile_ = std::min(tile, std::max<int64_t>(1, (spec_.num_elements + granule - 1) / granule) * granule);
}

template <typename T>
Chain<T>::Chain(const ChainSpec& spec) : spec_(spec) {
  const size_t num_constants = spec_.constants.size(), num_loads = spec_.loads.size();
  for (ChainLoad& load : spec_.loads) Collapse(load);
  operands_.resize(num_constants + num_loads + spec_.ops.size());

  std::vector<size_t> last_use(operands_.size(), 0);
  for (size_t i = 0; i < spec_.ops.size(); ++i) {
    for (int operand : spec_.ops[i].operands) last_use[static_cast<size_t>(operand)] = i;
  }
  MarkUniform();
  int slots = 0;
  for (size_t i = 0; i < num_constants; ++i) {
    operands_[i].constant = spec_.constants[i];
    operands_[i].prefilled = true;
    operands_[i].slot = operands_[i].source == Source::kUniform ? num_uniform_++ : slots++;
  }
  for (size_t i = 0; i < num_loads; ++i) {
    Operand& operand = operands_[num_constants + i];
    operand.load = static_cast<int>(i);
    operand.location = spec_.loads[i].location;
    if (operand.source == Source::kUniform) {
      operand.slot = num_uniform_++;
    } else if (spec_.loads[i].dense) {
      operand.source = Source::kMemory;
    } else {
      operand.source = Source::kRefilledSlot;
      operand.slot = slots++;
    }
  }
  // Results that nobody outside needs share slots.
  std::vector<int> free_slots;
  for (size_t i = 0; i < spec_.ops.size(); ++i) {
    const size_t self = num_constants + num_loads + i;
    for (int operand : spec_.ops[i].operands) {
      const size_t o = static_cast<size_t>(operand);
      const bool result = o >= num_constants + num_loads;
      if (result && operands_[o].source == Source::kSlot && last_use[o] == i) {
        free_slots.push_back(operands_[o].slot);
        last_use[o] = spec_.ops.size();  // an operand used twice is freed once
      }
    }
    Operand& out = operands_[self];
    if (spec_.ops[i].stored) {
      out.source = Source::kMemory;
      out.location = spec_.ops[i].location;
    } else if (!free_slots.empty()) {
      out.slot = free_slots.back();  // kernels may write over their inputs
      free_slots.pop_back();
    } else {
      out.slot = slots++;
    }
    const auto& in = spec_.ops[i].operands;
    unsigned uniform = 0;
    for (size_t o = 0; o < in.size(); ++o) uniform |= IsUniform(in[o]) ? 1u << o : 0;
    calls_.push_back({GetTileKernel<T>(spec_.ops[i].op, uniform), in[0], in.size() > 1 ? in[1] : in[0],
                      in.size() > 2 ? in[2] : in[0], static_cast<int>(self)});
  }
  std::set<std::pair<int, int64_t>> seen;
  for (size_t i = num_constants; i < operands_.size(); ++i) {
    const Location& at = operands_[i].location;
    if (operands_[i].source == Source::kMemory && seen.emplace(at.space, at.offset).second) {
      streams_.push_back(static_cast<int>(i));
    }
  }
  prefetch_ = static_cast<int64_t>(streams_.size() * sizeof(T)) * spec_.num_elements >= kPrefetchFrom;
  ChooseTile(slots);
  for (size_t i = 0; i < num_loads; ++i) {
    const int64_t period = spec_.loads[i].dense ? 0 : Period(spec_.loads[i]);
    operands_[num_constants + i].prefilled = period > 0 && (tile_ % period == 0 || tile_ >= spec_.num_elements);
  }
  scratch_bytes_ = PaddedBytes(static_cast<int64_t>(operands_.size() * sizeof(T*))) + num_uniform_ * kLine +
                   static_cast<int64_t>(operands_.size()) * kLine +
                   slots * PaddedBytes(tile_ * static_cast<int64_t>(sizeof(T)));
}

template <typename T>
void Chain<T>::Fill(const ChainLoad& load, const T* from, int64_t begin, int64_t n, T* to) const {
  const int rank = load.dims.rank();
  if (rank == 0) {
    std::fill_n(to, n, from[0]);
    return;
  }
  const int64_t inner = load.dims[rank - 1], stride = load.strides[rank - 1];
  for (int64_t done = 0; done < n;) {
    // Where the run of the innermost axis that holds element begin + done starts.
    int64_t index = begin + done;
    const int64_t column = index % inner;
    index /= inner;
    int64_t offset = column * stride;
    for (int axis = rank - 2; axis >= 0; --axis) {
      offset += index % load.dims[axis] * load.strides[axis];
      index /= load.dims[axis];
    }
    const int64_t run = std::min(inner - column, n - done);
    if (stride == 1) {
      std::memcpy(to + done, from + offset, static_cast<size_t>(run) * sizeof(T));
    } else if (stride == 0) {
      std::fill_n(to + done, run, from[offset]);
    } else {
      for (int64_t i = 0; i < run; ++i) to[done + i] = from[offset + i * stride];
    }
    done += run;
  }
}

template <typename T>
void Chain<T>::Run(std::byte* const* bases, std::byte* scratch, int part, int parts) const {
  const auto [first, last] = Split(spec_.num_elements, tile_, part, parts);
  if (first >= last) return;
  T** const at = reinterpret_cast<T**>(scratch);
  std::byte* const uniform = scratch + PaddedBytes(static_cast<int64_t>(operands_.size() * sizeof(T*)));
  std::byte* const edges = uniform + num_uniform_ * kLine;
  std::byte* const slots = edges + static_cast<int64_t>(operands_.size()) * kLine;
  const int64_t slot_bytes = PaddedBytes(tile_ * static_cast<int64_t>(sizeof(T)));
  for (size_t i = 0; i < operands_.size(); ++i) {
    const Operand& operand = operands_[i];
    if (operand.source == Source::kMemory) {
      at[i] = reinterpret_cast<T*>(bases[operand.location.space] + operand.location.offset) + first;
    } else if (operand.source == Source::kUniform) {
      at[i] = reinterpret_cast<T*>(uniform + operand.slot * kLine);
    } else {
      at[i] = reinterpret_cast<T*>(slots + operand.slot * slot_bytes);
    }
    if (!operand.prefilled) continue;
    const int64_t n = operand.source == Source::kUniform ? kLine / static_cast<int64_t>(sizeof(T))
                                                         : std::min(tile_, spec_.num_elements);
    if (operand.load < 0) {
      std::fill_n(at[i], n, static_cast<T>(operand.constant));
    } else {
      Fill(spec_.loads[static_cast<size_t>(operand.load)],
           reinterpret_cast<const T*>(bases[operand.location.space] + operand.location.offset), 0, n, at[i]);
    }
  }
  constexpr int64_t kLineElements = kLine / static_cast<int64_t>(sizeof(T));
  const int64_t num_calls = static_cast<int64_t>(calls_.size());
  for (int64_t begin = first; begin < last; begin += tile_) {
    const int64_t n = std::min(tile_, last - begin);
    const int64_t whole = n - n % kLineElements;
    for (size_t i = spec_.constants.size(); i < spec_.constants.size() + spec_.loads.size(); ++i) {
      const Operand& operand = operands_[i];
      if (operand.source != Source::kRefilledSlot || operand.prefilled) continue;
      Fill(spec_.loads[static_cast<size_t>(operand.load)],
           reinterpret_cast<const T*>(bases[operand.location.space] + operand.location.offset), begin, n, at[i]);
    }
    // While the ops run over this tile, the next one's memory is on its way into the second-level cache (the first is
    // full of the tile at work): a few lines before each op, as all of them would have to wait for one another.
    const int64_t next = prefetch_ ? std::clamp<int64_t>(last - begin - tile_, 0, tile_) : 0;
    const int64_t lines = (next + kLineElements - 1) / kLineElements;
    const int64_t lines_per_call = (lines * static_cast<int64_t>(streams_.size()) + num_calls - 1) / num_calls;
    size_t stream = 0;
    int64_t line = 0;
    for (const Call& call : calls_) {
      for (int64_t i = 0; i < lines_per_call && stream < streams_.size(); ++i) {
        __builtin_prefetch(at[streams_[stream]] + tile_ + line * kLineElements, /*write=*/0, /*locality=*/2);
        if (++line == lines) {
          line = 0;
          ++stream;
        }
      }
      if (whole > 0) call.kernel(at[call.a], at[call.b], at[call.c], at[call.out], static_cast<size_t>(whole));
    }
    if (whole < n) RunEdge(at, edges, whole, n - whole);
    for (size_t i = 0; i < operands_.size(); ++i) {
      if (operands_[i].source == Source::kMemory) at[i] += tile_;
    }
  }
}

// The last elements, which do not fill a vector: kernels read and write whole ones, but what follows in memory may be
// another shard's. So they work on copies.
template <typename T>
void Chain<T>::RunEdge(T** at, std::byte* edges, int64_t begin, int64_t n) const {
  const size_t bytes = static_cast<size_t>(n) * sizeof(T);
  const size_t results = operands_.size() - spec_.ops.size();
  const auto own = [&](size_t i) { return reinterpret_cast<T*>(edges + static_cast<int64_t>(i) * kLine); };
  for (size_t i = 0; i < operands_.size(); ++i) {
    if (operands_[i].source == Source::kMemory && i < results) std::memcpy(own(i), at[i] + begin, bytes);
  }
  const auto edge = [&](int operand) {
    const size_t i = static_cast<size_t>(operand);
    if (operands_[i].source == Source::kMemory) return own(i);
    return operands_[i].source == Source::kUniform ? at[i] : at[i] + begin;
  };
  for (const Call& call : calls_) {
    call.kernel(edge(call.a), edge(call.b), edge(call.c), edge(call.out), static_cast<size_t>(n));
  }
  for (size_t i = results; i < operands_.size(); ++i) {
    if (operands_[i].source == Source::kMemory) std::memcpy(at[i] + begin, own(i), bytes);
  }
}

template class Chain<float>;
template class Chain<double>;

}  // namespace autodiff
