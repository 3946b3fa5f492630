#include "autodiff/parallel.h"

#include <algorithm>

namespace autodiff {
namespace {

// Threads meet every few microseconds inside a program, so a short spin beats a sleep; a longer wait must not burn a
// core that another process (or a neighbour on the same host) could use.
constexpr int kSpins = 4000;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Waits until `value` differs from `old`.
template <typename T>
void AwaitChange(const std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    Pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads < 1) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { Work(t); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_acq_rel);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  while (true) {
    AwaitChange(generation_, seen);
    ++seen;
    if (stop_) return;
    (*job_)(thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
  }
}

void ThreadPool::Run(absl::FunctionRef<void(int)> fn) {
  if (workers_.empty()) return fn(0);
  job_ = &fn;
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_acq_rel);
  generation_.notify_all();
  fn(0);
  for (int left; (left = running_.load(std::memory_order_acquire)) != 0;) AwaitChange(running_, left);
}

void ThreadPool::Barrier() {
  if (workers_.empty()) return;
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads()) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_acq_rel);
    phase_.notify_all();
  } else {
    AwaitChange(phase_, phase);
  }
}

void ThreadPool::For(int64_t n, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> fn) {
  if (n <= grain) {
    if (n > 0) fn(0, n);
    return;
  }
  Run([&](int thread) {
    const auto [begin, end] = Split(n, grain, thread, threads());
    if (begin < end) fn(begin, end);
  });
}

std::pair<int64_t, int64_t> Split(int64_t n, int64_t grain, int part, int parts) {
  const int64_t grains = (n + grain - 1) / grain;
  const int64_t per_part = (grains + parts - 1) / parts;
  return {std::min(n, part * per_part * grain), std::min(n, (part + 1) * per_part * grain)};
}

}  // namespace autodiff
