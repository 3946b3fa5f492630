// What the fuzz targets share: an input as a file that a reader can open, and what every error must be like.
//
//   extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
//     const neb::InputFile file(data, size);
//     const absl::StatusOr<neb::Dataset> x = neb::ReadCsv(file.path());
//     if (!x.ok()) neb::CheckError(x.status(), file.path());
//     return 0;
//   }
#ifndef NEB_TESTS_FUZZ_FUZZ_INPUT_H_
#define NEB_TESTS_FUZZ_FUZZ_INPUT_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"

namespace neb {

// Stops the program, which is how a fuzzer learns of a finding.
inline void Check(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "fuzz target: %s\n", what.c_str());
  std::abort();
}

// A file in memory. Its path, one of /proc, opens it as any other regular file.
class InputFile {
 public:
  InputFile(const uint8_t* data, size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    Check(fd_ >= 0, "no file in memory");
    for (size_t done = 0; done < size;) {
      const ssize_t written = write(fd_, data + done, size - done);
      Check(written > 0, "cannot write the file in memory");
      done += static_cast<size_t>(written);
    }
    path_ = "/proc/self/fd/" + std::to_string(fd_);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() { close(fd_); }

  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// An error names the file first, and is one line of sensible length whatever the input.
inline void CheckError(const absl::Status& status, const std::string& path) {
  const std::string message(status.message());
  Check(message.rfind(path + ": ", 0) == 0, "an error that does not name the file: " + message);
  Check(message.find('\n') == std::string::npos, "an error of several lines: " + message);
  Check(message.size() < 2000, "an error as long as its input: " + message);
  Check(status.code() == absl::StatusCode::kInvalidArgument || status.code() == absl::StatusCode::kUnimplemented,
        "an error of another code: " + status.ToString());
}

}  // namespace neb

#endif  // NEB_TESTS_FUZZ_FUZZ_INPUT_H_
