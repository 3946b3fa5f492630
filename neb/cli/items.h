// A model's items from files that a user names one by one, and pictures made of them again.
//
//   absl::StatusOr<Tensor> x = ReadItems("cat.jpg", model.item_shape(), /*resize=*/true);    // [1, d]
//   WritePng("x_hat.png", ToPicture(x_hat.data<float>().first(d), model.item_shape()));
#ifndef NEB_NEB_CLI_ITEMS_H_
#define NEB_NEB_CLI_ITEMS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"
#include "neb/image.h"

namespace neb {

// Whether items are pictures: [height, width, 1 or 3].
bool IsPicture(const autodiff::Shape& item_shape);

// Whether a path is that of one picture, PNG or JPEG.
bool IsPictureFile(const std::string& path);

// One picture, or all items of what ReadData (read_data.h) reads: [n, d]. A picture becomes grey or RGB as item_shape
// is; with `resize` it is also cut to its middle, to the proportions of item_shape, and resized. InvalidArgument,
// naming both shapes, for items of another shape; an alpha channel.
absl::StatusOr<autodiff::Tensor> ReadItems(const std::string& path, const autodiff::Shape& item_shape, bool resize);

// A row of numbers as 8-bit pixels, those outside [0, 1] clamped. `item_shape` is [height, width, channels].
Image ToPicture(std::span<const float> item, const autodiff::Shape& item_shape);

// The rows begin <= i < end of x [n, d].
autodiff::Tensor RowsOf(const autodiff::Tensor& x, int64_t begin, int64_t end);

// At most `most` of n rows, evenly spaced: of data that is sorted in some way, some of every kind.
std::vector<int64_t> EvenIndices(int64_t n, int64_t most);
autodiff::Tensor EvenRows(const autodiff::Tensor& x, int64_t most);

}  // namespace neb

#endif  // NEB_NEB_CLI_ITEMS_H_
