// The geometry of noisy images: at which σ do the spheres of noise around two images overlap?
//
//   bazel run -c opt //examples:spheres             # Fashion-MNIST's test images, all pairs; writes spheres.png
//   bazel run -c opt //examples:spheres -- --images=my_pictures/ --out=mine.png
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/run_folder.h"
#include "neb/concentration.h"
#include "neb/dataset.h"
#include "neb/image.h"
#include "neb/plot.h"
#include "neb/read_data.h"
#include "neb/spheres.h"

ABSL_FLAG(std::string, images, "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
          "an IDX file (plain or .gz), or a folder of PNG or JPEG files of one size");
ABSL_FLAG(std::string, out, "spheres.png", "the picture to write");
ABSL_FLAG(int64_t, most, 10000, "use at most so many images; time grows with the square");
ABSL_FLAG(int, threads, 0, "threads; 0: one for each processor");

namespace {

absl::Status Draw(const neb::Chi& chi, const std::string& name, int64_t n) {
  constexpr int kBins = 100;
  const double low = 0, high = 1.02 * chi.sigma_c();
  neb::Histogram histogram{.low = low, .high = high, .counts = chi.Counts(low, high, kBins)};
  for (double& count : histogram.counts) count *= 100 / static_cast<double>(chi.pairs());
  const double median = chi.Quantile(0.5);
  absl::StatusOr<neb::Image> picture =
      neb::HistogramPlot(histogram, {.title = absl::StrFormat("%s: all %d pairs of %d images", name, chi.pairs(), n),
                                     .x_label = "χ: the σ at which the spheres of two images meet",
                                     .y_label = "pairs, %",
                                     .marks = {{chi.min(), absl::StrFormat("min %.4f", chi.min())},
                                               {median, absl::StrFormat("median %.4f", median)},
                                               {chi.sigma_c(), absl::StrFormat("σ_c %.4f", chi.sigma_c())}}});
  if (!picture.ok()) return picture.status();
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, *picture); !s.ok()) return s;
  absl::PrintF("Wrote %s\n", path);
  return absl::OkStatus();
}

absl::Status Run() {
  const absl::StatusOr<neb::Dataset> images =
      neb::ReadData(neb::UserPath(absl::GetFlag(FLAGS_images)), {.max_items = absl::GetFlag(FLAGS_most)});
  if (!images.ok()) return images.status();
  autodiff::ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const absl::StatusOr<neb::Chi> chi = neb::Chi::Measure(images->x, &pool);
  if (!chi.ok()) return chi.status();
  const int64_t d = images->item_shape.num_elements();
  absl::PrintF("%s, %d images of %s: χ = ‖x − x'‖ / 2√d over %d pairs\n", images->name, images->size(),
               images->item_shape.ToString(), chi->pairs());
  absl::PrintF("  min    %.4f  (images %d and %d)\n", chi->min(), chi->closest().first, chi->closest().second);
  for (const double q : {0.05, 0.25, 0.5, 0.75, 0.95}) absl::PrintF("  %3.0f %%  %.4f\n", 100 * q, chi->Quantile(q));
  absl::PrintF("  mean   %.4f\n", chi->mean());
  absl::PrintF("  max    %.4f  (images %d and %d) = σ_c: at larger σ all spheres overlap\n", chi->sigma_c(),
               chi->farthest().first, chi->farthest().second);

  const absl::StatusOr<neb::Concentration> radius = neb::NoiseRadius(d, 2000, /*seed=*/1);
  if (!radius.ok()) return radius.status();
  absl::PrintF("The noise lies on spheres of radius σ√d: ‖y − x‖/σ√d = %.4f ± %.4f, in theory %.4f ± %.4f\n",
               radius->measured.mean, radius->measured.stddev, radius->predicted.mean, radius->predicted.stddev);
  return Draw(*chi, images->name, images->size());
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures how near images are to each other, in units of the noise that joins them.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "spheres: %s\n", std::string(status.message()).c_str());
  return 1;
}
