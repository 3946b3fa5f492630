#include "autodiff/tensor.h"

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

AlignedBytes AllocateAligned(int64_t bytes) {
  const size_t padded = static_cast<size_t>(PaddedBytes(bytes) + kAlignment);
  size_t space = padded + kAlignment;
  void* const block = std::calloc(space, 1);
  if (block == nullptr) {
    std::fprintf(stderr, "autodiff: out of memory (%zu bytes)\n", padded);
    std::abort();
  }
  void* aligned = block;
  std::align(kAlignment, padded, aligned, space);
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
