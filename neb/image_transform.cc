#include "neb/image_transform.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "stb_image_resize.h"

namespace neb {

Image ToGrey(const Image& image) {
  if (image.channels == 1) return image;
  Image grey(image.height, image.width, 1);
  for (size_t i = 0; i < grey.pixels.size(); ++i) {
    const uint8_t* rgb = image.pixels.data() + 3 * i;
    // The weights in units of 2⁻¹⁶; their sum is exactly one.
    grey.pixels[i] = static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
  }
  return grey;
}

Image ToRgb(const Image& image) {
  if (image.channels == 3) return image;
  Image rgb(image.height, image.width, 3);
  for (size_t i = 0; i < rgb.pixels.size(); ++i) rgb.pixels[i] = image.pixels[i / 3];
  return rgb;
}

ImageSize LargestSquare(const Image& image) {
  const int side = std::min(image.height, image.width);
  return {.height = side, .width = side};
}

absl::StatusOr<Image> CentreCrop(const Image& image, ImageSize size) {
  if (size.height < 1 || size.width < 1 || size.height > image.height || size.width > image.width) {
    return absl::InvalidArgumentError(absl::StrCat("cannot crop to ", size.height, " x ", size.width,
                                                   ": the picture is ", image.height, " x ", image.width));
  }
  Image middle(size.height, size.width, image.channels);
  const int top = (image.height - size.height) / 2, left = (image.width - size.width) / 2;
  for (int row = 0; row < size.height; ++row) {
    std::copy_n(image.at(top + row, left), size.width * image.channels, middle.at(row, 0));
  }
  return middle;
}

absl::StatusOr<Image> Resize(const Image& image, ImageSize size) {
  constexpr int kMost = 1 << 14;
  if (size.height < 1 || size.width < 1 || size.height > kMost || size.width > kMost) {
    return absl::InvalidArgumentError(absl::StrCat("cannot resize to ", size.height, " x ", size.width,
                                                   ": expected 1 to ", kMost, " pixels to a side"));
  }
  if (size == ImageSize{image.height, image.width}) return image;
  Image resized(size.height, size.width, image.channels);
  if (stbir_resize_uint8(image.pixels.data(), image.width, image.height, 0, resized.pixels.data(), size.width,
                         size.height, 0, image.channels) == 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot resize to ", size.height, " x ", size.width, ": out of memory"));
  }
  return resized;
}

}  // namespace neb
