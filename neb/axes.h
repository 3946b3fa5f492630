// Axes of plots: which numbers to write along them, how to write them, and where they are.
//
//   std::vector<Tick> ticks = Ticks({.low = 0, .high = 9.7}, 6);  // 0, 2, 4, 6, 8
#ifndef NEB_NEB_AXES_H_
#define NEB_NEB_AXES_H_

#include <string>
#include <vector>

namespace neb {

struct Axis {
  double low = 0;  // finite, low < high; positive when logarithmic
  double high = 1;
  bool logarithmic = false;
  // Pixel positions of low and high; a vertical axis has first_pixel > last_pixel.
  double first_pixel = 0;
  double last_pixel = 1;

  // The pixel position of a value; not finite for NaN, nor for a value <= 0 on a logarithmic axis.
  double Map(double value) const;
  bool Shows(double value) const { return value >= low && value <= high; }
};

struct Tick {
  double value;
  std::string label;
};

// Round numbers within [low, high], in increasing order, at most `most` >= 2 of them: multiples of 1, 2, 2.5 or 5 times
// a power of ten; on a logarithmic axis, powers of ten (or every second, third … one when they are too many), with
// their doubles and fivefolds when there is room, or multiples as on a linear axis when that leaves fewer than two. The
// labels of a linear axis agree in their number of decimals.
std::vector<Tick> Ticks(const Axis& axis, int most);

// An axis around those of `values` that it can show, at most 1e150 in magnitude and, if logarithmic, at least 1e-150;
// widened by `margin` of its length at both ends. No such value gives [0, 1], or [1, 10] if logarithmic; a single one v
// gives [v/2, 3v/2] (zero: [-1/2, 1/2]), or [v/2, 2v] if logarithmic.
Axis AxisAround(const std::vector<double>& values, bool logarithmic, double margin);

}  // namespace neb

#endif  // NEB_NEB_AXES_H_
