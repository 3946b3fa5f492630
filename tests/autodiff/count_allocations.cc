#include "tests/autodiff/count_allocations.h"

#include <cstddef>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NEB_OTHER_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define NEB_OTHER_ALLOCATOR
#endif

namespace autodiff {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> allocated_bytes{0};

#ifdef NEB_OTHER_ALLOCATOR
const bool kAllocationsAreCounted = false;
#else
const bool kAllocationsAreCounted = true;
#endif

}  // namespace autodiff

#ifndef NEB_OTHER_ALLOCATOR
namespace {
void Count(size_t bytes) {
  ++autodiff::allocations;
  autodiff::allocated_bytes += static_cast<int64_t>(bytes);
}
}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) {
  Count(n);
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  Count(n * size);
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  Count(n);
  return __libc_realloc(p, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
  Count(n);
  return __libc_memalign(alignment, n);
}
}
#endif
