// Whether two arrays are the same, without keeping one of them.
//
//   const std::string before = Fingerprint(train.x);   // "f32[60000, 784] xxh64 8d1f0c2b5a6e7f90"
//   if (Fingerprint(train.x) != before) { ... }        // other data
#ifndef NEB_NEB_FINGERPRINT_H_
#define NEB_NEB_FINGERPRINT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "autodiff/tensor.h"

namespace neb {

// XXH64 by Yann Collet (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): 64 well-mixed bits of all bytes, at several
// gigabytes per second. Against accidents, not against forgery. Python: xxhash.xxh64(bytes, seed=seed).intdigest().
uint64_t Xxh64(std::span<const std::byte> bytes, uint64_t seed = 0);

// Dtype, shape and hash of the elements.
std::string Fingerprint(const autodiff::Tensor& x);

}  // namespace neb

#endif  // NEB_NEB_FINGERPRINT_H_
