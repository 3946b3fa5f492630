#include <cmath>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tests/autodiff/numerics.h"

namespace autodiff {
namespace {

constexpr absl::string_view kHeading = "### ";

std::string Cell(const std::vector<double>& errors) {
  std::vector<std::string> numbers;
  for (const double e : errors) {
    numbers.push_back(e == 0 ? "0" : absl::StrFormat("%.2f", std::ceil(e * 100) / 100));
  }
  return absl::StrJoin(numbers, " / ");
}

std::vector<double> ParseCell(absl::string_view cell) {
  std::vector<double> numbers;
  for (const absl::string_view part : absl::StrSplit(cell, " / ")) {
    double number;
    if (!absl::SimpleAtod(part, &number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

// The cells of "| a | b |"; none for another line.
std::vector<std::string> Cells(absl::string_view line) {
  if (!absl::ConsumePrefix(&line, "|") || !absl::ConsumeSuffix(&line, "|")) return {};
  std::vector<std::string> cells;
  for (const absl::string_view cell : absl::StrSplit(line, '|')) {
    cells.emplace_back(absl::StripAsciiWhitespace(cell));
  }
  return cells;
}

}  // namespace

std::string ToMarkdown(const NumericsTable& table) {
  std::string text = absl::StrCat(kHeading, table.title, "\n\n| op | ", table.note_title, " | ",
                                  absl::StrJoin(table.targets, " | "), " |\n|---|---|");
  for (size_t t = 0; t < table.targets.size(); ++t) absl::StrAppend(&text, "---|");
  for (const NumericsTable::Row& row : table.rows) {
    absl::StrAppend(&text, "\n| ", row.op, " | ", row.note, " |");
    for (const std::vector<double>& errors : row.errors) absl::StrAppend(&text, " ", Cell(errors), " |");
  }
  return text + "\n";
}

std::vector<NumericsTable> ParseTables(const std::string& markdown) {
  std::vector<NumericsTable> tables;
  bool in_table = false;  // after a heading and a header row
  for (const absl::string_view line : absl::StrSplit(markdown, '\n')) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, kHeading)) {
      tables.push_back({.title = std::string(rest), .note_title = {}, .targets = {}, .rows = {}});
      in_table = false;
      continue;
    }
    const std::vector<std::string> cells = Cells(line);
    if (tables.empty() || cells.size() < 3 || cells[0] == "---") continue;
    NumericsTable& table = tables.back();
    if (!in_table) {
      table.note_title = cells[1];
      table.targets.assign(cells.begin() + 2, cells.end());
      in_table = true;
      continue;
    }
    NumericsTable::Row row{.op = cells[0], .note = cells[1], .errors = {}};
    for (size_t t = 2; t < cells.size(); ++t) row.errors.push_back(ParseCell(cells[t]));
    table.rows.push_back(std::move(row));
  }
  return tables;
}

}  // namespace autodiff
