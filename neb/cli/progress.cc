#include "neb/cli/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"

namespace neb {

std::string HumanDuration(double seconds) {
  if (seconds < 100) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 6000) return absl::StrFormat("%.0f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

ProgressLine::ProgressLine(std::string unit)
    : unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) != 0),
      held_out_(std::numeric_limits<double>::quiet_NaN()) {}

ProgressLine::~ProgressLine() {
  if (open_) std::fputc('\n', stderr);
}

void ProgressLine::Show(const Progress& p) {
  const bool news = !std::isnan(p.held_out_loss);
  if (news) held_out_ = p.held_out_loss;
  if (p.resumed) return;  // shown by the run that measured it
  if (!terminal_ && !news && p.step != p.steps) return;
  const double left = p.seconds / static_cast<double>(p.step) * static_cast<double>(p.steps - p.step);
  std::string line = absl::StrFormat("step %d/%d  loss %.4g", p.step, p.steps, p.loss);
  if (!std::isnan(held_out_)) line += absl::StrFormat("  held-out %.4g", held_out_);
  line += absl::StrFormat("  %.0f %s/s  %s left", p.samples_per_second, unit_, HumanDuration(left));
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void ProgressLine::Warn(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", open_ ? "\n" : "", text.c_str());
  open_ = false;
}

}  // namespace neb
