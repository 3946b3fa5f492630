// Whole files, written so that a reader sees the old contents or the new ones, never a half of either.
//
//   absl::Status status = WriteFile("runs/1/samples.png", bytes);
#ifndef NEB_NEB_FILE_H_
#define NEB_NEB_FILE_H_

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace neb {

// Writes the concatenation of `parts` to a temporary file beside `path`, flushes it to the disk and renames it to
// `path` (a symbolic link there is replaced, not followed). What exists at `path` and is not a regular file, as a pipe
// or /dev/stdout, is written in place instead. The folder is flushed too: after a return of OK the new file survives a
// loss of power. A process that is killed leaves at most one temporary file, `path`.tmp0, which the next write takes
// over. Errors name the path and the system's reason; then the temporary file is removed and the old file stays.
absl::Status WriteFile(const std::string& path, std::span<const std::string_view> parts);
inline absl::Status WriteFile(const std::string& path, std::string_view contents) {
  return WriteFile(path, std::span(&contents, 1));
}

}  // namespace neb

#endif  // NEB_NEB_FILE_H_
