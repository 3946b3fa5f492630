// Where the data of a run comes from: a path or the name of a synthetic set, and how it is read. A model file keeps it,
// so that other commands find the same data again.
//
//   DataSource source{.data = "two_moons"};
//   absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(source);
//   metadata["data"] = ToJson(source);                                // and back: ParseDataSource
#ifndef NEB_NEB_CLI_DATA_SOURCE_H_
#define NEB_NEB_CLI_DATA_SOURCE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "neb/dataset.h"

namespace neb {

// What Debian's package dataset-fashion-mnist installs.
inline constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";

struct DataSource {
  std::string data = kFashionMnist;  // a path (read_data.h), or one of SyntheticNames()
  // What is only measured. A path; a fraction below 1 or a number of items that are split off at random; empty: the
  // test file beside MNIST's training file, as many fresh draws of a synthetic set, else a tenth.
  std::string held_out = {};
  int64_t size = 0;  // pictures of a folder: cut to the middle square and resized to so many pixels; 0: as they are
  int64_t max_items = 0;  // of a path, only the first ones; 0: all
  int64_t points = 0;     // of a synthetic set; 0: kDefaultPoints
  uint64_t seed = 1;      // of the points of a synthetic set and of the split
};
inline constexpr int64_t kDefaultPoints = 10000;

bool IsSynthetic(const DataSource& source);

// A short name for folders and titles: "two_moons", "fashion-mnist", "photos".
std::string ShortName(const DataSource& source);

// All of the data, held-out part included. Errors: those of the readers; a field that says nothing about this kind of
// data; for a bare word that is neither file nor set, the names of the sets. Paths must be absolute or relative to the
// working directory, see UserPath.
absl::StatusOr<Dataset> ReadSource(const DataSource& source);

// Errors: as above; a held-out set of another shape; a split that leaves one part empty.
absl::StatusOr<TrainHeldOut> ReadTrainHeldOut(const DataSource& source);

// One JSON object with the fields that are not at their defaults.
std::string ToJson(const DataSource& source);
// The inverse. InvalidArgument for what it does not write.
absl::StatusOr<DataSource> ParseDataSource(const std::string& json);

}  // namespace neb

#endif  // NEB_NEB_CLI_DATA_SOURCE_H_
