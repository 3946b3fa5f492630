#include "neb/cli/folder_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/cli/interrupt.h"
#include "neb/cli/progress.h"

namespace neb {

namespace {

absl::Status AppendReport(const RunFolder& out, const Progress& p) {
  return out.AppendMetrics({{"step", p.step},
                            {"loss", p.loss},
                            {"held_out_loss", p.held_out_loss},
                            {"learning_rate", p.rate},
                            {"samples_per_second", p.samples_per_second},
                            {"seconds", p.seconds}});
}

absl::Status WriteReports(const RunFolder& out, const std::vector<Progress>& reports) {
  absl::Status s = out.ClearMetrics();
  for (const Progress& p : reports) s.Update(AppendReport(out, p));
  return s;
}

// Tells of a run that comes apart. Adam at its largest rates can: after thousands of quiet steps the loss doubles a few
// times over, and then is a thousandfold.
class BlowUpWatch {
 public:
  // An error at the first report whose loss is `kJump` times the least before.
  absl::Status Look(const Progress& p) {
    least_ = std::min(least_, p.loss);
    if (told_ || !(p.loss > kJump * least_)) return absl::OkStatus();
    told_ = true;
    return absl::FailedPreconditionError(absl::StrFormat(
        "the loss jumped to %.4g by step %d, and was %.4g before: a smaller learning rate or gradient clipping "
        "(clip_norm) would have kept it down",
        p.loss, p.step, least_));
  }

 private:
  static constexpr double kJump = 10;

  double least_ = std::numeric_limits<double>::infinity();
  bool told_ = false;
};

}  // namespace

std::string CheckpointFile(const RunFolder& out) { return out.Path("checkpoint.safetensors"); }

absl::StatusOr<TrainResult> TrainInFolder(Model& model, const TrainHeldOut& data, TrainOptions options,
                                          const FolderTraining& training) {
  const RunFolder& out = training.out;
  absl::Status metrics;  // whether all of them are written
  absl::StatusOr<TrainResult> result;
  {
    ProgressLine line(training.items);
    const auto warn = [&](const absl::Status& s) {
      if (!s.ok()) line.Warn(absl::StrCat("warning: ", s.message(), "; the training goes on"));
    };
    BlowUpWatch watch;
    const Interrupt interrupt;
    options.stop = [] { return Interrupt::signal() != 0; };
    options.checkpoint = {.path = CheckpointFile(out),
                          .every_seconds = training.checkpoint_seconds,
                          .resume = training.resume,
                          .metadata = training.metadata,
                          .on_error = warn};
    options.on_start = [&](int64_t step) {
      warn(out.WriteSettings(training.settings));
      metrics = out.ClearMetrics();
      if (step > 0) line.Warn(absl::StrCat("goes on at step ", step));
    };
    options.on_progress = [&](const Progress& p) {
      line.Show(p);
      warn(watch.Look(p));
      const bool written = metrics.ok();
      metrics.Update(AppendReport(out, p));
      if (written) warn(metrics);
      if (!std::isnan(p.held_out_loss) && !p.resumed && training.save) warn(training.save(p));
    };
    result = Train(model, data.train.x, &data.held_out.x, options);
  }
  if (!result.ok()) return result;
  if (!metrics.ok()) metrics = WriteReports(out, result->history);
  if (result->stopped) {
    if (!result->checkpoint.ok()) return result->checkpoint;
    return absl::CancelledError("stopped; the same flags and --resume go on from here");
  }
  if (!metrics.ok()) return metrics;
  return result;
}

}  // namespace neb
