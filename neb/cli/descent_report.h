// Descents told to people: how they ended, and as strips of film.
//
//   absl::StatusOr<Descents> ends = Descend(model, start, {.path_every = 1});
//   std::printf("%s\n", OutcomeSummary(*ends).c_str());   // "97 converged, 3 ran away; 120 evaluations each, at most
//   301" absl::StatusOr<Image> film = DescentFilm(*ends, stored, model, {.title = "Descents"});
#ifndef NEB_NEB_CLI_DESCENT_REPORT_H_
#define NEB_NEB_CLI_DESCENT_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "neb/image.h"
#include "neb/model.h"
#include "neb/nebula.h"

namespace neb {

// All outcomes, in the order in which reports list them.
inline constexpr Outcome kOutcomes[] = {Outcome::kConverged, Outcome::kOutOfEvaluations, Outcome::kRunAway,
                                        Outcome::kStalled};
// How many rows ended so.
int64_t CountOf(const Descents& descents, Outcome outcome);

// The outcomes that occur, and the evaluations that a descent took.
std::string OutcomeSummary(const Descents& descents);

struct DescentFilmOptions {
  std::string title = {};
  std::vector<std::string> row_labels = {};
};
// A row for each descent: where it is at times of the flow from 0 to 8 σ², at its end, and the stored sample [n, d]
// that it was made from. Errors: descents without paths, items that are no pictures, another number of stored samples.
absl::StatusOr<Image> DescentFilm(const Descents& descents, const Tensor& stored, const Model& model,
                                  const DescentFilmOptions& options);

}  // namespace neb

#endif  // NEB_NEB_CLI_DESCENT_REPORT_H_
