#include "neb/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "neb/file.h"
#include "neb/file_reader.h"
#include "nlohmann/json.hpp"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using autodiff::Tensor;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "elements are stored as they are in memory");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation
constexpr char kMetadata[] = "__metadata__";

const char* FormatName(DType dtype) { return dtype == DType::kF32 ? "F32" : "F64"; }

// --- reading ---

// Finds where a text stops being JSON; the parser that builds a value does not tell.
struct JsonErrorFinder : nlohmann::json_sax<json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    position = at;
    return false;
  }
  size_t position = 0;
};

// For errors. A name may be as long as the file; the half of a character that a cut leaves is replaced.
std::string Quote(const std::string& text) {
  constexpr size_t kMost = 100;
  return absl::StrCat(json(text.substr(0, kMost)).dump(-1, ' ', false, json::error_handler_t::replace),
                      text.size() > kMost ? "…" : "");
}

struct Header {
  json entries;                    // the whole object
  std::vector<std::string> names;  // its keys, in the order of the file
  uint64_t data_begin = 0;         // offset of the first element in the file
};

absl::StatusOr<Header> ReadHeader(const FileReader& reader) {
  uint64_t length = 0;
  if (reader.size() < kLengthBytes) {
    return reader.Error(
        0, absl::StrCat("file of ", reader.size(), " bytes, expected an ", kLengthBytes, "-byte header length"));
  }
  if (absl::Status status = reader.Read(0, kLengthBytes, &length); !status.ok()) return status;
  if (length > kMaxHeaderBytes) {
    return reader.Error(0, absl::StrCat("header length ", length, ", expected at most ", kMaxHeaderBytes));
  }
  if (length > reader.size() - kLengthBytes) {
    return reader.Error(0, absl::StrCat("header length ", length, ", but only ", reader.size() - kLengthBytes,
                                        " bytes follow: truncated or not a safetensors file"));
  }
  std::string text(static_cast<size_t>(length), '\0');
  if (absl::Status status = reader.Read(kLengthBytes, length, text.data()); !status.ok()) return status;
  if (text.empty() || text[0] != '{') return reader.Error(kLengthBytes, "expected '{', the start of the header");
  // The parser would take a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != std::string::npos) {
    return reader.Error(kLengthBytes + zero, "zero byte in the header, expected JSON");
  }

  Header header;
  header.data_begin = kLengthBytes + length;
  std::set<std::string> names, fields;  // of the object itself, and of the entry that is being parsed
  std::string twice;
  const auto note_keys = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start && depth == 1) fields.clear();
    if (event == json::parse_event_t::key && depth <= 2) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!(depth == 1 ? names : fields).insert(key).second && twice.empty()) twice = key;
      if (depth == 1) header.names.push_back(key);
    }
    return true;
  };
  header.entries = json::parse(text, note_keys, /*allow_exceptions=*/false);
  if (header.entries.is_discarded()) {
    JsonErrorFinder finder;
    json::sax_parse(text, &finder);
    return reader.Error(kLengthBytes + finder.position, "expected a header of valid JSON and UTF-8 up to here");
  }
  if (!twice.empty()) {
    return reader.Error(kLengthBytes, absl::StrCat("the header has ", Quote(twice), " twice, expected it once"));
  }
  return header;
}

// What the header says of one tensor. Offsets count from the start of the data.
struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;
};

absl::StatusOr<Entry> ParseEntry(const FileReader& reader, const std::string& name, const json& entry) {
  const auto error = [&](const std::string& what) {
    return reader.Error(kLengthBytes, absl::StrCat("tensor ", Quote(name), ": ", what));
  };
  if (!entry.is_object()) return error("expected an object with \"dtype\", \"shape\" and \"data_offsets\"");
  const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string()) return error("expected a string \"dtype\"");
  const auto all_unsigned = [](const json& array) {
    return std::all_of(array.begin(), array.end(), [](const json& x) { return x.is_number_unsigned(); });
  };
  if (shape == entry.end() || !shape->is_array() || !all_unsigned(*shape)) {
    return error("expected \"shape\", an array of non-negative integers");
  }
  if (shape->size() > kMaxRank) return error(absl::StrCat(shape->size(), " extents, expected at most ", kMaxRank));
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 || !all_unsigned(*offsets)) {
    return error("expected \"data_offsets\", an array of two non-negative integers");
  }

  Entry result{.name = name, .dtype = DType::kF32, .shape = {}, .begin = (*offsets)[0], .end = (*offsets)[1]};
  if (*dtype == "F64") {
    result.dtype = DType::kF64;
  } else if (*dtype != "F32") {
    return absl::UnimplementedError(absl::StrCat(error("").message(), "dtype ", Quote(dtype->get<std::string>()),
                                                 " is not supported, expected \"F32\" or \"F64\""));
  }
  for (const json& extent : *shape) {
    const uint64_t value = extent;
    if (value > kMaxExtent) return error(absl::StrCat("extent ", value, ", expected at most 2^60"));
    result.shape.push_back(static_cast<int64_t>(value));
  }
  const std::optional<uint64_t> bytes = ArrayBytes(result.shape, autodiff::SizeOf(result.dtype));
  if (!bytes) return error(absl::StrCat("shape ", shape->dump(), ", expected at most 2^60 bytes"));
  if (result.begin > result.end || result.end - result.begin != *bytes) {
    return error(absl::StrCat("data_offsets ", offsets->dump(), ", expected ", *bytes, " bytes for shape ",
                              shape->dump(), " of ", FormatName(result.dtype)));
  }
  return result;
}

// The arrays, laid end to end, are exactly the data.
absl::Status CheckLayout(const FileReader& reader, uint64_t data_begin, const std::vector<Entry>& entries) {
  std::vector<const Entry*> by_offset;
  for (const Entry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const Entry* a, const Entry* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  const uint64_t data_bytes = reader.size() - data_begin;
  uint64_t expected = 0;
  for (const Entry* entry : by_offset) {
    const auto error = [&](const std::string& what) {
      return reader.Error(data_begin + expected, absl::StrCat("tensor ", Quote(entry->name), ": data_offsets [",
                                                              entry->begin, ",", entry->end, "] ", what));
    };
    if (entry->end > data_bytes) return error(absl::StrCat("reach beyond the ", data_bytes, " bytes of data"));
    if (entry->begin != expected) {
      return error(absl::StrCat(entry->begin < expected ? "overlap another tensor" : "leave a hole",
                                ", expected them to start at ", expected));
    }
    expected = entry->end;
  }
  if (expected == data_bytes) return absl::OkStatus();
  return reader.Error(data_begin + expected, absl::StrCat("trailing bytes: ", data_bytes - expected,
                                                          " belong to no tensor, expected the end of the file here"));
}

// --- writing ---

// As JSON; empty when the text is not UTF-8 (the replacement characters would not read back as the text).
std::string Quoted(const std::string& text) {
  std::string quoted = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(quoted, nullptr, false) == text ? quoted : "";
}

}  // namespace

const Tensor* TensorFile::Find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

TensorFileView ViewOf(const TensorFile& file) {
  TensorFileView view{.tensors = {}, .metadata = file.metadata};
  for (const auto& [name, tensor] : file.tensors) view.tensors.emplace_back(name, &tensor);
  return view;
}

TensorFile CopyOf(const TensorFileView& view) {
  TensorFile file{.tensors = {}, .metadata = view.metadata};
  for (const auto& [name, tensor] : view.tensors) file.tensors.emplace_back(name, *tensor);
  return file;
}

absl::Status WriteSafetensors(const std::string& path, const TensorFile& file) {
  return WriteSafetensorsView(path, ViewOf(file));
}

absl::Status WriteSafetensorsView(const std::string& path, const TensorFileView& file) {
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot write: ", what));
  };
  std::string header = "{";
  const auto add = [&](const std::string& entry) { absl::StrAppend(&header, header.size() > 1 ? "," : "", entry); };
  if (!file.metadata.empty()) {
    std::string map;
    for (const auto& [key, value] : file.metadata) {
      const std::string k = Quoted(key), v = Quoted(value);
      if (k.empty() || v.empty()) return error(absl::StrCat("metadata \"", key, "\" is not UTF-8"));
      absl::StrAppend(&map, map.empty() ? "" : ",", k, ":", v);
    }
    add(absl::StrCat("\"", kMetadata, "\":{", map, "}"));
  }

  std::vector<uint64_t> begins(file.tensors.size());
  std::vector<std::string_view> parts(1);
  uint64_t offset = 0;
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      const Tensor& tensor = *file.tensors[i].second;
      if (tensor.dtype() != dtype) continue;
      begins[i] = offset;
      parts.emplace_back(reinterpret_cast<const char*>(tensor.bytes()), static_cast<size_t>(tensor.num_bytes()));
      offset += parts.back().size();
    }
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const std::string& name = file.tensors[i].first;
    const Tensor& tensor = *file.tensors[i].second;
    const std::string quoted = Quoted(name);
    if (quoted.empty()) return error(absl::StrCat("tensor name \"", name, "\" is not UTF-8"));
    if (name == kMetadata) return error(absl::StrCat("the tensor name ", quoted, " is reserved"));
    if (!names.insert(name).second) return error(absl::StrCat("two tensors are named ", quoted));
    std::string shape;
    for (const int64_t extent : tensor.shape()) absl::StrAppend(&shape, shape.empty() ? "" : ",", extent);
    add(absl::StrCat(quoted, ":{\"dtype\":\"", FormatName(tensor.dtype()), "\",\"shape\":[", shape,
                     "],\"data_offsets\":[", begins[i], ",", begins[i] + static_cast<uint64_t>(tensor.num_bytes()),
                     "]}"));
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // aligns the data
  if (header.size() > kMaxHeaderBytes) {
    return error(absl::StrCat("header of ", header.size(), " bytes, expected at most ", kMaxHeaderBytes));
  }
  const uint64_t length = header.size();
  std::string start(kLengthBytes, '\0');
  std::memcpy(start.data(), &length, kLengthBytes);
  start += header;
  parts[0] = start;
  return WriteFile(path, parts);
}

absl::StatusOr<TensorFile> ReadSafetensors(const std::string& path) {
  const absl::StatusOr<FileReader> reader = FileReader::Open(path, "a safetensors file");
  if (!reader.ok()) return reader.status();
  const absl::StatusOr<Header> header = ReadHeader(*reader);
  if (!header.ok()) return header.status();

  TensorFile file;
  std::vector<Entry> entries;
  for (const std::string& name : header->names) {
    const json& value = header->entries.at(name);
    if (name != kMetadata) {
      absl::StatusOr<Entry> entry = ParseEntry(*reader, name, value);
      if (!entry.ok()) return entry.status();
      entries.push_back(*std::move(entry));
      continue;
    }
    if (!value.is_object() || !std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_string(); })) {
      return reader->Error(kLengthBytes, "\"__metadata__\": expected an object of strings");
    }
    for (const auto& item : value.items()) file.metadata[item.key()] = item.value().get<std::string>();
  }
  if (absl::Status status = CheckLayout(*reader, header->data_begin, entries); !status.ok()) return status;
  for (const Entry& entry : entries) {
    Tensor tensor(entry.shape, entry.dtype);
    const uint64_t offset = header->data_begin + entry.begin;
    if (absl::Status status = reader->Read(offset, entry.end - entry.begin, tensor.bytes()); !status.ok())
      return status;
    file.tensors.emplace_back(entry.name, std::move(tensor));
  }
  return file;
}

}  // namespace neb
