// The synthetic data sets of the plane, each in a panel of one picture.
//
//   bazel run -c opt //examples:synthetic            # writes synthetic.png
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "neb/axes.h"
#include "neb/canvas.h"
#include "neb/cli/run_folder.h"
#include "neb/image.h"
#include "neb/synthetic.h"

ABSL_FLAG(std::string, out, "synthetic.png", "the picture to write");
ABSL_FLAG(int64_t, n, 4000, "points of each data set");
ABSL_FLAG(uint64_t, seed, 1, "of the points");

namespace {

constexpr int kColumns = 4;
constexpr int kSide = 250;    // of the square that points are drawn in, pixels
constexpr int kGap = 16;      // around and between the panels
constexpr int kTitle = 24;    // above the points
constexpr int kNumbers = 30;  // below them, and at their left

// Two axes of one length, around all points, so that a unit of x is as long as a unit of y.
std::pair<neb::Axis, neb::Axis> EqualAxes(const neb::Dataset& data) {
  std::vector<double> coordinates[2];
  for (int64_t i = 0; i < data.x.num_elements(); ++i) coordinates[i % 2].push_back(data.x.at(i));
  neb::Axis axes[2];
  double longest = 0;
  for (int c = 0; c < 2; ++c) {
    axes[c] = neb::AxisAround(coordinates[c], /*logarithmic=*/false, 0.06);
    longest = std::max(longest, axes[c].high - axes[c].low);
  }
  for (neb::Axis& axis : axes) {
    const double middle = (axis.low + axis.high) / 2;
    axis.low = middle - longest / 2;
    axis.high = middle + longest / 2;
  }
  return {axes[0], axes[1]};
}

void DrawPanel(neb::Canvas& canvas, neb::Point corner, const neb::Dataset& data) {
  const neb::Box plot = {.left = corner.x + kNumbers,
                         .top = corner.y + kTitle,
                         .right = corner.x + kNumbers + kSide,
                         .bottom = corner.y + kTitle + kSide};
  auto [x, y] = EqualAxes(data);
  x.first_pixel = plot.left;
  x.last_pixel = plot.right;
  y.first_pixel = plot.bottom;
  y.last_pixel = plot.top;
  const neb::TextStyle number = {.colour = neb::kPaleInk, .align = neb::Align::kCentre};
  for (const neb::Tick& tick : neb::Ticks(x, 5)) {
    const double at = x.Map(tick.value);
    canvas.DrawLine({at, plot.top}, {at, plot.bottom}, {.colour = neb::kGridGrey});
    canvas.DrawText({at, plot.bottom + 17}, tick.label, number);
  }
  for (const neb::Tick& tick : neb::Ticks(y, 5)) {
    const double at = y.Map(tick.value);
    canvas.DrawLine({plot.left, at}, {plot.right, at}, {.colour = neb::kGridGrey});
    canvas.DrawText({plot.left - 6, at + neb::kCapHeight / 2}, tick.label,
                    {.colour = neb::kPaleInk, .align = neb::Align::kRight});
  }
  canvas.ClipTo(plot);
  for (int64_t i = 0; i < data.size(); ++i) {
    canvas.FillDisc({x.Map(data.x.at(2 * i)), y.Map(data.x.at(2 * i + 1))}, 1.1, neb::SeriesColour(0), 0.45);
  }
  canvas.Unclip();
  canvas.DrawText({plot.left, plot.top - 8}, data.name, {.bold = true});
}

absl::Status Run() {
  std::vector<neb::Dataset> sets;
  for (const std::string& name : neb::SyntheticNames()) {
    absl::StatusOr<neb::Dataset> data = neb::MakeSynthetic(name, absl::GetFlag(FLAGS_n), absl::GetFlag(FLAGS_seed));
    if (!data.ok()) return data.status();
    if (data->item_shape == autodiff::Shape({2})) sets.push_back(*std::move(data));
  }
  const int panel_width = kNumbers + kSide + kGap, panel_height = kTitle + kSide + kNumbers + kGap;
  const int rows = (static_cast<int>(sets.size()) + kColumns - 1) / kColumns;
  neb::Canvas canvas(kColumns * panel_width + kGap, rows * panel_height + kGap);
  for (size_t i = 0; i < sets.size(); ++i) {
    const int row = static_cast<int>(i) / kColumns, column = static_cast<int>(i) % kColumns;
    DrawPanel(canvas, {1.0 * column * panel_width, 1.0 * kGap + row * panel_height}, sets[i]);
  }
  const std::string path = neb::UserPath(absl::GetFlag(FLAGS_out));
  if (absl::Status s = neb::WritePng(path, std::move(canvas).Take()); !s.ok()) return s;
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Draws the synthetic data sets of the plane into one picture.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "synthetic: %s\n", std::string(status.message()).c_str());
  return 1;
}
