// What every plot has around its data: title, axes with numbers, labels.
//
//   Frame frame = {.title = "loss", .x = x_axis, .y = y_axis};
//   frame.LayOut(640, 400);
//   frame.DrawGrid(canvas);
//   ...  // draw in frame.plot, at frame.x.Map(...), frame.y.Map(...)
//   frame.DrawAxes(canvas);
#ifndef NEB_NEB_PLOT_FRAME_H_
#define NEB_NEB_PLOT_FRAME_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "neb/axes.h"
#include "neb/canvas.h"

namespace neb {

struct Frame {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  Axis x = {};
  Axis y = {};

  // Set by LayOut.
  Box plot = {};  // where the data goes
  std::vector<Tick> x_ticks = {};
  std::vector<Tick> y_ticks = {};

  // Divides a picture up; `right` pixels beside the plot stay free.
  void LayOut(int width, int height, double right = 0);
  // The height of a picture of this width in which a unit of x is as long as a unit of y.
  double HeightForEqualScale(int width, double right = 0);

  void DrawGrid(Canvas& canvas) const;
  void DrawAxes(Canvas& canvas) const;

 private:
  double Left() const;
  double Top() const;
  double Bottom() const;
};

// InvalidArgument, in the name of `who`, unless both are in 200 .. 8192.
absl::Status CheckPictureSize(const char* who, int width, int height);

}  // namespace neb

#endif  // NEB_NEB_PLOT_FRAME_H_
