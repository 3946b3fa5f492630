#include "neb/nearest_labels.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// On a line, everything can be counted by hand.
TEST(NearestLabels, VotesOfTheNearest) {
  const Tensor among = Tensor::From<float>({6, 1}, {0, 1, 2, 10, 11, 3});
  const std::vector<int> labels = {7, 7, 4, 5, 5, 4};
  const Tensor x = Tensor::From<float>({4, 1}, {0.25F, 10.75F, 1.75F, 2.0F});
  const std::vector<Labelled> of = NearestLabels(x, among, labels, 3).value();
  EXPECT_EQ(of[0].label, 7);  // 0, 1, 2
  EXPECT_EQ(of[0].nearest, 0);
  EXPECT_EQ(of[0].distance, 0.25);
  EXPECT_NEAR(of[0].share, 2.0 / 3, 1e-15);
  EXPECT_EQ(of[1].label, 5);  // 11, 10, 3
  EXPECT_EQ(of[1].nearest, 4);
  EXPECT_EQ(of[2].label, 4);  // 2, 1, 3
  EXPECT_EQ(of[3].distance, 0);
}

// One vote each: the nearest decides. Two rows equally far: the first.
TEST(NearestLabels, Ties) {
  const Tensor among = Tensor::From<float>({3, 1}, {-1, 1, 1.5F});
  const Tensor x = Tensor::From<float>({2, 1}, {0, 1.1F});
  const std::vector<Labelled> of = NearestLabels(x, among, std::vector<int>{3, 1, 2}, 2).value();
  EXPECT_EQ(of[0].label, 3);
  EXPECT_EQ(of[0].nearest, 0);
  EXPECT_EQ(of[1].label, 1);
  EXPECT_EQ(of[1].share, 0.5);
}

// The rule spelt out in double, on points whose mean is far from 0, where products of float32 round.
TEST(NearestLabels, AgreesWithTheDefinitionForAnyThreads) {
  const int64_t n = 40, m = 300, d = 20;
  Tensor x = NormalTensor({n, d}, 30, 1, 1), among = NormalTensor({m, d}, 30, 1, 2);
  std::vector<int> labels;
  for (int64_t j = 0; j < m; ++j) labels.push_back(static_cast<int>(j * j % 4));
  autodiff::ThreadPool pool(3);
  const std::vector<Labelled> one = NearestLabels(x, among, labels, 5).value();
  const std::vector<Labelled> three = NearestLabels(x, among, labels, 5, &pool).value();
  for (int64_t i = 0; i < n; ++i) {
    std::vector<std::pair<double, int64_t>> all;
    for (int64_t j = 0; j < m; ++j) {
      double sum = 0;
      for (int64_t c = 0; c < d; ++c) sum += std::pow(x.at(i * d + c) - among.at(j * d + c), 2);
      all.emplace_back(std::sqrt(sum), j);
    }
    std::sort(all.begin(), all.end());
    int votes[4] = {};
    for (size_t j = 0; j < 5; ++j) ++votes[labels[static_cast<size_t>(all[j].second)]];
    const Labelled& got = one[static_cast<size_t>(i)];
    EXPECT_EQ(votes[got.label], *std::max_element(std::begin(votes), std::end(votes)));
    EXPECT_EQ(got.nearest, all[0].second);
    EXPECT_NEAR(got.distance, all[0].first, 1e-5);
    EXPECT_EQ(three[static_cast<size_t>(i)].label, got.label);
    EXPECT_EQ(three[static_cast<size_t>(i)].distance, got.distance);
  }
}

TEST(NearestLabels, Mistakes) {
  const Tensor points({3, 2});
  const std::vector<int> labels = {1, 2, 3};
  EXPECT_THAT(std::string(NearestLabels(points, points, std::vector<int>{1, 2}, 1).status().message()),
              HasSubstr("expected 3 labels"));
  EXPECT_THAT(std::string(NearestLabels(points, points, labels, 4).status().message()), HasSubstr("[1, 3], got 4"));
  EXPECT_FALSE(NearestLabels(points, points, labels, 0).ok());
  EXPECT_FALSE(NearestLabels(Tensor({3, 1}), points, labels, 1).ok());
  EXPECT_TRUE(NearestLabels(Tensor({0, 2}), points, labels, 1).value().empty());
}

TEST(VisitsOf, CountsStretches) {
  const std::vector<int> labels = {3, 3, 8, 3, 3, 3, 1, 1, 8};
  const ClassVisits visits = VisitsOf(labels, /*hold=*/2);
  EXPECT_THAT(visits.count, ElementsAre(Pair(1, 2), Pair(3, 5), Pair(8, 2)));
  EXPECT_THAT(visits.longest, ElementsAre(Pair(1, 2), Pair(3, 3), Pair(8, 1)));
  EXPECT_EQ(visits.held, 2);
  EXPECT_EQ(visits.changes, 4);
  EXPECT_EQ(VisitsOf(labels, 3).held, 1);
  EXPECT_EQ(VisitsOf({}, 1).held, 0);
}

}  // namespace
}  // namespace neb
