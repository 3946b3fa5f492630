// Runs the program //examples:images as a user does, on a few small images.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "autodiff/tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "neb/safetensors.h"
#include "nlohmann/json.hpp"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};
// Bazel starts tests where the workspace's files are. `arguments` go through a shell.
Outcome RunImages(const std::string& arguments, const std::string& environment = "") {
  const std::string folder = NewFolder("output");
  const std::string command =
      environment + " ./examples/images " + arguments + " >" + folder + "/out 2>" + folder + "/err </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Slurp(folder + "/out"), Slurp(folder + "/err")};
}

constexpr int kSide = 6;

// `n` images of a bright bar that moves, as an IDX file.
std::string IdxBytes(int n) {
  std::string bytes = {0, 0, 8, 3, 0, 0, 0, static_cast<char>(n), 0, 0, 0, kSide, 0, 0, 0, kSide};
  for (int i = 0; i < n; ++i) {
    for (int row = 0; row < kSide; ++row) {
      for (int column = 0; column < kSide; ++column) {
        bytes.push_back(static_cast<char>(column == i % kSide ? 255 - row * 10 : i % 7 * 5));
      }
    }
  }
  return bytes;
}

std::string IdxFile(int n = 40) {
  const std::string path = NewFolder("data") + "/pictures-idx3-ubyte";
  Spill(path, IdxBytes(n));
  return path;
}

std::set<std::string> FilesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

const std::set<std::string>& AllFiles() {
  static const auto& files = *new std::set<std::string>{"samples.png",           "denoise.png",   "loss.png",
                                                        "model.safetensors",     "settings.json", "metrics.jsonl",
                                                        "checkpoint.safetensors"};
  return files;
}

// --- Runs ---

TEST(Images, LeavesPicturesModelAndMetrics) {
  const std::string out = NewFolder("runs") + "/one";
  const Outcome run = RunImages("--images=" + IdxFile() + " --steps=5 --hidden=16 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(out), AllFiles());
  for (const char* picture : {"/samples.png", "/denoise.png", "/loss.png"}) {
    const absl::StatusOr<Image> image = ReadImage(out + picture);
    ASSERT_TRUE(image.ok()) << image.status();
    const auto [darkest, brightest] = std::minmax_element(image->pixels.begin(), image->pixels.end());
    EXPECT_LT(*darkest, 100) << picture;
    EXPECT_GT(*brightest, 200) << picture;
  }
  const json settings = json::parse(Slurp(out + "/settings.json"), nullptr, false);
  ASSERT_FALSE(settings.is_discarded());
  EXPECT_EQ(settings["sigma"], 0.3);
  EXPECT_EQ(settings["steps"], 5);
  EXPECT_EQ(settings["hidden"], json({16}));
  EXPECT_EQ(settings["item_shape"], json({kSide, kSide, 1}));
  EXPECT_EQ(settings["training_images"], 36);  // one in ten is held out
  EXPECT_EQ(settings["held_out_images"], 4);
  std::istringstream lines(Slurp(out + "/metrics.jsonl"));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    const json metrics = json::parse(line, nullptr, false);
    ASSERT_FALSE(metrics.is_discarded()) << line;
    EXPECT_EQ(metrics["step"], 5);
    EXPECT_TRUE(metrics["loss"].is_number());
    EXPECT_TRUE(metrics["held_out_loss"].is_number());
    ++count;
  }
  EXPECT_EQ(count, 1);
  const absl::StatusOr<TensorFile> model = ReadSafetensors(out + "/model.safetensors");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->metadata.at("sigma"), "0.29999999999999999");
  EXPECT_NE(model->Find("nu/0/w"), nullptr);
  // σ²d = 0.09 · 36 = 3.24 is among the results.
  EXPECT_THAT(run.out, AllOf(HasSubstr("3.240"), HasSubstr("36 training and 4 held-out images"), HasSubstr(out)));
}

TEST(Images, WithoutStepsIsTheUntrainedEnergy) {
  const std::string out = NewFolder("runs") + "/none";
  const Outcome run = RunImages("--images=" + IdxFile() + " --steps=0 --hidden=16 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::set<std::string> files = AllFiles();
  files.erase("checkpoint.safetensors");
  EXPECT_EQ(FilesIn(out), files);
  EXPECT_EQ(Slurp(out + "/metrics.jsonl"), "");
}

TEST(Images, TheModelDoesNotDependOnThreads) {
  const std::string runs = NewFolder("runs"), images = IdxFile();
  for (const std::string threads : {"1", "2", "3"}) {
    const Outcome run = RunImages("--images=" + images + " --steps=8 --hidden=150,90 --threads=" + threads +
                                  " --out=" + runs + "/" + threads);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  for (const char* file : {"/model.safetensors", "/samples.png", "/denoise.png"}) {
    const std::string one = Slurp(runs + "/1" + file);
    EXPECT_FALSE(one.empty());
    EXPECT_EQ(Slurp(runs + "/2" + file), one) << file;
    EXPECT_EQ(Slurp(runs + "/3" + file), one) << file;
  }
}

TEST(Images, ResumesWhatIsThere) {
  const std::string runs = NewFolder("runs"), flags = "--images=" + IdxFile() + " --steps=8 --hidden=16 --out=" + runs;
  ASSERT_EQ(RunImages(flags + "/whole").exit_code, 0);
  ASSERT_EQ(RunImages(flags + "/resumed --resume").exit_code, 0);  // nothing there yet
  const std::string model = Slurp(runs + "/whole/model.safetensors");
  EXPECT_EQ(Slurp(runs + "/resumed/model.safetensors"), model);
  const std::string metrics = Slurp(runs + "/resumed/metrics.jsonl"), settings = Slurp(runs + "/resumed/settings.json");
  const Outcome again = RunImages(flags + "/resumed --resume");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("goes on at step 8"));
  EXPECT_EQ(Slurp(runs + "/resumed/model.safetensors"), model);
  EXPECT_EQ(Slurp(runs + "/resumed/metrics.jsonl"), metrics);
  // Refused, it leaves all as it is.
  const Outcome refused = RunImages(flags + "/resumed --resume --batch=4");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("batch is 4, but 128 in the checkpoint"));
  EXPECT_EQ(Slurp(runs + "/resumed/metrics.jsonl"), metrics);
  EXPECT_EQ(Slurp(runs + "/resumed/settings.json"), settings);
}

TEST(Images, SigtermSavesAndEnds) {
  const std::string out = NewFolder("runs") + "/one", log = NewFolder("log") + "/err";
  const std::string command = "./examples/images --images=" + IdxFile() +
                              " --steps=1000000000 --hidden=8 --out=" + out + " 2>" + log +
                              " >/dev/null & pid=$!; while ! test -s " + out +
                              "/metrics.jsonl; do sleep 0.05; done; kill -TERM $pid; wait $pid";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 143);
  EXPECT_THAT(Slurp(log), HasSubstr("--resume"));
  const absl::StatusOr<TensorFile> checkpoint = ReadSafetensors(out + "/checkpoint.safetensors");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_GE(std::stoll(checkpoint->metadata.at("step")), 100);  // the first report
}

TEST(Images, TakesAFolderOfColourPictures) {
  const std::string pictures = NewFolder("pictures"), out = NewFolder("runs") + "/colour";
  for (int i = 0; i < 12; ++i) {
    Image image(5, 4, 3);
    for (size_t j = 0; j < image.pixels.size(); ++j)
      image.pixels[j] = static_cast<uint8_t>(i * 20 + static_cast<int>(j));
    ASSERT_TRUE(WritePng(pictures + "/" + std::to_string(i) + ".png", image).ok());
  }
  Spill(pictures + "/notes.txt", "passed over");
  const Outcome run = RunImages("--images=" + pictures + "/ --steps=3 --hidden= --batch=1000 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(out), AllFiles());
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["item_shape"], json({5, 4, 3}));
}

TEST(Images, SizeTakesPicturesOfAnySize) {
  const std::string pictures = NewFolder("pictures"), out = NewFolder("runs") + "/size";
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(WritePng(pictures + "/" + std::to_string(i) + ".png", Image(6 + i, 20 - i, i % 2 == 0 ? 1 : 3)).ok());
  }
  const Outcome run = RunImages("--images=" + pictures + " --size=5 --steps=1 --hidden=8 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["item_shape"], json({5, 5, 3}));
}

TEST(Images, TakesAnArray) {
  const std::string path = NewFolder("data") + "/x.npy", out = NewFolder("runs") + "/array";
  ASSERT_TRUE(WriteNpy(path, autodiff::Tensor({20, 4, 5})).ok());
  const Outcome run = RunImages("--images=" + path + " --steps=1 --hidden=8 --out=" + out);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(json::parse(Slurp(out + "/settings.json"))["item_shape"], json({4, 5, 1}));
}

// `bazel run` starts programs elsewhere: relative paths are those of the user's shell.
TEST(Images, RelativePathsAreTheUsers) {
  const std::string home = NewFolder("home");
  Spill(home + "/pictures", IdxBytes(40));
  const Outcome run =
      RunImages("--images=pictures --steps=1 --hidden=8 --out=runs/relative", "BUILD_WORKING_DIRECTORY=" + home);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(FilesIn(home + "/runs/relative"), AllFiles());
}

TEST(Images, TheHeldOutFileBesideTheTrainingFileIsUsed) {
  const std::string data = NewFolder("data"), out = NewFolder("runs") + "/held";
  Spill(data + "/train-images-idx3-ubyte", IdxBytes(30));
  Spill(data + "/t10k-images-idx3-ubyte", IdxBytes(7));
  const std::string flags = "--images=" + data + "/train-images-idx3-ubyte --steps=1 --hidden=8 --out=" + out;
  const Outcome run = RunImages(flags);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("30 training and 7 held-out images"));
}

// --- Mistakes: one line on standard error, a non-zero exit, and nothing left behind ---

std::string ErrorOf(const std::string& arguments) {
  const std::string out = NewFolder("runs") + "/out";
  const Outcome run = RunImages("--out=" + out + " --steps=1 --hidden=8 " + arguments);
  EXPECT_GT(run.exit_code, 0) << arguments;  // and not by a signal
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_FALSE(run.err.empty() || run.err.back() != '\n');
  EXPECT_EQ(run.out, "") << arguments;
  EXPECT_FALSE(std::filesystem::exists(out)) << arguments;
  return run.err;
}

TEST(ImagesMistake, FilesThatAreNoImages) {
  const std::string data = NewFolder("broken"), good = IdxBytes(40);
  EXPECT_THAT(ErrorOf("--images=" + data + "/none"), AllOf(HasSubstr(data + "/none"), HasSubstr("No such file")));
  Spill(data + "/short", good.substr(0, good.size() - 5));
  EXPECT_THAT(ErrorOf("--images=" + data + "/short"), HasSubstr(data + "/short"));
  Spill(data + "/magic", "\x01" + good.substr(1));
  EXPECT_THAT(ErrorOf("--images=" + data + "/magic"), AllOf(HasSubstr(data + "/magic"), HasSubstr("magic")));
  Spill(data + "/empty", "");
  EXPECT_THAT(ErrorOf("--images=" + data + "/empty"), HasSubstr(data + "/empty"));
  Spill(data + "/one", IdxBytes(1));
  EXPECT_FALSE(ErrorOf("--images=" + data + "/one").empty());  // nothing could be held out
}

TEST(ImagesMistake, FoldersThatDoNotFit) {
  const std::string data = NewFolder("folder");
  ErrorOf("--images=" + data);  // no images
  ASSERT_TRUE(WritePng(data + "/a.png", Image(4, 4, 1)).ok());
  ASSERT_TRUE(WritePng(data + "/b.png", Image(4, 5, 1)).ok());
  EXPECT_THAT(ErrorOf("--images=" + data), HasSubstr("b.png"));
  Spill(data + "/b.png", "not a picture");
  EXPECT_THAT(ErrorOf("--images=" + data), HasSubstr("b.png"));
}

TEST(ImagesMistake, DataThatAreNoImages) {
  const std::string points = NewFolder("data") + "/points.csv";
  Spill(points, "1,2\n3,4\n");
  EXPECT_THAT(ErrorOf("--images=" + points), HasSubstr("items of shape [2], expected images"));
  EXPECT_THAT(ErrorOf("--images=" + points + " --size=4"), HasSubstr("is no folder"));
}

TEST(ImagesMistake, HeldOutImagesOfAnotherSize) {
  const std::string data = NewFolder("data");
  Spill(data + "/train-images-idx3-ubyte", IdxBytes(30));
  std::string other = IdxBytes(9);
  std::swap(other[7], other[11]);  // 6 images of 9 x 6
  Spill(data + "/t10k-images-idx3-ubyte", other);
  EXPECT_THAT(ErrorOf("--images=" + data + "/train-images-idx3-ubyte"),
              AllOf(HasSubstr("[9, 6, 1]"), HasSubstr("[6, 6, 1]")));
}

TEST(ImagesMistake, FlagsOutOfRange) {
  const std::string images = "--images=" + IdxFile() + " ";
  for (const char* flag :
       {"--sigma=0", "--sigma=-1", "--sigma=nan", "--sigma=inf", "--steps=-1", "--batch=0", "--lr=0", "--lr=-1",
        "--lr=nan", "--lr=inf", "--threads=-1", "--size=-1", "--hidden=8,0", "--hidden=8,x"}) {
    const std::string name = std::string(flag).substr(0, std::string(flag).find('='));
    EXPECT_THAT(ErrorOf(images + flag), HasSubstr(name)) << flag;
  }
}

TEST(ImagesMistake, FlagsThatDoNotExist) {
  const std::string images = "--images=" + IdxFile() + " ";
  EXPECT_THAT(ErrorOf(images + "--sigmoid=1"), HasSubstr("sigmoid"));
  EXPECT_THAT(ErrorOf(images + "--steps=many"), HasSubstr("many"));
  EXPECT_THAT(ErrorOf(images + "stray"), HasSubstr("stray"));
}

TEST(ImagesMistake, OutputThatCannotBeWritten) {
  const std::string images = IdxFile();
  for (const std::string& out : {images, images + "/runs/1"}) {
    EXPECT_THAT(ErrorOf("--images=" + images + " --out=" + out), AllOf(HasSubstr(out), HasSubstr("Not a directory")));
  }
  EXPECT_EQ(Slurp(images), IdxBytes(40));
}

// The run itself fails: it says at which step and why.
TEST(ImagesMistake, ARunThatDiverges) {
  const std::string out = NewFolder("runs") + "/diverged";
  const Outcome run = RunImages("--images=" + IdxFile() + " --steps=50 --hidden=16 --lr=1e25 --out=" + out);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("the loss became"), HasSubstr("of 50"), HasSubstr("learning rate")));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

}  // namespace
}  // namespace neb
