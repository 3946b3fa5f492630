// The one place that knows threads. A pool runs one function on every thread; work is split into contiguous ranges.
// Nothing here may change a result: callers split over output elements, never over a summed axis.
//
//   ThreadPool pool(2);                               // this thread and one more
//   pool.For(n, 1024, [&](int64_t begin, int64_t end) { ... });
#ifndef NEB_AUTODIFF_PARALLEL_H_
#define NEB_AUTODIFF_PARALLEL_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"

namespace autodiff {

// Fixed threads, created once. One Run at a time: a pool belongs to one caller.
class ThreadPool {
 public:
  // `threads` counts the calling thread; values below 1 mean std::thread::hardware_concurrency().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(t) for t = 0 .. threads()-1, each on its own thread (0 is the caller's); returns when all have returned.
  void Run(absl::FunctionRef<void(int)> fn);

  // Inside Run: returns when every thread has called it. Memory written before is visible after.
  void Barrier();

  // Splits [0, n) into at most threads() contiguous ranges whose bounds are multiples of `grain`; outside Run only.
  void For(int64_t n, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> fn);

 private:
  void Work(int thread);

  std::vector<std::thread> workers_;
  absl::FunctionRef<void(int)>* job_ = nullptr;
  std::atomic<uint32_t> generation_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> arrived_{0};
  std::atomic<uint32_t> phase_{0};
};

// Part `part` of `parts` of [0, n), with bounds at multiples of `grain`; empty parts come last.
std::pair<int64_t, int64_t> Split(int64_t n, int64_t grain, int part, int parts);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PARALLEL_H_
