// Also to be run under ThreadSanitizer: bazel test --config=tsan //tests/autodiff:parallel_test
#include "autodiff/parallel.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace autodiff {
namespace {

constexpr int kThreads[] = {1, 2, 3, 8};  // also more than the machine has

TEST(ThreadPoolTest, CountsThreads) {
  for (const int threads : kThreads) EXPECT_EQ(ThreadPool(threads).threads(), threads);
  EXPECT_GE(ThreadPool().threads(), 1);
  EXPECT_EQ(ThreadPool(-1).threads(), ThreadPool(0).threads());
}

TEST(ThreadPoolTest, RunCallsEveryThreadOnceOnItsOwnThread) {
  for (const int threads : kThreads) {
    ThreadPool pool(threads);
    std::vector<std::thread::id> first(static_cast<size_t>(threads));
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::vector<int> calls(static_cast<size_t>(threads));
      std::vector<std::thread::id> ids(static_cast<size_t>(threads));
      pool.Run([&](int t) {
        ++calls[static_cast<size_t>(t)];
        ids[static_cast<size_t>(t)] = std::this_thread::get_id();
      });
      EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(threads), 1));
      EXPECT_EQ(ids[0], std::this_thread::get_id());
      EXPECT_EQ(std::set<std::thread::id>(ids.begin(), ids.end()).size(), static_cast<size_t>(threads));
      if (repeat == 0) first = ids;
      EXPECT_EQ(ids, first) << "the same thread keeps its number";
    }
  }
}

// Plain memory written by one Run is read by the next and by the caller. The pauses let the workers fall asleep, so
// that both ways of waiting are used.
TEST(ThreadPoolTest, ResultsAreVisibleAfterRun) {
  for (const int threads : kThreads) {
    ThreadPool pool(threads);
    std::vector<int64_t> values(static_cast<size_t>(threads));
    constexpr int kRuns = 200;
    for (int run = 0; run < kRuns; ++run) {
      if (run % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      // Each thread reads what its neighbour wrote in the previous run.
      std::vector<int64_t> next(values.size());
      pool.Run([&](int t) { next[static_cast<size_t>(t)] = values[static_cast<size_t>((t + 1) % threads)] + 1; });
      values = std::move(next);
    }
    EXPECT_EQ(values, std::vector<int64_t>(values.size(), kRuns));
  }
}

// One slow thread, which is the caller or not: Run returns only when it has returned.
TEST(ThreadPoolTest, RunWaitsForASleeper) {
  ThreadPool pool(3);
  for (int slow = 0; slow < 3; ++slow) {
    std::atomic<int> done = 0;
    pool.Run([&](int t) {
      if (t == slow) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ++done;
    });
    EXPECT_EQ(done, 3);
  }
}

TEST(ThreadPoolTest, BarrierSeparatesPhases) {
  for (const int threads : kThreads) {
    ThreadPool pool(threads);
    constexpr int kPhases = 300;
    std::vector<std::vector<int64_t>> value(kPhases + 1, std::vector<int64_t>(static_cast<size_t>(threads)));
    pool.Run([&](int t) {
      for (size_t phase = 0; phase < kPhases; ++phase) {
        if (phase % 100 == 0 && t == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        int64_t sum = 0;  // reads what every thread wrote before the barrier
        for (const int64_t v : value[phase]) sum += v;
        value[phase + 1][static_cast<size_t>(t)] = sum / threads + 1;
        pool.Barrier();
      }
    });
    EXPECT_EQ(value[kPhases], std::vector<int64_t>(static_cast<size_t>(threads), kPhases));
  }
}

TEST(ThreadPoolTest, ForCoversEveryIndexOnce) {
  for (const int threads : kThreads) {
    ThreadPool pool(threads);
    for (const int64_t n : {0, 1, 7, 64, 1000, 4097}) {
      for (const int64_t grain : {1, 3, 64, 5000}) {
        std::vector<int> hits(static_cast<size_t>(n));
        std::atomic<int> ranges = 0;
        pool.For(n, grain, [&](int64_t begin, int64_t end) {
          ++ranges;
          EXPECT_LT(begin, end);
          EXPECT_EQ(begin % grain, 0);
          EXPECT_TRUE(end % grain == 0 || end == n);
          for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
        });
        EXPECT_EQ(hits, std::vector<int>(static_cast<size_t>(n), 1));
        EXPECT_LE(ranges, threads);
        if (n >= grain * threads) {
          EXPECT_GT(ranges, threads / 2) << n << " " << grain;
        }
      }
    }
  }
}

TEST(ThreadPoolTest, PoolsComeAndGo) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(1 + i % 4);
    if (i % 3 == 0) continue;  // destroyed without ever running
    std::atomic<int> calls = 0;
    pool.Run([&](int) { ++calls; });
    EXPECT_EQ(calls, pool.threads());
  }
}

TEST(SplitTest, PartsAreContiguousAlignedAndLargestFirst) {
  for (const int64_t n : {0, 1, 5, 16, 17, 1000}) {
    for (const int64_t grain : {1, 4, 16}) {
      for (const int parts : {1, 2, 3, 7, 2000}) {
        int64_t expected_begin = 0, previous = n;
        for (int part = 0; part < parts; ++part) {
          const auto [begin, end] = Split(n, grain, part, parts);
          EXPECT_EQ(begin, expected_begin);
          EXPECT_GE(end, begin);
          EXPECT_TRUE(begin % grain == 0 || begin == n);
          EXPECT_LE(end - begin, previous) << "empty parts come last";
          // No part is more than a grain above the average.
          EXPECT_LT(end - begin, static_cast<double>(n) / parts + static_cast<double>(grain) + 1e-9);
          expected_begin = end;
          previous = end - begin;
        }
        EXPECT_EQ(expected_begin, n);
      }
    }
  }
  EXPECT_EQ(Split(10, 4, 0, 2), (std::pair<int64_t, int64_t>(0, 8)));
  EXPECT_EQ(Split(10, 4, 1, 2), (std::pair<int64_t, int64_t>(8, 10)));
}

}  // namespace
}  // namespace autodiff
