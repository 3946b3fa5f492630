// Shapes of dense row-major arrays, and NumPy's broadcasting rule.
//
//   Shape s = {128, 784};
//   s.rank();          // 2
//   s.num_elements();  // 100352
//   absl::StatusOr<Shape> out = BroadcastShapes({128, 1}, {784});  // [128, 784]
#ifndef NEB_AUTODIFF_SHAPE_H_
#define NEB_AUTODIFF_SHAPE_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace autodiff {

// The extents of an array, outermost axis first. Rank 0 is a scalar. Extents are >= 0 (reshape alone takes a -1).
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t& operator[](int axis) { return dims_[static_cast<size_t>(axis)]; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  absl::Span<const int64_t> dims() const { return dims_; }
  void push_back(int64_t extent) { dims_.push_back(extent); }

  // Whether no extent is negative.
  bool valid() const;
  // Product of the extents; 1 for a scalar.
  int64_t num_elements() const;
  // Element strides of the dense row-major layout.
  Shape Strides() const;
  // As Python prints a list: "[128, 784]", "[]" for a scalar.
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }
  template <typename H>
  friend H AbslHashValue(H h, const Shape& s) {
    return H::combine(std::move(h), s.dims_);
  }

 private:
  absl::InlinedVector<int64_t, 4> dims_;
};

// NumPy's rule: align at the last axis; extents must be equal or 1. Error: InvalidArgument naming both shapes.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

}  // namespace autodiff

#endif  // NEB_AUTODIFF_SHAPE_H_
