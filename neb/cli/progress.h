// How a run tells the user where it is: one line that is rewritten on a terminal, plain lines now and then elsewhere.
//
//   ProgressLine line;
//   options.on_progress = [&](const Progress& p) { line.Show(p); };
#ifndef NEB_NEB_CLI_PROGRESS_H_
#define NEB_NEB_CLI_PROGRESS_H_

#include <string>

#include "neb/trainer.h"

namespace neb {

// "90 s", "12 min", "3.2 h".
std::string HumanDuration(double seconds);

class ProgressLine {
 public:
  // Writes to standard error. `unit`: what a sample is called.
  explicit ProgressLine(std::string unit = "samples");
  // Ends the line of a terminal.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // "step 1200/10000  loss 7.31  held-out 7.02  5100 images/s  3 min left". Elsewhere than on a terminal, a line comes
  // when there is a new held-out loss and at the end.
  void Show(const Progress& progress);
  // A line of its own, that stays.
  void Warn(const std::string& text);

 private:
  std::string unit_;
  bool terminal_;
  bool open_ = false;
  double held_out_;
};

}  // namespace neb

#endif  // NEB_NEB_CLI_PROGRESS_H_
