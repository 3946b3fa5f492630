// Test only: what the operating system says of this process's memory (Linux).
//
//   const int64_t before = ResidentBytes();
//   ...
//   std::printf("%.1f MiB more, %.1f MiB at most\n", ToMib(ResidentBytes() - before), ToMib(PeakResidentBytes()));
#ifndef NEB_TESTS_NEB_PROCESS_MEMORY_H_
#define NEB_TESTS_NEB_PROCESS_MEMORY_H_

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace neb {

// Bytes in memory now: the second number of /proc/self/statm, which counts pages. 0 where there is no such file.
inline int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// The most so far.
inline int64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;  // Linux counts KiB
}

inline double ToMib(int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024); }

}  // namespace neb

#endif  // NEB_TESTS_NEB_PROCESS_MEMORY_H_
