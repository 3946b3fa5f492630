#include "neb/cli/loss_curve.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "neb/plot.h"

namespace neb {

absl::StatusOr<Image> LossCurve(const std::vector<Progress>& history, const std::vector<Reference>& references,
                                const LossCurveOptions& options) {
  Series train{.name = options.far_samples ? "training, far samples included" : "training"};
  Series held_out{.name = "held out", .markers = true};
  for (const Progress& p : history) {
    train.x.push_back(static_cast<double>(p.step));
    train.y.push_back(p.loss);
    if (std::isnan(p.held_out_loss)) continue;
    held_out.x.push_back(static_cast<double>(p.step));
    held_out.y.push_back(p.held_out_loss);
  }
  LinePlotOptions plot{.title = options.title, .x_label = "step", .y_label = "loss per " + options.item, .log_y = true};
  for (const Reference& r : references) {
    plot.references.push_back({r.loss, absl::StrFormat("%s %.4g", r.name, r.loss)});
  }
  return LinePlot({train, held_out}, plot);
}

}  // namespace neb
