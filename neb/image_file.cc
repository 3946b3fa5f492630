#include "neb/image_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "neb/file_reader.h"

namespace neb {
namespace {

constexpr std::string_view kPngStart("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kJpegStart("\xFF\xD8", 2);
constexpr uint64_t kJpegPixelsPerByte = 8 * 2 * 64;  // blocks of 64 at half a bit
constexpr int kMaxScans = 256;

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

absl::Status Error(const std::string& path, uint64_t offset, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": offset ", offset, ": ", what));
}

absl::Status TooLarge(const std::string& path, uint64_t offset, uint64_t height, uint64_t width, uint64_t size) {
  return Error(
      path, offset,
      absl::StrCat("absurd size ", height, " x ", width, ": expected one that ", size, " bytes of pixels can hold"));
}

// Chunks of 4 bytes of length, 4 of type, the data, and 4 of checksum.
absl::Status CheckPng(const std::string& path, std::string_view bytes) {
  constexpr size_t kAround = 12, kHeader = 13;
  const size_t header_begin = kPngStart.size() + 8;
  uint64_t pixel_bytes = 0;  // compressed
  std::string_view type;
  for (size_t at = kPngStart.size(); type != "IEND";) {
    const size_t left = bytes.size() - at;
    const uint64_t length = left < kAround ? 0 : BigEndian(bytes.substr(at, 4));
    if (left < kAround || length > left - kAround) {
      return Error(path, at,
                   absl::StrCat("truncated PNG: expected a chunk of ", kAround + length, " bytes, found ", left));
    }
    type = bytes.substr(at + 4, 4);
    const std::string_view checked = bytes.substr(at + 4, 4 + static_cast<size_t>(length));
    const auto* data = reinterpret_cast<const unsigned char*>(checked.data());
    if (crc32_z(crc32_z(0, nullptr, 0), data, checked.size()) != BigEndian(bytes.substr(at + 8 + length, 4))) {
      return Error(path, at,
                   absl::StrCat("corrupt PNG: the chunk ", Excerpt(type), " is not what its checksum expects"));
    }
    if (at == kPngStart.size() && (type != "IHDR" || length != kHeader)) {
      return Error(path, at,
                   absl::StrCat("chunk ", Excerpt(type), " of ", length, " bytes, expected \"IHDR\" of ", kHeader));
    }
    if (type == "IDAT") pixel_bytes += length;
    at += kAround + static_cast<size_t>(length);
  }
  const std::string_view header = bytes.substr(header_begin, kHeader);
  const uint64_t width = BigEndian(header.substr(0, 4)), height = BigEndian(header.substr(4, 4));
  const auto depth = static_cast<uint64_t>(static_cast<unsigned char>(header[8]));
  constexpr uint64_t kChannels[] = {1, 1, 3, 1,
                                    2, 1, 4};  // by colour type: grey, RGB, palette, grey and RGB with alpha
  const size_t colour = std::min<size_t>(static_cast<unsigned char>(header[9]), 6);
  const uint64_t row_bytes = (width * kChannels[colour] * depth + 7) / 8;  // below 2^42
  if (height > 0 && row_bytes > kMaxInflation * pixel_bytes / height) {
    return TooLarge(path, header_begin, height, width, pixel_bytes);
  }
  return absl::OkStatus();
}

// Tables of one byte that says which, 16 counts of codes by their length, and a byte for each code. Pictures of 8 bits
// need 176 codes at most. The decoder has room for 256, does not count, and takes the last of them for a mark.
absl::Status CheckHuffmanTables(const std::string& path, uint64_t offset, std::string_view tables) {
  constexpr size_t kBeforeCodes = 17, kMaxCodes = 255;
  while (!tables.empty()) {
    size_t codes = 0;
    for (const char count : tables.substr(1, kBeforeCodes - 1)) codes += static_cast<unsigned char>(count);
    if (tables.size() < kBeforeCodes + codes || codes > kMaxCodes) {
      return Error(path, offset,
                   absl::StrCat("Huffman table of ", codes, " codes in a JPEG, expected at most ", kMaxCodes,
                                ", all within ", tables.size(), " bytes"));
    }
    offset += kBeforeCodes + codes;
    tables.remove_prefix(kBeforeCodes + codes);
  }
  return absl::OkStatus();
}

// Segments: 0xFF, a marker, 2 bytes of length that count themselves, the data. After that of a scan come its pixels, in
// which 0xFF is followed by 0 or the marker of a restart; what else stands between segments, the decoder passes over.
absl::Status CheckJpeg(const std::string& path, std::string_view bytes) {
  constexpr unsigned char kEnd = 0xD9, kScan = 0xDA, kHuffman = 0xC4;
  int scans = 0;
  absl::Status too_large;  // reported last: of half a file, one wants to hear that
  for (size_t at = kJpegStart.size();;) {
    at = bytes.find('\xFF', at);
    if (at != std::string_view::npos) at = bytes.find_first_not_of('\xFF', at);
    if (at == std::string_view::npos) {
      return Error(path, bytes.size(), "truncated JPEG: expected the end-of-image marker");
    }
    const auto marker = static_cast<unsigned char>(bytes[at++]);
    if (marker <= 1 || (marker >= 0xD0 && marker <= 0xD7)) continue;  // these stand alone
    if (marker == kEnd) break;
    const size_t begin = at;
    const std::string_view rest = bytes.substr(begin);
    const uint64_t length = BigEndian(rest.substr(0, 2));
    if (length < 2 || length > rest.size()) {
      return Error(path, begin,
                   absl::StrCat("truncated JPEG: a segment of ", length, " bytes, expected 2 to ", rest.size()));
    }
    at += static_cast<size_t>(length);
    // Frames of the three kinds that the decoder knows.
    if (marker >= 0xC0 && marker <= 0xC2 && length >= 8) {
      const uint64_t height = BigEndian(rest.substr(3, 2)), width = BigEndian(rest.substr(5, 2));
      if (height * width > kJpegPixelsPerByte * bytes.size() && too_large.ok()) {
        too_large = TooLarge(path, begin + 3, height, width, bytes.size());
      }
    }
    if (marker == kHuffman) {
      absl::Status status = CheckHuffmanTables(path, begin + 2, rest.substr(2, static_cast<size_t>(length) - 2));
      if (!status.ok()) return status;
    }
    if (marker == kScan && ++scans > kMaxScans) {
      return Error(path, begin, absl::StrCat("scan ", scans, " of a JPEG, expected at most ", kMaxScans));
    }
  }
  return too_large;
}

}  // namespace

absl::Status CheckImageFile(const std::string& path, std::string_view bytes) {
  if (bytes.starts_with(kPngStart)) return CheckPng(path, bytes);
  if (bytes.starts_with(kJpegStart)) return CheckJpeg(path, bytes);
  return Error(path, 0,
               absl::StrCat(bytes.empty() ? "empty file" : Excerpt(bytes.substr(0, 8)),
                            ", expected the start of a PNG or JPEG file"));
}

}  // namespace neb
