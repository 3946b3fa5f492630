// What `neb sample`, `denoise`, `recall` and `spheres` say to input that is not as they need it: one line on standard
// error that says what to do, exit code 1, and no output folder.
#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/cli/data_source.h"
#include "neb/image.h"
#include "tests/neb/cli/run_neb.h"
#include "tests/neb/cli/tiny_model.h"

namespace neb {
namespace {

using testing::HasSubstr;

TEST(CommandMistakes, AreOneLineThatSaysWhatToDo) {
  const std::string folder = NewFolder("files"), model = folder + "/model.safetensors ";
  WriteBowl(folder + "/model.safetensors", {6, 5, 1}, 0.3, {});
  WriteBowl(folder + "/lost.safetensors", {6, 5, 1}, 0.3, {{"data", ToJson(DataSource{.data = folder + "/gone.npy"})}});
  WriteJointBowl(folder + "/many.safetensors", {6, 5, 1}, /*measurements=*/2, 0.3, {});
  WriteBowl(folder + "/plane.safetensors", {2}, 0.3, {});
  WriteImages(folder + "/images.npy", 8);
  // Enough to hold out a tenth of them.
  Spill(folder + "/points.csv", "1,2\n3,4\n5,6\n7,8\n9,9\n8,1\n");
  Spill(folder + "/equal.csv", "1,2\n1,2\n");
  Spill(folder + "/broken.safetensors", "no model");
  Spill(folder + "/broken.png", "no picture");
  ASSERT_TRUE(WritePng(folder + "/large.png", Image(7, 9, 1)).ok());
  const std::string images = folder + "/images.npy ", data = "--data=" + images;
  const struct {
    std::string command, says;
  } cases[] = {
      {"sample", "expected one model, as `neb sample runs/mnist`"},
      {"sample " + folder + "/none", "`neb train` makes a model"},
      {"sample " + folder + "/broken.safetensors", "broken.safetensors"},
      {"recall " + folder + "/many.safetensors", "a model of 2 measurements"},
      {"sample " + model + "--sampler=hmc", "half-denoising"},
      {"sample " + model + "--iterations=5", "--iterations must be at least --jump_every, 20"},
      {"sample " + model + "--jump_every=0", "--jump_every must be at least 1"},
      {"sample " + model + "--keep_every=0", "--keep_every must be at least 1"},
      {"sample " + model + "--chains=-1", "--chains must be at least 0"},
      {"sample " + model + "--step_size=-1", "--step_size must be positive"},
      {"sample " + model + "--friction=nan", "--friction must be positive"},
      {"sample " + model + "--threads=-1", "--threads must be"},
      {"sample " + model + "--start=data", "give --data"},
      {"sample " + model + "--start=nowhere", "--start (noise, data or a file)"},
      {"sample " + model + "--start=" + folder + "/points.csv", "points of shape [2], but the model's are [6, 5, 1]"},
      {"sample " + model + "--chains=3 --start=" + images, "leave --chains out"},
      {"sample " + model + "--start=data --chains=99 " + data, "99 chains, but only 7 training samples"},
      {"sample " + model + "--data=" + folder + "/points.csv", "items of shape [2], but the model's are [6, 5, 1]"},
      {"sample " + folder + "/lost.safetensors --start=data", "gone.npy"},
      {"sample " + model + "--within=1", "--within is a flag of `neb recall`"},
      {"denoise " + model, "expected a model and what to denoise"},
      {"denoise " + model + folder + "/large.png", "[7, 9, 1], but the model's are [6, 5, 1]; --resize"},
      {"denoise " + model + folder + "/broken.png", "broken.png"},
      {"denoise " + model + folder + "/none.png", "none.png"},
      {"denoise " + model + folder + "/points.csv", "[2], but the model's are [6, 5, 1]"},
      {"denoise " + folder + "/plane.safetensors " + folder + "/large.png", "but the model's are [2]"},
      {"recall", "expected one model, as `neb recall runs/mnist`"},
      {"recall " + model, "give --data"},
      {"recall " + folder + "/lost.safetensors", "gone.npy"},
      {"recall " + model + data + "--stored=0", "--stored must be at least 1"},
      {"recall " + model + data + "--stored=1", "give --within"},
      {"recall " + model + data + "--noise=-1", "--noise takes multiples of σ, >= 0"},
      {"recall " + model + data + "--noise=one", "--noise takes numbers"},
      {"recall " + model + data + "--noise=", "give --noise or --occlude"},
      {"recall " + model + data + "--occlude=middle", "left, right, top, bottom and half"},
      {"recall " + folder + "/plane.safetensors --occlude=top --data=" + folder + "/points.csv --held_out=1 --within=1",
       "have only half"},
      {"recall " + model + data + "--within=-1", "--within must be a distance"},
      {"recall " + model + data + "--stability=-1", "--stability must be at least 0"},
      {"spheres", "expected the path of one data set"},
      {"spheres " + folder + "/none.csv", "none.csv"},
      {"spheres " + folder + "/equal.csv", "all samples are equal"},
      {"spheres " + images + "--most=1", "--most must be at least 2"},
      {"spheres " + images + "--overlap_at=0", "--overlap_at must be positive numbers"},
  };
  for (const auto& c : cases) {
    const std::string out = folder + "/out";
    const Outcome run = RunNeb(c.command + " --out=" + out);
    EXPECT_EQ(run.exit_code, 1) << c.command << "\n" << run.out << run.err;
    EXPECT_THAT(run.err, HasSubstr(c.says)) << c.command;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(run.out, "") << c.command;
    EXPECT_FALSE(std::filesystem::exists(out)) << c.command;
  }
}

// Judging is a bonus: a model whose data is gone still walks.
TEST(CommandMistakes, DataThatIsGoneIsSaidAndNoMore) {
  const std::string folder = NewFolder("files");
  WriteBowl(folder + "/model.safetensors", {6, 5, 1}, 0.3,
            {{"data", ToJson(DataSource{.data = folder + "/gone.npy"})}});
  const Outcome run = RunNeb("sample " + folder + " --chains=2 --burn_in=0 --iterations=20 --out=" + folder + "/out");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Not judged: " + folder + "/gone.npy"));
}

}  // namespace
}  // namespace neb
