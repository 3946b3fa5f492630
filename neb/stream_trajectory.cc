#include "neb/stream_trajectory.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "neb/npy.h"

namespace neb {

namespace {

absl::Status Open(const std::string& path, const autodiff::Shape& row_shape, std::optional<NpyWriter>& file) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<NpyWriter> created = NpyWriter::Create(path, row_shape);
  if (!created.ok()) return created.status();
  file.emplace(*std::move(created));
  return absl::OkStatus();
}

}  // namespace

absl::Status StreamTrajectory(Walk& walk, const WalkSchedule& schedule, const StreamFiles& files,
                              absl::FunctionRef<absl::Status(const Snapshot&)> see) {
  const int64_t chains = walk.y().shape()[0], d = walk.y().shape()[1];
  const autodiff::Shape item = files.item_shape.rank() == 0 ? autodiff::Shape{d} : files.item_shape;
  if (item.num_elements() != d) {
    return absl::InvalidArgumentError(
        absl::StrCat("files of points of shape ", item.ToString(), ", but the walk's have ", d, " numbers"));
  }
  autodiff::Shape points{chains};
  for (int i = 0; i < item.rank(); ++i) points.push_back(item[i]);
  std::optional<NpyWriter> y, x_hat, energy;
  if (absl::Status s = Open(files.y, points, y); !s.ok()) return s;
  if (absl::Status s = Open(files.x_hat, points, x_hat); !s.ok()) return s;
  if (absl::Status s = Open(files.energy, {chains}, energy); !s.ok()) return s;

  absl::Status status = Observe(walk, schedule, [&](const Snapshot& seen) {
    absl::Status s;
    if (y.has_value() && seen.y != nullptr) s.Update(y->Append(seen.y->Reshaped(points)));
    if (x_hat.has_value() && seen.x_hat != nullptr) s.Update(x_hat->Append(seen.x_hat->Reshaped(points)));
    if (energy.has_value() && !seen.energy.empty()) {
      s.Update(energy->Append(Tensor::From<float>({chains}, seen.energy)));
    }
    return s.ok() ? see(seen) : s;
  });
  for (std::optional<NpyWriter>* file : {&y, &x_hat, &energy}) {
    if (file->has_value()) status.Update((*file)->Close());
  }
  return status;
}

}  // namespace neb
