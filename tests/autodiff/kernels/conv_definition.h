// The definition of convolution, as the list of the products that are summed.
#ifndef NEB_TESTS_AUTODIFF_KERNELS_CONV_DEFINITION_H_
#define NEB_TESTS_AUTODIFF_KERNELS_CONV_DEFINITION_H_

#include <cstdint>

#include "autodiff/kernels/conv.h"

namespace autodiff {

// The definition: calls fn(x index, w index, y index) for every product of the convolution.
template <class Fn>
void ForEachProduct(const ConvShape& s, Fn fn) {
  for (int64_t b = 0; b < s.n; ++b) {
    for (int64_t i = 0; i < s.ho(); ++i) {
      for (int64_t j = 0; j < s.wo(); ++j) {
        for (int64_t p = 0; p < s.kh; ++p) {
          for (int64_t q = 0; q < s.kw; ++q) {
            const int64_t y = i * s.stride_h + p - s.pad_top, x = j * s.stride_w + q - s.pad_left;
            if (y < 0 || y >= s.h || x < 0 || x >= s.w) continue;
            for (int64_t c = 0; c < s.c; ++c) {
              for (int64_t o = 0; o < s.o; ++o) {
                fn(((b * s.h + y) * s.w + x) * s.c + c, ((p * s.kw + q) * s.c + c) * s.o + o,
                   ((b * s.ho() + i) * s.wo() + j) * s.o + o);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_KERNELS_CONV_DEFINITION_H_
