// Matrix products of plain memory on the threads of a pool, with the scratch that they need.
//
//   Products<double> products(pool, GemmScratchBytes(512, d, d, DType::kF64));
//   products.Run({.m = 512, .n = d, .k = d, .a = x, .lda = d, .b = w, .ldb = d, .c = y, .ldc = d});
#ifndef NEB_NEB_PRODUCTS_H_
#define NEB_NEB_PRODUCTS_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autodiff/kernels/gemm.h"
#include "autodiff/parallel.h"
#include "autodiff/tensor.h"

namespace neb {

// T: float or double. Results do not depend on the pool.
template <typename T>
class Products {
 public:
  // pool: null for the calling thread alone. scratch_bytes: the most that one of the products needs.
  Products(autodiff::ThreadPool* pool, int64_t scratch_bytes) : pool_(pool), threads_(pool ? pool->threads() : 1) {
    for (int t = 0; t < threads_; ++t) scratch_.push_back(autodiff::AllocateAligned(scratch_bytes));
  }

  void Run(const autodiff::GemmArgs<T>& args) {
    const auto part = [&](int t) { autodiff::Gemm(args, t, threads_, scratch_[static_cast<size_t>(t)].get()); };
    if (pool_ == nullptr) {
      part(0);
    } else {
      pool_->Run(part);
    }
  }

  // fn(begin, end) for ranges that cover [0, n).
  void For(int64_t n, absl::FunctionRef<void(int64_t, int64_t)> fn) {
    if (pool_ == nullptr) {
      fn(0, n);
    } else {
      pool_->For(n, 8, fn);
    }
  }

 private:
  autodiff::ThreadPool* pool_;
  int threads_;
  std::vector<autodiff::AlignedBytes> scratch_;
};

}  // namespace neb

#endif  // NEB_NEB_PRODUCTS_H_
