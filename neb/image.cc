#include "neb/image.h"

#include <cstring>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "neb/file.h"
#include "neb/file_reader.h"
#include "neb/image_file.h"
#include "stb_image.h"
#include "stb_image_write.h"

namespace neb {
namespace {

struct StbFree {
  void operator()(uint8_t* pixels) const { stbi_image_free(pixels); }
};

void AppendTo(void* bytes, void* data, int size) {
  static_cast<std::string*>(bytes)->append(static_cast<const char*>(data), static_cast<size_t>(size));
}

}  // namespace

absl::Status WritePng(const std::string& path, const Image& image) {
  const int64_t expected = int64_t{image.height} * image.width * image.channels;
  if (image.height < 1 || image.width < 1 || image.channels < 1 || image.channels > 4 ||
      static_cast<int64_t>(image.pixels.size()) != expected) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no image: ", image.height, " x ", image.width, " x ",
                                                   image.channels, " with ", image.pixels.size(), " bytes"));
  }
  std::string bytes;
  if (stbi_write_png_to_func(AppendTo, &bytes, image.width, image.height, image.channels, image.pixels.data(),
                             image.width * image.channels) == 0) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": out of memory while compressing the image"));
  }
  return WriteFile(path, bytes);
}

absl::StatusOr<Image> ReadImage(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, "a PNG or JPEG file");
  if (!bytes.ok()) return bytes.status();
  if (absl::Status status = CheckImageFile(path, *bytes); !status.ok()) return status;
  if (bytes->size() > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", bytes->size(), " bytes, expected at most 2^31 - 1"));
  }
  int width = 0;
  int height = 0;
  int channels = 0;
  const std::unique_ptr<uint8_t[], StbFree> pixels(stbi_load_from_memory(
      reinterpret_cast<const uint8_t*>(bytes->data()), static_cast<int>(bytes->size()), &width, &height, &channels, 0));
  if (pixels == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a readable PNG or JPEG image: ", stbi_failure_reason()));
  }
  Image image(height, width, channels);
  std::memcpy(image.pixels.data(), pixels.get(), image.pixels.size());
  return image;
}

}  // namespace neb
