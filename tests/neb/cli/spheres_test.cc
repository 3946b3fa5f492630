// Runs `neb spheres` as a user does.
#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "nlohmann/json.hpp"
#include "tests/neb/cli/run_neb.h"

namespace neb {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Three points in the plane: χ = distance / 2√2 of 3, 4 and 5.
TEST(SpheresCommand, ThreePoints) {
  const std::string data = NewFolder("data") + "/points.csv", out = NewFolder("runs") + "/chi";
  Spill(data, "0,0\n3,0\n0,4\n");
  const Outcome run = RunNeb("spheres " + data + " --overlap_at=1.2,1 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"chi.png", "chi.npy", "metrics.jsonl", "settings.json"}));
  const json chi = json::parse(Slurp(out + "/metrics.jsonl"), nullptr, false);
  ASSERT_FALSE(chi.is_discarded());
  const double unit = 2 * std::sqrt(2.0);
  EXPECT_NEAR(chi["min"], 3 / unit, 1e-6);
  EXPECT_NEAR(chi["median"], 4 / unit, 2e-4);
  EXPECT_NEAR(chi["mean"], 4 / unit, 1e-5);
  EXPECT_NEAR(chi["sigma_c"], 5 / unit, 1e-6);
  EXPECT_EQ(chi["closest"], json({0, 1}));
  EXPECT_EQ(chi["farthest"], json({1, 2}));
  EXPECT_NEAR(chi["overlapping"][0]["share"], 1.0 / 3, 1e-3);
  EXPECT_EQ(chi["overlapping"][1]["share"], 0);
  const absl::StatusOr<autodiff::Tensor> quantiles = ReadNpy(out + "/chi.npy");
  ASSERT_TRUE(quantiles.ok()) << quantiles.status();
  EXPECT_EQ(quantiles->shape(), autodiff::Shape({1001}));
  EXPECT_NEAR(quantiles->at(0), 3 / unit, 1e-6);
  EXPECT_NEAR(quantiles->at(1000), 5 / unit, 1e-6);
  EXPECT_TRUE(ReadImage(out + "/chi.png").ok());
  EXPECT_THAT(run.out, HasSubstr("1.7678"));  // σ_c
}

TEST(SpheresCommand, OnlyTheFirstSamples) {
  const std::string data = NewFolder("data") + "/points.csv", out = NewFolder("runs") + "/chi";
  Spill(data, "0,0\n3,0\n0,4\n");
  ASSERT_EQ(RunNeb("spheres " + data + " --most=2 --out=" + out).exit_code, 0);
  EXPECT_EQ(json::parse(Slurp(out + "/metrics.jsonl"))["pairs"], 1);
}

}  // namespace
}  // namespace neb
