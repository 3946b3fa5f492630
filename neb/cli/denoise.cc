// neb denoise: x̂ of pictures that are noisy, or are made so.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/items.h"
#include "neb/cli/opened_model.h"
#include "neb/cli/run_folder.h"
#include "neb/image.h"
#include "neb/image_grid.h"
#include "neb/measurements.h"
#include "neb/npy.h"
#include "neb/statistics.h"
#include "neb/walk.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(bool, noisy, false, "the inputs are noisy already; otherwise they are clean and get the model's noise");
ABSL_FLAG(bool, resize, false, "pictures of another size are cut to their middle and resized to the model's");

namespace neb {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kColumns = 16;  // of denoise.png

struct Inputs {
  Tensor x;                         // [n, d]
  std::vector<std::string> name;    // [n]: the file, with the row of an array
  std::vector<std::string> output;  // [n]: the PNG to write; empty for items of an array
};

// Noisy copies of n items, [n, M, ...], as this command writes them: [n, M·d]. shape: [M, ...].
absl::StatusOr<Tensor> ReadCopies(const std::string& path, const autodiff::Shape& shape) {
  const absl::StatusOr<Tensor> read = ReadNpy(path);
  if (!read.ok()) return read.status();
  const autodiff::Shape& got = read->shape();
  if (got.rank() != shape.rank() + 1 || !(autodiff::Shape(got.dims().subspan(1)) == shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": an array of shape ", got.ToString(), ", expected n of the model's, ", shape.ToString()));
  }
  Tensor y = read->Cast(autodiff::DType::kF32).Reshaped({got[0], shape.num_elements()});
  const std::span<const float> values = y.data<float>();
  if (std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) return y;
  return absl::InvalidArgumentError(absl::StrCat(path, ": has numbers that are not finite"));
}

// `copies`: of a model of several measurements, its noisy points.
absl::StatusOr<Inputs> ReadInputs(std::span<const std::string> paths, const autodiff::Shape& item_shape, bool copies) {
  Inputs inputs;
  std::vector<float> values;
  for (const std::string& path : paths) {
    const absl::StatusOr<Tensor> x = copies ? ReadCopies(UserPath(path), item_shape)
                                            : ReadItems(UserPath(path), item_shape, absl::GetFlag(FLAGS_resize));
    if (!x.ok()) return x.status();
    values.insert(values.end(), x->data<float>().begin(), x->data<float>().end());
    const std::filesystem::path file(path);
    for (int64_t i = 0; i < x->shape()[0]; ++i) {
      const bool picture = IsPictureFile(path);
      inputs.name.push_back(picture ? file.filename().string() : absl::StrCat(file.filename().string(), "[", i, "]"));
      inputs.output.push_back(picture ? absl::StrCat(inputs.name.size(), "_", file.stem().string(), ".png") : "");
    }
  }
  inputs.x = Tensor::From<float>({static_cast<int64_t>(inputs.name.size()), item_shape.num_elements()}, values);
  return inputs;
}

// The first inputs in columns: clean if known, noisy, x̂.
absl::StatusOr<Image> Comparison(const std::vector<std::pair<std::string, const Tensor*>>& rows,
                                 const OpenedModel& opened) {
  const int64_t count = std::min(kColumns, rows[0].second->shape()[0]);
  std::vector<float> cells;
  std::vector<std::string> labels;
  for (const auto& [label, x] : rows) {
    for (int64_t i = 0; i < count; ++i) {  // of several measurements, the first
      const std::span<const float> row = x->data<float>().subspan(static_cast<size_t>(i * x->shape()[1]));
      cells.insert(cells.end(), row.begin(), row.begin() + opened.item_size());
    }
    labels.push_back(label);
  }
  const auto height = static_cast<int64_t>(rows.size());
  return Grid(Tensor::From<float>({height * count, opened.item_size()}, cells), opened.item_shape,
              static_cast<int>(height), static_cast<int>(count),
              {.title = absl::StrFormat("Denoised, σ = %.4g", opened.model.sigma()), .row_labels = labels});
}

absl::Status WritePictures(const RunFolder& folder, const Inputs& inputs, const Tensor& y, const Tensor& x_hat,
                           bool noisy, const OpenedModel& opened) {
  std::vector<std::pair<std::string, const Tensor*>> rows;
  if (!noisy) rows.emplace_back("clean", &inputs.x);
  rows.emplace_back("noisy", &y);
  rows.emplace_back("x̂", &x_hat);
  const absl::StatusOr<Image> grid = Comparison(rows, opened);
  absl::Status s = grid.ok() ? WritePng(folder.Path("denoise.png"), *grid) : grid.status();
  const auto d = static_cast<size_t>(opened.item_size());
  for (size_t i = 0; i < inputs.output.size(); ++i) {
    if (inputs.output[i].empty()) continue;
    s.Update(
        WritePng(folder.Path(inputs.output[i]), ToPicture(x_hat.data<float>().subspan(i * d, d), opened.item_shape)));
  }
  return s;
}

// Prints and records what is known of each item: φ, and with the clean one its losses. y: the mean of its measurements.
absl::Status Report(const RunFolder& folder, const Inputs& inputs, const Tensor& y, const Tensor& x_hat,
                    std::span<const float> energy, bool noisy) {
  constexpr size_t kShown = 20;
  const size_t n = inputs.name.size(), d = static_cast<size_t>(x_hat.shape()[1]);
  const auto row = [d](const Tensor& t, size_t i) { return t.data<float>().subspan(i * d, d); };
  double total = 0, total_noise = 0;
  // Padded by hand: printf counts bytes.
  absl::PrintF("%24s        φ(y)%s\n", "", noisy ? "" : "   ‖y − x‖²     ‖x̂ − x‖²");
  for (size_t i = 0; i < n; ++i) {
    Json metrics = {{"item", inputs.name[i]}, {"energy", energy[i]}};
    if (i < kShown) absl::PrintF("%-24s %11.4g", inputs.name[i], energy[i]);
    if (!noisy) {
      const double noise = SquaredDistance(row(y, i), row(inputs.x, i));
      const double loss = SquaredDistance(row(x_hat, i), row(inputs.x, i));
      metrics["noise"] = noise;
      metrics["loss"] = loss;
      total += loss;
      total_noise += noise;
      if (i < kShown) absl::PrintF(" %10.4g %12.4g", noise, loss);
    }
    if (i < kShown) absl::PrintF("\n");
    if (absl::Status s = folder.AppendMetrics(metrics); !s.ok()) return s;
  }
  if (n > kShown) absl::PrintF("... and %d more, see metrics.jsonl\n", n - kShown);
  if (!noisy && n > 1) {
    const auto count = static_cast<double>(n);
    absl::PrintF("%-24s %11s %10.4g %12.4g\n", absl::StrCat("mean of ", n), "", total_noise / count, total / count);
  }
  return absl::OkStatus();
}

absl::Status RunDenoise(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) {
    return absl::InvalidArgumentError("expected a model and what to denoise, as `neb denoise runs/mnist a.png b.png`");
  }
  const absl::StatusOr<int> threads = ThreadsFlag();
  if (!threads.ok()) return threads.status();
  absl::StatusOr<OpenedModel> opened = OpenModel(arguments[0]);
  if (!opened.ok()) return opened.status();
  Model& model = opened->model;
  const std::span<const std::string> paths(arguments.begin() + 1, arguments.end());
  const bool noisy = absl::GetFlag(FLAGS_noisy);
  const int64_t measurements = opened->measurements;
  const absl::StatusOr<Inputs> inputs =
      ReadInputs(paths, noisy ? model.item_shape() : opened->item_shape, noisy && measurements > 1);
  if (!inputs.ok()) return inputs.status();

  const absl::StatusOr<Tensor> copies = noisy ? inputs->x : Repeat(inputs->x, measurements);
  if (!copies.ok()) return copies.status();
  const Tensor y = noisy ? *copies : NoisyStarts(*copies, model, absl::GetFlag(FLAGS_seed));
  Tensor estimates(y.shape()), energy({y.shape()[0]});
  autodiff::ThreadPool pool(*threads);
  absl::Status s = model.Evaluate(
      y.data<float>(), {.energy = energy.data<float>(), .gradient = {}, .x_hat = estimates.data<float>()}, &pool);
  if (!s.ok()) return s;
  const absl::StatusOr<Tensor> x_hat = MeanOfMeasurements(estimates, measurements);
  const absl::StatusOr<Tensor> mean = MeanOfMeasurements(y, measurements);
  if (!x_hat.ok() || !mean.ok()) return x_hat.ok() ? mean.status() : x_hat.status();

  const absl::StatusOr<RunFolder> folder = OutFolder(*opened, "denoise");
  if (!folder.ok()) return folder.status();
  const auto shape_of = [&y](const autodiff::Shape& item) {
    autodiff::Shape shape{y.shape()[0]};
    for (const int64_t extent : item) shape.push_back(extent);
    return shape;
  };
  s.Update(folder->WriteSettings({{"command", "denoise"},
                                  {"model", opened->path},
                                  {"sigma", model.sigma()},
                                  {"inputs", std::vector<std::string>(paths.begin(), paths.end())},
                                  {"noisy", noisy},
                                  {"resize", absl::GetFlag(FLAGS_resize)},
                                  {"seed", absl::GetFlag(FLAGS_seed)}}));
  s.Update(WriteNpy(folder->Path("x_hat.npy"), x_hat->Reshaped(shape_of(opened->item_shape))));
  s.Update(WriteNpy(folder->Path("noisy.npy"), y.Reshaped(shape_of(model.item_shape()))));
  if (s.ok()) s = Report(*folder, *inputs, *mean, *x_hat, energy.data<float>(), noisy);
  if (s.ok() && IsPicture(opened->item_shape)) s = WritePictures(*folder, *inputs, y, *x_hat, noisy, *opened);
  if (s.ok()) absl::PrintF("Wrote %s\n", folder->Path(""));
  return s;
}

}  // namespace

const Command kDenoise = {
    .name = "denoise",
    .arguments = "MODEL IMG...",
    .summary = "estimates the clean from the noisy: x̂(y) = y − σ²∇φ(y)",
    .description =
        "MODEL: a run's folder or model file. IMG: PNG or JPEG pictures, or arrays and data sets of them (.npy, IDX,\n"
        "a folder, .csv for points). They are taken as clean and get noise of the model's σ, unless --noisy. A model\n"
        "of M measurements makes M noisy copies of each, and takes as many with --noisy: .npy, [n, M, ...].\n"
        "Writes into --out (MODEL's folder, denoise/):\n"
        "  denoise.png     clean, noisy and x̂ below each other\n"
        "  1_NAME.png ...  x̂ of each picture, in the order of the arguments\n"
        "  x_hat.npy, noisy.npy; metrics.jsonl: φ and, where the clean is known, the loss of each\n\n"
        "  neb denoise runs/mnist seven.png t10k-images-idx3-ubyte.gz",
    .files = {"neb/cli/denoise.cc", kCommonFlags},
    .run = RunDenoise};

}  // namespace neb
