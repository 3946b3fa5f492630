#include "autodiff/kernels/blocking.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace autodiff {
namespace {

struct Size {
  int64_t m, n, k;
};

TEST(Blocking, PiecesAreDisjointAndCover) {
  for (const Size& s : {Size{128, 1024, 784}, {1, 70, 5000}, {397, 1, 3000}, {61, 90, 521}, {3, 5, 2}, {50, 33, 0}}) {
    for (int64_t grain : {2, 12, 16, 24, 32}) {
      for (int parts = 1; parts <= 12; ++parts) {
        std::vector<int> owners(static_cast<size_t>(s.m * s.n));
        for (int part = 0; part < parts; ++part) {
          const Piece piece = PieceOf(s.m, s.n, s.k, part, parts, grain);
          if (!piece.empty()) {
            ASSERT_EQ(piece.n0 % grain, 0);
          }
          for (int64_t i = piece.m0; i < piece.m1; ++i) {
            for (int64_t j = piece.n0; j < piece.n1; ++j) ++owners[static_cast<size_t>(i * s.n + j)];
          }
        }
        for (const int count : owners) ASSERT_EQ(count, 1) << s.m << " x " << s.n << " in " << parts << " parts";
      }
    }
  }
}

TEST(Blocking, TwoThreadsShareLargeProductsEvenly) {
  for (const Size& s : {Size{128, 1024, 784}, {784, 1024, 128}, {12544, 64, 288}, {9, 32, 50176}}) {
    const Piece piece = PieceOf(s.m, s.n, s.k, 0, 2);
    EXPECT_LE((piece.m1 - piece.m0) * (piece.n1 - piece.n0) * 100, s.m * s.n * 52) << s.m << " x " << s.n;
  }
}

TEST(Blocking, SmallProductsAreNotShared) { EXPECT_TRUE(PieceOf(32, 16, 16, 1, 2).empty()); }

TEST(Blocking, BlocksOfKAreEvenAndBounded) {
  for (int64_t k = 0; k < 2000; ++k) {
    EXPECT_LE(KBlock<float>(k), kMaxKBlock<float>);
    EXPECT_LE(KBlock<double>(k), kMaxKBlock<double>);
    // As few blocks as the bound allows.
    EXPECT_EQ(DivideUp(k, KBlock<float>(k)), DivideUp(k, kMaxKBlock<float>)) << k;
  }
}

}  // namespace
}  // namespace autodiff
