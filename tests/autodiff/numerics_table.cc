// Measures the errors of every op on every SIMD target of this machine and prints the tables of docs/numerics.md:
//
//   bazel run -c opt //tests/autodiff:numerics_table
#include <cstdio>

#include "tests/autodiff/numerics.h"

int main() {
  for (const autodiff::NumericsTable& table : autodiff::MeasureNumerics(/*arguments=*/2000000)) {
    std::printf("%s\n", autodiff::ToMarkdown(table).c_str());
  }
  return 0;
}
