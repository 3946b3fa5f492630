#include "neb/cli/plane_picture.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/cli/plane.h"
#include "neb/walk.h"

namespace neb {

namespace {

constexpr double kMargin = 3;  // around the points, in σ
constexpr int kContours = 12;

absl::Status CheckPlane(const Model& model, const Tensor& x) {
  if (model.d() == 2 && x.shape().rank() == 2 && x.shape()[1] == 2 && x.shape()[0] >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("expected a model and points in the plane, got a model of d = ",
                                                 model.d(), " and points ", x.shape().ToString()));
}

HeatMapOptions Look(const PlanePictureOptions& options, const std::string& what) {
  return {.title = options.title.empty() ? what : absl::StrCat(options.title, ": ", what),
          .value_label = "φ − min φ",
          .high = kHighEnergy,
          .contours = kContours,
          .width = options.width};
}

}  // namespace

absl::StatusOr<Image> EnergyPicture(Model& model, const Tensor& x, const PlanePictureOptions& options) {
  if (absl::Status s = CheckPlane(model, x); !s.ok()) return s;
  const PlaneBox box = BoxAround(x, kMargin * model.sigma());
  const absl::StatusOr<Field> field = EnergyField(model, box, options.pool);
  if (!field.ok()) return field.status();
  absl::StatusOr<std::vector<Arrow>> arrows = DownhillArrows(model, box, options.pool);
  if (!arrows.ok()) return arrows.status();
  const absl::StatusOr<Basins> basins = FindBasins(model, box, {.pool = options.pool});
  if (!basins.ok()) return basins.status();
  HeatMapOptions look = Look(options, "energy, −∇φ, data, attractors");
  look.points = {{.points = PointsOf(SomeRows(x, options.points)), .radius = 1.5}};
  PointSet attractors{.colour = kInk, .radius = 7};
  for (const PointSet& mark : basins->marks) attractors.points.push_back(mark.points.front());
  look.points.push_back(std::move(attractors));
  look.arrows = *std::move(arrows);
  return HeatMap(*field, look);
}

absl::StatusOr<Image> BasinsPicture(Model& model, const Tensor& x, const PlanePictureOptions& options) {
  if (absl::Status s = CheckPlane(model, x); !s.ok()) return s;
  const PlaneBox box = BoxAround(x, kMargin * model.sigma());
  const absl::StatusOr<Field> field = EnergyField(model, box, options.pool);
  if (!field.ok()) return field.status();
  absl::StatusOr<Basins> basins = FindBasins(model, box, {.pool = options.pool});
  if (!basins.ok()) return basins.status();
  const Tensor noisy = NoisyStarts(SomeRows(x, options.descents), model, options.seed);
  const absl::StatusOr<Descents> descents = Descend(model, noisy, {.path_every = 1, .pool = options.pool});
  if (!descents.ok()) return descents.status();
  HeatMapOptions look = Look(options, "basins of the attractors");
  look.points = std::move(basins->starts);
  look.points.insert(look.points.end(), basins->marks.begin(), basins->marks.end());
  look.paths = PathsOf(*descents);
  return HeatMap(*field, look);
}

}  // namespace neb
