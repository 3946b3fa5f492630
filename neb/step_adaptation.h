// Finding a step size by watching how many proposals are accepted: dual averaging (Hoffman & Gelman, "The No-U-Turn
// Sampler", JMLR 2014, section 3.2, with its constants), as in Stan.
//
//   StepAdaptation adaptation(/*initial=*/0.5, /*target=*/0.574);
//   for (...) { ... propose with adaptation.current() ...; adaptation.Observe(mean_acceptance); }
//   const double step = adaptation.averaged();
#ifndef NEB_NEB_STEP_ADAPTATION_H_
#define NEB_NEB_STEP_ADAPTATION_H_

#include <cstdint>

namespace neb {

class StepAdaptation {
 public:
  // initial > 0; 0 < target < 1.
  StepAdaptation(double initial, double target);

  // One iteration's mean acceptance probability, in [0, 1], at the current step.
  void Observe(double acceptance);
  // The step to try next: it keeps moving, by less and less. Never more than 10⁶ times larger or smaller than the
  // initial one, so that an energy which accepts (or rejects) everything cannot overflow it.
  double current() const;
  // The step to keep: an average of those tried (of their logarithms), the later ones counting more. The initial one
  // before the first observation.
  double averaged() const;

 private:
  double initial_, target_;
  double log_current_, log_averaged_;
  double mean_error_ = 0;  // the running mean of target − acceptance
  int64_t count_ = 0;
};

}  // namespace neb

#endif  // NEB_NEB_STEP_ADAPTATION_H_
