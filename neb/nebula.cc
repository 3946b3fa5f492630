#include "neb/nebula.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "neb/landscape.h"

namespace neb {
namespace {

constexpr double kSufficientDecrease = 1e-4;  // of what ∇φ promises
constexpr double kTrustedLength = 0.1;        // σ: steps up to this need not follow the flow
constexpr double kFirstStep = 0.25;           // σ²
constexpr double kAimedChange = 0.25;         // of ∇φ along a longer step, relative to it
constexpr double kLargestChange = 0.5;
constexpr double kGrowth = 2;            // of h from one step to the next, where nothing else limits it
constexpr double kSmallestStep = 1e-12;  // σ²

double Dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double Distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// One row on its way.
struct Traveller {
  std::vector<double> start, y, gradient;
  double energy = 0;
  double h = 0;
  double time = 0;
  double farthest = 0;  // from the start, beyond which it has run away
};

class Descender {
 public:
  Descender(const Landscape& landscape, const DescendOptions& options)
      : options_(options), sigma_(landscape.sigma()), d_(static_cast<size_t>(landscape.d())) {}

  // φ and ∇φ at the start. True when the row is done.
  bool Begin(Traveller& t, double energy, std::span<const double> gradient, Descent& row) const {
    t.energy = energy;
    t.gradient.assign(gradient.begin(), gradient.end());
    t.h = kFirstStep * sigma_ * sigma_;
    t.farthest = options_.run_away * (std::sqrt(Dot(t.start, t.start)) + sigma_ * std::sqrt(static_cast<double>(d_)));
    row.evaluations = 1;
    Keep(t, row);
    if (Arrived(t, row)) return true;
    return options_.max_evaluations <= 1 && End(t, Outcome::kOutOfEvaluations, row);
  }

  // φ and ∇φ at the proposed point z = y − h∇φ. Goes there, or shortens h. True when the row is done.
  bool Consider(Traveller& t, std::span<const double> z, double energy, std::span<const double> gradient,
                Descent& row) const {
    ++row.evaluations;
    if (energy == -HUGE_VAL) return End(t, Outcome::kRunAway, row);
    const double squared = Dot(t.gradient, t.gradient), length = t.h * std::sqrt(squared);
    const double change = Distance(gradient, t.gradient) / std::sqrt(squared);
    // False for NaN, and strict: a decrease that rounds away is none.
    const bool falls = energy < t.energy && energy <= t.energy - kSufficientDecrease * t.h * squared;
    const bool follows = length <= kTrustedLength * sigma_ ? std::isfinite(change) : change <= kLargestChange;
    if (!falls || !follows) {
      t.h /= 2;
      if (t.h < kSmallestStep * sigma_ * sigma_) return End(t, Outcome::kStalled, row);
      return row.evaluations >= options_.max_evaluations && End(t, Outcome::kOutOfEvaluations, row);
    }
    const double h = t.h, curvature = (squared - Dot(gradient, t.gradient)) / (h * squared);  // along the step
    t.time += h;
    t.energy = energy;
    t.y.assign(z.begin(), z.end());
    t.gradient.assign(gradient.begin(), gradient.end());
    ++row.iterations;
    if (options_.path_every > 0 && row.iterations % options_.path_every == 0) Keep(t, row);
    if (Arrived(t, row)) return true;
    if (Distance(t.y, t.start) > t.farthest) return End(t, Outcome::kRunAway, row);
    if (row.evaluations >= options_.max_evaluations) return End(t, Outcome::kOutOfEvaluations, row);
    const double along_flow = h * std::min(kGrowth, kAimedChange / change);
    const double barzilai_borwein = curvature > 0 ? 1 / curvature : kGrowth * h;
    const double trusted = kTrustedLength * sigma_ / std::sqrt(Dot(t.gradient, t.gradient));
    t.h = std::max(along_flow, std::min(barzilai_borwein, trusted));
    return false;
  }

  double Gradient(const Traveller& t) const {
    return sigma_ * std::sqrt(Dot(t.gradient, t.gradient) / static_cast<double>(d_));
  }

 private:
  bool Arrived(const Traveller& t, Descent& row) const {
    return Gradient(t) <= options_.tolerance && End(t, Outcome::kConverged, row);
  }

  bool End(const Traveller& t, Outcome outcome, Descent& row) const {
    row.outcome = outcome;
    row.energy = t.energy;
    row.gradient = Gradient(t);
    // Unless its last point is kept already.
    if (options_.path_every > 0 && row.path.time.back() < t.time) Keep(t, row);
    return true;
  }

  void Keep(const Traveller& t, Descent& row) const {
    if (options_.path_every <= 0) return;
    row.path.time.push_back(t.time);
    row.path.energy.push_back(t.energy);
    for (double v : t.y) row.path.y.push_back(static_cast<float>(v));
  }

  const DescendOptions& options_;
  double sigma_;
  size_t d_;
};

absl::Status Check(const Model& model, const Tensor& start, const DescendOptions& o) {
  if (start.shape().rank() != 2 || start.shape()[1] != model.d() || start.dtype() != autodiff::DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("starts must be f32 [n, ", model.d(), "], got ", Name(start.dtype()), start.shape().ToString()));
  }
  const std::span<const float> values = start.data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(absl::StrCat("start ", static_cast<int64_t>(i) / model.d(), " has a value of ",
                                                     values[i], " at position ", static_cast<int64_t>(i) % model.d()));
    }
  }
  if (!(o.tolerance > 0) || !std::isfinite(o.tolerance)) {
    return absl::InvalidArgumentError(absl::StrCat("the tolerance must be positive, got ", o.tolerance));
  }
  if (!(o.run_away > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("run_away must be positive, got ", o.run_away));
  }
  if (o.max_evaluations < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_evaluations must be >= 1, got ", o.max_evaluations));
  }
  if (o.path_every < 0) {
    return absl::InvalidArgumentError(absl::StrCat("path_every must be >= 0, got ", o.path_every));
  }
  return absl::OkStatus();
}

}  // namespace

const char* Name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kConverged:
      return "converged";
    case Outcome::kOutOfEvaluations:
      return "out of evaluations";
    case Outcome::kRunAway:
      return "ran away";
    case Outcome::kStalled:
      return "stalled";
  }
  return "";
}

absl::StatusOr<Descents> Descend(Model& model, const Tensor& start, const DescendOptions& options) {
  if (absl::Status s = Check(model, start, options); !s.ok()) return s;
  absl::StatusOr<Landscape> landscape = Landscape::Create(model, options.pool);
  if (!landscape.ok()) return landscape.status();
  const size_t n = static_cast<size_t>(start.shape()[0]), d = static_cast<size_t>(model.d());
  const Descender descender(*landscape, options);
  std::vector<Traveller> travellers(n);
  Descents result{.y = Tensor(start.shape()), .x_hat = Tensor(start.shape()), .rows = std::vector<Descent>(n)};

  std::vector<size_t> under_way(n);  // rows, in order
  std::vector<double> z, energy, gradient;
  for (size_t i = 0; i < n; ++i) {
    under_way[i] = i;
    const std::span<const float> from = start.data<float>().subspan(i * d, d);
    travellers[i].start.assign(from.begin(), from.end());
    travellers[i].y = travellers[i].start;
    z.insert(z.end(), from.begin(), from.end());
  }
  for (bool first = true; !under_way.empty(); first = false) {
    energy.resize(under_way.size());
    gradient.resize(z.size());
    if (absl::Status s = landscape->Evaluate(z, energy, gradient); !s.ok()) return s;
    std::vector<size_t> remaining;
    for (size_t k = 0; k < under_way.size(); ++k) {
      const size_t i = under_way[k];
      const std::span<const double> point(z.data() + k * d, d), slope(gradient.data() + k * d, d);
      if (first && !(std::isfinite(energy[k]) && std::isfinite(Dot(slope, slope)))) {
        return absl::FailedPreconditionError(absl::StrCat("φ is ", energy[k], " at start ", i, ", or its gradient is ",
                                                          "not finite there: no descent is possible"));
      }
      const bool done = first ? descender.Begin(travellers[i], energy[k], slope, result.rows[i])
                              : descender.Consider(travellers[i], point, energy[k], slope, result.rows[i]);
      if (!done) remaining.push_back(i);
    }
    under_way = std::move(remaining);
    z.resize(under_way.size() * d);
    for (size_t k = 0; k < under_way.size(); ++k) {
      const Traveller& t = travellers[under_way[k]];
      for (size_t j = 0; j < d; ++j) z[k * d + j] = t.y[j] - t.h * t.gradient[j];
    }
  }
  const double variance = model.sigma() * model.sigma();
  for (size_t i = 0; i < n; ++i) {
    const Traveller& t = travellers[i];
    for (size_t j = 0; j < d; ++j) {
      result.y.data<float>()[i * d + j] = static_cast<float>(t.y[j]);
      result.x_hat.data<float>()[i * d + j] = static_cast<float>(t.y[j] - variance * t.gradient[j]);
    }
  }
  return result;
}

}  // namespace neb
