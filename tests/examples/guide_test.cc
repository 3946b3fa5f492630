// Holds docs/write_your_own_energy.md to the sources that it is cut from.
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using Lines = std::vector<std::string>;

Lines LinesOf(const std::string& path) {
  Lines lines;
  std::istringstream in(Slurp(path));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  EXPECT_FALSE(lines.empty()) << path;
  return lines;
}

// The blocks ```language … ``` of a page.
std::vector<Lines> Blocks(const Lines& page, const std::string& language) {
  std::vector<Lines> blocks;
  bool inside = false, wanted = false;
  for (const std::string& line : page) {
    if (line.rfind("```", 0) == 0) {
      inside = !inside;
      wanted = inside && line == "```" + language;
      if (wanted) blocks.emplace_back();
    } else if (wanted) {
      blocks.back().push_back(line);
    }
  }
  EXPECT_FALSE(inside) << "a block without an end";
  return blocks;
}

// Whether the block stands in the source, line by line, all moved right by one number of spaces.
bool Contains(const Lines& source, const Lines& block) {
  for (size_t at = 0; at + block.size() <= source.size(); ++at) {
    const size_t indent = source[at].find_first_not_of(' ');
    if (indent == std::string::npos) continue;
    const auto same = [&](size_t i) {
      return source[at + i] == (block[i].empty() ? "" : std::string(indent, ' ') + block[i]);
    };
    size_t i = 0;
    while (i < block.size() && same(i)) ++i;
    if (i == block.size()) return true;
  }
  return false;
}

std::string Text(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

void ExpectBlocksIn(const std::string& language, size_t at_least, const std::vector<std::string>& paths) {
  const std::vector<Lines> blocks = Blocks(LinesOf("docs/write_your_own_energy.md"), language);
  EXPECT_GE(blocks.size(), at_least);
  for (const Lines& block : blocks) {
    EXPECT_TRUE(std::any_of(paths.begin(), paths.end(),
                            [&](const std::string& path) { return Contains(LinesOf(path), block); }))
        << "not in the sources:\n"
        << Text(block);
  }
}

TEST(Guide, ItsCodeIsThatOfTheExample) {
  ExpectBlocksIn("cpp", 10,
                 {"examples/write_your_own_energy.h", "examples/write_your_own_energy.cc",
                  "examples/write_your_own_energy_test.cc"});
}

TEST(Guide, ItsRowIsThatOfTheTable) { ExpectBlocksIn("inc", 1, {"autodiff/elementwise.inc"}); }

// A block that differs in a letter, or ends early in another place, is not found.
TEST(Guide, ADifferenceShows) {
  const Lines source = {"  if (a) {", "    f();", "", "  }"};
  EXPECT_TRUE(Contains(source, {"if (a) {", "  f();", "", "}"}));
  EXPECT_FALSE(Contains(source, {"if (b) {", "  f();"}));
  EXPECT_FALSE(Contains(source, {"if (a) {", "f();"}));
  EXPECT_FALSE(Contains(source, {"if (a) {", "  f();", "", "}", "}"}));
}

}  // namespace
}  // namespace neb
