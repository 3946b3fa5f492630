#include "autodiff/tensor.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace autodiff {

void CheckTensorAccess(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "autodiff::Tensor: %s\n", what);
  std::abort();
}

namespace {

// The page that x86-64 and most of ARM have beside their smallest.
constexpr size_t kHugePage = size_t{2} << 20;

// A matrix whose rows are pages apart needs an entry of the TLB for each row; in huge pages it needs a few in all. The
// last, unfilled one stays in small pages, so that no more memory is taken than is touched.
void AskForHugePages([[maybe_unused]] void* begin, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(begin, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // Advice: where it is not taken, nothing is lost.
#endif
}

}  // namespace

AlignedBytes AllocateAligned(int64_t bytes) {
  const size_t padded = static_cast<size_t>(PaddedBytes(bytes) + kAlignment);
  const size_t alignment = padded >= kHugePage ? kHugePage : static_cast<size_t>(kAlignment);
  size_t space = padded + alignment;
  void* const block = std::calloc(space, 1);
  if (block == nullptr) {
    std::fprintf(stderr, "autodiff: out of memory (%zu bytes)\n", padded);
    std::abort();
  }
  void* aligned = block;
  std::align(alignment, padded, aligned, space);
  if (alignment == kHugePage) AskForHugePages(aligned, padded);
  return AlignedBytes(static_cast<std::byte*>(aligned), FreeDeleter{block});
}

Tensor::Tensor(Shape shape, DType dtype)
    : shape_(std::move(shape)), dtype_(dtype), bytes_(AllocateAligned(shape_.num_elements() * SizeOf(dtype))) {}

Tensor::Tensor(const Tensor& other) : Tensor(other.shape_, other.dtype_) {
  std::memcpy(bytes_.get(), other.bytes_.get(), static_cast<size_t>(num_bytes()));
}

Tensor& Tensor::operator=(const Tensor& other) {
  if (this != &other) *this = Tensor(other);
  return *this;
}

Tensor Tensor::Full(Shape shape, double value, DType dtype) {
  Tensor t(std::move(shape), dtype);
  for (int64_t i = 0; i < t.num_elements(); ++i) t.set(i, value);
  return t;
}

double Tensor::at(int64_t index) const {
  const size_t i = static_cast<size_t>(index);
  return dtype_ == DType::kF32 ? static_cast<double>(data<float>()[i]) : data<double>()[i];
}

void Tensor::set(int64_t index, double value) {
  const size_t i = static_cast<size_t>(index);
  if (dtype_ == DType::kF32) {
    data<float>()[i] = static_cast<float>(value);
  } else {
    data<double>()[i] = value;
  }
}

Tensor Tensor::Cast(DType dtype) const {
  Tensor t(shape_, dtype);
  for (int64_t i = 0; i < num_elements(); ++i) t.set(i, at(i));
  return t;
}

Tensor Tensor::Reshaped(Shape shape) const {
  CheckTensorAccess(shape.num_elements() == num_elements(), "Reshaped(): the sizes differ");
  Tensor t(*this);
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::FirstRows(int64_t rows) && {
  CheckTensorAccess(shape_.rank() > 0 && rows >= 0 && rows <= shape_[0], "FirstRows(): there are not so many");
  Tensor t = std::move(*this);
  t.shape_[0] = rows;
  return t;
}

}  // namespace autodiff
