// A small proportional font of pen strokes, so that plots need no font file. Capitals are 10 pixels high; stems lie on
// whole pixels, so text at a whole position is crisp.
//
//   std::vector<Stroke> strokes = TextStrokes("σ = 0.3", {20, 40});
//   double width = TextWidth("σ = 0.3");
#ifndef NEB_NEB_STROKE_FONT_H_
#define NEB_NEB_STROKE_FONT_H_

#include <string_view>
#include <vector>

namespace neb {

// In pixels, x to the right and y downwards; whole numbers are pixel centres.
struct Point {
  double x = 0;
  double y = 0;
};
using Stroke = std::vector<Point>;  // a path of straight segments

inline constexpr double kCapHeight = 9;  // from baseline to the middle of a capital's top stroke
inline constexpr double kDescent = 3;    // from baseline down to the middle of the deepest stroke

// Width of a line of UTF-8 text, without the gap after its last character.
double TextWidth(std::string_view text);

// The strokes of a line of text that starts at `origin` on its baseline. Upwards text is rotated a quarter turn to the
// left. Printable ASCII, the Greek letters and signs of the method (σ φ χ ε ∇ ² ₁ √ − × …) and the hat of x̂ are drawn;
// any other character is a box.
std::vector<Stroke> TextStrokes(std::string_view text, Point origin, bool upwards = false);

}  // namespace neb

#endif  // NEB_NEB_STROKE_FONT_H_
