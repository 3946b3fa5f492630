// The elementwise ops as SIMD kernels on tiles: short runs of elements that stay in L1 while a chain of ops goes over
// them. Ops and kernels come from the table autodiff/elementwise.inc.
//
//   TileKernel<float> tanh = GetTileKernel<float>(Elementwise::tanh);
//   tanh(x, nullptr, nullptr, y, 512);
#ifndef NEB_AUTODIFF_KERNELS_ELEMENTWISE_H_
#define NEB_AUTODIFF_KERNELS_ELEMENTWISE_H_

#include <cstddef>
#include <cstdint>

namespace autodiff {

// The enumerators are the names of the ops in the DSL, and of those that compiling makes of them.
enum class Elementwise : uint8_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#define CONTRACTED(name, ...) name,
#include "autodiff/elementwise.inc"
  kCount
};

// The number of inputs, 1 to 3.
int Arity(Elementwise op);
// The enumerator as text: "tanh".
const char* Name(Elementwise op);

// Computes out[i] for i < n from a[i], or a[i] and b[i], or all three; inputs that the op does not have are not read.
// For `where`, c is the condition. Works in whole vectors: may read and write up to the next multiple of 64 bytes
// past the start of each array, so all need that padding. Any alignment will do; `out` may be one of the inputs.
template <typename T>
using TileKernel = void (*)(const T* a, const T* b, const T* c, T* out, size_t n);

// Inputs that are one number for all elements: a sum of these. But not all inputs of an op.
enum Uniform : unsigned { kUniformA = 1, kUniformB = 2, kUniformC = 4 };

// The kernel for the best SIMD target of this CPU; T is float or double. A table look-up, valid for the whole run. Of a
// uniform input the kernel reads the first 64 bytes only, which must hold the number in every element.
template <typename T>
TileKernel<T> GetTileKernel(Elementwise op, unsigned uniform = 0);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_ELEMENTWISE_H_
