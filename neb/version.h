// The version of the library, as in MODULE.bazel.
#ifndef NEB_NEB_VERSION_H_
#define NEB_NEB_VERSION_H_

namespace neb {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace neb

#endif  // NEB_NEB_VERSION_H_
