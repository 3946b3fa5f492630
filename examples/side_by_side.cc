#include "examples/side_by_side.h"

#include <algorithm>

namespace examples {

neb::Image SideBySide(const std::vector<neb::Image>& pictures, int columns) {
  const int rows = (static_cast<int>(pictures.size()) + columns - 1) / columns;
  const int height = pictures[0].height, width = pictures[0].width;
  neb::Image sheet(rows * height, columns * width, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (size_t k = 0; k < pictures.size(); ++k) {
    const int top = static_cast<int>(k) / columns * height, left = static_cast<int>(k) % columns * width;
    for (int i = 0; i < height; ++i) std::copy_n(pictures[k].at(i, 0), 3 * width, sheet.at(top + i, left));
  }
  return sheet;
}

}  // namespace examples
