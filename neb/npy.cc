#include "neb/npy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "neb/file.h"
#include "neb/file_reader.h"
#include "neb/npy_header.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using autodiff::Tensor;

static_assert(std::endian::native == std::endian::little, "elements are stored as they are in memory");

std::string_view Bytes(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), static_cast<size_t>(tensor.num_bytes())};
}

// How the elements lie in the file, and what they become.
struct Elements {
  int64_t bytes;
  DType dtype;
};

absl::StatusOr<Elements> ParseDtype(const FileReader& reader, const NpyHeader& header) {
  if (header.descr == "<f4") return Elements{4, DType::kF32};
  if (header.descr == "<f8") return Elements{8, DType::kF64};
  // One byte has no order; some writers give one all the same.
  if (header.descr == "|u1" || header.descr == "<u1" || header.descr == ">u1") return Elements{1, DType::kF32};
  const bool swapped = header.descr == ">f4" || header.descr == ">f8";
  const std::string what = absl::StrCat("dtype ", Excerpt(header.descr), " is ",
                                        swapped ? "big-endian" : "not supported", ", expected '<f4', '<f8' or '|u1'");
  return absl::UnimplementedError(reader.Error(header.descr_begin, what).message());
}

// The places in C's order, with the last axis innermost, of elements that come in Fortran's, with the first innermost.
class FortranPlaces {
 public:
  explicit FortranPlaces(const Shape& shape) : shape_(shape), index_(static_cast<size_t>(shape.rank()), 0) {
    strides_.resize(index_.size(), 1);
    for (size_t axis = index_.size(); axis-- > 1;) {
      strides_[axis - 1] = strides_[axis] * shape[static_cast<int>(axis)];
    }
  }
  int64_t Next() {
    const int64_t place = place_;
    for (size_t axis = 0; axis < index_.size(); ++axis) {
      place_ += strides_[axis];
      if (++index_[axis] < shape_[static_cast<int>(axis)]) break;
      place_ -= index_[axis] * strides_[axis];
      index_[axis] = 0;
    }
    return place;
  }

 private:
  Shape shape_;
  std::vector<int64_t> index_, strides_;
  int64_t place_ = 0;
};

// A number of the file that is not finite in the array; place -1: there is none.
struct NonFinite {
  int64_t place = -1;
  double value = 0;
};

// The file's elements, a chunk at a time: the array itself is the only memory of its size.
template <typename From, typename To>
absl::StatusOr<NonFinite> Stream(const FileReader& reader, const NpyHeader& header, int64_t file_elements,
                                 std::span<To> to) {
  constexpr size_t kChunk = 1 << 15;
  const bool permute = header.fortran_order && header.shape.rank() > 1;
  // Without rows beyond the last wanted one, which lie at the end in C's order only.
  const auto count = static_cast<size_t>(permute ? file_elements : static_cast<int64_t>(to.size()));
  FortranPlaces places(header.shape);
  std::vector<From> chunk(std::min(kChunk, count));
  NonFinite first;
  for (size_t begin = 0; begin < count; begin += chunk.size()) {
    const size_t size = std::min(chunk.size(), count - begin);
    const absl::Status read = reader.Read(header.data_begin + begin * sizeof(From), size * sizeof(From), chunk.data());
    if (!read.ok()) return read;
    for (size_t i = 0; i < size; ++i) {
      const auto place = static_cast<size_t>(permute ? places.Next() : static_cast<int64_t>(begin + i));
      if (place >= to.size()) continue;
      if constexpr (std::is_same_v<From, uint8_t>) {
        to[place] = static_cast<To>(chunk[i]) / 255;
      } else {
        to[place] = static_cast<To>(chunk[i]);
      }
      if (std::isfinite(to[place]) || (first.place >= 0 && first.place < static_cast<int64_t>(place))) continue;
      first = {static_cast<int64_t>(place), static_cast<double>(chunk[i])};
    }
  }
  return first;
}

template <typename To>
absl::StatusOr<NonFinite> StreamTo(const FileReader& reader, const NpyHeader& header, int64_t element_bytes,
                                   std::span<To> to) {
  const int64_t elements = header.shape.num_elements();
  if (element_bytes == 1) return Stream<uint8_t>(reader, header, elements, to);
  if (element_bytes == 4) return Stream<float>(reader, header, elements, to);
  return Stream<double>(reader, header, elements, to);
}

// A file whose header and size are as they should be.
struct NpyFile {
  FileReader reader;
  NpyHeader header;
  Elements elements;
};

absl::StatusOr<NpyFile> OpenNpy(const std::string& path, int64_t max_rows) {
  if (max_rows < 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": max_rows is ", max_rows, ", expected at least 0"));
  }
  absl::StatusOr<FileReader> reader = FileReader::Open(path, "a .npy file");
  if (!reader.ok()) return reader.status();
  absl::StatusOr<NpyHeader> header = ReadNpyHeader(*reader);
  if (!header.ok()) return header.status();
  const absl::StatusOr<Elements> elements = ParseDtype(*reader, *header);
  if (!elements.ok()) return elements.status();

  // Checked in eight bytes per element, so that nothing that the elements become overflows either.
  const Shape& shape = header->shape;
  if (!ArrayBytes(shape, 8).has_value()) {
    return reader->Error(header->data_begin,
                         absl::StrCat("absurd shape ", shape.ToString(), ", expected at most 2^60 bytes"));
  }
  const uint64_t expected = *ArrayBytes(shape, elements->bytes);
  const uint64_t found = reader->size() - header->data_begin;
  if (found < expected) {
    return reader->Error(header->data_begin, absl::StrCat("truncated data of shape ", shape.ToString(), ": expected ",
                                                          expected, " bytes, found ", found));
  }
  if (found > expected) {
    return reader->Error(header->data_begin + expected,
                         absl::StrCat("trailing bytes: the data of shape ", shape.ToString(),
                                      " ends here, expected the end of the file"));
  }
  return NpyFile{*std::move(reader), *std::move(header), *elements};
}

Shape FirstRows(Shape shape, int64_t max_rows) {
  if (shape.rank() > 0) shape[0] = std::min(shape[0], max_rows);
  return shape;
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(const std::string& path, int64_t max_rows) {
  const absl::StatusOr<NpyFile> file = OpenNpy(path, max_rows);
  if (!file.ok()) return file.status();
  const auto& [reader, header, elements] = *file;
  Tensor tensor(FirstRows(header.shape, max_rows), elements.dtype);
  const absl::StatusOr<NonFinite> read = elements.dtype == DType::kF64
                                             ? StreamTo(reader, header, elements.bytes, tensor.data<double>())
                                             : StreamTo(reader, header, elements.bytes, tensor.data<float>());
  if (!read.ok()) return read.status();
  return tensor;
}

absl::StatusOr<NpyRows> ReadNpyRows(const std::string& path, int64_t max_rows) {
  const absl::StatusOr<NpyFile> file = OpenNpy(path, max_rows);
  if (!file.ok()) return file.status();
  const auto& [reader, header, elements] = *file;
  const Shape shape = FirstRows(header.shape, max_rows);
  const int64_t n = shape.rank() > 0 ? shape[0] : 1, width = n > 0 ? shape.num_elements() / n : 0;
  NpyRows rows = {.x = Tensor({n, width}), .shape = shape};
  const absl::StatusOr<NonFinite> read = StreamTo(reader, header, elements.bytes, rows.x.data<float>());
  if (!read.ok()) return read.status();
  if (read->place < 0) return rows;
  return absl::InvalidArgumentError(absl::StrCat(path, ": item ", read->place / width, ", value ", read->place % width,
                                                 " (both from 0): ", read->value,
                                                 ", expected a finite number within float32's range"));
}

absl::Status WriteNpy(const std::string& path, const Tensor& tensor) {
  const std::string header = FormatNpyHeader(tensor.dtype(), tensor.shape());
  const std::string_view parts[] = {header, Bytes(tensor)};
  return WriteFile(path, parts);
}

// --- NpyWriter ---

std::string NpyWriter::Header(int64_t rows) const {
  Shape shape = {rows};
  for (const int64_t extent : row_shape_) shape.push_back(extent);
  return FormatNpyHeader(dtype_, shape);
}

absl::StatusOr<NpyWriter> NpyWriter::Create(const std::string& path, const Shape& row_shape, DType dtype) {
  if (!row_shape.valid() || static_cast<size_t>(row_shape.rank()) >= kMaxRank ||
      !ArrayBytes(row_shape, autodiff::SizeOf(dtype)).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": rows of shape ", row_shape.ToString(),
                                                   ", expected extents of at least 0 and a row of at most 2^60 bytes"));
  }
  std::error_code unknown;
  const std::filesystem::file_status existing = std::filesystem::status(path, unknown);
  if (std::filesystem::exists(existing) && !std::filesystem::is_regular_file(existing) &&
      !std::filesystem::is_directory(existing)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no regular file: its header could not be rewritten"));
  }
  NpyWriter writer(path, -1, row_shape, dtype);
  if (absl::Status s = WriteFile(path, writer.Header(0)); !s.ok()) return s;
  writer.fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (writer.fd_ < 0) return absl::UnknownError(absl::StrCat(path, ": cannot write: ", std::strerror(errno)));
  return writer;
}

NpyWriter::NpyWriter(NpyWriter&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      row_shape_(std::move(other.row_shape_)),
      dtype_(other.dtype_),
      rows_(other.rows_),
      status_(std::move(other.status_)) {}

NpyWriter::~NpyWriter() {
  if (fd_ >= 0) close(fd_);
}

absl::Status NpyWriter::WriteAt(int64_t offset, const void* bytes, int64_t count) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = pwrite(fd_, from, static_cast<size_t>(count), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return absl::UnknownError(absl::StrCat(path_, ": offset ", offset, ": cannot write: ", std::strerror(errno)));
    }
    from += written;
    offset += written;
    count -= written;
  }
  return absl::OkStatus();
}

absl::Status NpyWriter::Append(const Tensor& rows) {
  if (!status_.ok()) return status_;
  const Shape& shape = rows.shape();
  const bool one = shape == row_shape_;
  const bool many = shape.rank() == row_shape_.rank() + 1 &&
                    std::equal(shape.begin() + 1, shape.end(), row_shape_.begin(), row_shape_.end());
  if (fd_ < 0) return absl::FailedPreconditionError(absl::StrCat(path_, ": rows appended after Close"));
  if (!(one || many) || rows.dtype() != dtype_) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": rows of ", Name(rows.dtype()), " ", shape.ToString(),
                                                   " appended, expected ", Name(dtype_), " ", row_shape_.ToString(),
                                                   " for one row, or those behind a number of rows for many"));
  }
  const int64_t row_bytes = row_shape_.num_elements() * autodiff::SizeOf(dtype_);
  const int64_t total = rows_ + (one ? 1 : shape[0]);
  const std::string header = Header(total);
  const auto header_bytes = static_cast<int64_t>(header.size());
  // The rows first: the header never claims what is not there.
  status_ = WriteAt(header_bytes + rows_ * row_bytes, rows.bytes(), rows.num_bytes());
  if (status_.ok()) status_ = WriteAt(0, header.data(), header_bytes);
  if (status_.ok()) {
    rows_ = total;
  } else if (ftruncate(fd_, header_bytes + rows_ * row_bytes) != 0) {
    status_ = absl::UnknownError(absl::StrCat(status_.message(), "; nor shorten the file: ", std::strerror(errno)));
  }
  return status_;
}

absl::Status NpyWriter::Close() {
  if (fd_ < 0) return status_;
  const bool flushed = fsync(fd_) == 0;
  const bool closed = close(std::exchange(fd_, -1)) == 0;
  if (status_.ok() && !(flushed && closed)) {
    status_ = absl::UnknownError(absl::StrCat(path_, ": cannot write: ", std::strerror(errno)));
  }
  return status_;
}

}  // namespace neb
