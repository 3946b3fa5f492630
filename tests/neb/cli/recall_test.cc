// Runs `neb recall` as a user does.
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/cli/data_source.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "nlohmann/json.hpp"
#include "tests/neb/cli/run_neb.h"
#include "tests/neb/cli/tiny_model.h"

namespace neb {
namespace {

using autodiff::Shape;
using autodiff::Tensor;
using nlohmann::json;
using testing::HasSubstr;

std::vector<json> MetricsOf(const std::string& folder) {
  std::istringstream text(Slurp(folder + "/metrics.jsonl"));
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line, nullptr, false));
  return lines;
}

// All descents of φ(y) = ‖y − μ‖²/2(s² + σ²) end in its one attractor μ, with curvature 1/(s² + σ²). The exact energy
// of samples that are many σ apart recalls them all.
TEST(RecallCommand, OneBowlForgetsWhereTheExactEnergyRecalls) {
  const std::string run = NewFolder("run"), data = NewFolder("data") + "/images.npy", out = run + "/recall";
  const double sigma = 0.1;
  WriteImages(data, 5);
  WriteBowl(run + "/model.safetensors", {6, 5, 1}, sigma,
            {{"data", ToJson(DataSource{.data = data, .held_out = "1"})}});
  const Outcome done = RunNeb("recall " + run + " --noise=0,1 --occlude=half,left --stored=4 --threads=1");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"film.png", "attractors.png", "attractors.npy", "summary.json",
                                                 "metrics.jsonl", "settings.json"}));
  const std::vector<json> metrics = MetricsOf(out);
  ASSERT_EQ(metrics.size(), 8U);  // two energies, four damages
  for (const json& line : metrics) {
    EXPECT_EQ(line["converged"], 4) << line;
    const bool exact = line["energy"] == "exact", noise = line["damage"] == "noise 1σ" || line["damage"] == "none";
    if (!exact) {
      EXPECT_EQ(line["attractors"], 1) << line;
    }
    if (exact && noise) {
      EXPECT_EQ(line["recalled"], 1) << line;
    }
  }
  const Tensor attractors = *ReadNpy(out + "/attractors.npy");
  ASSERT_EQ(attractors.shape(), (Shape{1, 6, 5, 1}));
  for (int64_t i = 0; i < 30; ++i) EXPECT_NEAR(attractors.at(i), kBowlMean, 1e-4);
  const json summary = json::parse(Slurp(out + "/summary.json"), nullptr, false);
  EXPECT_EQ(summary["descents"], 16);
  EXPECT_EQ(summary["attractors"][0]["share"], 1);
  EXPECT_EQ(summary["attractors"][0]["kind"], "stable");
  EXPECT_NEAR(summary["attractors"][0]["smallest_curvature"],
              sigma * sigma / (kBowlStddev * kBowlStddev + sigma * sigma), 1e-3);
  for (const char* picture : {"/film.png", "/attractors.png"}) EXPECT_TRUE(ReadImage(out + picture).ok()) << picture;
}

TEST(RecallCommand, InThePlane) {
  const std::string run = NewFolder("run"), out = NewFolder("runs") + "/out";
  WriteBowl(run + "/model.safetensors", {2}, 0.3, {});
  const Outcome done = RunNeb("recall " + run + " --data=two_moons --points=40 --stored=7 --noexact --out=" + out);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(FilesIn(out),
            (std::set<std::string>{"basins.png", "attractors.npy", "summary.json", "metrics.jsonl", "settings.json"}));
  EXPECT_EQ(MetricsOf(out).size(), 3U);
  EXPECT_EQ(ReadNpy(out + "/attractors.npy")->shape(), (Shape{1, 2}));
}

}  // namespace
}  // namespace neb
