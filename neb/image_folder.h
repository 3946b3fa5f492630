// A folder of pictures as a data set.
//
//   absl::StatusOr<Dataset> faces = ReadImageFolder("faces/");  // x: [n, height*width*channels]
#ifndef NEB_NEB_IMAGE_FOLDER_H_
#define NEB_NEB_IMAGE_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "neb/dataset.h"

namespace neb {

// Reads every .png, .jpg and .jpeg file (any case) of the folder, in the order of their names; hidden files, other
// files and subfolders are passed over. All of them must have one size and be grey or RGB, without alpha. Pixels become
// byte/255; item_shape is {height, width, 1 or 3}. max_items >= 1 keeps only the first ones. Errors name the file: one
// that is no image, or that differs from the first one. A folder without images is an error.
absl::StatusOr<Dataset> ReadImageFolder(const std::string& path, int64_t max_items = kAllItems);

}  // namespace neb

#endif  // NEB_NEB_IMAGE_FOLDER_H_
