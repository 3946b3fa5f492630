// The flags that say which data: --data, --held_out, --size, --max_items, --points.
#ifndef NEB_NEB_CLI_DATA_FLAGS_H_
#define NEB_NEB_CLI_DATA_FLAGS_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "neb/cli/data_source.h"

ABSL_DECLARE_FLAG(std::string, data);  // empty: not given

namespace neb {

// For Command::files.
inline constexpr char kDataFlags[] = "neb/cli/data_flags.cc";

// What the flags and --seed say, with paths as the user means them, absolute. InvalidArgument: a number out of range.
absl::StatusOr<DataSource> DataSourceFlags();

}  // namespace neb

#endif  // NEB_NEB_CLI_DATA_FLAGS_H_
