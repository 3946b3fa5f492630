#include "autodiff/kernels/fetch.h"

#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace autodiff {
namespace {

struct Asked {
  std::set<const char*> left, right, nothing;
};

// Every line that the tiles of one block ask for.
Asked Ask(const Region& left, const Region& right, int64_t tiles, int64_t steps) {
  Fetch fetch;
  const char* const nothing = fetch.left.base;
  fetch.Plan(left, right, tiles, steps);
  Asked asked;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    for (int64_t turn = 0; turn < steps / kFetchSteps; ++turn) {
      (fetch.left.base == nothing ? asked.nothing : asked.left).insert(fetch.left.base + fetch.left.offsets[turn]);
      (fetch.right.base == nothing ? asked.nothing : asked.right).insert(fetch.right.base + fetch.right.offsets[turn]);
    }
    fetch.NextTile();
  }
  return asked;
}

std::set<const char*> LinesOf(const char* p, int64_t rows, int64_t bytes, int64_t stride) {
  std::set<const char*> lines;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t at = 0; at < bytes; at += 64) lines.insert(p + row * stride + at);
  }
  return lines;
}

// Numbers of rows that the tiles divide evenly, so that a slice never goes past the end.
TEST(Fetch, AsksForWhatIsThereAndNoMore) {
  const std::vector<char> memory(1 << 20);
  const char* const p = memory.data();
  for (const int64_t rows : {1, 8, 128}) {
    for (const int64_t tiles : {8, 128, 300}) {
      const Asked asked = Ask({p, rows, 480, 4160}, {}, tiles, 256);
      const std::set<const char*> lines = LinesOf(p, rows, 480, 4160);
      EXPECT_TRUE(asked.right.empty());
      EXPECT_LE(asked.nothing.size(), 1u);
      if (rows > tiles * 8) continue;  // more lines than turns: some are left out
      EXPECT_EQ(asked.left, lines) << rows << " rows, " << tiles << " tiles";
    }
  }
}

TEST(Fetch, GoesOnInASecondPlace) {
  const std::vector<char> memory(1 << 20);
  const char* const p = memory.data();
  const char* const rest = p + (1 << 19);
  Region region{p, 24, 256, 1088};
  region.Append({rest, 40, 256, 1088});
  const Asked asked = Ask({}, region, 64, 64);
  std::set<const char*> lines = LinesOf(p, 24, 256, 1088);
  lines.merge(LinesOf(rest, 40, 256, 1088));
  EXPECT_EQ(asked.right, lines);
}

TEST(Fetch, LeavesOutLinesWithoutATurn) {
  const std::vector<char> memory(1 << 16);
  const char* const p = memory.data();
  const Asked asked = Ask({p, 4, 1024, 2048}, {}, 4, 32);  // 16 lines a tile, 8 turns
  EXPECT_EQ(asked.left.size(), 32u);
  for (const char* line : asked.left) EXPECT_EQ(LinesOf(p, 4, 1024, 2048).count(line), 1u);
  EXPECT_TRUE(Ask({p, 4, 1024, 2048}, {}, 4, 3).left.empty());
}

}  // namespace
}  // namespace autodiff
