// Share of the FMA peak that matrix products reach. Run: bazel run -c opt //tests/autodiff/kernels:gemm_bench --
// [threads]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "autodiff/kernels/gemm.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "tests/autodiff/kernels/fma_peak.h"

namespace autodiff {
namespace {

struct Case {
  int64_t m, k, n;  // k of each term
  bool transpose_a, transpose_b;
  int64_t terms = 1;
};

Tensor Uniform(int64_t elements, std::mt19937& random) {
  Tensor t(Shape{elements});
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  for (float& x : t.data<float>()) x = uniform(random);
  return t;
}

void Run(const Case& s, ThreadPool& pool) {
  std::mt19937 random(1);
  const Tensor a = Uniform(s.m * s.k, random), b = Uniform(s.k * s.n, random);
  std::vector<Tensor> more;
  std::vector<GemmTerm<float>> also;
  for (int64_t t = 1; t < s.terms; ++t) {
    more.push_back(Uniform(s.m * s.k, random));
    more.push_back(Uniform(s.k * s.n, random));
    also.push_back({.k = s.k,
                    .a = more[more.size() - 2].data<float>().data(),
                    .lda = s.transpose_a ? s.m : s.k,
                    .b = more.back().data<float>().data(),
                    .ldb = s.transpose_b ? s.k : s.n});
  }
  Tensor c(Shape{s.m * s.n});
  const GemmArgs<float> args{.m = s.m,
                             .n = s.n,
                             .k = s.k,
                             .a = a.data<float>().data(),
                             .lda = s.transpose_a ? s.m : s.k,
                             .transpose_a = s.transpose_a,
                             .b = b.data<float>().data(),
                             .ldb = s.transpose_b ? s.k : s.n,
                             .transpose_b = s.transpose_b,
                             .c = c.data<float>().data(),
                             .ldc = s.n,
                             .also = also};
  std::vector<AlignedBytes> scratch;
  for (int t = 0; t < pool.threads(); ++t) {
    scratch.push_back(AllocateAligned(GemmScratchBytes(s.m, s.n, s.terms * s.k, DType::kF32)));
  }
  const double flops = 2.0 * static_cast<double>(s.m * s.n * s.terms * s.k);
  const Share share = ShareOfPeak(
      flops, [&] { pool.Run([&](int t) { Gemm(args, t, pool.threads(), scratch[static_cast<size_t>(t)].get()); }); });
  std::printf("%5ld x %4ld x %4ld %s%s %s  %9.2f us  %6.1f GFLOP/s  %5.1f %% of one core's peak [%4.1f, %4.1f]\n", s.m,
              s.k, s.n, s.transpose_a ? "A'" : "  ", s.transpose_b ? "B'" : "  ",
              s.terms == 2 ? "+ the same" : "          ", share.seconds * 1e6, flops / share.seconds * 1e-9,
              100 * share.median, 100 * share.least, 100 * share.greatest);
  std::fflush(stdout);
}

}  // namespace
}  // namespace autodiff

int main(int argc, char** argv) {
  autodiff::ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 1);
  std::printf("m x k x n, float32, %d thread(s)\n", pool.threads());
  for (const autodiff::Case& s : {
           autodiff::Case{128, 784, 1024, false, false},
           {128, 1024, 1024, false, false},
           {128, 1024, 1024, false, true},
           {784, 128, 1024, true, false},
           {1024, 128, 1024, true, false},
           {784, 128, 1024, true, false, 2},
           {1024, 128, 1024, true, false, 2},
           {1024, 1024, 1024, false, false},
           {1024, 784, 1024, false, false},
           {512, 128, 128, false, false},
           {4096, 128, 128, false, false},
           {4096, 128, 128, false, true},
           {128, 4096, 128, true, false},
           {12544, 288, 64, false, false},
           {512, 2, 128, false, false},
           {128, 512, 2, false, false},
           {512, 128, 2, true, false},
           {128, 2, 512, false, true},
           {1024, 1024, 1, false, false},
           {1024, 128, 1, true, false},
           {1, 1024, 1024, false, false},
           {16, 2048, 128, false, false},
           {16, 1024, 10, false, false},
           {32, 2, 16, false, false},
           {32, 16, 16, false, false},
           {32, 16, 1, false, false},
           {16, 32, 16, true, false},
       }) {
    Run(s, pool);
  }
}
