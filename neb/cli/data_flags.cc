#include "neb/cli/data_flags.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/run_folder.h"
#include "neb/synthetic.h"

ABSL_FLAG(
    std::string, data, "",
    absl::StrCat("the data; empty: Fashion-MNIST to train on, otherwise what the model was trained on. An IDX "
                 "file as MNIST's (plain or .gz), a folder of PNG or JPEG files, a .npy array, points as .csv; or "
                 "a synthetic set: ",
                 absl::StrJoin(neb::SyntheticNames(), ", ")));
ABSL_FLAG(std::string, held_out, "",
          "what is only measured: a path, or a fraction or number of items to split off; empty: the test file beside "
          "MNIST's training file, fresh points of a synthetic set, else a tenth");
ABSL_FLAG(int64_t, size, 0,
          "cuts each picture of a folder to its middle square and resizes it to so many pixels a side; 0: they have "
          "one size already");
ABSL_FLAG(int64_t, max_items, 0, "takes only the first items of a file or folder; 0: all");
ABSL_FLAG(int64_t, points, 0, "points of a synthetic set; 0: 10000");

namespace neb {

namespace {

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(UserPath(path), error);
  return error ? path : absolute.lexically_normal().string();
}

}  // namespace

absl::StatusOr<DataSource> DataSourceFlags() {
  const std::string data = absl::GetFlag(FLAGS_data);
  DataSource source{.data = data.empty() ? kFashionMnist : data,
                    .held_out = absl::GetFlag(FLAGS_held_out),
                    .size = absl::GetFlag(FLAGS_size),
                    .max_items = absl::GetFlag(FLAGS_max_items),
                    .points = absl::GetFlag(FLAGS_points),
                    .seed = absl::GetFlag(FLAGS_seed)};
  if (source.size < 0) return absl::InvalidArgumentError(absl::StrCat("--size must be >= 0, got ", source.size));
  if (source.max_items < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--max_items must be >= 0, got ", source.max_items));
  }
  if (source.points < 0) return absl::InvalidArgumentError(absl::StrCat("--points must be >= 0, got ", source.points));
  // A bare word that is no file stays what it is, for the error message.
  std::error_code ignored;
  if (!IsSynthetic(source) && !source.data.empty()) {
    const std::string path = AbsolutePath(source.data);
    if (source.data.find_first_of("/.") != std::string::npos || std::filesystem::exists(path, ignored)) {
      source.data = path;
    }
  }
  if (double share = 0; !source.held_out.empty() && !absl::SimpleAtod(source.held_out, &share)) {
    source.held_out = AbsolutePath(source.held_out);
  }
  return source;
}

}  // namespace neb
