// Matrix products on plain memory: C = op(A) op(B), or a sum of such products, or C += the same; row-major, float or
// double. Nothing is allocated; threads share a product by each computing its own piece of C, without synchronisation.
//
//   std::byte* scratch = ...;  // GemmScratchBytes(128, 1024, 784, DType::kF32) bytes per thread, aligned to kAlignment
//   Gemm<float>({.m = 128, .n = 1024, .k = 784, .a = x, .lda = 784, .b = w, .ldb = 1024, .c = y, .ldc = 1024},
//               thread, threads, scratch);
#ifndef NEB_AUTODIFF_KERNELS_GEMM_H_
#define NEB_AUTODIFF_KERNELS_GEMM_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "autodiff/tensor.h"

namespace autodiff {

// One more product to be added: its own factors and summed axis.
template <typename T>
struct GemmTerm {
  int64_t k = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
};

// C[m, n] = op(A)[m, k] op(B)[k, n] + the products of `also`, all transposed alike: one product whose summed axis is
// all of theirs in a row, so that C is written once. A leading dimension is the distance between stored rows in
// elements, and at least a stored row's length. C must not overlap A or B. No alignment is required.
template <typename T>
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;  // >= 0; k = 0 gives zeros
  const T* a = nullptr;         // [m, k], or [k, m] when transpose_a
  int64_t lda = 0;
  bool transpose_a = false;
  const T* b = nullptr;  // [k, n], or [n, k] when transpose_b
  int64_t ldb = 0;
  bool transpose_b = false;
  T* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;  // C += instead of C =
  absl::Span<const GemmTerm<T>> also = {};
  // What PackB has made of this b on this SIMD target, or null; there are no more terms then. b must be there too.
  const T* packed_b = nullptr;
};

// A right factor that many products have in common: op(B)[k, n], as in GemmArgs.
template <typename T>
struct PackArgs {
  int64_t n = 0, k = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
  bool transpose_b = false;
};

// Whether Gemm would pack B for itself.
bool GainsByPackedB(int64_t m, int64_t n, bool transpose_b);

// Elements that PackB writes at most.
inline int64_t PackedElements(int64_t k, int64_t n) { return k * (n + 64); }

// Computes part `part` of `parts` of what Gemm otherwise makes of B each time. It is the same for any `parts`, but not
// for any SIMD target.
template <typename T>
void PackB(const PackArgs<T>& args, T* packed, int part, int parts);

// What Gemm needs at `scratch` for any part of this product, for either value of the flags; k counts all terms.
int64_t GemmScratchBytes(int64_t m, int64_t n, int64_t k, DType dtype);

// Computes part `part` of `parts` of C. The pieces are disjoint and cover C (some may be empty). On a given SIMD target
// an element has the same bits whatever `parts` is and wherever it lies in C: it is the sum over blocks of k, in order,
// of sums of fused multiply-adds in the order of k; with at most four columns or rows, of dot products along k, one per
// term.
// Neither A, B nor C is touched outside the matrices as given.
template <typename T>
void Gemm(const GemmArgs<T>& args, int part, int parts, std::byte* scratch);

extern template void Gemm(const GemmArgs<float>&, int, int, std::byte*);
extern template void Gemm(const GemmArgs<double>&, int, int, std::byte*);
extern template void PackB(const PackArgs<float>&, float*, int, int);
extern template void PackB(const PackArgs<double>&, double*, int, int);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_KERNELS_GEMM_H_
