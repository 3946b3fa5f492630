// Pictures brought into one shape: grey or RGB, cut to their middle, resized.
//
//   absl::StatusOr<Image> face = CentreCrop(photo, LargestSquare(photo));
//   face = Resize(*face, {.height = 64, .width = 64});
#ifndef NEB_NEB_IMAGE_TRANSFORM_H_
#define NEB_NEB_IMAGE_TRANSFORM_H_

#include "absl/status/statusor.h"
#include "neb/image.h"

namespace neb {

struct ImageSize {
  int height = 0;  // pixels
  int width = 0;

  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// RGB becomes its luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded as Pillow's convert("L") rounds it. Grey
// stays. 1 or 3 channels.
Image ToGrey(const Image& image);

// Grey becomes three equal channels. RGB stays. 1 or 3 channels.
Image ToRgb(const Image& image);

// As many pixels to each side as the picture's shorter one.
ImageSize LargestSquare(const Image& image);

// The middle of the picture; of a row or column too many, one more is cut at the bottom or the right. InvalidArgument
// when it is larger than the picture, or empty.
absl::StatusOr<Image> CentreCrop(const Image& image, ImageSize size);

// stb_image_resize: Mitchell and Netravali's cubic where the picture shrinks (over all pixels that fall into one, so
// that nothing aliases), Catmull and Rom's where it grows; pixels beyond the border are those at the border. It works
// on the values as they are stored, as Pillow and torchvision do, not on linear light. InvalidArgument when the size is
// empty or above 16384 to a side.
absl::StatusOr<Image> Resize(const Image& image, ImageSize size);

}  // namespace neb

#endif  // NEB_NEB_IMAGE_TRANSFORM_H_
