#include "neb/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace neb {

absl::StatusOr<FileReader> FileReader::Open(const std::string& path, const char* kind) {
  // O_NONBLOCK: a pipe is refused below, not waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  FileReader reader(path, fd, 0);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    const int code = errno;
    const std::string message = absl::StrCat(path, ": cannot open: ", std::strerror(code));
    return code == ENOENT ? absl::NotFoundError(message) : absl::UnknownError(message);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is ", S_ISDIR(info.st_mode) ? "a directory" : "no regular file", ", expected ", kind));
  }
  reader.size_ = static_cast<uint64_t>(info.st_size);
  return reader;
}

FileReader::~FileReader() {
  if (fd_ >= 0) close(fd_);
}

absl::Status FileReader::Read(uint64_t offset, uint64_t count, void* to) const {
  char* bytes = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = pread(fd_, bytes, static_cast<size_t>(count), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::UnknownError(absl::StrCat(path_, ": offset ", offset, ": cannot read: ", std::strerror(errno)));
    }
    if (got == 0) return Error(offset, absl::StrCat("file became shorter: expected ", count, " more bytes"));
    bytes += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::Status FileReader::Error(uint64_t offset, const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": offset ", offset, ": ", what));
}

std::string Excerpt(std::string_view text) {
  constexpr size_t kMost = 40;
  return absl::StrCat("\"", absl::CHexEscape(std::string(text.substr(0, kMost))), text.size() > kMost ? "…" : "", "\"");
}

absl::StatusOr<std::string> ReadFile(const std::string& path, const char* kind) {
  const absl::StatusOr<FileReader> reader = FileReader::Open(path, kind);
  if (!reader.ok()) return reader.status();
  std::string bytes(static_cast<size_t>(reader->size()), '\0');
  if (absl::Status status = reader->Read(0, reader->size(), bytes.data()); !status.ok()) return status;
  return bytes;
}

std::optional<uint64_t> ArrayBytes(const autodiff::Shape& shape, int64_t element_bytes) {
  uint64_t product = static_cast<uint64_t>(element_bytes);
  bool empty = false;
  for (const int64_t signed_extent : shape) {
    const auto extent = static_cast<uint64_t>(signed_extent);
    empty = empty || extent == 0;
    if (extent > 0 && product > kMaxExtent / extent) return std::nullopt;
    if (extent > 0) product *= extent;
  }
  return empty ? 0 : product;
}

}  // namespace neb
