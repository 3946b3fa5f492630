#include "neb/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace neb {
namespace {

// Writes everything, flushes it if asked, and closes. 0, or errno.
int WriteAndClose(int fd, std::span<const std::string_view> parts, bool flush) {
  int error = 0;
  for (std::string_view part : parts) {
    while (error == 0 && !part.empty()) {
      const ssize_t written = write(fd, part.data(), part.size());
      if (written >= 0) {
        part.remove_prefix(static_cast<size_t>(written));
      } else if (errno != EINTR) {
        error = errno;
      }
    }
  }
  if (error == 0 && flush && fsync(fd) != 0) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

// Makes a rename in the folder of `path` survive a crash. 0, or errno.
int FlushFolder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  // Some file systems cannot flush folders, and say EINVAL.
  const int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return error;
}

int WriteInPlace(const std::string& path, std::span<const std::string_view> parts) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  return fd < 0 ? errno : WriteAndClose(fd, parts, false);
}

int Replace(const std::string& path, std::span<const std::string_view> parts) {
  std::string temporary;
  int fd = -1;
  // O_EXCL: neither another writer's temporary file nor one left by a crash is touched.
  for (int attempt = 0; fd < 0; ++attempt) {
    temporary = absl::StrCat(path, ".tmp", getpid(), ".", attempt);
    fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) return errno;
  }
  int error = WriteAndClose(fd, parts, true);
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return FlushFolder(path);
  std::remove(temporary.c_str());
  return error;
}

}  // namespace

absl::Status WriteFile(const std::string& path, std::span<const std::string_view> parts) {
  std::error_code unknown;
  const std::filesystem::file_status existing = std::filesystem::status(path, unknown);
  int error = 0;
  if (std::filesystem::is_directory(existing)) {
    error = EISDIR;
  } else if (std::filesystem::exists(existing) && !std::filesystem::is_regular_file(existing)) {
    error = WriteInPlace(path, parts);
  } else {
    error = Replace(path, parts);
  }
  if (error == 0) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(path, ": cannot write: ", std::strerror(error)));
}

}  // namespace neb
