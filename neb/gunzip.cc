#include "neb/gunzip.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace neb {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 15;  // contents at a time
constexpr uint64_t kInput = uint64_t{1} << 16;  // compressed bytes at a time
constexpr uint8_t kMagic[2] = {0x1f, 0x8b};
constexpr int kOnlyGzip = 16;  // added to inflate's window size

}  // namespace

void GunzipReader::EndInflate::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

absl::StatusOr<GunzipReader> GunzipReader::Open(const std::string& path, const char* kind) {
  absl::StatusOr<FileReader> file = FileReader::Open(path, kind);
  if (!file.ok()) return file.status();
  GunzipReader reader(*std::move(file));
  uint8_t start[2] = {};
  const uint64_t available = std::min<uint64_t>(sizeof start, reader.file_.size());
  if (absl::Status s = reader.file_.Read(0, available, start); !s.ok()) return s;
  if (std::equal(start, start + 2, kMagic)) {
    auto stream = std::make_unique<z_stream>();
    if (inflateInit2(stream.get(), MAX_WBITS + kOnlyGzip) != Z_OK) {
      return absl::ResourceExhaustedError(absl::StrCat(path, ": out of memory"));
    }
    reader.stream_.reset(stream.release());
    reader.input_.resize(static_cast<size_t>(std::min(kInput, reader.file_.size())));
  }
  return reader;
}

absl::Status GunzipReader::Append(uint64_t count, std::vector<uint8_t>& bytes) {
  while (count > 0) {
    const size_t before = bytes.size();
    const uint64_t chunk = std::min(count, kChunk);
    bytes.resize(before + static_cast<size_t>(chunk));
    const absl::StatusOr<uint64_t> got =
        stream_ == nullptr ? ReadPlain(chunk, bytes.data() + before) : ReadGzip(chunk, bytes.data() + before);
    bytes.resize(before + static_cast<size_t>(got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    count -= *got;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> GunzipReader::ReadPlain(uint64_t count, uint8_t* to) {
  count = std::min(count, file_.size() - offset_);
  if (absl::Status s = file_.Read(offset_, count, to); !s.ok()) return s;
  offset_ += count;
  return count;
}

absl::Status GunzipReader::FillInput() {
  const uint64_t count = std::min<uint64_t>(input_.size(), file_.size() - file_offset_);
  if (absl::Status s = file_.Read(file_offset_, count, input_.data()); !s.ok()) return s;
  file_offset_ += count;
  stream_->next_in = input_.data();
  stream_->avail_in = static_cast<unsigned>(count);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> GunzipReader::ReadGzip(uint64_t count, uint8_t* to) {
  stream_->next_out = to;
  stream_->avail_out = static_cast<unsigned>(count);
  while (stream_->avail_out == count) {
    if (stream_->avail_in == 0) {
      if (absl::Status s = FillInput(); !s.ok()) return s;
    }
    if (stream_->avail_in == 0) {
      if (!in_member_) break;
      return Error(offset_, "corrupt gzip: unexpected end of file");
    }
    if (!in_member_) {
      if (*stream_->next_in != kMagic[0]) {
        return Error(offset_, absl::StrCat("corrupt gzip: trailing bytes, expected the end of the file or another gzip "
                                           "member at byte ",
                                           file_offset_ - stream_->avail_in, " of the file"));
      }
      inflateReset(stream_.get());
      in_member_ = true;
    }
    const int code = inflate(stream_.get(), Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
      in_member_ = false;
    } else if (code == Z_MEM_ERROR) {
      return absl::ResourceExhaustedError(absl::StrCat(file_.path(), ": out of memory"));
    } else if (code != Z_OK && code != Z_BUF_ERROR) {  // the latter asks for more input
      return Error(offset_, absl::StrCat("corrupt gzip: ", stream_->msg == nullptr ? "not deflated" : stream_->msg));
    }
  }
  const uint64_t got = count - stream_->avail_out;
  offset_ += got;
  return got;
}

}  // namespace neb
