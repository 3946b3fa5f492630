// An RGB picture that anti-aliased lines, discs, boxes and small text are drawn into.
//
//   Canvas canvas(640, 400);
//   canvas.DrawLines({{{10, 10}, {100, 50}}}, {.colour = {0, 114, 178}, .width = 2});
//   canvas.DrawText({20, 40}, "loss", {.bold = true});
//   Image image = std::move(canvas).Take();
//
// Coordinates are those of Point: whole numbers are pixel centres, so a line at a whole coordinate is sharp.
#ifndef NEB_NEB_CANVAS_H_
#define NEB_NEB_CANVAS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "neb/image.h"
#include "neb/stroke_font.h"

namespace neb {

struct Colour {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  friend bool operator==(const Colour&, const Colour&) = default;
};
inline constexpr Colour kWhite = {255, 255, 255};
inline constexpr Colour kInk = {38, 38, 38};          // text and titles
inline constexpr Colour kPaleInk = {110, 110, 110};   // axes and their numbers
inline constexpr Colour kGridGrey = {230, 230, 230};  // lines and fills behind the data

// Colours for several things in one plot, told apart with any common colour vision (Okabe and Ito's palette, without
// its yellow): repeats after kSeriesColours.
inline constexpr int kSeriesColours = 6;
Colour SeriesColour(int index);

// Bounds are inclusive pixel coordinates.
struct Box {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
};

struct Pen {
  Colour colour = kInk;
  double width = 1;  // pixels
  double alpha = 1;  // 0 invisible, 1 opaque
};

enum class Align { kLeft, kCentre, kRight };

struct TextStyle {
  Colour colour = kInk;
  bool bold = false;
  Align align = Align::kLeft;  // which part of the text is at the given point, along the writing direction
  bool upwards = false;
};

class Canvas {
 public:
  Canvas(int width, int height, Colour background = kWhite);

  int width() const { return image_.width; }
  int height() const { return image_.height; }

  // Confines the drawing that follows to a box, or to the whole picture again.
  void ClipTo(Box box);
  void Unclip();

  void SetPixel(int column, int row, Colour colour);
  void FillBox(Box box, Colour colour, double alpha = 1);
  void FillDisc(Point centre, double radius, Colour colour, double alpha = 1);
  // Strokes with round ends, drawn as one shape: where they cross or join, a translucent pen does not get darker.
  void DrawLines(std::span<const Stroke> strokes, const Pen& pen);
  void DrawLine(Point from, Point to, const Pen& pen);
  // One line of text; `baseline` is moved to whole pixels.
  void DrawText(Point baseline, std::string_view text, const TextStyle& style = {});

  Image Take() && { return std::move(image_); }

 private:
  void Blend(int column, int row, Colour colour, double alpha);
  void CoverSegment(Point a, Point b, double width);
  // Paints what was covered, and clears it.
  void PaintCovered(Colour colour, double alpha);

  Image image_;
  int clip_left_, clip_top_, clip_right_, clip_bottom_;
  // Coverage of the shape that is being drawn, 0 to 1, and the bounds of what is not 0.
  std::vector<float> coverage_;
  int dirty_left_, dirty_top_, dirty_right_, dirty_bottom_;
};

// The path cut into dashes of `on` pixels with gaps of `off` pixels.
std::vector<Stroke> Dashed(const Stroke& path, double on, double off);

}  // namespace neb

#endif  // NEB_NEB_CANVAS_H_
