#include "neb/fingerprint.h"

#include <vector>

#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Tensor;

// Made with the Python package xxhash 4.1.0: xxhash.xxh64(bytes((7 * i + i // 5) % 256 for i in range(n)), seed=seed).
// The lengths are those around which the algorithm turns to other steps.
TEST(Xxh64, GivesTheNumbersOfTheReference) {
  struct Case {
    size_t length;
    uint64_t seed_0, seed_large;
  };
  for (const Case& c : {Case{0, 0xef46db3751d8e999, 0x62ea3b7b096560f4},
                        {1, 0xe934a84adb052768, 0xa2b4b9c5499563cf},
                        {3, 0x9ff70a635a6209ab, 0x06a34c16d7fffcb4},
                        {4, 0xae5acdc00a55ac41, 0x49a05546dcb3bca5},
                        {7, 0x58123fdafd64958d, 0x2cca079cefeb39b1},
                        {8, 0x87d1144b127b6f1b, 0xd17a4d76e4dc75fa},
                        {12, 0x54f054a6170b5202, 0x72690dcb45ba2303},
                        {31, 0x0345ed7047c69282, 0x91f9dc710d61d923},
                        {32, 0x0291d3dcf3170dab, 0x3d7dc0c2ccedfbfe},
                        {33, 0x2ac96656e1f7595c, 0x79028054147c150a},
                        {63, 0x66c2d136efe50a41, 0x6a405a15f922acbd},
                        {64, 0x30d91d7ae6b373c6, 0x8f3def0d094a0f1b},
                        {100, 0x1fc1c5275a9529b5, 0xc87ec257bd5f1a1c},
                        {1000, 0x3f91ff150d78fcd5, 0xa683a3cf6da5d118}}) {
    std::vector<std::byte> bytes;
    for (size_t i = 0; i < c.length; ++i) bytes.push_back(static_cast<std::byte>((7 * i + i / 5) % 256));
    EXPECT_EQ(Xxh64(bytes), c.seed_0) << c.length;
    EXPECT_EQ(Xxh64(bytes, (uint64_t{1} << 63) + 5), c.seed_large) << c.length;
  }
}

// xxhash.xxh64(struct.pack("<6f", 0, 1, 2, 3, 4, 0.5)).hexdigest()
TEST(Fingerprint, SaysTypeShapeAndHash) {
  const Tensor x = Tensor::From<float>({2, 3}, {0, 1, 2, 3, 4, 0.5f});
  EXPECT_EQ(Fingerprint(x), "f32[2, 3] xxh64 f8c41aa314658ee9");
  EXPECT_EQ(Fingerprint(x.Reshaped({3, 2})), "f32[3, 2] xxh64 f8c41aa314658ee9");
  EXPECT_NE(Fingerprint(x.Cast(DType::kF64)), Fingerprint(x));
  Tensor minus_zero = x;
  minus_zero.set(0, -0.0);
  EXPECT_NE(Fingerprint(minus_zero), Fingerprint(x));  // of bits, not of values
  EXPECT_EQ(Fingerprint(Tensor({0, 3})), "f32[0, 3] xxh64 ef46db3751d8e999");
}

}  // namespace
}  // namespace neb
