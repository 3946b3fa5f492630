#include "neb/csv.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "neb/file_reader.h"

namespace neb {
namespace {

constexpr char kKind[] = "a file of comma-, tab- or space-separated numbers";

// Debian's absl::string_view is not std::string_view.
std::string_view Strip(std::string_view text) {
  const absl::string_view stripped = absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {stripped.data(), stripped.size()};
}

char Separator(std::string_view line) {
  for (const char c : {'\t', ','}) {
    if (line.find(c) != std::string_view::npos) return c;
  }
  return ' ';
}

// Visits the fields of a line that is not blank, from left to right; a separator in double quotes does not count.
// Nothing is stored: a line may be as long as the file.
template <typename Visitor>
void ForEachField(std::string_view line, char separator, Visitor&& visit) {
  if (separator == ' ') line = Strip(line);
  // A comma at the end is followed by an empty field; a space there was stripped.
  for (bool more = true; more;) {
    bool quoted = false;
    size_t end = 0;
    for (; end < line.size() && (quoted || line[end] != separator); ++end) quoted ^= line[end] == '"';
    more = end < line.size();
    std::string_view field = Strip(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
    if (separator == ' ') line = Strip(line);
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
      field = Strip(field.substr(1, field.size() - 2));
    visit(field);
  }
}

// Whether it reads as a decimal number at all, be it too large or NaN.
bool ToNumber(std::string_view text, float& value) {
  const bool hexadecimal = text.find_first_of("xX") != std::string_view::npos;  // absl takes these too
  return !hexadecimal && absl::SimpleAtof(absl::string_view(text.data(), text.size()), &value);
}

}  // namespace

absl::StatusOr<Dataset> ReadCsv(const std::string& path, int64_t max_items) {
  if (max_items < 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": max_items is ", max_items, ", expected at least 1"));
  }
  const absl::StatusOr<std::string> text = ReadFile(path, kKind);
  if (!text.ok()) return text.status();
  if (text->empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": empty file, expected ", kKind));

  std::vector<float> values;
  int64_t n = 0, line_number = 0, first_line = 0;
  size_t d = 0;
  char separator = ' ';
  std::string_view rest = *text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  while (!rest.empty() && n < max_items) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (Strip(line).empty() || Strip(line).front() == '#') continue;

    const bool is_first = first_line == 0;
    if (is_first) separator = Separator(line);
    size_t fields = 0, numbers = 0;
    ForEachField(line, separator, [&](std::string_view field) {
      float ignored = 0;
      ++fields;
      if (is_first && ToNumber(field, ignored)) ++numbers;
    });
    if (is_first) {
      first_line = line_number;
      d = fields;
      if (numbers == 0) continue;
    }
    if (fields != d) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": line ", line_number, ": ", fields,
                                                     fields == 1 ? " field" : " fields", ", expected ", d,
                                                     " as in line ", first_line));
    }
    size_t column = 0;
    absl::Status status;
    ForEachField(line, separator, [&](std::string_view field) {
      ++column;
      float value = 0;
      const bool number = ToNumber(field, value);
      if (number && std::isfinite(value)) {
        values.push_back(value);
      } else if (status.ok()) {
        status = absl::InvalidArgumentError(
            absl::StrCat(path, ": line ", line_number, ", column ", column, ": ", Excerpt(field),
                         number ? ", expected a finite number within float32's range" : ", expected a number"));
      }
    });
    if (!status.ok()) return status;
    ++n;
  }
  if (n == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no point in ", line_number, line_number == 1 ? " line" : " lines", ", expected ", kKind));
  }

  Dataset data;
  data.item_shape = {static_cast<int64_t>(d)};
  data.name = std::filesystem::path(path).filename().string();
  data.x = autodiff::Tensor::From<float>({n, static_cast<int64_t>(d)}, values);
  return data;
}

}  // namespace neb
