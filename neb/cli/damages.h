// Stored samples, damaged in the ways that a memory is asked to repair.
//
//   absl::StatusOr<std::vector<Damage>> ways = MakeDamages({.noise = {0, 1, 2}, .occlude = {"bottom"}}, stored, model);
#ifndef NEB_NEB_CLI_DAMAGES_H_
#define NEB_NEB_CLI_DAMAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "neb/model.h"

namespace neb {

struct DamageOptions {
  std::vector<double> noise = {0, 1, 2};  // multiples of the model's σ; 0: the sample itself
  // The part that is set to 0: left, right, top or bottom half of a picture, or half: a random half of all coordinates.
  std::vector<std::string> occlude = {};
  uint64_t seed = 1;
};

struct Damage {
  std::string name;  // "noise 1σ", "left hidden"
  Tensor start;      // [n, d]
};

// One damage of all of `stored` [n, d] for each noise and each occlusion. InvalidArgument: negative noise, words that
// are none of the above, halves of what is no picture.
absl::StatusOr<std::vector<Damage>> MakeDamages(const DamageOptions& options, const Tensor& stored, const Model& model);

}  // namespace neb

#endif  // NEB_NEB_CLI_DAMAGES_H_
