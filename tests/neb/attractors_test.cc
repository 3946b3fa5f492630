#include "neb/attractors.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Tensor;
using testing::ElementsAre;
using testing::HasSubstr;

struct End {
  float x, y;
  double energy;
  Outcome outcome = Outcome::kConverged;
};
Descents Ends(const std::vector<End>& ends) {
  Descents descents{.y = Tensor({static_cast<int64_t>(ends.size()), 2}), .x_hat = {}, .rows = {}};
  for (size_t i = 0; i < ends.size(); ++i) {
    descents.y.data<float>()[2 * i] = ends[i].x;
    descents.y.data<float>()[2 * i + 1] = ends[i].y;
    descents.rows.push_back({.outcome = ends[i].outcome, .energy = ends[i].energy});
  }
  return descents;
}

Clusters Clustered(const Descents& descents, double sigma, double gap) {
  const absl::StatusOr<Clusters> clusters = ClusterAttractors(descents, sigma, gap);
  EXPECT_TRUE(clusters.ok()) << clusters.status();
  return *clusters;
}

// A chain of three with gaps of 0.09, a pair, a single, one that ran away. With σ√d = 1, gap = 0.1.
const std::vector<End> kEnds = {{0, 0, 1},
                                {5, 0, -2},
                                {0.18f, 0, 0.9},
                                {9, 9, -7},
                                {5, 0.05f, -1.9},
                                {0.09f, 0, 0.95},
                                {5, 0, -50, Outcome::kRunAway},
                                {0.09f, 0, 0.95}};

TEST(ClusterAttractors, JoinsChains) {
  const Clusters c = Clustered(Ends(kEnds), 1 / std::sqrt(2.0), 0.1);
  ASSERT_EQ(c.clusters.size(), 3);
  EXPECT_THAT(c.of_row, ElementsAre(0, 1, 0, 2, 1, 0, -1, 0));
  EXPECT_EQ(c.clusters[0].members, 4);
  EXPECT_EQ(c.clusters[0].representative, 2);  // the lowest
  EXPECT_EQ(c.clusters[0].energy, 0.9);
  EXPECT_EQ(c.clusters[0].share, 0.5);  // of all eight starts
  EXPECT_EQ(c.clusters[1].representative, 1);
  EXPECT_EQ(c.clusters[2].members, 1);
  EXPECT_EQ(c.clusters[2].energy, -7);
}

TEST(ClusterAttractors, GapIsInUnitsOfTheNoise) {
  EXPECT_EQ(Clustered(Ends(kEnds), 1 / std::sqrt(2.0), 0.08).clusters.size(), 5);
  EXPECT_EQ(Clustered(Ends(kEnds), 10 / std::sqrt(2.0), 0.01).clusters.size(), 3);
  EXPECT_EQ(Clustered(Ends(kEnds), 1 / std::sqrt(2.0), 20).clusters.size(), 1);
  EXPECT_EQ(Clustered(Descents{.y = Tensor({0, 2}), .x_hat = {}, .rows = {}}, 1, 1).clusters.size(), 0);
}

TEST(ClusterAttractors, DoNotDependOnTheOrder) {
  const Clusters expected = Clustered(Ends(kEnds), 1 / std::sqrt(2.0), 0.1);
  for (const size_t step : {3, 5, 7}) {
    std::vector<End> ends;
    for (size_t i = 0; i < 8; ++i) ends.push_back(kEnds[i * step % 8]);
    const Clusters c = Clustered(Ends(ends), 1 / std::sqrt(2.0), 0.1);
    ASSERT_EQ(c.clusters.size(), 3);
    for (size_t i = 0; i < 8; ++i) EXPECT_EQ(c.of_row[i], expected.of_row[i * step % 8]);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(c.clusters[k].energy, expected.clusters[k].energy);
      EXPECT_EQ(static_cast<size_t>(c.clusters[k].representative) * step % 8,
                static_cast<size_t>(expected.clusters[k].representative));
    }
  }
}

TEST(ClusterAttractors, Mistakes) {
  EXPECT_THAT(std::string(ClusterAttractors(Ends(kEnds), 0, 1).status().message()), HasSubstr("positive"));
  EXPECT_THAT(std::string(ClusterAttractors(Ends(kEnds), 1, std::nan("")).status().message()), HasSubstr("positive"));
}

// --- Recall ---

const Tensor kStored = Tensor::From<float>({4, 2}, {0, 0, 1, 0, 0, 1, 0, 1});

TEST(MeasureRecall, CountsTheIntendedWithinTheDistance) {
  const Tensor rows = Tensor::From<float>({5, 2}, {0.3f, 0.4f, 0.9f, 0, 0.9f, 0, 0, 1, 0, 1});
  const std::vector<int64_t> intended = {0, 1, 0, 3, 2};
  const absl::StatusOr<Recall> loose = MeasureRecall(rows, kStored, intended, 0.6);
  ASSERT_TRUE(loose.ok()) << loose.status();
  EXPECT_THAT(loose->nearest, ElementsAre(0, 1, 1, 3, 2));  // equal samples: the intended one
  EXPECT_NEAR(loose->distance[0], 0.5, 1e-7);
  EXPECT_NEAR(loose->distance[2], 0.1, 1e-7);
  EXPECT_EQ(loose->rate, 0.8);
  EXPECT_EQ(MeasureRecall(rows, kStored, intended, 0.4)->rate, 0.6);
  EXPECT_EQ(MeasureRecall(rows, kStored, intended, 0.0)->rate, 0.4);
  EXPECT_EQ(MeasureRecall(Tensor({0, 2}), kStored, {}, 1)->rate, 0);
}

// Of samples at one distance the first counts when none is the intended one.
TEST(MeasureRecall, Ties) {
  const std::vector<int64_t> intended = {1};
  EXPECT_THAT(MeasureRecall(Tensor::From<float>({1, 2}, {-1, 1}), kStored, intended, 9)->nearest, ElementsAre(2));
}

TEST(MeasureRecall, Mistakes) {
  const std::vector<int64_t> one = {0}, beyond = {4};
  const auto error = [](const absl::StatusOr<Recall>& recall) { return std::string(recall.status().message()); };
  EXPECT_THAT(error(MeasureRecall(Tensor({1, 3}), kStored, one, 1)), HasSubstr("[1, 3]"));
  EXPECT_THAT(error(MeasureRecall(Tensor({2, 2}), kStored, one, 1)), HasSubstr("[2, 2]"));
  EXPECT_THAT(error(MeasureRecall(Tensor({1, 2}), Tensor({0, 2}), one, 1)), HasSubstr("m >= 1"));
  EXPECT_THAT(error(MeasureRecall(Tensor({1, 2}), kStored, beyond, 1)), HasSubstr("sample 4 of 4"));
  EXPECT_THAT(error(MeasureRecall(Tensor({1, 2}), kStored, one, -1)), HasSubstr("within"));
}

TEST(Occlude, ReplacesTheHidden) {
  const absl::StatusOr<Tensor> damaged = Occlude(kStored, {false, true}, 0.5f);
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_THAT(std::vector<float>(damaged->data<float>().begin(), damaged->data<float>().end()),
              ElementsAre(0, 0.5f, 1, 0.5f, 0, 0.5f, 0, 0.5f));
  EXPECT_THAT(std::string(Occlude(kStored, {true}).status().message()), HasSubstr("[4, 2]"));
}

}  // namespace
}  // namespace neb
