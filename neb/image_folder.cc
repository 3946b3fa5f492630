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

std::string SizeOf(const Image& image) { return absl::StrCat(image.height, " x ", image.width); }

absl::Status CheckOptions(const std::string& path, const ImageFolderOptions& options, int64_t max_items) {
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
  };
  if (max_items < 1) return error(absl::StrCat("max_items is ", max_items, ", expected at least 1"));
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    return error(absl::StrCat("channels is ", options.channels, ", expected 1, 3, or 0 for what the files have"));
  }
  if (options.crop_square && options.crop != ImageSize{}) {
    return error("asked to crop to a square and to a size, expected one of them");
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> Transform(Image image, const ImageFolderOptions& options) {
  if (options.channels == 1) image = ToGrey(image);
  if (options.channels == 3) image = ToRgb(image);
  const bool crop = options.crop_square || options.crop != ImageSize{};
  absl::StatusOr<Image> result = std::move(image);
  if (crop) result = CentreCrop(*result, options.crop_square ? LargestSquare(*result) : options.crop);
  if (result.ok() && options.resize != ImageSize{}) result = Resize(*result, options.resize);
  return result;
}

}  // namespace

absl::StatusOr<Dataset> ReadImageFolder(const std::string& path, const ImageFolderOptions& options, int64_t max_items) {
  if (absl::Status s = CheckOptions(path, options, max_items); !s.ok()) return s;
  absl::StatusOr<std::vector<fs::path>> files = ListImages(path);
  if (!files.ok()) return files.status();
  if (static_cast<int64_t>(files->size()) > max_items) files->resize(static_cast<size_t>(max_items));

  std::vector<Image> images;
  int channels = options.channels;
  for (const fs::path& file : *files) {
    const auto error = [&](const std::string& what) {
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", what));
    };
    absl::StatusOr<Image> image = ReadImage(file.string());
    if (!image.ok()) return image.status();
    if (image->channels != 1 && image->channels != 3) {
      return error("has an alpha channel, expected grey (1 channel) or RGB (3 channels)");
    }
    image = Transform(*std::move(image), options);
    if (!image.ok()) return error(std::string(image.status().message()));
    images.push_back(*std::move(image));
    const Image &first = images.front(), &last = images.back();
    if (last.height != first.height || last.width != first.width) {
      return error(absl::StrCat("is ", SizeOf(last), ", expected ", SizeOf(first), " as ", files->front().string(),
                                " (height x width)"));
    }
    channels = std::max(channels, last.channels);
  }

  Dataset data;
  data.item_shape = {images.front().height, images.front().width, channels};
  // "faces" for both "faces" and "faces/".
  const fs::path folder = fs::path(path).lexically_normal();
  data.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  data.x = autodiff::Tensor({static_cast<int64_t>(images.size()), data.item_shape.num_elements()});
  auto to = data.x.data<float>().begin();
  for (const Image& image : images) {
    const Image whole = channels == 3 ? ToRgb(image) : image;
    to = std::transform(whole.pixels.begin(), whole.pixels.end(), to,
                        [](uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  }
  return data;
}

}  // namespace neb
