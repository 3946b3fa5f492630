// Data from wherever the user has it: the one entry point of programs that take a path.
//
//   absl::StatusOr<Dataset> data = ReadData("train-images-idx3-ubyte.gz");
//   absl::StatusOr<Dataset> photos = ReadData("photos/", {.images = {.crop_square = true, .resize = {64, 64}}});
#ifndef NEB_NEB_READ_DATA_H_
#define NEB_NEB_READ_DATA_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "neb/dataset.h"
#include "neb/image_folder.h"

namespace neb {

struct ReadOptions {
  int64_t max_items = kAllItems;   // keeps only the first ones; at least 1
  ImageFolderOptions images = {};  // of folders only: InvalidArgument when set for another path
};

// Reads, by the path (extensions in any case):
//   a folder              PNG and JPEG files, image_folder.h
//   .npy                  a NumPy array [n], [n, d], [n, height, width] or [n, height, width, 1 or 3], npy.h
//   .csv, .tsv, .txt      points as text, csv.h
//   anything else         an IDX file, plain or gzip, idx.h
// Each row of x is one item; its values are finite float32. Bytes, also those of a .npy file, become pixels, byte/255;
// numbers are taken as they are (float64 rounded to nearest). The item_shape of an array [n] is {1}, of [n, d] {d}, of
// [n, height, width] {height, width, 1}. Errors are one line that names the file and the place in it.
absl::StatusOr<Dataset> ReadData(const std::string& path, const ReadOptions& options = {});

// The held-out file that MNIST and its relatives keep beside the training images: ".../t10k-images-idx3-ubyte[.gz]" for
// ".../train-images-idx3-ubyte[.gz]", plain or gzip, whichever exists. None for another name, or when there is no such
// file.
std::optional<std::string> HeldOutSibling(const std::string& train_path);

// The labels of such images: ".../NAME-labels-idx1-ubyte[.gz]" for ".../NAME-images-idx3-ubyte[.gz]", likewise.
std::optional<std::string> LabelsSibling(const std::string& images_path);

}  // namespace neb

#endif  // NEB_NEB_READ_DATA_H_
