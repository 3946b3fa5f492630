// Pictures of 8-bit pixels, and the PNG and JPEG files they live in.
//
//   Image image(/*height=*/400, /*width=*/640, /*channels=*/3);
//   absl::Status written = WritePng("field.png", image);
//   absl::StatusOr<Image> photo = ReadImage("cat.jpg");
#ifndef NEB_NEB_IMAGE_H_
#define NEB_NEB_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace neb {

// Row-major, channels innermost, the top row first. 1 channel is grey, 3 are red, green and blue; 2 and 4 are the same
// with alpha.
struct Image {
  Image() = default;
  // Black.
  Image(int h, int w, int c)
      : height(h),
        width(w),
        channels(c),
        pixels(static_cast<size_t>(h) * static_cast<size_t>(w) * static_cast<size_t>(c)) {}

  // The first channel of the pixel in row `row`, column `column`.
  uint8_t* at(int row, int column) { return pixels.data() + Offset(row, column); }
  const uint8_t* at(int row, int column) const { return pixels.data() + Offset(row, column); }

  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

 private:
  size_t Offset(int row, int column) const {
    return (static_cast<size_t>(row) * static_cast<size_t>(width) + static_cast<size_t>(column)) *
           static_cast<size_t>(channels);
  }
};

// Writes a PNG file, whole or not at all (see file.h). The image has at least one pixel and 1 to 4 channels.
absl::Status WritePng(const std::string& path, const Image& image);

// Reads a PNG or JPEG file with the channels it has (16-bit samples keep their high byte), up to 16384 pixels to a
// side. The file is not trusted: it must be whole, and of a size that its bytes can hold (see image_file.h), before
// there is room made for the pixels. Errors name the path and the reason, and mostly the offset: NotFound for a missing
// file, InvalidArgument for one that is no such image, or no regular file.
absl::StatusOr<Image> ReadImage(const std::string& path);

}  // namespace neb

#endif  // NEB_NEB_IMAGE_H_
