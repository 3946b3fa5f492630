// Associative memory: descents of an energy, in the plane and on images.
//
//   bazel run -c opt //examples:nebula                        # two moons: energy, descents, attractors and basins
//   bazel run -c opt //examples:nebula -- --mode=images       # stores 100 images and recalls them, damaged
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/cli/descent_report.h"
#include "neb/cli/plane.h"
#include "neb/cli/run_folder.h"
#include "neb/dataset.h"
#include "neb/image.h"
#include "neb/known_energies.h"
#include "neb/neb.h"
#include "neb/plot.h"
#include "neb/read_data.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, mode, "moons", "moons: in the plane; images: store and recall images");
ABSL_FLAG(std::string, images, "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
          "images to store: an IDX file (plain or .gz), or a folder of PNG or JPEG files of one size");
ABSL_FLAG(std::string, out, "runs/nebula", "folder for the pictures");
ABSL_FLAG(std::vector<std::string>, sigma, std::vector<std::string>({}),
          "standard deviations of the noise; by default 0.15 for moons and 0.5,1,1.5,2 for images");
ABSL_FLAG(int64_t, stored, 100, "images to store");
ABSL_FLAG(int64_t, steps, 4000, "minibatches to train on, for each sigma");
ABSL_FLAG(uint64_t, seed, 1, "of everything random");

namespace {

using neb::Params;
using neb::Tensor;
using neb::Var;

// What counts as recall: at most this far from the stored image, Euclidean over all pixels. (Two of the default
// images are 11 apart, by the median.)
constexpr double kWithin = 1.0;

absl::StatusOr<std::vector<double>> Sigmas(std::vector<double> otherwise) {
  std::vector<double> sigmas;
  for (const std::string& text : absl::GetFlag(FLAGS_sigma)) {
    double sigma = 0;
    if (!absl::SimpleAtod(text, &sigma) || !(sigma > 0)) {
      return absl::InvalidArgumentError(absl::StrCat("--sigma must be positive numbers, got \"", text, "\""));
    }
    sigmas.push_back(sigma);
  }
  return sigmas.empty() ? otherwise : sigmas;
}

void PrintOutcomes(const neb::Descents& descents) { std::printf("  %s\n", neb::OutcomeSummary(descents).c_str()); }

// --- In the plane ---

// A network on top of a bowl: the bowl wins far away, so that descents from everywhere come home.
Var MoonsPhi(Var y, Params& p) { return 0.5 * squared_norm(y, {1}) + reshape(neb::Mlp(p, y, {128, 128, 1}), {-1}); }

absl::Status Moons(const neb::RunFolder& out) {
  const absl::StatusOr<std::vector<double>> sigmas = Sigmas({0.15});
  if (!sigmas.ok()) return sigmas.status();
  const double sigma = sigmas->front();
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const absl::StatusOr<neb::Dataset> moons = neb::TwoMoons(/*n=*/10000, seed, {.noise = 0.02});
  if (!moons.ok()) return moons.status();
  absl::StatusOr<neb::Model> model = neb::Model::Create(MoonsPhi, moons->item_shape, sigma, seed);
  if (!model.ok()) return model.status();
  const absl::StatusOr<neb::TrainResult> trained =
      neb::Train(*model, moons->x, nullptr, {.steps = absl::GetFlag(FLAGS_steps), .batch = 256, .seed = seed});
  if (!trained.ok()) return trained.status();

  // Descents from a coarse grid all over the picture: their ends are the attractors, and colour the basins.
  const neb::PlaneBox box = {-1.8, 2.8, -1.4, 1.9};
  const absl::StatusOr<neb::Basins> basins = neb::FindBasins(*model, box, {});
  if (!basins.ok()) return basins.status();
  std::printf("%d descents:", static_cast<int>(basins->descents.rows.size()));
  PrintOutcomes(basins->descents);
  const absl::StatusOr<std::vector<neb::Spectrum>> spectra = neb::ExtremeCurvatures(*model, basins->attractors, {});
  if (!spectra.ok()) return spectra.status();
  std::printf("   attractor          φ    basin   curvature · σ²\n");
  for (size_t k = 0; k < spectra->size(); ++k) {
    const neb::Point at = basins->marks[k].points.front();
    const neb::Cluster& cluster = basins->found.clusters[k];
    std::printf("  (%6.3f, %6.3f)  %7.3f  %4.1f %%   %.3f to %.3f\n", at.x, at.y, cluster.energy, 100 * cluster.share,
                sigma * sigma * (*spectra)[k].smallest, sigma * sigma * (*spectra)[k].largest);
  }

  // The picture: φ − min φ with its contours, the grid of starts in the colours of their basins, some paths, the ends.
  const absl::StatusOr<neb::Field> field = neb::EnergyField(*model, box);
  if (!field.ok()) return field.status();
  std::vector<neb::PointSet> points = basins->starts;
  points.insert(points.end(), basins->marks.begin(), basins->marks.end());
  const absl::StatusOr<neb::Dataset> few = neb::TwoMoons(24, seed + 1, {.noise = 0.02});
  if (!few.ok()) return few.status();
  const Tensor from = neb::NoisyStarts(few->x, *model, seed);
  const absl::StatusOr<neb::Descents> travelled = neb::Descend(*model, from, {.path_every = 1});
  if (!travelled.ok()) return travelled.status();
  const absl::StatusOr<neb::Image> picture =
      neb::HeatMap(*field, {.title = absl::StrFormat("Descents to attractors, and the basins of a grid; σ = %g", sigma),
                            .value_label = "φ − min φ",
                            .high = neb::kHighEnergy,
                            .contours = 12,
                            .points = points,
                            .paths = neb::PathsOf(*travelled),
                            .width = 900});
  if (!picture.ok()) return picture.status();
  return neb::WritePng(out.Path("moons.png"), *picture);
}

// --- Images ---

absl::StatusOr<neb::Model> Learn(const neb::Dataset& stored, double sigma) {
  const int64_t d = stored.item_shape.num_elements();
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const neb::Energy energy = neb::ResidualDenoiser(
      [d](Var z, Params& p) {
        return neb::Mlp(p, z, {512, 512, d}, {.last_weight_init = autodiff::Zeros()});
      },
      neb::MeasureScales(stored.x, sigma));
  absl::StatusOr<neb::Model> model = neb::Model::Create(energy, stored.item_shape, sigma, seed);
  if (!model.ok()) return model.status();
  const absl::StatusOr<neb::TrainResult> trained =
      neb::Train(*model, stored.x, nullptr,
                 {.steps = absl::GetFlag(FLAGS_steps), .batch = 100, .inner_fraction = 0.5, .seed = seed});
  if (!trained.ok()) return trained.status();
  return model;
}

// How often the stored images come back, and to how many attractors all descents lead.
absl::Status Report(const char* energy, const char* damage, neb::Model& model, const Tensor& stored,
                    const Tensor& start) {
  const absl::StatusOr<neb::Descents> ends = neb::Descend(model, start, {});
  if (!ends.ok()) return ends.status();
  std::vector<int64_t> intended(static_cast<size_t>(stored.shape()[0]));
  std::iota(intended.begin(), intended.end(), int64_t{0});
  const absl::StatusOr<neb::Recall> close = neb::MeasureRecall(ends->y, stored, intended, kWithin);
  const absl::StatusOr<neb::Recall> nearest = neb::MeasureRecall(ends->y, stored, intended, HUGE_VAL);
  const absl::StatusOr<neb::Clusters> found = neb::ClusterAttractors(*ends, model.sigma());
  if (!close.ok()) return close.status();
  if (!nearest.ok()) return nearest.status();
  if (!found.ok()) return found.status();
  std::printf("  %-7s %-9s recalled %3.0f %%, nearest %3.0f %%, %3d attractors;", energy, damage, 100 * close->rate,
              100 * nearest->rate, static_cast<int>(found->clusters.size()));
  PrintOutcomes(*ends);
  return absl::OkStatus();
}

// A few descents, first the noisy and then the occluded, each beside the image that was stored.
absl::Status WriteFilm(const std::string& path, const std::string& title, neb::Model& model, const Tensor& stored,
                       const Tensor& noisy, const Tensor& occluded) {
  const int64_t rows = std::min<int64_t>(5, stored.shape()[0]), d = model.d();
  std::vector<float> starts, originals;
  for (const Tensor* start : {&noisy, &occluded}) {
    for (const auto& [from, to] : {std::pair{start, &starts}, {&stored, &originals}}) {
      const std::span<const float> few = from->data<float>().first(static_cast<size_t>(rows * d));
      to->insert(to->end(), few.begin(), few.end());
    }
  }
  const absl::StatusOr<neb::Descents> ends =
      neb::Descend(model, Tensor::From<float>({2 * rows, d}, starts), {.path_every = 1});
  if (!ends.ok()) return ends.status();
  const absl::StatusOr<neb::Image> film =
      neb::DescentFilm(*ends, Tensor::From<float>({2 * rows, d}, originals), model, {.title = title});
  return film.ok() ? neb::WritePng(path, *film) : film.status();
}

absl::Status Images(const neb::RunFolder& out) {
  const absl::StatusOr<std::vector<double>> sigmas = Sigmas({0.5, 1, 1.5, 2});
  if (!sigmas.ok()) return sigmas.status();
  const absl::StatusOr<neb::Dataset> data =
      neb::ReadData(neb::UserPath(absl::GetFlag(FLAGS_images)), {.max_items = absl::GetFlag(FLAGS_stored)});
  if (!data.ok()) return data.status();
  const Tensor& stored = data->x;
  const int64_t d = data->item_shape.num_elements();
  // The lower half of each image, empty.
  std::vector<bool> hidden(static_cast<size_t>(d));
  for (size_t j = hidden.size() / 2; j < hidden.size(); ++j) hidden[j] = true;
  const absl::StatusOr<Tensor> occluded = neb::Occlude(stored, hidden);
  if (!occluded.ok()) return occluded.status();
  std::printf("%d images of %s. Recalled: the attractor is within %g of the image it started from.\n",
              static_cast<int>(data->size()), data->item_shape.ToString().c_str(), kWithin);
  for (const double sigma : *sigmas) {
    absl::StatusOr<neb::Model> exact =
        neb::Model::Create(neb::KernelDensityEnergy(stored, sigma), data->item_shape, sigma);
    absl::StatusOr<neb::Model> learned = Learn(*data, sigma);
    if (!exact.ok()) return exact.status();
    if (!learned.ok()) return learned.status();
    const Tensor noisy = neb::NoisyStarts(stored, *exact, absl::GetFlag(FLAGS_seed));
    std::printf("σ = %g\n", sigma);
    absl::Status s = Report("exact", "noisy", *exact, stored, noisy);
    s.Update(Report("learned", "noisy", *learned, stored, noisy));
    s.Update(Report("exact", "occluded", *exact, stored, *occluded));
    s.Update(Report("learned", "occluded", *learned, stored, *occluded));
    s.Update(WriteFilm(out.Path(absl::StrFormat("learned_%g.png", sigma)),
                       absl::StrFormat("Descents of the learned energy, by time of the flow; σ = %g", sigma), *learned,
                       stored, noisy, *occluded));
    if (!s.ok()) return s;
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

absl::Status Run() {
  const std::string mode = absl::GetFlag(FLAGS_mode);
  if (mode != "moons" && mode != "images") {
    return absl::InvalidArgumentError(absl::StrCat("--mode must be moons or images, got \"", mode, "\""));
  }
  const absl::StatusOr<neb::RunFolder> out = neb::RunFolder::Create(neb::UserPath(absl::GetFlag(FLAGS_out)));
  if (!out.ok()) return out.status();
  const absl::Status s = mode == "moons" ? Moons(*out) : Images(*out);
  if (s.ok()) std::printf("Pictures are in %s\n", out->Path("").c_str());
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Follows an energy down to its attractors: NEBULA, an associative memory.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "nebula: %s\n", std::string(status.message()).c_str());
  return 1;
}
