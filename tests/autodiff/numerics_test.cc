// The errors that docs/numerics.md promises, against those measured here.
#include "tests/autodiff/numerics.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/program.h"
#include "gtest/gtest.h"
#include "tests/autodiff/test_tensors.h"

namespace autodiff {
namespace {

const std::vector<NumericsTable>& Measured() {
  static const auto& tables = *new std::vector<NumericsTable>(MeasureNumerics(/*arguments=*/40000));
  return tables;
}

std::vector<NumericsTable> Promised() {
  std::ifstream file("docs/numerics.md");
  std::stringstream text;
  text << file.rdbuf();
  return ParseTables(text.str());
}

template <typename Range, typename Is>
auto Find(const Range& range, Is is) -> decltype(&range[0]) {
  const auto it = std::find_if(range.begin(), range.end(), is);
  return it == range.end() ? nullptr : &*it;
}

// The bounds are those of the kernels' headers and of the theory of rounding, on targets of any machine.
TEST(Numerics, ErrorsAreWithinTheirBounds) {
  for (const NumericsTable& table : Measured()) {
    ASSERT_FALSE(table.targets.empty());
    for (const NumericsTable::Row& row : table.rows) {
      ASSERT_EQ(row.errors.size(), table.targets.size());
      for (size_t t = 0; t < row.errors.size(); ++t) {
        for (const double error : row.errors[t]) {
          EXPECT_LE(error, row.bound) << table.title << ": " << row.op << " on " << table.targets[t];
        }
      }
    }
  }
}

// Every op is in the docs, and no error exceeds the number that stands there. A target that the docs do not have (this
// machine may be newer) is held to the largest of the row.
TEST(Numerics, TheDocsPromiseNoLessErrorThanThereIs) {
  const std::vector<NumericsTable> promised = Promised();
  for (const NumericsTable& table : Measured()) {
    const NumericsTable* docs = Find(promised, [&](const auto& t) { return t.title == table.title; });
    ASSERT_NE(docs, nullptr) << table.title;
    for (const NumericsTable::Row& row : table.rows) {
      SCOPED_TRACE(table.title + ": " + row.op);
      const NumericsTable::Row* entry = Find(docs->rows, [&](const auto& r) { return r.op == row.op; });
      ASSERT_NE(entry, nullptr) << "is not in docs/numerics.md";
      EXPECT_EQ(entry->note, row.note);
      ASSERT_EQ(entry->errors.size(), docs->targets.size());
      for (size_t t = 0; t < table.targets.size(); ++t) {
        const std::string* target = Find(docs->targets, [&](const auto& n) { return n == table.targets[t]; });
        for (size_t i = 0; i < row.errors[t].size(); ++i) {
          double allowed = 0;
          for (size_t d = 0; d < docs->targets.size(); ++d) {
            ASSERT_EQ(entry->errors[d].size(), row.errors[t].size()) << docs->targets[d];
            if (target == nullptr || docs->targets[d] == *target) allowed = std::max(allowed, entry->errors[d][i]);
          }
          EXPECT_LE(row.errors[t][i], allowed) << "on " << table.targets[t] << ", number " << i;
        }
      }
    }
  }
}

// The loss of a batch: the mean over samples of ‖x − x̂‖², with the batch divided into shards or not. Its terms are
// positive, so each rounding (two in a term, one of a sample's sum, of a shard's, of all, of 1/n and of the product) is
// at most half an epsilon of the result, however many samples there are.
TEST(Numerics, TheLossOfAMillionSamplesIsAsGoodAsThatOfAHundred) {
  constexpr int64_t kDims = 3;
  for (const int64_t batch : {int64_t{100}, int64_t{1000000}}) {
    const Tensor x = Uniform({batch, kDims}, 0.25, 1, 1, DType::kF32),
                 y = Uniform({batch, kDims}, -1, 0, 2, DType::kF32);
    double want = 0;
    for (int64_t i = 0; i < x.num_elements(); ++i) want += (x.at(i) - y.at(i)) * (x.at(i) - y.at(i));
    want /= static_cast<double>(batch);
    Tape tape;
    const Var a = tape.Input("a", x.shape()), b = tape.Input("b", y.shape());
    for (const bool sharded : {false, true}) {
      absl::StatusOr<Program> program = Compile({.inputs = {a, b},
                                                 .state = {},
                                                 .outputs = {mean(squared_norm(a - b, {1}))},
                                                 .samples = sharded ? std::vector<Var>{a, b} : std::vector<Var>{}},
                                                {.shards = sharded ? 7 : 1});
      ASSERT_TRUE(program.ok()) << program.status();
      EXPECT_EQ(program->stats().shards, sharded ? 7 : 0);
      Tensor loss{Shape{}};
      Tensor* const out = &loss;
      ASSERT_TRUE(program->Run({&x, &y}, {}, {&out, 1}).ok());
      EXPECT_NEAR(loss.at(0), want, 8 * 0.5 * 0x1p-23 * want) << batch << " samples, sharded " << sharded;
    }
  }
}

TEST(Numerics, TablesAreReadAsTheyAreWritten) {
  const NumericsTable table{.title = "Some ops",
                            .note_title = "relative to",
                            .targets = {"A", "B"},
                            .rows = {{"f", "the result", {{0.501, 1.25}, {0, 2}}}, {"g", "x", {{3, 4}, {5, 6}}}}};
  const std::vector<NumericsTable> read = ParseTables("Prose.\n\n" + ToMarkdown(table) + "\nMore | prose.\n");
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].title, table.title);
  EXPECT_EQ(read[0].targets, table.targets);
  ASSERT_EQ(read[0].rows.size(), 2u);
  EXPECT_EQ(read[0].rows[0].errors, (std::vector<std::vector<double>>{{0.51, 1.25}, {0, 2}}));
  EXPECT_EQ(read[0].rows[1].op, "g");
}

}  // namespace
}  // namespace autodiff
