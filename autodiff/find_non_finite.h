// Where numbers go wrong: the first op that made a NaN or an infinity out of finite numbers.
//
//   absl::StatusOr<std::optional<NonFinite>> found = FindNonFinite({loss}, {x, w}, {&batch, &weights});
//   if (found.ok() && found->has_value()) std::cout << **found;
//       // log of shape [128] made nan of -0.25 at [3] (energy.cc:12)
//
// A replay for after the fact: op by op, without optimisation, many times slower than a run. Runs themselves do not
// look.
#ifndef NEB_AUTODIFF_FIND_NON_FINITE_H_
#define NEB_AUTODIFF_FIND_NON_FINITE_H_

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"

namespace autodiff {

struct NonFinite {
  std::string op;                // "log"; "input" or "constant" where it came from outside
  std::string name;              // of an input
  Shape shape;                   // of the result
  std::vector<int64_t> index;    // of the first such element in it
  double value = 0;              // NaN or an infinity
  std::vector<double> operands;  // of an elementwise op, at that element
  // Empty for an op that the user wrote. Else it belongs to a gradient: of an op of this name, which is itself part of
  // the gradient of the next one in the list, and so on.
  std::vector<std::string> gradient_of;
  // The line of the user's source with the op, or with the one at the end of gradient_of; a file of null: unknown.
  SourceLocation location;
};
std::ostream& operator<<(std::ostream& out, const NonFinite& found);
// "div of shape [128] made inf of 1, 0 at [3], in the gradient of log (energy.cc:12)"
std::string ToString(const NonFinite& found);

// Computes `results` from `inputs`, whose values are matched by position. Of the ops that made a NaN or an infinity out
// of finite numbers (elementwise ops: element by element) and handed it on to a result, the first in the order of
// recording: what `where` discards, or exp(-inf) swallows, does not count. nullopt: all results are finite. Errors:
// those of Compile and Run (program.h).
absl::StatusOr<std::optional<NonFinite>> FindNonFinite(const std::vector<Var>& results, const std::vector<Var>& inputs,
                                                       const std::vector<const Tensor*>& values);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_FIND_NON_FINITE_H_
