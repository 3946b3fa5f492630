#include "neb/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace neb {
namespace {

constexpr int kMaxTemporaries = 100;  // writers of one file at a time

// Writes everything. 0, or errno.
int Write(int fd, std::span<const std::string_view> parts) {
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t written = write(fd, part.data(), part.size());
      if (written < 0 && errno != EINTR) return errno;
      if (written > 0) part.remove_prefix(static_cast<size_t>(written));
    }
  }
  return 0;
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
  if (fd < 0) return errno;
  const int error = Write(fd, parts);
  return close(fd) != 0 && error == 0 ? errno : error;
}

// Makes an open file this writer's own until it is closed, also by a kill. False if it is another writer's, has been
// renamed by one since it was opened, or is none that we write.
bool Own(int fd, const std::string& path) {
  struct stat opened, named;
  if (fstat(fd, &opened) != 0 || !S_ISREG(opened.st_mode) || opened.st_nlink > 1) return false;
  // Some file systems know no locks; there, two writers of one file at a time are not told apart.
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  return lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// Opens a file of our own beside `path`. Not a new one each time: what a killed writer left is taken over, and so never
// piles up. -1 and errno when it cannot.
int OpenTemporary(const std::string& path, std::string& temporary) {
  for (int attempt = 0; attempt < kMaxTemporaries; ++attempt) {
    temporary = absl::StrCat(path, ".tmp", attempt);
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd >= 0 && Own(fd, temporary)) return fd;
    if (fd >= 0) {
      close(fd);
      errno = EEXIST;
    } else if (errno != EISDIR && errno != ELOOP && errno != ENXIO && errno != EACCES) {
      return -1;  // not because of what has that name
    }
  }
  return -1;
}

int Replace(const std::string& path, std::span<const std::string_view> parts) {
  std::string temporary;
  const int fd = OpenTemporary(path, temporary);
  if (fd < 0) return errno;
  int error = ftruncate(fd, 0) == 0 ? Write(fd, parts) : errno;
  if (error == 0 && fsync(fd) != 0) error = errno;
  // Before the lock ends: the file is at `path`, or gone, when the next writer comes.
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) std::remove(temporary.c_str());
  if (close(fd) != 0 && error == 0) error = errno;
  return error == 0 ? FlushFolder(path) : error;
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
