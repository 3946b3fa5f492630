// A folder of pictures as a data set.
//
//   absl::StatusOr<Dataset> faces = ReadImageFolder("faces/");  // x: [n, height*width*channels]
//   absl::StatusOr<Dataset> small = ReadImageFolder("photos/", {.crop_square = true, .resize = {64, 64}});
#ifndef NEB_NEB_IMAGE_FOLDER_H_
#define NEB_NEB_IMAGE_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "neb/dataset.h"
#include "neb/image_transform.h"

namespace neb {

struct ImageFolderOptions {
  // 1: every picture becomes grey. 3: RGB. 0: grey when all pictures are, RGB when any of them is. "Is" means the
  // file's own format: an RGB file of grey pixels counts as RGB.
  int channels = 0;
  bool crop_square = false;  // each picture is cut to its middle, the largest square
  ImageSize crop = {};       // or to this size, which every picture must have at least; {0, 0}: not cut
  ImageSize resize = {};     // what is left is resized to this; {0, 0}: not resized

  friend bool operator==(const ImageFolderOptions&, const ImageFolderOptions&) = default;
};

// Reads every .png, .jpg and .jpeg file (any case) of the folder, in the order of their names; hidden files, other
// files and subfolders are passed over. They must be grey or RGB, without alpha, and have one size after what the
// options do to them. Pixels become byte/255; item_shape is {height, width, 1 or 3}. max_items >= 1 keeps only the
// first pictures. Errors name the file: one that is no image, that is too small, or that differs from the first one. A
// folder without images is an error, and so are options that contradict each other.
absl::StatusOr<Dataset> ReadImageFolder(const std::string& path, const ImageFolderOptions& options = {},
                                        int64_t max_items = kAllItems);

}  // namespace neb

#endif  // NEB_NEB_IMAGE_FOLDER_H_
