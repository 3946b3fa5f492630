#include "neb/idx.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace neb {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;

struct GzClose {
  void operator()(gzFile file) const { gzclose(file); }
};

// A file read front to back, through gzip when it begins like one. Every error names the path and the offset.
class Reader {
 public:
  static absl::StatusOr<Reader> Open(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory, expected an IDX file"));
    }
    errno = 0;
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) {
      const int error = errno;
      std::string message = absl::StrCat(path, ": cannot open: ", std::strerror(error));
      return error == ENOENT ? absl::NotFoundError(message) : absl::UnknownError(message);
    }
    gzbuffer(file, unsigned{1} << 17);
    return Reader(path, file);
  }

  // Appends up to `count` bytes, fewer only at the end of the file.
  absl::Status Append(int64_t count, std::vector<uint8_t>& bytes) {
    while (count > 0) {
      const size_t before = bytes.size();
      const int64_t chunk = std::min(count, kChunk);
      bytes.resize(before + static_cast<size_t>(chunk));
      const int got = gzread(file_.get(), bytes.data() + before, static_cast<unsigned>(chunk));
      bytes.resize(before + static_cast<size_t>(std::max(got, 0)));
      offset_ += std::max(got, 0);
      count -= std::max(got, 0);
      if (got < chunk) {
        if (absl::Status status = CheckStream(); !status.ok()) return status;
        break;
      }
    }
    return absl::OkStatus();
  }

  // Exactly `count` bytes of `what`.
  absl::StatusOr<std::vector<uint8_t>> Read(int64_t count, const std::string& what) {
    const int64_t start = offset_;
    std::vector<uint8_t> bytes;
    if (absl::Status status = Append(count, bytes); !status.ok()) return status;
    if (static_cast<int64_t>(bytes.size()) < count) {
      return Error(start, absl::StrFormat("truncated %s: expected %d bytes, found %d", what, count, bytes.size()));
    }
    return bytes;
  }

  absl::Status ExpectEnd() {
    const int64_t start = offset_;
    std::vector<uint8_t> rest;
    if (absl::Status status = Append(1, rest); !status.ok()) return status;
    if (rest.empty()) return absl::OkStatus();
    return Error(start, "trailing bytes: expected the end of the file here");
  }

  absl::Status Error(int64_t offset, const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": offset ", offset, ": ", what));
  }

 private:
  Reader(std::string path, gzFile file) : path_(std::move(path)), file_(file) {}

  // A short read is either the end of the file or one of these.
  absl::Status CheckStream() const {
    int code = Z_OK;
    const char* message = gzerror(file_.get(), &code);
    if (code == Z_OK || code == Z_STREAM_END) return absl::OkStatus();
    if (code == Z_ERRNO) return absl::UnknownError(absl::StrCat(path_, ": offset ", offset_, ": ", message));
    // zlib puts its own copy of the path in front.
    std::string reason = message;
    if (reason.rfind(path_ + ": ", 0) == 0) reason = reason.substr(path_.size() + 2);
    return Error(offset_, absl::StrCat("corrupt gzip: ", reason));
  }

  std::string path_;
  std::unique_ptr<std::remove_pointer_t<gzFile>, GzClose> file_;
  int64_t offset_ = 0;  // in the decompressed data
};

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
  absl::StatusOr<Reader> reader = Reader::Open(path);
  if (!reader.ok()) return reader.status();

  std::vector<uint8_t> header;
  const int64_t header_size = 4 * (1 + rank);
  if (absl::Status status = reader->Append(header_size, header); !status.ok()) return status;
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
      return reader->Error(offset, absl::StrFormat("extent 0 of axis %d, expected at least 1", axis));
    }
    if (axis == 0) extent = std::min(extent, max_items);
    absl::StrAppend(&product, axis == 0 ? "" : " x ", extent);
    // An eighth of the range, so that the size in float32 does not overflow either.
    if (__builtin_mul_overflow(total, extent, &total) || total > std::numeric_limits<int64_t>::max() / 8) {
      return reader->Error(offset, absl::StrCat("absurd extents ", product, ": expected a size below 2^60 bytes"));
    }
    contents.extents.push_back(extent);
  }
  absl::StatusOr<std::vector<uint8_t>> bytes = reader->Read(total, absl::StrCat("data of ", product, " ", kind));
  if (!bytes.ok()) return bytes.status();
  contents.bytes = *std::move(bytes);

  const bool read_all = contents.extents[0] == int64_t{BigEndian32(header.data() + 4)};
  if (read_all) {
    if (absl::Status status = reader->ExpectEnd(); !status.ok()) return status;
  }
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
