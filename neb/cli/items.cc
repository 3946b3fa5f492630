#include "neb/cli/items.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "neb/image_transform.h"
#include "neb/read_data.h"

namespace neb {

using autodiff::Shape;
using autodiff::Tensor;

namespace {

absl::Status WrongShape(const std::string& path, const Shape& got, const Shape& expected, absl::string_view advice) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": items of shape ", got.ToString(), ", but the model's are ", expected.ToString(), advice));
}

// The largest size of these proportions that fits into the picture.
ImageSize LargestAlike(const Image& image, ImageSize size) {
  const double scale =
      std::min(static_cast<double>(image.height) / size.height, static_cast<double>(image.width) / size.width);
  return {.height = std::clamp(static_cast<int>(std::lround(scale * size.height)), 1, image.height),
          .width = std::clamp(static_cast<int>(std::lround(scale * size.width)), 1, image.width)};
}

absl::StatusOr<Tensor> ReadPicture(const std::string& path, const Shape& item_shape, bool resize) {
  absl::StatusOr<Image> image = ReadImage(path);
  if (!image.ok()) return image.status();
  const Shape shape = {image->height, image->width, image->channels};
  if (item_shape.rank() != 3) return WrongShape(path, shape, item_shape, "");
  if (image->channels != 1 && image->channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has an alpha channel, expected grey (1 channel) or RGB (3 channels)"));
  }
  Image fitted = item_shape[2] == 1 ? ToGrey(*image) : ToRgb(*image);
  const ImageSize size{.height = static_cast<int>(item_shape[0]), .width = static_cast<int>(item_shape[1])};
  if (resize) {
    absl::StatusOr<Image> cut = CentreCrop(fitted, LargestAlike(fitted, size));
    if (cut.ok()) cut = Resize(*cut, size);
    if (!cut.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", cut.status().message()));
    fitted = *std::move(cut);
  }
  if (fitted.height != size.height || fitted.width != size.width) {
    return WrongShape(path, shape, item_shape, "; --resize fits pictures to it");
  }
  Tensor x({1, item_shape.num_elements()});
  std::transform(fitted.pixels.begin(), fitted.pixels.end(), x.data<float>().begin(),
                 [](uint8_t byte) { return static_cast<float>(byte) / 255.0F; });
  return x;
}

}  // namespace

bool IsPicture(const Shape& item_shape) { return item_shape.rank() == 3 && (item_shape[2] == 1 || item_shape[2] == 3); }

bool IsPictureFile(const std::string& path) {
  const std::string extension = absl::AsciiStrToLower(std::filesystem::path(path).extension().string());
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

absl::StatusOr<Tensor> ReadItems(const std::string& path, const Shape& item_shape, bool resize) {
  if (IsPictureFile(path)) return ReadPicture(path, item_shape, resize);
  absl::StatusOr<Dataset> data = ReadData(path);
  if (!data.ok()) return data.status();
  if (!(data->item_shape == item_shape)) return WrongShape(path, data->item_shape, item_shape, "");
  return std::move(data->x);
}

Image ToPicture(std::span<const float> item, const Shape& item_shape) {
  Image image(static_cast<int>(item_shape[0]), static_cast<int>(item_shape[1]), static_cast<int>(item_shape[2]));
  std::transform(item.begin(), item.end(), image.pixels.begin(),
                 [](float value) { return static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0F, 1.0F))); });
  return image;
}

Tensor RowsOf(const Tensor& x, int64_t begin, int64_t end) {
  const auto d = static_cast<size_t>(x.shape()[1]);
  return Tensor::From<float>(
      {end - begin, x.shape()[1]},
      x.data<float>().subspan(static_cast<size_t>(begin) * d, static_cast<size_t>(end - begin) * d));
}

std::vector<int64_t> EvenIndices(int64_t n, int64_t most) {
  const int64_t count = std::min(most, n);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * n / count);
  return indices;
}

Tensor EvenRows(const Tensor& x, int64_t most) {
  const std::vector<int64_t> indices = EvenIndices(x.shape()[0], most);
  Tensor rows({static_cast<int64_t>(indices.size()), x.shape()[1]});
  GatherRows(x, indices, rows);
  return rows;
}

}  // namespace neb
