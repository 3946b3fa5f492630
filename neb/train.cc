// Train: a run with its reports, measurements and checkpoints.
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "neb/checkpoint.h"
#include "neb/trainer.h"

namespace neb {
namespace {

using Clock = std::chrono::steady_clock;
double SecondsSince(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// What a run knows beside its trainer.
struct Log {
  std::vector<Progress> history;
  double loss_sum = 0;  // of the steps since the last report
  int64_t loss_count = 0;
  double training_seconds = 0;  // without measurements and checkpoints
  double seconds = 0;
};

constexpr char kHistory[] = "@history";
constexpr int64_t kColumns = 6;
constexpr double kMaxSteps = 9007199254740992;  // 2⁵³: up to there a double counts

// The reports as a table.
Tensor HistoryOf(const Log& log) {
  Tensor history({static_cast<int64_t>(log.history.size()), kColumns}, autodiff::DType::kF64);
  const std::span<double> cells = history.data<double>();
  size_t at = 0;
  for (const Progress& p : log.history) {
    for (const double cell :
         {static_cast<double>(p.step), p.loss, p.held_out_loss, p.rate, p.samples_per_second, p.seconds}) {
      cells[at++] = cell;
    }
  }
  return history;
}

// `history` must live as long as the file.
void AddLog(const Log& log, const Tensor& history, TensorFileView& file) {
  file.tensors.emplace_back(kHistory, &history);
  file.metadata["loss_sum"] = ExactText(log.loss_sum);
  file.metadata["loss_count"] = absl::StrCat(log.loss_count);
  file.metadata["training_seconds"] = ExactText(log.training_seconds);
  file.metadata["seconds"] = ExactText(log.seconds);
}

absl::StatusOr<Log> LogIn(const TensorFile& file, int64_t steps) {
  Log log;
  const absl::StatusOr<double> loss_sum = NumberIn(file, "loss_sum");
  const absl::StatusOr<int64_t> loss_count = CountIn(file, "loss_count");
  const absl::StatusOr<double> training_seconds = NumberIn(file, "training_seconds");
  const absl::StatusOr<double> seconds = NumberIn(file, "seconds");
  for (const absl::Status& s : {loss_sum.status(), loss_count.status(), training_seconds.status(), seconds.status()}) {
    if (!s.ok()) return s;
  }
  log = {{}, *loss_sum, *loss_count, *training_seconds, *seconds};
  const Tensor* const history = file.Find(kHistory);
  if (history == nullptr || history->shape().rank() != 2 || history->shape()[1] != kColumns ||
      history->dtype() != autodiff::DType::kF64) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a checkpoint: \"", kHistory, "\" should be f64[reports, ", kColumns, "]"));
  }
  for (int64_t row = 0; row < history->shape()[0]; ++row) {
    const auto cell = [&](int64_t column) { return history->at(row * kColumns + column); };
    if (!(cell(0) >= 1 && cell(0) <= kMaxSteps)) {
      return absl::InvalidArgumentError(absl::StrCat("not a checkpoint: a report of step ", cell(0)));
    }
    log.history.push_back({.step = static_cast<int64_t>(cell(0)),
                           .steps = steps,
                           .loss = cell(1),
                           .held_out_loss = cell(2),
                           .rate = cell(3),
                           .samples_per_second = cell(4),
                           .seconds = cell(5),
                           .resumed = true});
  }
  return log;
}

// Takes trainer and log to where the checkpoint is, if there is one.
absl::Status Resume(const CheckpointOptions& options, int64_t steps, Trainer& trainer, Log& log) {
  const auto fail = [&](const absl::Status& s) {
    return absl::InvalidArgumentError(absl::StrCat(options.path, ": cannot resume: ", s.message()));
  };
  const absl::StatusOr<TensorFile> file = ReadSafetensors(options.path);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  if (!file.ok()) return file.status();
  absl::StatusOr<Log> stored = LogIn(*file, steps);
  if (!stored.ok()) return fail(stored.status());
  if (absl::Status s = trainer.Restore(*file, options.metadata); !s.ok()) return fail(s);
  log = *std::move(stored);
  return absl::OkStatus();
}

// When checkpoints are due, and whether they succeed.
class Checkpoints {
 public:
  Checkpoints(const CheckpointOptions& options, int64_t saved_step) : options_(options), saved_step_(saved_step) {}

  void SaveIfDue(const Trainer& trainer, const Log& log) {
    const bool on_time = SecondsSince(last_) >= std::max(options_.every_seconds, kMinRest * last_took_);
    const bool on_step = options_.every_steps > 0 && trainer.step() % options_.every_steps == 0;
    if (on_time || on_step) Save(trainer, log);
  }

  void Save(const Trainer& trainer, const Log& log) {
    if (options_.path.empty() || saved_step_ == trainer.step()) return;
    const Clock::time_point begin = Clock::now();
    const Tensor history = HistoryOf(log);
    TensorFileView file = trainer.State(options_.metadata);
    AddLog(log, history, file);
    status_ = WriteSafetensorsView(options_.path, file);
    if (status_.ok()) saved_step_ = trainer.step();
    if (!status_.ok() && options_.on_error) options_.on_error(status_);
    last_ = Clock::now();
    last_took_ = SecondsSince(begin);
  }

  // Of the last attempt.
  const absl::Status& status() const { return status_; }

 private:
  static constexpr double kMinRest = 19;  // times what one takes: 5 % of the run

  const CheckpointOptions& options_;
  int64_t saved_step_;
  Clock::time_point last_ = Clock::now();
  double last_took_ = 0;
  absl::Status status_;
};

absl::Status CheckOptions(const Model& model, const CheckpointOptions& o) {
  if (o.path.empty()) {
    return o.resume ? absl::InvalidArgumentError("checkpoint.resume needs a checkpoint.path") : absl::OkStatus();
  }
  if (!(o.every_seconds >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint.every_seconds must be >= 0, got ", o.every_seconds));
  }
  if (o.every_steps < 0) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint.every_steps must be >= 0, got ", o.every_steps));
  }
  for (int i = 0; i < model.params().size(); ++i) {
    if (!IsTrainingState(model.params()[i].name)) continue;
    return absl::InvalidArgumentError(absl::StrCat("a model with a parameter \"", model.params()[i].name,
                                                   "\" has no checkpoints: such names are those of the training"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TrainResult> Train(Model& model, const Tensor& x, const Tensor* held_out, const TrainOptions& options) {
  if (absl::Status s = CheckOptions(model, options.checkpoint); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<Trainer>> created = Trainer::Create(model, x, options);
  if (!created.ok()) return created.status();
  Trainer& trainer = **created;
  if (held_out != nullptr) {
    absl::Status s = CheckMeasurable(model, *held_out, options.held_out_samples, options.measurements);
    if (!s.ok()) return s;
  }
  Log log;
  if (options.checkpoint.resume) {
    if (absl::Status s = Resume(options.checkpoint, options.steps, trainer, log); !s.ok()) return s;
  }
  if (options.on_start) options.on_start(trainer.step());
  for (const Progress& p : log.history) {
    if (options.on_progress) options.on_progress(p);
  }
  TrainResult result{.resumed_at = trainer.step()};
  Checkpoints checkpoints(options.checkpoint, /*saved_step=*/trainer.step());
  const double seconds_before = log.seconds;
  const Clock::time_point start = Clock::now();
  while (trainer.step() < options.steps) {
    if (options.stop && options.stop()) {
      result.stopped = true;
      break;
    }
    const Clock::time_point before = Clock::now();
    if (absl::Status s = trainer.Step(); !s.ok()) return s;
    log.training_seconds += SecondsSince(before);
    log.loss_sum += trainer.last_loss();
    ++log.loss_count;
    const int64_t step = trainer.step();
    const bool last = step == options.steps;
    const bool measure = held_out != nullptr && (step % std::max<int64_t>(1, options.evaluate_every) == 0 || last);
    if (step % std::max<int64_t>(1, options.report_every) == 0 || measure || last) {
      Progress progress{
          .step = step, .steps = options.steps, .loss = log.loss_sum / static_cast<double>(log.loss_count)};
      progress.held_out_loss = std::numeric_limits<double>::quiet_NaN();
      if (measure) {
        absl::StatusOr<double> measured =
            MeasureLoss(model, *held_out, options.held_out_samples, options.seed, options.pool, options.measurements);
        if (!measured.ok()) return measured.status();
        progress.held_out_loss = *measured;
      }
      progress.rate = trainer.last_rate();
      progress.samples_per_second =
          static_cast<double>(step * std::min(options.batch, x.shape()[0])) / log.training_seconds;
      progress.seconds = seconds_before + SecondsSince(start);
      log.history.push_back(progress);
      if (options.on_progress) options.on_progress(progress);
      log.loss_sum = 0;
      log.loss_count = 0;
    }
    log.seconds = seconds_before + SecondsSince(start);
    checkpoints.SaveIfDue(trainer, log);
  }
  checkpoints.Save(trainer, log);
  result.checkpoint = checkpoints.status();
  for (Progress& p : log.history) p.resumed = false;
  result.history = std::move(log.history);
  result.seconds = seconds_before + SecondsSince(start);
  return result;
}

}  // namespace neb
