#include "neb/plot_frame.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace neb {
namespace {

constexpr double kTickLength = 4;  // pixels
constexpr double kMargin = 14;     // pixels at the border of the picture
constexpr double kXTickRoom = 62;  // pixels of axis per number
constexpr double kYTickRoom = 45;

double WidestLabel(const std::vector<Tick>& ticks) {
  double widest = 0;
  for (const Tick& tick : ticks) widest = std::max(widest, TextWidth(tick.label));
  return widest;
}

int MostTicks(double pixels, double room) { return std::max(2, static_cast<int>(pixels / room)); }

}  // namespace

double Frame::Left() const {
  return std::round(kMargin + (y_label.empty() ? 0 : 19) + WidestLabel(y_ticks) + kTickLength + 5);
}
double Frame::Top() const { return title.empty() ? kMargin : 36; }
double Frame::Bottom() const { return (x_label.empty() ? 10 : 30) + kCapHeight + kTickLength + 9; }

void Frame::LayOut(int width, int height, double right) {
  plot.top = Top();
  plot.bottom = std::round(height - Bottom());
  y_ticks = Ticks(y, MostTicks(plot.bottom - plot.top, kYTickRoom));
  plot.left = Left();
  plot.right = std::round(width - std::max(right, 4.0) - kMargin);
  // Numbers under a narrow plot, or long ones, need more room each.
  x_ticks = Ticks(x, MostTicks(plot.right - plot.left, kXTickRoom));
  const double room = WidestLabel(x_ticks) + 24;
  if (room > kXTickRoom) x_ticks = Ticks(x, MostTicks(plot.right - plot.left, room));
  x.first_pixel = plot.left;
  x.last_pixel = plot.right;
  y.first_pixel = plot.bottom;
  y.last_pixel = plot.top;
}

double Frame::HeightForEqualScale(int width, double right) {
  const double scale = (y.high - y.low) / (x.high - x.low);
  // The width of the plot depends on the numbers beside it, and these on its height: twice round is enough, as the
  // numbers of nearly equal heights are equal.
  double height = width * scale;
  for (int round = 0; round < 2; ++round) {
    height = std::clamp(height, 1.0, 1e5);
    LayOut(width, static_cast<int>(height), right);
    height = (plot.right - plot.left) * scale + Top() + Bottom();
  }
  return height;
}

void Frame::DrawGrid(Canvas& canvas) const {
  for (const Tick& tick : x_ticks) {
    const double at = std::round(x.Map(tick.value));
    canvas.DrawLine({at, plot.top}, {at, plot.bottom}, {.colour = kGridGrey});
  }
  for (const Tick& tick : y_ticks) {
    const double at = std::round(y.Map(tick.value));
    canvas.DrawLine({plot.left, at}, {plot.right, at}, {.colour = kGridGrey});
  }
}

void Frame::DrawAxes(Canvas& canvas) const {
  const Pen pen = {.colour = kPaleInk};
  canvas.DrawLine({plot.left, plot.top}, {plot.left, plot.bottom}, pen);
  canvas.DrawLine({plot.left, plot.bottom}, {plot.right, plot.bottom}, pen);
  const double baseline = plot.bottom + kTickLength + 5 + kCapHeight;
  for (const Tick& tick : x_ticks) {
    const double at = std::round(x.Map(tick.value));
    canvas.DrawLine({at, plot.bottom}, {at, plot.bottom + kTickLength}, pen);
    canvas.DrawText({at, baseline}, tick.label, {.colour = kPaleInk, .align = Align::kCentre});
  }
  for (const Tick& tick : y_ticks) {
    const double at = std::round(y.Map(tick.value));
    canvas.DrawLine({plot.left - kTickLength, at}, {plot.left, at}, pen);
    canvas.DrawText({plot.left - kTickLength - 5, at + kCapHeight / 2}, tick.label,
                    {.colour = kPaleInk, .align = Align::kRight});
  }
  canvas.DrawText({plot.left, 22}, title, {.bold = true});
  canvas.DrawText({(plot.left + plot.right) / 2, baseline + 20}, x_label, {.align = Align::kCentre});
  canvas.DrawText({kMargin + kCapHeight, (plot.top + plot.bottom) / 2}, y_label,
                  {.align = Align::kCentre, .upwards = true});
}

absl::Status CheckPictureSize(const char* who, int width, int height) {
  if (width >= 200 && height >= 200 && width <= 8192 && height <= 8192) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(who, ": a picture of ", width, " x ", height, " pixels, expected 200 to 8192 to a side"));
}

}  // namespace neb
