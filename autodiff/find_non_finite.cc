#include "autodiff/find_non_finite.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "autodiff/program.h"

namespace autodiff {
namespace {

// What is known of a node once it has been computed.
struct Finding {
  bool finite = true;
  int64_t made_at = -1;          // the first element that came of finite numbers and is not finite; -1: none
  double made = 0;               // that element
  std::vector<double> operands;  // of it
  std::vector<int> handed_on;    // inputs whose non-finite numbers are in the result
};

template <typename T>
int64_t FirstNonFinite(const Tensor& t) {
  const std::span<const T> values = t.data<T>();
  const auto it = std::find_if(values.begin(), values.end(), [](T v) { return !std::isfinite(v); });
  return it == values.end() ? -1 : it - values.begin();
}
int64_t FirstNonFinite(const Tensor& t) {
  return t.dtype() == DType::kF32 ? FirstNonFinite<float>(t) : FirstNonFinite<double>(t);
}

// The inputs that element `at` of the result depends on.
absl::InlinedVector<int, 3> Consulted(const Node& node, absl::Span<const Tensor* const> in, int64_t at) {
  if (node.elementwise != Elementwise::where) {
    absl::InlinedVector<int, 3> all;
    for (size_t i = 0; i < in.size(); ++i) all.push_back(static_cast<int>(i));
    return all;
  }
  return {2, in[2]->at(at) != 0 ? 0 : 1};
}

Finding Look(const Node& node, absl::Span<const Tensor* const> in, const Tensor& out) {
  Finding found;
  const int64_t first = FirstNonFinite(out);
  found.finite = first < 0;
  if (found.finite) return found;
  std::vector<bool> handed_on(in.size(), false);
  if (node.kind == OpKind::kElementwise) {
    for (int64_t at = first; at < out.num_elements(); ++at) {
      if (std::isfinite(out.at(at))) continue;
      bool from_finite = true;
      for (const int i : Consulted(node, in, at)) {
        if (std::isfinite(in[static_cast<size_t>(i)]->at(at))) continue;
        handed_on[static_cast<size_t>(i)] = true;
        from_finite = false;
      }
      if (!from_finite || found.made_at >= 0) continue;
      found.made_at = at;
      for (const Tensor* t : in) found.operands.push_back(t->at(at));
    }
  } else {
    for (size_t i = 0; i < in.size(); ++i) handed_on[i] = FirstNonFinite(*in[i]) >= 0;
    if (std::find(handed_on.begin(), handed_on.end(), true) == handed_on.end()) found.made_at = first;
  }
  if (found.made_at >= 0) found.made = out.at(found.made_at);
  for (size_t i = 0; i < in.size(); ++i) {
    if (handed_on[i]) found.handed_on.push_back(node.inputs[i]);
  }
  return found;
}

// One node by itself, as Compile would compute it.
absl::StatusOr<Tensor> Compute(const Tape& tape, const Node& node, absl::Span<const Tensor* const> in) {
  Tape alone(tape.dtype());
  std::map<int, Var> inputs;  // by the node of the first tape
  std::vector<Var> listed;
  std::vector<const Tensor*> values;
  Node copy = node;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    Var& v = inputs[node.inputs[i]];
    if (v.tape() == nullptr) {
      v = alone.Input("", in[i]->shape());
      listed.push_back(v);
      values.push_back(in[i]);
    }
    copy.inputs[i] = v.id();
  }
  const Var result = alone.Append(std::move(copy));
  absl::StatusOr<Program> program = Compile({.inputs = listed, .state = {}, .outputs = {result}}, {.optimize = false});
  if (!program.ok()) return program.status();
  Tensor out(node.shape, tape.dtype());
  Tensor* const to = &out;
  if (absl::Status s = program->Run(values, {}, {&to, 1}); !s.ok()) return s;
  return out;
}

NonFinite Describe(const Tape& tape, int id, const Finding& finding) {
  const Node& node = tape.node(id);
  NonFinite result{.op = node.op_name(),
                   .name = node.name,
                   .shape = node.shape,
                   .index = std::vector<int64_t>(static_cast<size_t>(node.shape.rank())),
                   .value = finding.made,
                   .operands = finding.operands,
                   .gradient_of = {},
                   .location = node.location};
  int64_t rest = finding.made_at;
  for (int axis = node.shape.rank() - 1; axis >= 0; --axis) {
    result.index[static_cast<size_t>(axis)] = rest % node.shape[axis];
    rest /= node.shape[axis];
  }
  for (int of = node.gradient_of; of >= 0; of = tape.node(of).gradient_of) {
    result.gradient_of.emplace_back(tape.node(of).op_name());
  }
  return result;
}

}  // namespace

absl::StatusOr<std::optional<NonFinite>> FindNonFinite(const std::vector<Var>& results, const std::vector<Var>& inputs,
                                                       const std::vector<const Tensor*>& values) {
  // The checks of a whole program first; they also see to it that everything is on one tape.
  const absl::StatusOr<Program> whole = Compile({.inputs = inputs, .state = {}, .outputs = results});
  if (!whole.ok()) return whole.status();
  if (results.empty()) return std::nullopt;
  if (values.size() != inputs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("FindNonFinite: got ", values.size(), " values for ", inputs.size(), " inputs"));
  }
  const Tape& tape = *results[0].tape();
  std::map<int, const Tensor*> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (values[i] == nullptr || values[i]->dtype() != tape.dtype() || !(values[i]->shape() == inputs[i].shape())) {
      return absl::InvalidArgumentError(absl::StrCat("FindNonFinite: input \"", inputs[i].node().name, "\" must be ",
                                                     Name(tape.dtype()), inputs[i].shape().ToString()));
    }
    given[inputs[i].id()] = values[i];
  }

  std::vector<int> readers(static_cast<size_t>(tape.size()), 0);  // that are yet to come
  std::vector<bool> needed(readers.size(), false);
  for (const Var r : results) needed[static_cast<size_t>(r.id())] = true;
  for (int id = tape.size() - 1; id >= 0; --id) {
    if (!needed[static_cast<size_t>(id)]) continue;
    for (const int input : tape.node(id).inputs) {
      needed[static_cast<size_t>(input)] = true;
      ++readers[static_cast<size_t>(input)];
    }
  }

  std::vector<Finding> findings(needed.size());
  std::map<int, Tensor> computed;  // and still to be read
  for (int id = 0; id < tape.size(); ++id) {
    if (!needed[static_cast<size_t>(id)]) continue;
    const Node& node = tape.node(id);
    absl::InlinedVector<const Tensor*, 3> in;
    for (const int input : node.inputs) {
      const auto it = given.find(input);
      in.push_back(it != given.end() ? it->second : &computed.at(input));
    }
    const auto it = given.find(id);
    if (it == given.end()) {
      absl::StatusOr<Tensor> value = Compute(tape, node, in);
      if (!value.ok()) return value.status();
      findings[static_cast<size_t>(id)] = Look(node, in, *value);
      if (readers[static_cast<size_t>(id)] > 0) computed.emplace(id, *std::move(value));
    } else {
      findings[static_cast<size_t>(id)] = Look(node, in, *it->second);
    }
    for (const int input : node.inputs) {
      if (--readers[static_cast<size_t>(input)] == 0) computed.erase(input);
    }
  }

  // Back from the results along what was handed on.
  std::vector<bool> guilty(needed.size(), false);
  for (const Var r : results) {
    if (!findings[static_cast<size_t>(r.id())].finite) guilty[static_cast<size_t>(r.id())] = true;
  }
  int first = -1;
  for (int id = tape.size() - 1; id >= 0; --id) {
    if (!guilty[static_cast<size_t>(id)]) continue;
    const Finding& f = findings[static_cast<size_t>(id)];
    if (f.made_at >= 0) first = id;
    for (const int input : f.handed_on) guilty[static_cast<size_t>(input)] = true;
  }
  if (first < 0) return std::nullopt;
  return Describe(tape, first, findings[static_cast<size_t>(first)]);
}

std::string ToString(const NonFinite& f) {
  std::string text = f.op;
  if (!f.name.empty()) absl::StrAppend(&text, " \"", f.name, "\"");
  absl::StrAppend(&text, " of shape ", f.shape.ToString(), f.op == "input" ? " is " : " made ",
                  std::isnan(f.value) ? "nan" : absl::StrCat(f.value));
  if (!f.operands.empty()) absl::StrAppend(&text, " of ", absl::StrJoin(f.operands, ", "));
  absl::StrAppend(&text, " at [", absl::StrJoin(f.index, ", "), "]");
  for (size_t i = 0; i < f.gradient_of.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? ", in" : " in", " the gradient of ", f.gradient_of[i]);
  }
  if (f.location.file != nullptr) absl::StrAppend(&text, " (", f.location.file, ":", f.location.line, ")");
  return text;
}

std::ostream& operator<<(std::ostream& out, const NonFinite& found) { return out << ToString(found); }

}  // namespace autodiff
