// Runs `neb denoise` as a user does.
#include <cmath>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
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

constexpr double kSigma = 0.3;
const Shape kShape = {6, 5, 1};

// A run of a model whose x̂ is known.
std::string BowlRun() {
  const std::string run = NewFolder("run");
  WriteBowl(run + "/model.safetensors", kShape, kSigma, {});
  return run;
}
double BowlXHat(double y) {
  const double variance = kBowlStddev * kBowlStddev;
  return kBowlMean + variance / (variance + kSigma * kSigma) * (y - kBowlMean);
}

TEST(DenoiseCommand, AddsNoiseAndTakesItOff) {
  const std::string run = BowlRun(), data = NewFolder("data");
  WriteImages(data + "/three.npy", 3);
  ASSERT_TRUE(WritePng(data + "/black.png", Image(6, 5, 1)).ok());
  const Outcome done = RunNeb("denoise " + run + " " + data + "/three.npy " + data + "/black.png");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const std::string out = run + "/denoise";
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"denoise.png", "4_black.png", "x_hat.npy", "noisy.npy",
                                                 "metrics.jsonl", "settings.json"}));
  const absl::StatusOr<Tensor> y = ReadNpy(out + "/noisy.npy"), x_hat = ReadNpy(out + "/x_hat.npy");
  ASSERT_TRUE(y.ok() && x_hat.ok());
  ASSERT_EQ(x_hat->shape(), (Shape{4, 6, 5, 1}));
  double noise = 0;
  for (int64_t i = 0; i < y->num_elements(); ++i) EXPECT_NEAR(x_hat->at(i), BowlXHat(y->at(i)), 1e-5);
  for (int64_t i = 90; i < 120; ++i) noise += y->at(i) * y->at(i);  // of the black picture
  // σ²χ² of 30 degrees of freedom: 30σ² ± σ²√60.
  EXPECT_NEAR(noise, 30 * kSigma * kSigma, 5 * std::sqrt(60.0) * kSigma * kSigma);

  const absl::StatusOr<Image> picture = ReadImage(out + "/4_black.png");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->height, 6);
  EXPECT_EQ(picture->channels, 1);
  EXPECT_NEAR(picture->pixels[7], 255 * std::clamp(x_hat->at(97), 0.0, 1.0), 0.51);

  std::istringstream lines(Slurp(out + "/metrics.jsonl"));
  std::string line, last;
  while (std::getline(lines, line)) last = line;
  const json metrics = json::parse(last, nullptr, false);
  EXPECT_EQ(metrics["item"], "black.png");
  EXPECT_NEAR(metrics["noise"], noise, 1e-4);
  double loss = 0;
  for (int64_t i = 90; i < 120; ++i) loss += x_hat->at(i) * x_hat->at(i);
  EXPECT_NEAR(metrics["loss"], loss, 1e-4);
}

TEST(DenoiseCommand, NoisyInputsAreTakenAsTheyAre) {
  const std::string run = BowlRun(), data = NewFolder("data"), out = NewFolder("runs") + "/out";
  WriteImages(data + "/three.npy", 3);
  const Outcome done = RunNeb("denoise " + run + "/model.safetensors " + data + "/three.npy --noisy --out=" + out);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const Tensor given = *ReadNpy(data + "/three.npy"), x_hat = *ReadNpy(out + "/x_hat.npy");
  for (int64_t i = 0; i < given.num_elements(); ++i) EXPECT_NEAR(x_hat.at(i), BowlXHat(given.at(i)), 1e-5);
  EXPECT_THAT(Slurp(out + "/metrics.jsonl"), testing::Not(HasSubstr("loss")));
}

// M noisy copies of each item, one estimate: that of their mean ȳ, of noise σ/√M. The copies taken back give it again.
TEST(DenoiseCommand, SeveralMeasurementsMakeOneEstimate) {
  const std::string run = NewFolder("run"), data = NewFolder("data"), again = NewFolder("again");
  WriteJointBowl(run + "/model.safetensors", kShape, /*measurements=*/4, kSigma, {});
  WriteImages(data + "/three.npy", 3);
  Outcome done = RunNeb("denoise " + run + " " + data + "/three.npy");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const Tensor x = *ReadNpy(data + "/three.npy"), y = *ReadNpy(run + "/denoise/noisy.npy"),
               x_hat = *ReadNpy(run + "/denoise/x_hat.npy");
  ASSERT_EQ(y.shape(), (Shape{3, 4, 6, 5, 1}));
  ASSERT_EQ(x_hat.shape(), (Shape{3, 6, 5, 1}));
  EXPECT_TRUE(ReadImage(run + "/denoise/denoise.png").ok());
  const double variance = kBowlStddev * kBowlStddev, shrink = variance / (variance + kSigma * kSigma / 4);
  double noise = 0;
  for (int64_t i = 0; i < 90; ++i) {
    double mean = 0;
    for (int64_t m = 0; m < 4; ++m) mean += y.at((i / 30 * 4 + m) * 30 + i % 30) / 4;
    EXPECT_NEAR(x_hat.at(i), kBowlMean + shrink * (mean - kBowlMean), 1e-5);
    noise += (mean - x.at(i)) * (mean - x.at(i));
  }
  // (σ²/4)χ² of 90 degrees of freedom.
  EXPECT_NEAR(noise, 90 * kSigma * kSigma / 4, 5 * std::sqrt(180.0) * kSigma * kSigma / 4);
  done = RunNeb("denoise " + run + " " + run + "/denoise/noisy.npy --noisy --out=" + again);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(Slurp(again + "/x_hat.npy"), Slurp(run + "/denoise/x_hat.npy"));
}

// A colour picture of another size, for a model of grey ones.
TEST(DenoiseCommand, ResizeFitsAnyPicture) {
  const std::string run = BowlRun(), data = NewFolder("data"), out = NewFolder("runs") + "/out";
  Image white(40, 17, 3);
  white.pixels.assign(white.pixels.size(), 255);
  ASSERT_TRUE(WritePng(data + "/white.png", white).ok());
  const Outcome done = RunNeb("denoise " + run + " " + data + "/white.png --resize --noisy --out=" + out);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const Tensor x_hat = *ReadNpy(out + "/x_hat.npy");
  EXPECT_EQ(x_hat.shape(), (Shape{1, 6, 5, 1}));
  EXPECT_NEAR(x_hat.at(11), BowlXHat(1), 1e-5);
}

}  // namespace
}  // namespace neb
