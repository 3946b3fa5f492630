// The errors of every op, measured on every SIMD target: the tables of docs/numerics.md, made, written and read.
//
//   std::vector<NumericsTable> measured = MeasureNumerics(/*arguments=*/40000);
//   std::string markdown = ToMarkdown(measured[0]);
//   std::vector<NumericsTable> promised = ParseTables(text_of_the_docs);
#ifndef NEB_TESTS_AUTODIFF_NUMERICS_H_
#define NEB_TESTS_AUTODIFF_NUMERICS_H_

#include <cstddef>
#include <string>
#include <vector>

namespace autodiff {

struct NumericsTable {
  struct Row {
    std::string op;
    std::string note;                         // usual arguments, or what the error is relative to
    std::vector<std::vector<double>> errors;  // of each target; one or two numbers, see MeasureNumerics
    double bound = 0;                         // what the kernels' headers or the theory of rounding allow
  };
  std::string title;
  std::string note_title;
  std::vector<std::string> targets;  // "AVX2"
  std::vector<Row> rows;
};

// One table for each dtype and kind of op, against definitions in long double on seeded arguments.
// Elementwise: ulp, for so many arguments uniform on the table's domain (elementwise.inc) and for as many of all sizes;
// more include the fewer. Composed ops, sums, products: in units of the machine epsilon, of what the row's note says.
std::vector<NumericsTable> MeasureNumerics(size_t arguments);

// A heading with the title and a Markdown table; numbers are rounded up to two decimals.
std::string ToMarkdown(const NumericsTable& table);

// All tables of that form in a text, bounds aside. A cell that is not numbers separated by " / " is left empty.
std::vector<NumericsTable> ParseTables(const std::string& markdown);

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_NUMERICS_H_
