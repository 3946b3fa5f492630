// Test only: tensors to put in, and numbers to look at.
//
//   const Tensor x = Uniform({3, 4}, -1, 1, /*seed=*/1);
//   EXPECT_EQ(Numbers(Value(square(v), {v}, {x})), ...);
#ifndef NEB_TESTS_AUTODIFF_TEST_TENSORS_H_
#define NEB_TESTS_AUTODIFF_TEST_TENSORS_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "autodiff/program.h"
#include "autodiff/random.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"
#include "gtest/gtest.h"

namespace autodiff {

// Uniform on [lo, hi).
inline Tensor Uniform(const Shape& shape, double lo, double hi, uint64_t seed, DType dtype = DType::kF64) {
  Tensor t(shape, DType::kF64);
  FillUniform({.seed = seed, .stream = kFirstFreeStream, .step = 0}, 0, t.data<double>());
  for (double& v : t.data<double>()) v = lo + (hi - lo) * v;
  return dtype == DType::kF64 ? t : t.Cast(dtype);
}

inline std::vector<double> Numbers(const Tensor& t) {
  std::vector<double> v;
  for (int64_t i = 0; i < t.num_elements(); ++i) v.push_back(t.at(i));
  return v;
}

// Compiles and runs once; a failure fails the test and gives an empty tensor.
inline Tensor Value(Var v, const std::vector<Var>& inputs = {}, const std::vector<Tensor>& values = {},
                    const CompileOptions& options = {}) {
  absl::StatusOr<std::vector<Tensor>> result = Evaluate({v}, inputs, values, options);
  EXPECT_EQ(result.status(), absl::OkStatus());
  return result.ok() ? (*result)[0] : Tensor();
}

// Equal numbers; a NaN equals a NaN.
inline bool Same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Every element within `tolerance`, relative to 1 + |expected|; NaNs and infinities in the same places.
inline ::testing::AssertionResult AllNear(const Tensor& got, const std::vector<double>& expected, double tolerance) {
  if (got.num_elements() != static_cast<int64_t>(expected.size())) {
    return ::testing::AssertionFailure() << got.num_elements() << " elements, not " << expected.size();
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const double g = got.at(static_cast<int64_t>(i)), e = expected[i];
    if (!Same(g, e) && !(std::abs(g - e) <= tolerance * (1 + std::abs(e)))) {
      return ::testing::AssertionFailure() << "element " << i << " is " << g << ", not " << e;
    }
  }
  return ::testing::AssertionSuccess();
}
inline ::testing::AssertionResult AllNear(const Tensor& got, const Tensor& expected, double tolerance) {
  if (!(got.shape() == expected.shape())) {
    return ::testing::AssertionFailure() << "shape " << got.shape().ToString() << ", not "
                                         << expected.shape().ToString();
  }
  return AllNear(got, Numbers(expected), tolerance);
}

// The same numbers to the last bit, but for the sign of a zero and the payload of a NaN.
inline ::testing::AssertionResult AllEqual(const Tensor& got, const Tensor& expected) {
  return AllNear(got, expected, 0);
}

}  // namespace autodiff

#endif  // NEB_TESTS_AUTODIFF_TEST_TENSORS_H_
