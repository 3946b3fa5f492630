// ReadCsv on any bytes: an error, or points that are finite.
#include "neb/csv.h"

#include <algorithm>
#include <cmath>

#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const neb::InputFile file(data, size);
  const absl::StatusOr<neb::Dataset> points = neb::ReadCsv(file.path()), first = neb::ReadCsv(file.path(), 1);
  if (!points.ok()) neb::CheckError(points.status(), file.path());
  if (!first.ok()) {
    neb::CheckError(first.status(), file.path());
    neb::Check(!points.ok(), "all points are readable, but not the first alone");
    return 0;
  }
  const std::span<const float> one = first->x.data<float>();
  neb::Check(first->size() == 1 && !one.empty(), "the first point is not one");
  if (!points.ok()) return 0;
  const std::span<const float> x = points->x.data<float>();
  neb::Check(x.size() <= size, "more numbers than characters");
  neb::Check(std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); }), "a number that is not finite");
  neb::Check(std::equal(one.begin(), one.end(), x.begin()), "the first point alone is another");
  return 0;
}
