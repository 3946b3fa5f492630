#include "neb/canvas.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace neb {
namespace {

// Distance from (x, y) to the segment a b.
double Distance(double x, double y, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length2 = dx * dx + dy * dy;
  const double t = length2 > 0 ? std::clamp(((x - a.x) * dx + (y - a.y) * dy) / length2, 0.0, 1.0) : 0.0;
  return std::hypot(x - a.x - t * dx, y - a.y - t * dy);
}

// std::clamp before the conversion: a plot may ask for points far outside of the picture.
int FloorWithin(double v, int lo, int hi) { return static_cast<int>(std::floor(std::clamp<double>(v, lo, hi))); }
int CeilWithin(double v, int lo, int hi) { return static_cast<int>(std::ceil(std::clamp<double>(v, lo, hi))); }

}  // namespace

Colour SeriesColour(int index) {
  constexpr Colour kColours[kSeriesColours] = {{0, 114, 178},   {213, 94, 0},  {0, 158, 115},
                                               {204, 121, 167}, {230, 159, 0}, {86, 180, 233}};
  return kColours[index % kSeriesColours];
}

Canvas::Canvas(int width, int height, Colour background)
    : image_(height, width, 3), coverage_(static_cast<size_t>(width) * static_cast<size_t>(height)) {
  Unclip();
  dirty_left_ = width;
  dirty_top_ = height;
  dirty_right_ = dirty_bottom_ = -1;
  FillBox({0, 0, width - 1.0, height - 1.0}, background);
}

void Canvas::ClipTo(Box box) {
  clip_left_ = CeilWithin(box.left, 0, width());
  clip_top_ = CeilWithin(box.top, 0, height());
  clip_right_ = FloorWithin(box.right, -1, width() - 1);
  clip_bottom_ = FloorWithin(box.bottom, -1, height() - 1);
}

void Canvas::Unclip() { ClipTo({0, 0, width() - 1.0, height() - 1.0}); }

void Canvas::SetPixel(int column, int row, Colour colour) { Blend(column, row, colour, 1); }

void Canvas::Blend(int column, int row, Colour colour, double alpha) {
  if (column < clip_left_ || column > clip_right_ || row < clip_top_ || row > clip_bottom_) return;
  uint8_t* pixel = image_.at(row, column);
  const uint8_t over[3] = {colour.red, colour.green, colour.blue};
  for (int c = 0; c < 3; ++c) {
    pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + alpha * (over[c] - pixel[c])));
  }
}

void Canvas::FillBox(Box box, Colour colour, double alpha) {
  const int right = FloorWithin(box.right, -1, clip_right_);
  const int bottom = FloorWithin(box.bottom, -1, clip_bottom_);
  for (int row = CeilWithin(box.top, clip_top_, height()); row <= bottom; ++row) {
    for (int column = CeilWithin(box.left, clip_left_, width()); column <= right; ++column) {
      Blend(column, row, colour, alpha);
    }
  }
}

void Canvas::CoverSegment(Point a, Point b, double width) {
  const double reach = width / 2 + 0.5;
  const int left = CeilWithin(std::min(a.x, b.x) - reach, clip_left_, clip_right_ + 1);
  const int right = FloorWithin(std::max(a.x, b.x) + reach, clip_left_ - 1, clip_right_);
  const int top = CeilWithin(std::min(a.y, b.y) - reach, clip_top_, clip_bottom_ + 1);
  const int bottom = FloorWithin(std::max(a.y, b.y) + reach, clip_top_ - 1, clip_bottom_);
  // A line thinner than a pixel is as dark as it is wide.
  const double most = std::min(width, 1.0);
  for (int row = top; row <= bottom; ++row) {
    for (int column = left; column <= right; ++column) {
      const double cover = std::clamp(reach - Distance(column, row, a, b), 0.0, most);
      float& covered =
          coverage_[static_cast<size_t>(row) * static_cast<size_t>(image_.width) + static_cast<size_t>(column)];
      covered = std::max(covered, static_cast<float>(cover));
    }
  }
  if (left > right || top > bottom) return;
  dirty_left_ = std::min(dirty_left_, left);
  dirty_top_ = std::min(dirty_top_, top);
  dirty_right_ = std::max(dirty_right_, right);
  dirty_bottom_ = std::max(dirty_bottom_, bottom);
}

void Canvas::PaintCovered(Colour colour, double alpha) {
  for (int row = dirty_top_; row <= dirty_bottom_; ++row) {
    for (int column = dirty_left_; column <= dirty_right_; ++column) {
      float& covered =
          coverage_[static_cast<size_t>(row) * static_cast<size_t>(image_.width) + static_cast<size_t>(column)];
      if (covered > 0) Blend(column, row, colour, alpha * static_cast<double>(covered));
      covered = 0;
    }
  }
  dirty_left_ = image_.width;
  dirty_top_ = image_.height;
  dirty_right_ = dirty_bottom_ = -1;
}

void Canvas::FillDisc(Point centre, double radius, Colour colour, double alpha) {
  CoverSegment(centre, centre, 2 * radius);
  PaintCovered(colour, alpha);
}

void Canvas::DrawLines(std::span<const Stroke> strokes, const Pen& pen) {
  for (const Stroke& stroke : strokes) {
    if (stroke.size() == 1) CoverSegment(stroke[0], stroke[0], pen.width);
    for (size_t i = 1; i < stroke.size(); ++i) CoverSegment(stroke[i - 1], stroke[i], pen.width);
  }
  PaintCovered(pen.colour, pen.alpha);
}

void Canvas::DrawLine(Point from, Point to, const Pen& pen) {
  CoverSegment(from, to, pen.width);
  PaintCovered(pen.colour, pen.alpha);
}

void Canvas::DrawText(Point baseline, std::string_view text, const TextStyle& style) {
  const double width = TextWidth(text);
  const double shift = style.align == Align::kLeft ? 0 : style.align == Align::kCentre ? width / 2 : width;
  Point origin = style.upwards ? Point{baseline.x, baseline.y + shift} : Point{baseline.x - shift, baseline.y};
  origin = {std::round(origin.x), std::round(origin.y)};
  DrawLines(TextStrokes(text, origin, style.upwards), {.colour = style.colour, .width = style.bold ? 1.8 : 1.2});
}

std::vector<Stroke> Dashed(const Stroke& path, double on, double off) {
  std::vector<Stroke> dashes;
  bool drawing = true;
  double left = on;  // of the current dash or gap
  for (size_t i = 0; i < path.size(); ++i) {
    if (i == 0) {
      dashes.push_back({path[0]});
      continue;
    }
    Point from = path[i - 1];
    const Point to = path[i];
    double length = std::hypot(to.x - from.x, to.y - from.y);
    while (length > left) {
      const double t = left / length;
      from = {from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)};
      length -= left;
      if (drawing) {
        dashes.back().push_back(from);
      } else {
        dashes.push_back({from});
      }
      drawing = !drawing;
      left = drawing ? on : off;
    }
    left -= length;
    if (drawing) dashes.back().push_back(to);
  }
  return dashes;
}

}  // namespace neb
