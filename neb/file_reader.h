// Reading files that are not trusted: any part of a regular file by its offset, and errors that say where.
//
//   absl::StatusOr<FileReader> reader = FileReader::Open("x.npy", "a .npy file");
//   char magic[6];
//   absl::Status status = reader->Read(0, sizeof magic, magic);
//   if (bad) return reader->Error(0, "expected …");   // "x.npy: offset 0: expected …"
#ifndef NEB_NEB_FILE_READER_H_
#define NEB_NEB_FILE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/shape.h"

namespace neb {

class FileReader {
 public:
  // `kind` is what the caller expects there, with its article, for the error. NotFound without a file, InvalidArgument
  // for a directory or a pipe (which is not waited for), Unknown when the system cannot open it.
  static absl::StatusOr<FileReader> Open(const std::string& path, const char* kind);
  FileReader(FileReader&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  FileReader& operator=(FileReader&&) = delete;
  ~FileReader();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // bytes, when the file was opened

  // Bytes [offset, offset + count) of the file into `to`; they lie within size().
  absl::Status Read(uint64_t offset, uint64_t count, void* to) const;

  // InvalidArgument, "path: offset 12: what".
  absl::Status Error(uint64_t offset, const std::string& what) const;

 private:
  FileReader(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}

  std::string path_;
  int fd_;
  uint64_t size_;
};

// The beginning of what stands in a file, for an error: in double quotes, without what would break a line of text.
std::string Excerpt(std::string_view text);

// The whole of a file.
absl::StatusOr<std::string> ReadFile(const std::string& path, const char* kind);

// The extents that a header may claim: at most 2^60 each, and so their product in bytes.
inline constexpr uint64_t kMaxExtent = uint64_t{1} << 60;
inline constexpr uint64_t kMaxInflation = 1032;  // bytes that a byte of deflate (gzip, PNG) may become; zlib's manual
inline constexpr size_t kMaxRank = 64;           // as NumPy; keeps error messages short

// The bytes of an array. None when the product of the non-zero extents is above 2^60, even though an extent of 0 may
// make the array empty: strides must fit too.
std::optional<uint64_t> ArrayBytes(const autodiff::Shape& shape, int64_t element_bytes);

}  // namespace neb

#endif  // NEB_NEB_FILE_READER_H_
