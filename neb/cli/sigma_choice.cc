#include "neb/cli/sigma_choice.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace neb {

using autodiff::Tensor;

absl::StatusOr<SigmaText> ParseSigma(const std::string& text) {
  const absl::Status mistake = absl::InvalidArgumentError(absl::StrCat(
      "expected a positive number, sigma_c, chi(Q) with Q from 0 to 1, or a multiple as 1.5*sigma_c or 2*chi(0.5), ",
      "got \"", text, "\""));
  const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
  const std::string dense = absl::StrReplaceAll(text, {{" ", ""}});
  absl::string_view rest = dense;
  double number = 0;
  if (absl::SimpleAtod(rest, &number)) {
    if (!positive(number)) return mistake;
    return SigmaText(number);
  }
  SigmaChoice choice;
  if (const size_t star = rest.find('*'); star != absl::string_view::npos) {
    if (!absl::SimpleAtod(rest.substr(0, star), &choice.multiple) || !positive(choice.multiple)) return mistake;
    rest.remove_prefix(star + 1);
  }
  if (rest == "sigma_c") return SigmaText(choice);
  const bool is_quantile = absl::ConsumePrefix(&rest, "chi(") && absl::ConsumeSuffix(&rest, ")") &&
                           absl::SimpleAtod(rest, &choice.quantile) && choice.quantile >= 0 && choice.quantile <= 1;
  if (!is_quantile) return mistake;
  return SigmaText(choice);
}

absl::StatusOr<double> ChooseSigma(const SigmaText& text, const Tensor& x, autodiff::ThreadPool* pool) {
  if (const double* number = std::get_if<double>(&text)) return *number;
  const SigmaChoice& choice = std::get<SigmaChoice>(text);
  if (x.shape().rank() != 2 || x.shape()[0] <= kGeometryRows) return SigmaFromGeometry(x, choice, pool);
  const auto size = static_cast<size_t>(kGeometryRows * x.shape()[1]);
  return SigmaFromGeometry(Tensor::From<float>({kGeometryRows, x.shape()[1]}, x.data<float>().first(size)), choice,
                           pool);
}

}  // namespace neb
