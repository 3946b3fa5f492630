// Flags that most sub-commands of `neb` take, and what they mean.
#ifndef NEB_NEB_CLI_COMMON_FLAGS_H_
#define NEB_NEB_CLI_COMMON_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/status/statusor.h"

ABSL_DECLARE_FLAG(std::string, out);
ABSL_DECLARE_FLAG(uint64_t, seed);
ABSL_DECLARE_FLAG(int, threads);

namespace neb {

// For Command::files.
inline constexpr char kCommonFlags[] = "neb/cli/common_flags.cc";

// --threads, checked: 0 becomes one for each processor.
absl::StatusOr<int> ThreadsFlag();

// The model file of a run: `path` itself, or its model.safetensors if it is a folder.
std::string ModelFile(const std::string& path);

}  // namespace neb

#endif  // NEB_NEB_CLI_COMMON_FLAGS_H_
