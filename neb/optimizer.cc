#include "neb/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"

namespace neb {

using autodiff::Var;

double LearningRate(const Schedule& s, int64_t step) {
  const double t = static_cast<double>(step);
  if (step < s.warmup) return s.peak * (t + 1) / static_cast<double>(s.warmup);
  const double length = static_cast<double>(std::max<int64_t>(1, s.total - s.warmup));
  const double progress = std::min(1.0, (t - static_cast<double>(s.warmup)) / length);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return s.peak * (s.final_fraction + (1 - s.final_fraction) * cosine);
}

AdamScalars ScalarsAt(const AdamOptions& options, const Schedule& schedule, int64_t step) {
  const double t = static_cast<double>(step) + 1;
  return {LearningRate(schedule, step), 1 / (1 - std::pow(options.beta1, t)), 1 / (1 - std::pow(options.beta2, t)),
          1 - std::min(options.ema_decay, t / (t + 9))};
}

AdamStep RecordAdam(Var loss, const std::vector<Var>& params, const std::vector<Var>& gradients,
                    const AdamOptions& options) {
  AdamStep result;
  autodiff::Tape& tape = *loss.tape();
  for (const char* name : {"rate", "correction1", "correction2", "ema_weight"}) {
    result.scalars.push_back(tape.Input(name, {}));
  }
  const Var rate = result.scalars[0], correction1 = result.scalars[1], correction2 = result.scalars[2];
  const Var ema_weight = result.scalars[3];

  Var clip = tape.Constant(1.0);
  if (options.clip_norm > 0) {
    Var squared = tape.Constant(0.0);
    for (Var g : gradients) squared = squared + sum(square(g));
    clip = options.clip_norm / maximum(sqrt(squared), options.clip_norm);
  }
  for (size_t i = 0; i < params.size(); ++i) {
    const Var w = params[i];
    const Var g = gradients[i] * clip;
    const Var m = tape.Input(absl::StrCat("m", i), w.shape());
    const Var v = tape.Input(absl::StrCat("v", i), w.shape());
    const Var m_new = options.beta1 * m + (1 - options.beta1) * g;
    const Var v_new = options.beta2 * v + (1 - options.beta2) * square(g);
    Var step = m_new * correction1 / (sqrt(v_new * correction2) + options.epsilon);
    if (options.weight_decay > 0) step = step + options.weight_decay * w;
    const Var w_new = w - rate * step;
    // Number by number: where one of them is NaN or infinite, all keep their old values. A sum minus itself is 0, or
    // NaN where a term was not finite. An infinite m_new makes w_new or v_new so.
    const Var total = loss + v_new + w_new;
    const Var unsound = total - total;
    auto update = [&](Var before, Var after) { result.updates.push_back({before, where(unsound, before, after)}); };
    update(w, w_new);
    update(m, m_new);
    update(v, v_new);
    if (options.ema_decay > 0) {
      const Var average = tape.Input(absl::StrCat("ema", i), w.shape());
      update(average, average + ema_weight * (w_new - average));
    }
  }
  return result;
}

}  // namespace neb
