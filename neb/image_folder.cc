#include "neb/image_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "neb/image.h"

namespace neb {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::vector<fs::path>> ListImages(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> files;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const std::string extension = absl::AsciiStrToLower(entry->path().extension().string());
    std::error_code ignored;
    if (name[0] != '.' && (extension == ".png" || extension == ".jpg" || extension == ".jpeg") &&
        !entry->is_directory(ignored)) {
      files.push_back(entry->path());
    }
  }
  if (error) {
    const std::string message = absl::StrCat(path, ": cannot list the folder: ", error.message());
    return error == std::errc::no_such_file_or_directory ? absl::NotFoundError(message) : absl::UnknownError(message);
  }
  if (files.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no image in this folder, expected .png or .jpg files"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string SizeOf(const Image& image) { return absl::StrCat(image.height, " x ", image.width, " x ", image.channels); }

}  // namespace

absl::StatusOr<Dataset> ReadImageFolder(const std::string& path, int64_t max_items) {
  if (max_items < 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": max_items is ", max_items, ", expected at least 1"));
  }
  absl::StatusOr<std::vector<fs::path>> files = ListImages(path);
  if (!files.ok()) return files.status();
  if (static_cast<int64_t>(files->size()) > max_items) files->resize(static_cast<size_t>(max_items));

  Image first;
  std::vector<uint8_t> bytes;
  for (const fs::path& file : *files) {
    absl::StatusOr<Image> image = ReadImage(file.string());
    if (!image.ok()) return image.status();
    if (image->channels != 1 && image->channels != 3) {
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": has an alpha channel (", SizeOf(*image),
                                                     "), expected grey (1 channel) or RGB (3 channels)"));
    }
    if (first.pixels.empty()) first = *image;
    if (image->height != first.height || image->width != first.width || image->channels != first.channels) {
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": is ", SizeOf(*image), ", expected ",
                                                     SizeOf(first), " as in ", files->front().string(),
                                                     " (height x width x channels)"));
    }
    bytes.insert(bytes.end(), image->pixels.begin(), image->pixels.end());
  }

  Dataset data;
  data.item_shape = {first.height, first.width, first.channels};
  // "faces" for both "faces" and "faces/".
  const fs::path folder = fs::path(path).lexically_normal();
  data.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  data.x = autodiff::Tensor({static_cast<int64_t>(files->size()), data.item_shape.num_elements()});
  std::transform(bytes.begin(), bytes.end(), data.x.data<float>().begin(),
                 [](uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  return data;
}

}  // namespace neb
