#include "neb/idx.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "neb/gunzip.h"

namespace neb {
namespace {

uint32_t BigEndian32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}

struct Contents {
  std::vector<int64_t> extents;  // the first one cut to max_items
  std::vector<uint8_t> bytes;    // as many as the product of the extents
};

absl::StatusOr<Contents> ReadUnsignedBytes(const std::string& path, int rank, const char* kind, int64_t max_items) {
  if (max_items < 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": max_items is ", max_items, ", expected at least 1"));
  }
  absl::StatusOr<GunzipReader> reader = GunzipReader::Open(path, "an IDX file");
  if (!reader.ok()) return reader.status();

  std::vector<uint8_t> header;
  const int64_t header_size = 4 * (1 + rank);
  if (absl::Status status = reader->Append(static_cast<uint64_t>(header_size), header); !status.ok()) return status;
  if (header.empty()) {
    return reader->Error(0, absl::StrFormat("empty file: expected an IDX header of %d bytes", header_size));
  }
  const uint32_t expected_magic = 0x00000800u | static_cast<uint32_t>(rank);
  if (header.size() >= 4 && BigEndian32(header.data()) != expected_magic) {
    return reader->Error(0, absl::StrFormat("magic number 0x%08x, expected 0x%08x (IDX %s of unsigned bytes)",
                                            BigEndian32(header.data()), expected_magic, kind));
  }
  if (static_cast<int64_t>(header.size()) < header_size) {
    return reader->Error(0,
                         absl::StrFormat("truncated header: expected %d bytes, found %d", header_size, header.size()));
  }

  Contents contents;
  int64_t total = 1;
  std::string product;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t offset = 4 * (1 + axis);
    int64_t extent = BigEndian32(header.data() + offset);
    if (extent == 0) {
      return reader->Error(static_cast<uint64_t>(offset),
                           absl::StrFormat("extent 0 of axis %d, expected at least 1", axis));
    }
    if (axis == 0) extent = std::min(extent, max_items);
    absl::StrAppend(&product, axis == 0 ? "" : " x ", extent);
    // An eighth of the range, so that the size in float32 does not overflow either.
    if (__builtin_mul_overflow(total, extent, &total) || total > std::numeric_limits<int64_t>::max() / 8) {
      return reader->Error(static_cast<uint64_t>(offset),
                           absl::StrCat("absurd extents ", product, ": expected a size below 2^60 bytes"));
    }
    contents.extents.push_back(extent);
  }
  const auto size = static_cast<uint64_t>(total), begin = static_cast<uint64_t>(header_size);
  // Not beyond what the file can hold, whatever the header claims.
  contents.bytes.reserve(static_cast<size_t>(std::min(size, reader->MaxSize())));
  if (absl::Status status = reader->Append(size, contents.bytes); !status.ok()) return status;
  if (contents.bytes.size() < size) {
    return reader->Error(begin, absl::StrFormat("truncated data of %s %s: expected %d bytes, found %d", product, kind,
                                                size, contents.bytes.size()));
  }
  if (contents.extents[0] < int64_t{BigEndian32(header.data() + 4)}) return contents;
  std::vector<uint8_t> rest;
  if (absl::Status status = reader->Append(1, rest); !status.ok()) return status;
  if (!rest.empty()) return reader->Error(begin + size, "trailing bytes: expected the end of the file here");
  return contents;
}

}  // namespace

absl::StatusOr<Dataset> ReadIdx(const std::string& path, int64_t max_items) {
  absl::StatusOr<Contents> contents = ReadUnsignedBytes(path, 3, "images", max_items);
  if (!contents.ok()) return contents.status();
  const std::vector<int64_t>& extents = contents->extents;
  Dataset data;
  data.item_shape = {extents[1], extents[2], 1};
  data.name = std::filesystem::path(path).filename().string();
  data.x = autodiff::Tensor({extents[0], extents[1] * extents[2]});
  std::transform(contents->bytes.begin(), contents->bytes.end(), data.x.data<float>().begin(),
                 [](uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  return data;
}

absl::StatusOr<std::vector<int>> ReadIdxLabels(const std::string& path, int64_t max_items) {
  absl::StatusOr<Contents> contents = ReadUnsignedBytes(path, 1, "labels", max_items);
  if (!contents.ok()) return contents.status();
  return std::vector<int>(contents->bytes.begin(), contents->bytes.end());
}

}  // namespace neb
