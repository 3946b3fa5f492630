// Share of the FMA peak that convolutions reach; padded taps count as work, so that one that skips them may exceed it.
// Run: bazel run -c opt //tests/autodiff/kernels:conv_bench -- [threads]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "autodiff/kernels/conv.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"
#include "tests/autodiff/kernels/fma_peak.h"

namespace autodiff {
namespace {

Tensor Uniform(int64_t elements, std::mt19937& random) {
  Tensor t(Shape{elements});
  std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
  for (float& x : t.data<float>()) x = uniform(random);
  return t;
}

void Run(const ConvShape& s, ThreadPool& pool) {
  std::mt19937 random(1);
  Tensor x = Uniform(s.n * s.h * s.w * s.c, random), w = Uniform(s.kh * s.kw * s.c * s.o, random);
  Tensor y = Uniform(s.n * s.ho() * s.wo() * s.o, random);
  float* const xp = x.data<float>().data();
  float* const wp = w.data<float>().data();
  float* const yp = y.data<float>().data();
  std::vector<AlignedBytes> scratch;
  for (int t = 0; t < pool.threads(); ++t) scratch.push_back(AllocateAligned(ConvScratchBytes(s, DType::kF32)));
  const double flops = 2.0 * static_cast<double>(s.n * s.ho() * s.wo() * s.kh * s.kw * s.c * s.o);
  const char* const names[] = {"forward", "input adjoint", "weight adjoint"};
  for (int kernel = 0; kernel < 3; ++kernel) {
    const Share share = ShareOfPeak(flops, [&] {
      pool.Run([&](int t) {
        std::byte* const mine = scratch[static_cast<size_t>(t)].get();
        if (kernel == 0) ConvForward(s, xp, wp, yp, t, pool.threads(), mine);
        if (kernel == 1) ConvInputAdjoint(s, yp, wp, xp, t, pool.threads(), mine);
        if (kernel == 2) ConvWeightAdjoint(s, xp, yp, wp, false, t, pool.threads(), mine);
      });
    });
    std::printf(
        "%3ld x %2ld x %2ld x %3ld -> %4ld stride %ld  %-14s %9.1f us  %6.1f GFLOP/s  %5.1f %% of one core's peak "
        "[%4.1f, %4.1f]\n",
        s.n, s.h, s.w, s.c, s.o, s.stride_h, names[kernel], share.seconds * 1e6, flops / share.seconds * 1e-9,
        100 * share.median, 100 * share.least, 100 * share.greatest);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace autodiff

int main(int argc, char** argv) {
  autodiff::ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 1);
  std::printf("batch x height x width x channels, 3 x 3 kernels, padding 1, float32, %d thread(s)\n", pool.threads());
  const auto run = [&](int64_t n, int64_t extent, int64_t c, int64_t o, int64_t stride) {
    autodiff::Run({.n = n,
                   .h = extent,
                   .w = extent,
                   .c = c,
                   .kh = 3,
                   .kw = 3,
                   .o = o,
                   .stride_h = stride,
                   .stride_w = stride,
                   .pad_top = 1,
                   .pad_bottom = 1,
                   .pad_left = 1,
                   .pad_right = 1},
                  pool);
  };
  for (const int64_t n : {64, 8, 4}) {
    run(n, 28, 1, 32, 1);
    run(n, 28, 32, 64, 2);
    run(n, 14, 64, 128, 2);
  }
  for (const int64_t n : {16, 4}) {
    run(n, 28, 1, 256, 2);
    run(n, 14, 256, 512, 2);
    run(n, 7, 512, 1024, 2);
  }
}
