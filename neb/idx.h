// The IDX files of MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST), plain or gzip.
// Format: big-endian 32-bit magic number, one big-endian 32-bit extent per axis, then unsigned bytes in row-major
// order.
//
//   absl::StatusOr<Dataset> images = ReadIdx("train-images-idx3-ubyte.gz");
//   absl::StatusOr<std::vector<int>> labels = ReadIdxLabels("train-labels-idx1-ubyte.gz");
//
// The files are not trusted. Memory is at most about five times the bytes that are read, whatever a header claims: what
// there is, or what max_items keeps of it; of gzip never more than 1032 times the file's size, deflate's limit. Errors
// are one line, naming the file, the offset and what was expected there. Offsets count decompressed bytes; that of a
// corrupt gzip stream says how much of it could be used.
#ifndef NEB_NEB_IDX_H_
#define NEB_NEB_IDX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "neb/dataset.h"

namespace neb {

// Images: magic 0x00000803, extents [n, height, width]. Pixels become byte/255; item_shape is {height, width, 1}.
// max_items >= 1 keeps only the first ones, and then what follows them is not looked at.
absl::StatusOr<Dataset> ReadIdx(const std::string& path, int64_t max_items = kAllItems);

// Labels: magic 0x00000801, extent [n].
absl::StatusOr<std::vector<int>> ReadIdxLabels(const std::string& path, int64_t max_items = kAllItems);

}  // namespace neb

#endif  // NEB_NEB_IDX_H_
