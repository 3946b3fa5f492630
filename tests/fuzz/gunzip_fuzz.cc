// GunzipReader on any bytes, and on any bytes behind a gzip header: an error, or the contents, however they are asked
// for.
#include "neb/gunzip.h"

#include <algorithm>
#include <string>

#include "tests/fuzz/fuzz_input.h"

namespace {

// All of it, `step` bytes at a time.
absl::StatusOr<std::vector<uint8_t>> Contents(const std::string& path, uint64_t step) {
  absl::StatusOr<neb::GunzipReader> reader = neb::GunzipReader::Open(path, "a file");
  neb::Check(reader.ok(), "cannot open");
  std::vector<uint8_t> bytes;
  for (size_t before = 1; before != bytes.size();) {
    before = bytes.size();
    if (absl::Status s = reader->Append(step, bytes); !s.ok()) return s;
    neb::Check(bytes.size() <= before + step, "more than asked for");
    neb::Check(reader->offset() == bytes.size(), "an offset that is not the number of bytes");
    if (before == 0 && bytes.empty()) break;
  }
  neb::Check(bytes.size() <= reader->MaxSize(), "more than deflate can hold");
  return bytes;
}

void CheckContents(const std::string& bytes) {
  const neb::InputFile file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const absl::StatusOr<std::vector<uint8_t>> all = Contents(file.path(), uint64_t{1} << 40);
  const absl::StatusOr<std::vector<uint8_t>> pieces = Contents(file.path(), 1 + bytes.size() / 3);
  neb::Check(all.ok() == pieces.ok(), "readable whole or in pieces, but not both");
  if (!all.ok()) {
    neb::CheckError(all.status(), file.path());
    return;
  }
  neb::Check(*all == *pieces, "other contents in pieces");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  CheckContents(bytes);
  CheckContents(std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10) + bytes);
  return 0;
}
