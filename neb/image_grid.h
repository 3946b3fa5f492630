// Many small pictures as one.
//
//   absl::StatusOr<Image> sheet = Grid(samples, data.item_shape, 8, 16);                       // samples: [128, 784]
//   absl::StatusOr<Image> walk = Grid(x, {28, 28, 1}, 2, 10, {.row_labels = {"walk y", "jump x̂"}});
#ifndef NEB_NEB_IMAGE_GRID_H_
#define NEB_NEB_IMAGE_GRID_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"
#include "neb/image.h"

namespace neb {

struct GridOptions {
  int scale = 0;    // pixels per pixel; 0 chooses one that makes the grid at most about 1000 pixels wide
  int padding = 2;  // pixels between the pictures and around them
  std::string title = {};
  // At the left of the rows and above the columns; fewer than there are leave the others blank.
  std::vector<std::string> row_labels = {};
  std::vector<std::string> column_labels = {};
};

// Pictures in reading order, nearest-neighbour zoomed, on light grey, as RGB. x is [n, height*width*channels] with n <=
// rows*cols (cells without a picture stay blank) and values in [0, 1]; others are clamped, NaN is drawn red. item_shape
// is {height, width, 1 or 3}. InvalidArgument when these do not fit together, or the picture exceeds 16384 pixels to a
// side.
absl::StatusOr<Image> Grid(const autodiff::Tensor& x, const autodiff::Shape& item_shape, int rows, int cols,
                           const GridOptions& options = {});

}  // namespace neb

#endif  // NEB_NEB_IMAGE_GRID_H_
