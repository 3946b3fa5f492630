// A dense row-major array of float32 or float64 that owns its memory.
//
//   Tensor t({2, 3});                       // float32, zeros
//   t.data<float>()[4] = 1.5f;
//   Tensor u = Tensor::From<double>({3}, {1.0, 2.0, 3.0});
#ifndef NEB_AUTODIFF_TENSOR_H_
#define NEB_AUTODIFF_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/shape.h"

namespace autodiff {

enum class DType : uint8_t { kF32, kF64 };

// Size of one element in bytes.
constexpr int64_t SizeOf(DType dtype) { return dtype == DType::kF32 ? 4 : 8; }
// "f32" or "f64".
constexpr const char* Name(DType dtype) { return dtype == DType::kF32 ? "f32" : "f64"; }
template <typename T>
constexpr DType DTypeOf() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  return std::is_same_v<T, float> ? DType::kF32 : DType::kF64;
}

// Every buffer starts on this boundary and has that many spare bytes after its padded end, so that a SIMD kernel may
// read and write whole vectors past the last element, and read past the end of a misaligned slice.
inline constexpr int64_t kAlignment = 128;  // bytes
constexpr int64_t PaddedBytes(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct FreeDeleter {
  void* block = nullptr;  // what was allocated: the buffer starts inside, aligned
  void operator()(void* /*buffer*/) const { std::free(block); }
};
using AlignedBytes = std::unique_ptr<std::byte[], FreeDeleter>;
// At least `bytes` zeroed bytes, aligned and padded as above; buffers of 2 MiB and more begin with a huge page, and
// take memory only where they are touched. Aborts when memory is exhausted.
AlignedBytes AllocateAligned(int64_t bytes);

// A value type: copies copy the elements. The default-constructed tensor has shape [0].
class Tensor {
 public:
  Tensor() : Tensor(Shape{0}) {}
  // Zeros.
  explicit Tensor(Shape shape, DType dtype = DType::kF32);
  Tensor(const Tensor& other);
  Tensor& operator=(const Tensor& other);
  Tensor(Tensor&&) = default;
  Tensor& operator=(Tensor&&) = default;

  // Copies `values`; their number must be shape.num_elements().
  template <typename T>
  static Tensor From(const Shape& shape, std::span<const T> values);
  template <typename T>
  static Tensor From(const Shape& shape, const std::vector<T>& values) {
    return From<T>(shape, std::span<const T>(values));
  }
  template <typename T>
  static Tensor From(const Shape& shape, std::initializer_list<T> values) {
    return From<T>(shape, std::span<const T>(values.begin(), values.size()));
  }
  // Every element is `value`.
  static Tensor Full(Shape shape, double value, DType dtype = DType::kF32);

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int64_t num_elements() const { return shape_.num_elements(); }
  int64_t num_bytes() const { return num_elements() * SizeOf(dtype_); }

  // The elements; T must be the dtype's own type.
  template <typename T>
  std::span<T> data();
  template <typename T>
  std::span<const T> data() const;
  std::byte* bytes() { return bytes_.get(); }
  const std::byte* bytes() const { return bytes_.get(); }

  // One element, of either dtype, at a flat row-major index.
  double at(int64_t index) const;
  void set(int64_t index, double value);

  // The same elements in another dtype (rounded to nearest), or under another shape of equal size.
  Tensor Cast(DType dtype) const;
  Tensor Reshaped(Shape shape) const;
  // The first `rows` of the first axis of a tensor that is given up for them: nothing is copied, and the memory of the
  // other rows stays with them. 0 <= rows <= shape()[0].
  Tensor FirstRows(int64_t rows) &&;

 private:
  Shape shape_;
  DType dtype_ = DType::kF32;
  AlignedBytes bytes_;
};

// --- implementation of the templates ---

// Aborts with a message: a wrong dtype or element count here is a bug in the calling code, not bad input.
void CheckTensorAccess(bool ok, const char* what);

template <typename T>
std::span<T> Tensor::data() {
  CheckTensorAccess(DTypeOf<T>() == dtype_, "data<T>(): T is not the tensor's dtype");
  return {reinterpret_cast<T*>(bytes_.get()), static_cast<size_t>(num_elements())};
}
template <typename T>
std::span<const T> Tensor::data() const {
  CheckTensorAccess(DTypeOf<T>() == dtype_, "data<T>(): T is not the tensor's dtype");
  return {reinterpret_cast<const T*>(bytes_.get()), static_cast<size_t>(num_elements())};
}
template <typename T>
Tensor Tensor::From(const Shape& shape, std::span<const T> values) {
  Tensor t(shape, DTypeOf<T>());
  CheckTensorAccess(static_cast<int64_t>(values.size()) == t.num_elements(), "From(): count differs from the shape's");
  for (size_t i = 0; i < values.size(); ++i) t.data<T>()[i] = values[i];
  return t;
}

}  // namespace autodiff

#endif  // NEB_AUTODIFF_TENSOR_H_
