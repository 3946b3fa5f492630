// ReadImage on any bytes, and on PNG chunks whose checksums are right: an error, or a picture.
#include "neb/image.h"

#include <zlib.h>

#include <string>

#include "tests/fuzz/fuzz_input.h"

namespace {

uint32_t BigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// A fuzzer does not guess checksums: each chunk that is whole gets its own.
std::string WithChecksums(std::string bytes) {
  for (size_t at = 8; at + 12 <= bytes.size();) {
    const size_t length = BigEndian(bytes, at);
    if (length > bytes.size() - at - 12) break;
    const auto* checked = reinterpret_cast<const unsigned char*>(bytes.data() + at + 4);
    const uLong crc = crc32(crc32(0, nullptr, 0), checked, static_cast<unsigned>(length + 4));
    for (size_t i = 0; i < 4; ++i) bytes[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i) & 0xFF);
    at += 12 + length;
  }
  return bytes;
}

void CheckImage(const std::string& bytes) {
  const neb::InputFile file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const absl::StatusOr<neb::Image> image = neb::ReadImage(file.path());
  if (!image.ok()) {
    neb::CheckError(image.status(), file.path());
    return;
  }
  const size_t pixels = static_cast<size_t>(image->height) * static_cast<size_t>(image->width);
  neb::Check(image->height > 0 && image->width > 0 && image->channels > 0 && image->channels <= 4, "no picture");
  neb::Check(image->pixels.size() == pixels * static_cast<size_t>(image->channels), "a picture of another size");
  // Deflate's most at eight pixels to a byte, which is more than a JPEG can hold.
  neb::Check(pixels <= 8 * 1032 * bytes.size(), "more pixels than the file can hold");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  CheckImage(bytes);
  if (size > 8 && bytes.compare(1, 3, "PNG") == 0) CheckImage(WithChecksums(bytes));
  return 0;
}
