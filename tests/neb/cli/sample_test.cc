// Runs `neb sample` as a user does.
#include <algorithm>
#include <cmath>
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

std::vector<std::string> LinesOf(const std::string& path) {
  std::istringstream text(Slurp(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// φ(y) = ‖y − μ‖²/2(s² + σ²): MALA is exact, so y ~ N(μ, s² + σ²) and jumps are N(μ, s⁴/(s² + σ²)).
TEST(SampleCommand, AWalkInThePlaneHasTheMomentsOfItsDensity) {
  const std::string run = NewFolder("run"), out = run + "/sample";
  const double sigma = 0.5, variance = kBowlStddev * kBowlStddev, smoothed = variance + sigma * sigma;
  WriteBowl(run + "/model.safetensors", {2}, sigma, {});
  const Outcome done = RunNeb("sample " + run +
                              " --chains=20 --burn_in=100 --iterations=2000 --jump_every=20 --keep_every=50 "
                              "--sampler=mala --stream --threads=1");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"samples.png", "energy.png", "samples.npy", "walk.npy",
                                                 "metrics.jsonl", "summary.json", "settings.json"}));
  EXPECT_THAT(done.out, HasSubstr("Not judged: the model's file names no data"));
  const Tensor jumps = *ReadNpy(out + "/samples.npy");
  ASSERT_EQ(jumps.shape(), (Shape{100, 20, 2}));
  EXPECT_EQ(ReadNpy(out + "/walk.npy")->shape(), (Shape{40, 20, 2}));
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 4000; ++i) sum += jumps.at(i), squares += std::pow(jumps.at(i) - kBowlMean, 2);
  // Twenty steps apart, draws are nearly independent: a quarter of 4,000 is a safe number of them.
  const double expected = variance * variance / smoothed;
  EXPECT_NEAR(sum / 4000, kBowlMean, 5 * std::sqrt(expected / 1000));
  EXPECT_NEAR(squares / 4000, expected, 5 * expected * std::sqrt(2.0 / 1000));

  const std::vector<std::string> metrics = LinesOf(out + "/metrics.jsonl");
  ASSERT_EQ(metrics.size(), 100U);
  EXPECT_EQ(json::parse(metrics[0])["iteration"], 120);
  EXPECT_EQ(json::parse(metrics[0])["energy"].size(), 20U);
  EXPECT_GT(json::parse(metrics[99])["acceptance"], 0.3);
  const json summary = json::parse(Slurp(out + "/summary.json"), nullptr, false);
  // φ − min φ is χ²/2 with two degrees of freedom: exponential, of standard deviation 1.
  EXPECT_NEAR(summary["phi"]["stddev"], 1, 0.3);
  EXPECT_LT(summary["phi"]["split_r_hat"], 1.1);
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["sampler"], "mala");
}

// The mean of four measurements has noise σ/2, so jumps are N(μ, s⁴/(s² + σ²/4)); the walk is in R⁸.
TEST(SampleCommand, SeveralMeasurementsWalkTogetherAndJumpAsOne) {
  const std::string run = NewFolder("run"), out = run + "/sample";
  const double sigma = 0.5, variance = kBowlStddev * kBowlStddev, smoothed = variance + sigma * sigma / 4;
  WriteJointBowl(run + "/model.safetensors", {2}, /*measurements=*/4, sigma,
                 {{"data", ToJson(DataSource{.data = "two_moons", .points = 100})}});
  const Outcome done = RunNeb("sample " + run +
                              " --chains=20 --burn_in=100 --iterations=2000 --jump_every=20 --keep_every=50 "
                              "--sampler=mala --start=data --stream --threads=1");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(ReadImage(out + "/samples.png").ok());
  EXPECT_THAT(done.out, HasSubstr("Judged by 100 training"));
  EXPECT_EQ(ReadNpy(out + "/walk.npy")->shape(), (Shape{40, 20, 4, 2}));
  const Tensor jumps = *ReadNpy(out + "/samples.npy");
  ASSERT_EQ(jumps.shape(), (Shape{100, 20, 2}));
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 4000; ++i) sum += jumps.at(i), squares += std::pow(jumps.at(i) - kBowlMean, 2);
  // Along the mean ȳ the density is nearly five times wider, in variance, than the steps across allow for: MALA's
  // δ² = O(σ²) forgets it in about (s² + σ²/4)·4/δ² < 40 iterations, so 4,000 jumps are worth 500 at least.
  const double expected = variance * variance / smoothed;
  EXPECT_NEAR(sum / 4000, kBowlMean, 5 * std::sqrt(expected / 500));
  EXPECT_NEAR(squares / 4000, expected, 5 * expected * std::sqrt(2.0 / 500));
}

TEST(SampleCommand, ImagesOfSeveralMeasurements) {
  const std::string run = NewFolder("run"), out = run + "/sample";
  WriteJointBowl(run + "/model.safetensors", {6, 5, 1}, /*measurements=*/3, 0.3, {});
  const Outcome done = RunNeb("sample " + run + " --chains=2 --burn_in=0 --iterations=60 --threads=1");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(ReadNpy(out + "/samples.npy")->shape(), (Shape{3, 2, 6, 5, 1}));
  for (const char* picture : {"/samples.png", "/walk.png", "/energy.png"}) {
    EXPECT_TRUE(ReadImage(out + picture).ok()) << picture;
  }
}

// n images of 6 × 6, IDX: class k is a bright row k.
void WriteClasses(const std::string& folder, const std::string& name, int n) {
  std::string images = {0, 0, 8, 3, 0, 0, 0, static_cast<char>(n), 0, 0, 0, 6, 0, 0, 0, 6};
  std::string labels = {0, 0, 8, 1, 0, 0, 0, static_cast<char>(n)};
  for (int i = 0; i < n; ++i) {
    labels.push_back(static_cast<char>(i % 6));
    for (int pixel = 0; pixel < 36; ++pixel) {
      images.push_back(static_cast<char>(pixel / 6 == i % 6 ? 200 + i % 5 : i % 3));
    }
  }
  Spill(folder + "/" + name + "-images-idx3-ubyte", images);
  Spill(folder + "/" + name + "-labels-idx1-ubyte", labels);
}

TEST(SampleCommand, JudgesJumpsByTheLabelsBesideTheData) {
  const std::string data = NewFolder("data"), run = NewFolder("run"), out = run + "/sample";
  WriteClasses(data, "train", 60);
  WriteClasses(data, "t10k", 30);
  WriteBowl(run + "/model.safetensors", {6, 6, 1}, 0.2,
            {{"data", ToJson(DataSource{.data = data + "/train-images-idx3-ubyte"})}});
  const Outcome done =
      RunNeb("sample " + run + " --chains=3 --burn_in=0 --iterations=60 --jump_every=5 --start=data --sampler=baoab");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"samples.png", "walk.png", "energy.png", "samples.npy", "labels.csv",
                                                 "metrics.jsonl", "summary.json", "settings.json"}));
  EXPECT_EQ(ReadNpy(out + "/samples.npy")->shape(), (Shape{12, 3, 6, 6, 1}));
  const std::vector<std::string> labels = LinesOf(out + "/labels.csv");
  ASSERT_EQ(labels.size(), 37U);
  EXPECT_EQ(labels[0], "iteration,chain,label,agreement,nearest,distance");
  EXPECT_THAT(labels[1], testing::StartsWith("5,0,"));
  const json judged = json::parse(Slurp(out + "/summary.json"))["judged"];
  EXPECT_EQ(judged["training_items"], 60);
  EXPECT_EQ(judged["held_out_labels_right"], 1);  // the classes are far apart
  int64_t total = 0;
  for (const json& count : judged["jumps"]["classes"]) total += count.get<int64_t>();
  EXPECT_EQ(total, 36);
  EXPECT_EQ(judged["held_out"]["classes"], json({{"0", 5}, {"1", 5}, {"2", 5}, {"3", 5}, {"4", 5}, {"5", 5}}));
  EXPECT_EQ(judged["chains"].size(), 3U);
  EXPECT_THAT(done.out, HasSubstr("right in 100.0 %"));
  for (const char* picture : {"/samples.png", "/walk.png", "/energy.png"}) {
    EXPECT_TRUE(ReadImage(out + picture).ok()) << picture;
  }
}

TEST(SampleCommand, StartsFromAFileAndDoesNotDependOnThreads) {
  const std::string run = NewFolder("run"), runs = NewFolder("runs"), starts = NewFolder("data") + "/starts.npy";
  WriteBowl(run + "/model.safetensors", {6, 5, 1}, 0.2, {});
  WriteImages(starts, 9);
  for (const std::string threads : {"1", "3"}) {
    const Outcome done = RunNeb("sample " + run + " --start=" + starts +
                                " --burn_in=0 --iterations=40 --threads=" + threads + " --out=" + runs + "/" + threads);
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }
  EXPECT_EQ(ReadNpy(runs + "/1/samples.npy")->shape(), (Shape{2, 9, 6, 5, 1}));
  EXPECT_EQ(Slurp(runs + "/1/samples.npy"), Slurp(runs + "/3/samples.npy"));
  EXPECT_EQ(Slurp(runs + "/1/samples.png"), Slurp(runs + "/3/samples.png"));
}

// What was seen before is kept, and the message says what to try.
TEST(SampleCommand, AWalkThatDiverges) {
  const std::string run = NewFolder("run");
  WriteBowl(run + "/model.safetensors", {6, 5, 1}, 0.2, {});
  const Outcome done = RunNeb("sample " + run + " --step_size=9 --iterations=400 --burn_in=0 --jump_every=2");
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("a smaller --step_size than 9"));
  EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
  EXPECT_GT(ReadNpy(run + "/sample/samples.npy")->shape()[0], 0);
}

}  // namespace
}  // namespace neb
