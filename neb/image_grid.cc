#include "neb/image_grid.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "neb/canvas.h"

namespace neb {
namespace {

constexpr int kChosenWidth = 1000;  // pixels
constexpr int kMostPixels = 16384;  // to a side
constexpr Colour kBackground = {224, 224, 224};
constexpr Colour kNotANumber = {220, 40, 40};
constexpr int kLabelHeight = 20;  // a line of text and the space around it

Colour ColourOf(const autodiff::Tensor& x, int64_t index, int64_t channels) {
  uint8_t rgb[3];
  for (int64_t c = 0; c < 3; ++c) {
    const double value = x.at(index + (channels == 3 ? c : 0));
    if (std::isnan(value)) return kNotANumber;
    rgb[c] = static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
  }
  return {rgb[0], rgb[1], rgb[2]};
}

int WidestOf(const std::vector<std::string>& labels) {
  double widest = 0;
  for (const std::string& label : labels) widest = std::max(widest, TextWidth(label));
  return static_cast<int>(std::ceil(widest));
}

}  // namespace

absl::StatusOr<Image> Grid(const autodiff::Tensor& x, const autodiff::Shape& item_shape, int rows, int cols,
                           const GridOptions& options) {
  if (item_shape.rank() != 3 || (item_shape[2] != 1 && item_shape[2] != 3) || item_shape.num_elements() < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("Grid: items of shape ", item_shape.ToString(), ", expected [height, width, 1 or 3]"));
  }
  if (x.shape().rank() != 2 || x.shape()[1] != item_shape.num_elements()) {
    return absl::InvalidArgumentError(absl::StrCat("Grid: x of shape ", x.shape().ToString(), ", expected [n, ",
                                                   item_shape.num_elements(), "] for items of ",
                                                   item_shape.ToString()));
  }
  if (rows < 1 || cols < 1 || x.shape()[0] > int64_t{rows} * cols || options.scale < 0 || options.padding < 0) {
    return absl::InvalidArgumentError(absl::StrCat("Grid: ", x.shape()[0], " items in ", rows, " rows of ", cols,
                                                   ", scale ", options.scale, ", padding ", options.padding,
                                                   ": expected no more items than cells, and no negative number"));
  }
  const int64_t item_height = item_shape[0];
  const int64_t item_width = item_shape[1];
  const int64_t padding = options.padding;
  const int64_t scale =
      options.scale > 0 ? options.scale : std::max<int64_t>(1, (kChosenWidth / cols - padding) / item_width);

  const int64_t left = options.row_labels.empty() ? 0 : WidestOf(options.row_labels) + 14;
  const int64_t title_height = options.title.empty() ? 0 : kLabelHeight + 4;
  const int64_t top = title_height + (options.column_labels.empty() ? 0 : kLabelHeight);
  // Checked before multiplying: the extents are the caller's.
  const bool fits = item_height < kMostPixels && item_width < kMostPixels && scale < kMostPixels &&
                    rows < kMostPixels && cols < kMostPixels && padding < kMostPixels;
  const int64_t width = fits ? left + padding + cols * (scale * item_width + padding) : kMostPixels + 1;
  const int64_t height = fits ? top + padding + rows * (scale * item_height + padding) : kMostPixels + 1;
  if (width > kMostPixels || height > kMostPixels) {
    return absl::InvalidArgumentError(absl::StrCat("Grid: ", rows, " rows of ", cols, " pictures of ",
                                                   item_shape.ToString(), " at scale ", scale, " exceed ", kMostPixels,
                                                   " pixels to a side"));
  }

  Canvas canvas(static_cast<int>(width), static_cast<int>(height), kBackground);
  for (int64_t item = 0; item < x.shape()[0]; ++item) {
    const int64_t cell_top = top + padding + item / cols * (scale * item_height + padding);
    const int64_t cell_left = left + padding + item % cols * (scale * item_width + padding);
    for (int64_t row = 0; row < item_height; ++row) {
      for (int64_t column = 0; column < item_width; ++column) {
        const int64_t pixel = (item * item_height + row) * item_width + column;
        const double box_top = static_cast<double>(cell_top + scale * row);
        const double box_left = static_cast<double>(cell_left + scale * column);
        const double reach = static_cast<double>(scale - 1);
        canvas.FillBox({box_left, box_top, box_left + reach, box_top + reach},
                       ColourOf(x, pixel * item_shape[2], item_shape[2]));
      }
    }
  }

  for (size_t r = 0; r < std::min(options.row_labels.size(), static_cast<size_t>(rows)); ++r) {
    const int64_t cell_top = top + padding + static_cast<int64_t>(r) * (scale * item_height + padding);
    const double middle = static_cast<double>(cell_top) + static_cast<double>(scale * item_height) / 2;
    canvas.DrawText({static_cast<double>(left) - 7, middle + kCapHeight / 2}, options.row_labels[r],
                    {.align = Align::kRight});
  }
  for (size_t c = 0; c < std::min(options.column_labels.size(), static_cast<size_t>(cols)); ++c) {
    const int64_t cell_left = left + padding + static_cast<int64_t>(c) * (scale * item_width + padding);
    const double middle = static_cast<double>(cell_left) + static_cast<double>(scale * item_width) / 2;
    canvas.DrawText({middle, static_cast<double>(top) - 4}, options.column_labels[c], {.align = Align::kCentre});
  }
  canvas.DrawText({static_cast<double>(left + padding), kLabelHeight - 4}, options.title, {.bold = true});
  return std::move(canvas).Take();
}

}  // namespace neb
