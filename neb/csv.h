// Points written as text: one in a line, its coordinates separated by commas, tabs or spaces.
//
//   absl::StatusOr<Dataset> points = ReadCsv("points.csv");   // x: [n, d], item_shape {d}
#ifndef NEB_NEB_CSV_H_
#define NEB_NEB_CSV_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "neb/dataset.h"

namespace neb {

// Blank lines and lines that begin with '#' are passed over. The first line that is left says what separates the
// fields: tabs if it has any, else commas, else runs of spaces, as numpy.savetxt writes them. It is a header, and is
// passed over too, if none of its fields is a number. Every other line must have as many fields as the first; each is
// a finite decimal number within float32's range, with a point ("1", "-2.5e3"), and may stand in double quotes, as may
// names. Lines end with "\n" or "\r\n"; a byte order mark at the start is ignored. max_items >= 1 keeps only the first
// points, and then what follows them is not looked at.
//
// Memory is at most about eight times the file's size. Errors are one line, naming the file, the line and the column,
// which counts fields; both start at 1. A file without points is an error.
absl::StatusOr<Dataset> ReadCsv(const std::string& path, int64_t max_items = kAllItems);

}  // namespace neb

#endif  // NEB_NEB_CSV_H_
