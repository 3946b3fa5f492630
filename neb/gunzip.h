// A file read from front to back, through gzip (RFC 1952) when it begins like one.
//
//   absl::StatusOr<GunzipReader> reader = GunzipReader::Open("train-images-idx3-ubyte.gz", "an IDX file");
//   std::vector<uint8_t> bytes;
//   absl::Status status = reader->Append(16, bytes);   // up to 16 more bytes of the contents
//
// The file is not trusted: it must be a regular one, nothing but gzip members may follow a gzip member, and each
// member's length and checksum are checked when its end is read.
#ifndef NEB_NEB_GUNZIP_H_
#define NEB_NEB_GUNZIP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "neb/file_reader.h"

struct z_stream_s;

namespace neb {

class GunzipReader {
 public:
  // Errors as of FileReader::Open.
  static absl::StatusOr<GunzipReader> Open(const std::string& path, const char* kind);

  // Appends up to `count` bytes of the contents, fewer only at their end. InvalidArgument for a corrupt file, with the
  // offset in the contents up to which it could be used.
  absl::Status Append(uint64_t count, std::vector<uint8_t>& bytes);

  // Of the next byte, in the contents.
  uint64_t offset() const { return offset_; }
  // What the contents may be at most, by the file's size: memory need not be kept ready for more.
  uint64_t MaxSize() const { return stream_ == nullptr ? file_.size() : kMaxInflation * file_.size(); }
  // InvalidArgument, "path: offset 12: what".
  absl::Status Error(uint64_t offset, const std::string& what) const { return file_.Error(offset, what); }

 private:
  struct EndInflate {
    void operator()(z_stream_s* stream) const;
  };
  explicit GunzipReader(FileReader file) : file_(std::move(file)) {}
  // Up to `count` bytes to `to`; 0 at the end.
  absl::StatusOr<uint64_t> ReadPlain(uint64_t count, uint8_t* to);
  absl::StatusOr<uint64_t> ReadGzip(uint64_t count, uint8_t* to);
  absl::Status FillInput();

  FileReader file_;
  uint64_t file_offset_ = 0;                        // of the next byte to be read from the file
  uint64_t offset_ = 0;                             // of the next byte of the contents
  std::unique_ptr<z_stream_s, EndInflate> stream_;  // null for a plain file
  std::vector<uint8_t> input_;                      // compressed bytes that the stream takes from
  bool in_member_ = true;                           // whether the end of the gzip member is still to come
};

}  // namespace neb

#endif  // NEB_NEB_GUNZIP_H_
