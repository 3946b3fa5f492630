#include "neb/npy_header.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace neb {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr uint64_t kMagicBytes = 6;
constexpr uint64_t kVersionBytes = 2;
constexpr uint64_t kMaxDictionary = 10'000;  // numpy.load's max_header_size
constexpr size_t kAlignment = 64;            // NumPy's, of the first element
constexpr size_t kGrowthDigits = 21;         // NumPy's room for the first extent

// Reads the dictionary from left to right. A method that fails leaves the error, with its offset, in `status`.
class DictionaryParser {
 public:
  DictionaryParser(const FileReader& reader, std::string text, uint64_t begin)
      : reader_(reader), text_(std::move(text)), begin_(begin) {}

  absl::StatusOr<NpyHeader> Parse() {
    NpyHeader header;
    bool has_descr = false, has_order = false, has_shape = false;
    Expect('{');
    while (status_.ok() && !Accept('}')) {
      const uint64_t key_begin = Here();
      const std::string key = String("a key in quotes");
      Expect(':');
      if (!status_.ok()) break;
      if (key == "descr" && !std::exchange(has_descr, true)) {
        header.descr_begin = Here();
        if (Peek() == '[') return Unsupported();
        header.descr = String("a dtype in quotes");
      } else if (key == "fortran_order" && !std::exchange(has_order, true)) {
        header.fortran_order = Bool();
      } else if (key == "shape" && !std::exchange(has_shape, true)) {
        header.shape = Tuple();
      } else {
        return reader_.Error(key_begin,
                             absl::StrCat("key ", Excerpt(key),
                                          ", expected each of 'descr', 'fortran_order' and 'shape' once and no other"));
      }
      if (!Accept(',') && Peek() != '}') Fail("',' or '}'");
    }
    if (!status_.ok()) return status_;
    if (!(has_descr && has_order && has_shape)) {
      return reader_.Error(begin_, "the header lacks one of 'descr', 'fortran_order' and 'shape', expected all three");
    }
    SkipSpace();
    if (at_ != text_.size()) Fail("spaces up to the end of the header");
    if (!status_.ok()) return status_;
    header.data_begin = begin_ + text_.size();
    return header;
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  uint64_t Here() {
    SkipSpace();
    return begin_ + at_;
  }
  // 0 at the end.
  char Peek() {
    SkipSpace();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Accept(char c) {
    const bool found = Peek() == c && at_ < text_.size();
    at_ += found ? 1 : 0;
    return found;
  }
  bool AcceptWord(std::string_view word) {
    SkipSpace();
    const bool found = std::string_view(text_).substr(at_).starts_with(word);
    at_ += found ? word.size() : 0;
    return found;
  }
  void Fail(const std::string& expected) {
    if (!status_.ok()) return;
    const uint64_t offset = Here();
    const std::string found =
        at_ < text_.size() ? absl::StrCat("\"", absl::CHexEscape(text_.substr(at_, 1)), "\"") : "the end of the header";
    status_ = reader_.Error(offset, absl::StrCat("found ", found, ", expected ", expected));
  }
  void Expect(char c) {
    if (status_.ok() && !Accept(c)) Fail(absl::StrCat("'", std::string(1, c), "'"));
  }

  // No key and no dtype that is supported needs a backslash.
  std::string String(const std::string& what) {
    const char quote = Peek();
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string::npos;
    if (end == std::string::npos) {
      Fail(what);
      return "";
    }
    std::string value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }
  bool Bool() {
    if (AcceptWord("True")) return true;
    if (!AcceptWord("False")) Fail("True or False");
    return false;
  }
  int64_t Extent() {
    if (std::isdigit(static_cast<unsigned char>(Peek())) == 0) {
      Fail("a non-negative integer");
      return 0;
    }
    const uint64_t offset = Here();
    uint64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_) {
      value = 10 * value + static_cast<uint64_t>(text_[at_] - '0');
      if (value <= kMaxExtent) continue;
      status_ = reader_.Error(offset, "an extent above 2^60, expected at most that");
      return 0;
    }
    return static_cast<int64_t>(value);
  }
  autodiff::Shape Tuple() {
    autodiff::Shape shape;
    Expect('(');
    while (status_.ok() && !Accept(')')) {
      shape.push_back(Extent());
      if (static_cast<size_t>(shape.rank()) > kMaxRank) Fail(absl::StrCat("at most ", kMaxRank, " extents"));
      // (3) is a number in Python, not a tuple.
      if (!Accept(',') && (Peek() != ')' || shape.rank() < 2)) Fail("','");
    }
    return shape;
  }

  absl::Status Unsupported() {
    const absl::Status at = reader_.Error(Here(), "a structured dtype is not supported, expected one of plain numbers");
    return absl::UnimplementedError(at.message());
  }

  const FileReader& reader_;
  const std::string text_;
  const uint64_t begin_;  // offset of the text in the file
  size_t at_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<NpyHeader> ReadNpyHeader(const FileReader& reader) {
  const uint64_t size = reader.size();
  const auto truncated = [&](uint64_t offset, uint64_t needed) {
    return reader.Error(offset, absl::StrCat(size == 0 ? "empty file" : "truncated header",
                                             ": expected a .npy file of at least ", needed, " bytes, found ", size));
  };
  unsigned char start[kMagicBytes + kVersionBytes + 4] = {};
  if (absl::Status s = reader.Read(0, std::min<uint64_t>(size, sizeof start), start); !s.ok()) return s;
  const std::string_view magic(reinterpret_cast<const char*>(start), kMagicBytes);
  if (size >= kMagicBytes && magic != kMagic) {
    return reader.Error(0, absl::StrCat("\"", absl::CHexEscape(std::string(magic)),
                                        "\", expected \"\\x93NUMPY\", the start of a .npy file"));
  }
  if (size < kMagicBytes + kVersionBytes + 2) return truncated(0, kMagicBytes + kVersionBytes + 2);
  const int major = start[6], minor = start[7];
  if (major < 1 || major > 3 || minor != 0) {
    return reader.Error(kMagicBytes, absl::StrCat("version ", major, ".", minor, ", expected 1.0, 2.0 or 3.0"));
  }
  // The length is little-endian.
  const uint64_t length_at = kMagicBytes + kVersionBytes;
  const uint64_t begin = length_at + (major == 1 ? 2 : 4);
  if (size < begin) return truncated(length_at, begin);
  uint64_t length = 0;
  for (uint64_t i = begin; i-- > length_at;) length = length << 8 | start[i];
  if (length > kMaxDictionary) {
    return reader.Error(length_at, absl::StrCat("header length ", length, ", expected at most ", kMaxDictionary));
  }
  if (length > size - begin) return truncated(length_at, begin + length);
  std::string text(static_cast<size_t>(length), '\0');
  if (absl::Status s = reader.Read(begin, length, text.data()); !s.ok()) return s;
  return DictionaryParser(reader, std::move(text), begin).Parse();
}

std::string FormatNpyHeader(autodiff::DType dtype, const autodiff::Shape& shape) {
  std::string extents;
  for (const int64_t extent : shape) absl::StrAppend(&extents, extents.empty() ? "" : ", ", extent);
  if (shape.rank() == 1) extents += ",";
  std::string text = absl::StrCat("{'descr': '", dtype == autodiff::DType::kF32 ? "<f4" : "<f8",
                                  "', 'fortran_order': False, 'shape': (", extents, "), }");
  if (shape.rank() > 0) text.append(kGrowthDigits - absl::StrCat(shape[0]).size(), ' ');
  const size_t before = kMagicBytes + kVersionBytes + 2;
  const size_t total = (before + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.resize(total - before - 1, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace neb
