// Runs `neb train` as a user does, on little data.
#include <algorithm>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/cli/data_source.h"
#include "neb/energy_spec.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "neb/safetensors.h"
#include "neb/trainer.h"
#include "neb/version.h"
#include "nlohmann/json.hpp"
#include "tests/neb/cli/run_neb.h"

namespace neb {
namespace {

using autodiff::Shape;
using autodiff::Tensor;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A small energy and a short run.
const std::string kQuick = R"(--energy='{"form": "mlp", "hidden": [16]}' --steps=20 --batch=32 --threads=1 )";

// n images of 6 × 5 with a bright column that moves.
std::string ImagesFile(const std::string& folder, int64_t n = 40) {
  Tensor x({n, 6, 5});
  for (int64_t i = 0; i < n * 30; ++i) x.set(i, i % 5 == i / 30 % 5 ? 0.9 : 0.01 * static_cast<double>(i / 30 % 7));
  EXPECT_TRUE(WriteNpy(folder + "/images.npy", x).ok());
  return folder + "/images.npy";
}

void ExpectPicture(const std::string& path) {
  const absl::StatusOr<Image> image = ReadImage(path);
  ASSERT_TRUE(image.ok()) << image.status();
  const auto [darkest, brightest] = std::minmax_element(image->pixels.begin(), image->pixels.end());
  EXPECT_LT(*darkest, 100) << path;
  EXPECT_GT(*brightest, 200) << path;
}

// --- Runs ---

TEST(Train, PointsInThePlane) {
  const std::string out = NewFolder("runs") + "/moons";
  const Outcome run = RunNeb("train --data=two_moons --points=300 --sigma=0.25 --seed=4 " + kQuick + "--out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"model.safetensors", "checkpoint.safetensors", "settings.json",
                                                 "metrics.jsonl", "loss.png", "energy.png", "basins.png"}));
  for (const char* picture : {"/loss.png", "/energy.png", "/basins.png"}) ExpectPicture(out + picture);
  EXPECT_THAT(run.out, AllOf(HasSubstr("300 training and 300 held-out points of [2]"), HasSubstr("linear (Wiener)"),
                             HasSubstr("0.12500"), HasSubstr("neb sample " + out)));  // σ²d

  // The file is all that is needed: the model, and where its data came from.
  absl::StatusOr<Model> model = LoadModel(out + "/model.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->sigma(), 0.25);
  EXPECT_EQ(model->item_shape(), Shape({2}));
  const absl::StatusOr<TensorFile> file = ReadSafetensors(out + "/model.safetensors");
  EXPECT_EQ(file->metadata.at("steps"), "20");
  EXPECT_EQ(file->metadata.at("neb"), kVersion);
  const absl::StatusOr<DataSource> source = ParseDataSource(file->metadata.at("data"));
  ASSERT_TRUE(source.ok()) << source.status();
  const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(*source);
  ASSERT_TRUE(data.ok()) << data.status();
  // So the loss that the run reported can be measured again.
  const absl::StatusOr<double> loss = MeasureLoss(*model, data->held_out.x, 300, 4);
  EXPECT_NEAR(std::stod(file->metadata.at("held_out_loss")), *loss, 1e-6 * *loss);

  const json settings = json::parse(Slurp(out + "/settings.json"), nullptr, false);
  EXPECT_EQ(settings["sigma"], 0.25);
  EXPECT_EQ(settings["energy"]["hidden"], json({16}));
  EXPECT_EQ(settings["data"]["data"], "two_moons");
  std::istringstream lines(Slurp(out + "/metrics.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(json::parse(line, nullptr, false)["step"], 20);
}

TEST(Train, ImagesInAFile) {
  const std::string out = NewFolder("runs") + "/images", images = ImagesFile(NewFolder("data"));
  const Outcome run =
      RunNeb("train --data=" + images +
             R"( --energy='{"form": "residual_mlp", "hidden": [8]}' --steps=3 --threads=1 --out=)" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(out), (std::set<std::string>{"model.safetensors", "checkpoint.safetensors", "settings.json",
                                                 "metrics.jsonl", "loss.png", "denoise.png"}));
  ExpectPicture(out + "/denoise.png");
  const json settings = json::parse(Slurp(out + "/settings.json"), nullptr, false);
  EXPECT_EQ(settings["sigma"], 0.3);
  EXPECT_EQ(settings["far_fraction"], 0.0625);
  EXPECT_EQ(settings["item_shape"], json({6, 5, 1}));
  EXPECT_EQ(settings["training_items"], 36);
  EXPECT_EQ(settings["held_out_items"], 4);
}

// Neither on threads, nor on where it runs: `bazel run` starts programs elsewhere, and paths are the user's.
// A run that is over is resumed at its end; how a stopped one goes on is checkpoint_kill_test's.
TEST(Train, ResumesWhatItsFlagsSay) {
  const std::string out = NewFolder("runs") + "/moons";
  const std::string flags = "train --data=two_moons --points=60 --steps=12 --threads=1 --out=" + out;
  ASSERT_EQ(RunNeb(flags).exit_code, 0);
  const std::string model = Slurp(out + "/model.safetensors"), metrics = Slurp(out + "/metrics.jsonl");
  const Outcome again = RunNeb(flags + " --resume");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("goes on at step 12"));
  EXPECT_EQ(Slurp(out + "/model.safetensors"), model);
  EXPECT_EQ(Slurp(out + "/metrics.jsonl"), metrics);
  // The number of steps is the checkpoint's, not what would fit today.
  EXPECT_EQ(RunNeb(flags + " --resume --minutes=0.01").exit_code, 0);
  EXPECT_EQ(Slurp(out + "/model.safetensors"), model);
  const Outcome other = RunNeb(flags + " --resume --inner_fraction=0.5");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("inner_fraction is 0.5, but 0 in the checkpoint"));
}

TEST(Train, TellsOfALossThatJumpsAndClipsGradients) {
  const std::string out = NewFolder("runs") + "/roll";
  const std::string flags = "train --data=swiss_roll_3d --points=200 --batch=4 --threads=1 --out=" + out;
  const Outcome wild = RunNeb(flags + " --steps=1500 --lr=3");
  EXPECT_EQ(wild.exit_code, 0) << wild.err;
  EXPECT_THAT(wild.err, HasSubstr("warning: the loss jumped to "));
  EXPECT_THAT(wild.err, HasSubstr("(clip_norm)"));
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["clip_norm"], 0);
  ASSERT_EQ(RunNeb(flags + " --steps=300").exit_code, 0);
  const std::string model = Slurp(out + "/model.safetensors");
  const Outcome clipped = RunNeb(flags + " --steps=300 --clip_norm=0.5");
  EXPECT_EQ(clipped.exit_code, 0) << clipped.err;
  EXPECT_THAT(clipped.err, Not(HasSubstr("warning")));
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["clip_norm"], 0.5);
  EXPECT_NE(Slurp(out + "/model.safetensors"), model);
}

TEST(Train, DependsOnItsFlagsOnly) {
  const std::string home = NewFolder("home");
  ImagesFile(home);
  const std::string flags = R"(train --data=images.npy --energy=residual_conv --steps=4 --batch=9 )";
  for (const char* threads : {"1", "3"}) {
    const Outcome run =
        RunNeb(flags + "--threads=" + threads + " --out=runs/" + threads, "BUILD_WORKING_DIRECTORY=" + home);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  for (const char* file : {"/model.safetensors", "/denoise.png"}) {
    EXPECT_EQ(Slurp(home + "/runs/1" + file), Slurp(home + "/runs/3" + file)) << file;
    EXPECT_FALSE(Slurp(home + "/runs/1" + file).empty());
  }
}

TEST(Train, TheFolderIsNamedAfterTheData) {
  const std::string home = NewFolder("home");
  const Outcome run = RunNeb("train --data=rings --points=50 " + kQuick, "BUILD_WORKING_DIRECTORY=" + home);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(std::filesystem::exists(home + "/runs/rings/model.safetensors"));
}

TEST(Train, SigmaFromTheDataIsSaid) {
  const std::string out = NewFolder("runs") + "/line", data = NewFolder("data") + "/line.csv";
  Spill(data, "0\n2\n10\n");  // χ is half of the distance: at most 5
  const std::string flags = "train --data=" + data + " --held_out=" + data + " --out=" + out + " " + kQuick;
  Outcome run = RunNeb(flags + "--sigma='0.5*sigma_c'");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("σ = 2.5, 0.5*sigma_c of all 3 items"));
  run = RunNeb(flags);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("σ = 0.648"));  // 0.15 √(56/3)
}

TEST(Train, KnownDistributionsHaveTheLeastPossibleLoss) {
  const std::string out = NewFolder("runs") + "/known";
  const Outcome run = RunNeb("train --data=gaussian_manifold --sigma=1 --points=200 --out=" + out + " " + kQuick);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("least possible"), HasSubstr("1.0000\n")));  // 2 · 1/(1 + 1)
}

TEST(Train, MeasurementsMakeAJointModel) {
  const std::string out = NewFolder("runs") + "/joint", images = ImagesFile(NewFolder("data"));
  const Outcome run = RunNeb("train --measurements=4 --data=" + images +
                             R"( --energy='{"form": "residual_conv", "channels": [4]}' --steps=3 --out=)" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("σ/√4 = 0.15"));
  ExpectPicture(out + "/denoise.png");
  absl::StatusOr<Model> model = LoadModel(out + "/model.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->item_shape(), Shape({4, 6, 5, 1}));
  EXPECT_EQ(model->sigma(), 0.3);
  // What was measured in training is what the loaded model gives.
  const absl::StatusOr<TensorFile> file = ReadSafetensors(out + "/model.safetensors");
  const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(*ParseDataSource(file->metadata.at("data")));
  const absl::StatusOr<double> loss = MeasureLoss(*model, data->held_out.x, 4, 1, nullptr, 4);
  EXPECT_NEAR(std::stod(file->metadata.at("held_out_loss")), *loss, 1e-6 * *loss);
}

// Nothing to train: a model, no losses; what the other commands need is in it.
TEST(Train, EnergiesInClosedFormAreFitted) {
  for (const std::string form : {"quadratic", "gaussian", "gaussian_mixture", "kernel_density"}) {
    const std::string out = NewFolder("runs") + "/fitted";
    Outcome run = RunNeb("train --data=two_moons --points=60 --threads=1 --energy=" + form + " --out=" + out);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(FilesIn(out), (std::set<std::string>{"model.safetensors", "settings.json", "energy.png", "basins.png"}));
    EXPECT_THAT(run.out, AllOf(HasSubstr("fitted to the data"), HasSubstr("this energy"), HasSubstr("no model"),
                               HasSubstr("See energy.png and basins.png"), Not(HasSubstr("Trained for"))));
    EXPECT_EQ(ReadSafetensors(out + "/model.safetensors")->Find("samples") != nullptr, form == "kernel_density");
    run = RunNeb("info " + out);
    EXPECT_THAT(run.out, AllOf(HasSubstr(form), HasSubstr("0 trained"), HasSubstr("fitted to the data")));
    run = RunNeb("sample " + out + " --chains=3 --burn_in=5 --iterations=40 --threads=1");
    EXPECT_EQ(run.exit_code, 0) << run.err;
    Spill(out + "/points.csv", "0,1\n1,0\n0.5,0.5\n");
    run = RunNeb("denoise " + out + " " + out + "/points.csv");
    EXPECT_EQ(run.exit_code, 0) << run.err;
    run = RunNeb("recall " + out + " --stored=5 --noise=1 --threads=1");
    EXPECT_EQ(run.exit_code, 0) << run.err;
  }
}

TEST(Train, AFlagfileIsReadAndTheCommandLineWins) {
  const std::string out = NewFolder("runs") + "/flags", file = NewFolder("flags") + "/rings.flags";
  Spill(file, "# a quick run\n--data=rings\n--points=40\n--sigma=0.4\n--steps=2\n--threads=1\n");
  const Outcome run = RunNeb("train --flagfile=" + file + " --sigma=0.2 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json settings = json::parse(Slurp(out + "/settings.json"), nullptr, false);
  EXPECT_EQ(settings["data"]["points"], 40);
  EXPECT_EQ(settings["sigma"], 0.2);
  EXPECT_EQ(settings["steps"], 2);
}

TEST(Train, MinutesChooseTheSteps) {
  const std::string out = NewFolder("runs") + "/minutes";
  // A thousandth of a second: less than any step takes when it is measured.
  const Outcome run = RunNeb("train --data=rings --points=40 --threads=1 --minutes=1e-9 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"), nullptr, false)["steps"], 1);
  EXPECT_THAT(run.out, HasSubstr("1 steps"));
}

// --- Mistakes: one line on standard error, exit code 1, and nothing left behind ---

TEST(TrainMistake, OneLineEach) {
  const std::string data = NewFolder("data"), images = ImagesFile(data);
  Spill(data + "/points.csv", "1,2\n3,4\n5,6\n");
  Spill(data + "/broken.npy", "\x93NUMPY, or not");
  Spill(data + "/equal.csv", "1\n1\n1\n");
  // A kernel density of 91,000 such images is too large a model. The file's pixels are a hole: no disk holds them.
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (91000, 28, 28), }";
  header.resize(117, ' ');
  Spill(data + "/large.npy", std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n");
  std::filesystem::resize_file(data + "/large.npy", 128 + 91000 * 784);
  ASSERT_TRUE(WritePng(data + "/pictures.png", Image(4, 4, 1)).ok());
  struct Case {
    std::string flags, expected;
  };
  const std::vector<Case> cases = {
      {"--data=two_mons", "two_moons, rings"},
      {"--data=" + data + "/none", "No such file"},
      {"--data=" + data + "/broken.npy", "broken.npy"},
      {"--data=" + data + "/pictures.png", "one picture"},
      {"--data=" + images + " --size=4", "no folder"},
      {"--data=" + images + " --held_out=" + data + "/points.csv", "[2]"},
      {"--data=" + images + " --held_out=0", "cannot hold out 0"},
      {"--data=" + images + " --held_out=40", "cannot hold out 40"},
      {"--data=" + images + " --points=10", "synthetic"},
      {"--data=" + images + " --energy=mpl", "mlp, product_of_experts"},
      {"--data=" + images + " --energy='{\"form\": \"mlp\", \"layers\": 3}'", "no option \"layers\", only hidden"},
      {"--data=" + images + " --energy='{\"form\": \"mlp\", \"hidden\": [0]}'", "--energy"},
      {"--data=" + images + " --energy='{'", "--energy"},
      {"--energy=conv", "--energy"},  // of points
      {"--energy=residual_conv", "--energy"},
      {"--sigma=0", "--sigma"},
      {"--sigma=-1", "--sigma"},
      {"--sigma=nan", "--sigma"},
      {"--sigma=sigma", "1.5*sigma_c"},
      {"--sigma='chi(2)'", "Q from 0 to 1"},
      {"--data=" + data + "/equal.csv --held_out=" + data + "/equal.csv --sigma=sigma_c", "--sigma=sigma_c"},
      {"--data=" + data + "/equal.csv --held_out=" + data + "/equal.csv", "--sigma must be given"},
      {"--steps=-1", "--steps"},
      {"--batch=0", "--batch"},
      {"--lr=0", "--lr"},
      {"--lr=nan", "--lr"},
      {"--lr=inf", "--lr"},
      {"--ema=1", "--ema"},
      {"--ema=-0.1", "--ema"},
      {"--clip_norm=-1", "--clip_norm"},
      {"--clip_norm=inf", "--clip_norm"},
      {"--far_fraction=0.6", "--far_fraction"},
      {"--far_fraction=some", "--far_fraction"},
      {"--measurements=0", "--measurements"},
      {"--energy=kernel_density --resume", "--resume and --minutes are for energies that are trained"},
      {"--energy=gaussian --minutes=1", "is fitted, not trained"},
      {"--data=" + data + "/large.npy --sigma=1 --held_out=2 --energy=kernel_density", "--max_items takes fewer"},
      {"--minutes=-1", "--minutes"},
      {"--minutes=nan", "--minutes"},
      {"--threads=-1", "--threads"},
      {"--size=-1", "--size"},
      {"--max_items=-1", "--max_items"},
      {"--points=-1", "--points"},
      {"--out=" + images + "/run", "Not a directory"},
      {"stray", "unexpected argument \"stray\""},
      {"--tensors", "is a flag of `neb info`"},
      {"--sigmoid=1", "sigmoid"},
      {"--steps=many", "many"},
  };
  const std::string out = NewFolder("runs") + "/out";
  for (const Case& c : cases) {
    // What comes later on a command line wins.
    const Outcome run = RunNeb("train --data=two_moons --steps=1 --threads=1 --out=" + out + " " + c.flags);
    EXPECT_EQ(run.exit_code, 1) << c.flags;
    EXPECT_THAT(run.err, HasSubstr(c.expected)) << c.flags;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << c.flags << ": " << run.err;
    EXPECT_EQ(run.out, "") << c.flags;
    EXPECT_FALSE(std::filesystem::exists(out)) << c.flags;
  }
}

TEST(TrainMistake, ARunThatDiverges) {
  const std::string out = NewFolder("runs") + "/diverged";
  const Outcome run = RunNeb("train --data=rings --points=50 --threads=1 --steps=50 --lr=1e25 --out=" + out);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("the loss became"), HasSubstr("of 50"), HasSubstr("learning rate")));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

// --- Help ---

TEST(TrainHelp, ShowsItsOwnFlagsOnly) {
  const Outcome run = RunNeb("train --help");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.err, "");
  for (const char* flag :
       {"--data=", "--held_out=", "--energy=", "--sigma=", "--steps=10000", "--minutes=", "--lr=", "--measurements=1",
        "--out=", "--seed=1", "--threads=0", "--flagfile=", "two_moons", "residual_conv"}) {
    EXPECT_THAT(run.out, HasSubstr(flag));
  }
  EXPECT_THAT(run.out, AllOf(Not(HasSubstr("--tensors")), Not(HasSubstr("--undefok"))));
  for (const char c : run.out) ASSERT_NE(c, '\t');
}

}  // namespace
}  // namespace neb
