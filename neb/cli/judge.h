// Are samples good, and are they new? Jumps of a walk beside held-out data.
//
//   absl::StatusOr<Judgement> judged = JudgeJumps(jumps, data, {.pool = &pool});     // jumps: [jumps, chains, d]
//   PrintJudgement(*judged);
#ifndef NEB_NEB_CLI_JUDGE_H_
#define NEB_NEB_CLI_JUDGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/cli/model_data.h"
#include "neb/nearest_labels.h"
#include "neb/sample_quality.h"
#include "nlohmann/json_fwd.hpp"

namespace neb {

struct JudgeOptions {
  int64_t held_out = 1000;  // held-out samples, evenly spaced, at most
  int64_t compared = 1000;  // jumps, evenly spaced, that are compared as distributions, at most
  int64_t neighbours = 5;   // that give a jump its label
  int64_t hold = 10;        // jumps in a row that a class must last to be held
  autodiff::ThreadPool* pool = nullptr;
};

struct Judgement {
  int64_t training_items = 0;
  int64_t held_out_items = 0;
  // Of each jump [jumps · chains], chains within a jump, and of each held-out sample: its nearest training sample, and
  // the label that its neighbours give it. Without labels the label is −1.
  std::vector<Labelled> jumps = {};
  std::vector<Labelled> held_out = {};
  double held_out_right = 0;             // the share of those labels that are the true ones; NaN if none are known
  std::vector<ClassVisits> chains = {};  // empty without labels
  int64_t hold = 0;
  // Of jumps to held-out samples; and, what to compare with, of as many training samples.
  Measured wasserstein = {}, wasserstein_of_data = {};
  Discrepancy mmd = {}, mmd_of_data = {};
};

// jumps: [jumps, chains, d]. O(jumps · chains · training items · d) time: about a second for 1,000 jumps and MNIST.
absl::StatusOr<Judgement> JudgeJumps(const Tensor& jumps, const ModelData& data, const JudgeOptions& options);

// As a table on standard output.
void PrintJudgement(const Judgement& judgement);
// The same figures.
nlohmann::ordered_json ToJson(const Judgement& judgement);
// A line for each jump: iteration,chain,label,agreement,nearest,distance. iterations: [jumps].
std::string LabelsCsv(const Judgement& judgement, const std::vector<int64_t>& iterations);

}  // namespace neb

#endif  // NEB_NEB_CLI_JUDGE_H_
