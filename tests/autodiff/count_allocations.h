// Test only: counts every call of the C library's allocator, which operator new calls too.
//
//   if (!kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
//   const int64_t before = allocations;
//   program.Run(...);
//   EXPECT_EQ(allocations - before, 0);
#ifndef NEB_TESTS_AUTODIFF_COUNT_ALLOCATIONS_H_
#define NEB_TESTS_AUTODIFF_COUNT_ALLOCATIONS_H_

#include <atomic>
#include <cstdint>

namespace autodiff {

// So far, by all threads: the calls, and the bytes that they asked for.
extern std::atomic<int64_t> allocations;
extern std::atomic<int64_t> allocated_bytes;
// False under sanitizers, which bring an allocator of their own.
extern const bool kAllocationsAreCounted;

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_COUNT_ALLOCATIONS_H_
