// What the held-out loss of a trained energy is read against.
//
//   absl::StatusOr<std::vector<Reference>> references = References(data, source, sigma, &pool);
#ifndef NEB_NEB_CLI_REFERENCES_H_
#define NEB_NEB_CLI_REFERENCES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "neb/cli/data_source.h"
#include "neb/dataset.h"

namespace neb {

struct Reference {
  std::string name;
  double loss = 0;            // E‖x − x̂‖² per item
  double standard_error = 0;  // 0: exact
};

// The lowest first, as a rule: "least possible" where the distribution is known (the synthetic Gaussians, in closed
// form, see closed_form.h); "linear (Wiener)", fitted to the training data, on the held-out data (left out above
// LinearEstimator::kMaxDimension); "no model (σ²d)". Errors: those of the estimators.
absl::StatusOr<std::vector<Reference>> References(const TrainHeldOut& data, const DataSource& source, double sigma,
                                                  autodiff::ThreadPool* pool = nullptr);

}  // namespace neb

#endif  // NEB_NEB_CLI_REFERENCES_H_
