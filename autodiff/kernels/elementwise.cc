#include "autodiff/kernels/elementwise.h"

#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/elementwise.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
// Included after foreach_target.h so that it is compiled for each target.
#include "autodiff/kernels/math-inl.h"

#ifndef NEB_AUTODIFF_KERNELS_ELEMENTWISE_TABLES
#define NEB_AUTODIFF_KERNELS_ELEMENTWISE_TABLES
namespace autodiff {
// The kernels of one op, by which of its inputs are uniform.
template <typename T>
using TileKernelRow = TileKernel<T>[7];

// One row per op, in the order of the table.
struct TileKernels {
  const TileKernelRow<float>* f32;
  const TileKernelRow<double>* f64;
};
}  // namespace autodiff
#endif

HWY_BEFORE_NAMESPACE();
namespace autodiff {
namespace HWY_NAMESPACE {
namespace {

// The padding that callers promise bounds the vector length.
template <typename T>
using TileTag = hn::CappedTag<T, 64 / sizeof(T)>;

#define UNARY(name, lanes, ...)                                                     \
  template <typename T>                                                             \
  void name##_tile(const T* xs, const T* /*b*/, const T* /*c*/, T* out, size_t n) { \
    const TileTag<T> d;                                                             \
    for (size_t i = 0; i < n; i += hn::Lanes(d)) {                                  \
      const auto x = hn::LoadU(d, xs + i);                                          \
      hn::StoreU(lanes, d, out + i);                                                \
    }                                                                               \
  }
#define BINARY(name, lanes, ...)                                                 \
  template <typename T, unsigned kUniform>                                       \
  void name##_tile(const T* as, const T* bs, const T* /*c*/, T* out, size_t n) { \
    const TileTag<T> d;                                                          \
    const auto a0 = hn::LoadU(d, as), b0 = hn::LoadU(d, bs);                     \
    for (size_t i = 0; i < n; i += hn::Lanes(d)) {                               \
      const auto a = (kUniform & kUniformA) != 0 ? a0 : hn::LoadU(d, as + i);    \
      const auto b = (kUniform & kUniformB) != 0 ? b0 : hn::LoadU(d, bs + i);    \
      hn::StoreU(lanes, d, out + i);                                             \
    }                                                                            \
  }
#define TERNARY(name, lanes, ...)                                                   \
  template <typename T, unsigned kUniform>                                          \
  void name##_tile(const T* as, const T* bs, const T* cs, T* out, size_t n) {       \
    const TileTag<T> d;                                                             \
    const auto a0 = hn::LoadU(d, as), b0 = hn::LoadU(d, bs), c0 = hn::LoadU(d, cs); \
    for (size_t i = 0; i < n; i += hn::Lanes(d)) {                                  \
      const auto a = (kUniform & kUniformA) != 0 ? a0 : hn::LoadU(d, as + i);       \
      const auto b = (kUniform & kUniformB) != 0 ? b0 : hn::LoadU(d, bs + i);       \
      const auto c = (kUniform & kUniformC) != 0 ? c0 : hn::LoadU(d, cs + i);       \
      hn::StoreU(lanes, d, out + i);                                                \
    }                                                                               \
  }
#define CONTRACTED(...) TERNARY(__VA_ARGS__)
#include "autodiff/elementwise.inc"

template <typename T>
constexpr TileKernelRow<T> kTileKernels[] = {
#define UNARY(name, ...) {name##_tile<T>},
#define BINARY(name, ...) {name##_tile<T, 0>, name##_tile<T, 1>, name##_tile<T, 2>},
#define TERNARY(name, ...)                                                     \
  {name##_tile<T, 0>, name##_tile<T, 1>, name##_tile<T, 2>, name##_tile<T, 3>, \
   name##_tile<T, 4>, name##_tile<T, 5>, name##_tile<T, 6>},
#define CONTRACTED(...) TERNARY(__VA_ARGS__)
#include "autodiff/elementwise.inc"
};

}  // namespace

TileKernels GetTileKernels() { return {kTileKernels<float>, kTileKernels<double>}; }

}  // namespace HWY_NAMESPACE
}  // namespace autodiff
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace autodiff {

HWY_EXPORT(GetTileKernels);

int Arity(Elementwise op) {
  static constexpr int kArity[] = {
#define UNARY(...) 1,
#define BINARY(...) 2,
#define TERNARY(...) 3,
#define CONTRACTED(...) 3,
#include "autodiff/elementwise.inc"
  };
  return kArity[static_cast<size_t>(op)];
}

const char* Name(Elementwise op) {
  static constexpr const char* kNames[] = {
#define UNARY(name, ...) #name,
#define BINARY(name, ...) #name,
#define TERNARY(name, ...) #name,
#define CONTRACTED(name, ...) #name,
#include "autodiff/elementwise.inc"
  };
  return kNames[static_cast<size_t>(op)];
}

template <>
TileKernel<float> GetTileKernel<float>(Elementwise op, unsigned uniform) {
  return HWY_DYNAMIC_DISPATCH(GetTileKernels)().f32[static_cast<size_t>(op)][uniform];
}
template <>
TileKernel<double> GetTileKernel<double>(Elementwise op, unsigned uniform) {
  return HWY_DYNAMIC_DISPATCH(GetTileKernels)().f64[static_cast<size_t>(op)][uniform];
}

}  // namespace autodiff
#endif  // HWY_ONCE
