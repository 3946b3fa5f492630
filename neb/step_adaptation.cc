#include "neb/step_adaptation.h"

#include <algorithm>
#include <cmath>

namespace neb {

namespace {

// γ, t₀ and κ of the paper: how strongly steps are drawn to 10 times the initial one, how little the first iterations
// count, how fast old steps leave the average.
constexpr double kShrinkage = 0.05, kDelay = 10, kForgetting = 0.75;
constexpr double kAttractor = 10, kMaxFactor = 1e6;

}  // namespace

StepAdaptation::StepAdaptation(double initial, double target)
    : initial_(initial), target_(target), log_current_(std::log(initial)), log_averaged_(log_current_) {}

void StepAdaptation::Observe(double acceptance) {
  ++count_;
  const double t = static_cast<double>(count_);
  const double weight = 1 / (t + kDelay);
  mean_error_ += weight * (target_ - acceptance - mean_error_);
  const double log_initial = std::log(initial_), limit = std::log(kMaxFactor);
  const double wanted = log_initial + std::log(kAttractor) - std::sqrt(t) / kShrinkage * mean_error_;
  log_current_ = std::clamp(wanted, log_initial - limit, log_initial + limit);
  const double newest = std::pow(t, -kForgetting);
  log_averaged_ += newest * (log_current_ - log_averaged_);
}

double StepAdaptation::current() const { return count_ == 0 ? initial_ : std::exp(log_current_); }
double StepAdaptation::averaged() const { return count_ == 0 ? initial_ : std::exp(log_averaged_); }

}  // namespace neb
