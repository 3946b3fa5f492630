#include "autodiff/kernels/copy.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace autodiff {
namespace {

// n elements along one axis.
template <typename T>
void CopyRun(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t n) {
  constexpr int64_t kWorthACall = 16;
  if (src_stride == 1 && dst_stride == 1 && n >= kWorthACall) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else if (src_stride == 0 && dst_stride == 1) {
    std::fill_n(dst, n, *src);
  } else if (dst_stride == 1) {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i * src_stride];
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i * dst_stride] = src[i * src_stride];
  }
}

// dst[i * dst_stride + j] = src[i + j * src_stride], in blocks whose rows are whole cache lines on both sides.
template <typename T>
void Transpose(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const int64_t i1 = std::min(rows, i0 + kBlock);
    for (int64_t j0 = 0; j0 < columns; j0 += kBlock) {
      const int64_t j1 = std::min(columns, j0 + kBlock);
      for (int64_t i = i0; i < i1; ++i) {
        for (int64_t j = j0; j < j1; ++j) dst[i * dst_stride + j] = src[i + j * src_stride];
      }
    }
  }
}

// The axes from `axis` on, the first of them restricted to `extent` indices.
template <typename T>
void CopyAxes(const StridedCopy& copy, int axis, int64_t extent, const T* src, T* dst) {
  const int64_t src_stride = copy.src_strides[axis];
  const int64_t dst_stride = copy.dst_strides[axis];
  const int last = copy.dims.rank() - 1;
  if (axis == last) {
    CopyRun(src, src_stride, dst, dst_stride, extent);
    return;
  }
  if (axis == last - 1) {
    const int64_t src_inner = copy.src_strides[last], dst_inner = copy.dst_strides[last], n = copy.dims[last];
    if (src_stride == 1 && dst_inner == 1) {
      Transpose(src, src_inner, dst, dst_stride, extent, n);
    } else {
      for (int64_t i = 0; i < extent; ++i) CopyRun(src + i * src_stride, src_inner, dst + i * dst_stride, dst_inner, n);
    }
    return;
  }
  for (int64_t i = 0; i < extent; ++i) {
    CopyAxes(copy, axis + 1, copy.dims[axis + 1], src + i * src_stride, dst + i * dst_stride);
  }
}

}  // namespace

StridedCopy Simplify(const StridedCopy& copy) {
  StridedCopy result;
  result.src_offset = copy.src_offset;
  result.dst_offset = copy.dst_offset;
  const auto append = [&result](int64_t extent, int64_t src_stride, int64_t dst_stride) {
    result.dims.push_back(extent);
    result.src_strides.push_back(src_stride);
    result.dst_strides.push_back(dst_stride);
  };
  if (copy.dims.num_elements() == 0) {
    append(0, 1, 1);
    return result;
  }
  for (int axis = 0; axis < copy.dims.rank(); ++axis) {
    const int64_t extent = copy.dims[axis];
    if (extent == 1) continue;
    const int last = result.dims.rank() - 1;
    if (last >= 0 && result.src_strides[last] == extent * copy.src_strides[axis] &&
        result.dst_strides[last] == extent * copy.dst_strides[axis]) {
      result.dims[last] *= extent;
      result.src_strides[last] = copy.src_strides[axis];
      result.dst_strides[last] = copy.dst_strides[axis];
    } else {
      append(extent, copy.src_strides[axis], copy.dst_strides[axis]);
    }
  }
  if (result.dims.rank() == 0) append(1, 1, 1);
  return result;
}

template <typename T>
void CopyStrided(const StridedCopy& copy, const T* src, T* dst, int64_t begin, int64_t end) {
  if (begin >= end) return;
  CopyAxes(copy, 0, end - begin, src + copy.src_offset + begin * copy.src_strides[0],
           dst + copy.dst_offset + begin * copy.dst_strides[0]);
}

template void CopyStrided<float>(const StridedCopy&, const float*, float*, int64_t, int64_t);
template void CopyStrided<double>(const StridedCopy&, const double*, double*, int64_t, int64_t);

}  // namespace autodiff
