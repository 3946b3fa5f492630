// How a user says which noise level σ to take: a number, or from the geometry of the data (spheres.h).
//
//   absl::StatusOr<SigmaText> text = ParseSigma("1.5*sigma_c");
//   absl::StatusOr<double> sigma = ChooseSigma(*text, train.x);
#ifndef NEB_NEB_CLI_SIGMA_CHOICE_H_
#define NEB_NEB_CLI_SIGMA_CHOICE_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "neb/spheres.h"

namespace neb {

using SigmaText = std::variant<double, SigmaChoice>;

// "0.3", a positive number; "sigma_c", the σ at which all spheres overlap; "chi(0.5)", the one at which half of the
// pairs do; or a multiple of these, "1.5*sigma_c", "2*chi(0.5)". Spaces are allowed. InvalidArgument otherwise, quoting
// the text and listing these.
absl::StatusOr<SigmaText> ParseSigma(const std::string& text);

// The geometry of all pairs takes time of the square of their number: of more rows than this, the first are taken.
inline constexpr int64_t kGeometryRows = 10000;

// The σ for data x [n, d]. Errors: as of SigmaFromGeometry.
absl::StatusOr<double> ChooseSigma(const SigmaText& text, const autodiff::Tensor& x,
                                   autodiff::ThreadPool* pool = nullptr);

}  // namespace neb

#endif  // NEB_NEB_CLI_SIGMA_CHOICE_H_
