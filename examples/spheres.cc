// The geometry of noisy images, through the library: σ_c, and a σ chosen by it. (`neb spheres` draws it all.)
//
//   bazel run -c opt //examples:spheres                 # Fashion-MNIST's test images, all pairs
//   bazel run -c opt //examples:spheres -- my_pictures/
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "autodiff/parallel.h"
#include "neb/cli/run_folder.h"
#include "neb/concentration.h"
#include "neb/read_data.h"
#include "neb/spheres.h"

namespace {

absl::Status Run(const std::string& path) {
  const absl::StatusOr<neb::Dataset> images = neb::ReadData(neb::UserPath(path), {.max_items = 10000});
  if (!images.ok()) return images.status();
  autodiff::ThreadPool pool(0);
  const absl::StatusOr<neb::Chi> chi = neb::Chi::Measure(images->x, &pool);
  if (!chi.ok()) return chi.status();
  absl::PrintF("%s: the spheres of noise around half of the %d pairs overlap at σ = %.4f, all of them beyond %.4f\n",
               images->name, chi->pairs(), chi->Quantile(0.5), chi->sigma_c());
  const absl::StatusOr<neb::Concentration> radius =
      neb::NoiseRadius(images->item_shape.num_elements(), /*draws=*/2000, /*seed=*/1);
  if (!radius.ok()) return radius.status();
  absl::PrintF("They are spheres because ‖y − x‖/σ√d = %.4f ± %.4f, in theory %.4f ± %.4f\n", radius->measured.mean,
               radius->measured.stddev, radius->predicted.mean, radius->predicted.stddev);
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz");
  if (status.ok()) return 0;
  std::fprintf(stderr, "spheres: %s\n", std::string(status.message()).c_str());
  return 1;
}
