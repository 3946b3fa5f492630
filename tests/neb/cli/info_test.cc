// Runs `neb info` as a user does.
#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/safetensors.h"
#include "neb/version.h"
#include "tests/neb/cli/run_neb.h"

namespace neb {
namespace {

using autodiff::Tensor;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Info, OfARun) {
  const std::string out = NewFolder("runs") + "/rings";
  ASSERT_EQ(RunNeb(R"(train --data=rings --points=30 --sigma=0.3 --steps=2 --batch=8 --threads=1 --seed=7 )"
                   R"(--energy='{"form": "mlp", "hidden": [5]}' --out=)" +
                   out)
                .exit_code,
            0);
  const Outcome folder = RunNeb("info " + out), file = RunNeb("info " + out + "/model.safetensors --tensors");
  ASSERT_EQ(folder.exit_code, 0) << folder.err;
  ASSERT_EQ(file.exit_code, 0) << file.err;
  for (const std::string& card : {folder.out, file.out}) {
    EXPECT_THAT(card, AllOf(HasSubstr(R"({"form":"mlp","hidden":[5],"activation":"silu"})"), HasSubstr("[2]"),
                            HasSubstr("0.3\n"), HasSubstr("rings, 30 items to train on"), HasSubstr("2 steps"),
                            HasSubstr("batches of 8"), HasSubstr("seed 7"), HasSubstr("mean of 30 items"),
                            HasSubstr(std::string("neb ") + kVersion)));
    // (2 + 1) 5 + (5 + 1) 1 weights; mean [2], stddev, radius.
    EXPECT_THAT(card, HasSubstr("21 trained, 4 fixed"));
  }
  EXPECT_THAT(folder.out, Not(HasSubstr("f32[2, 5]")));
  EXPECT_THAT(file.out, AllOf(HasSubstr("f32[2, 5]"), HasSubstr("25 numbers")));
}

TEST(Info, OfAFileThatIsNoModelListsItsTensors) {
  const std::string path = NewFolder("files") + "/other.safetensors";
  ASSERT_TRUE(WriteSafetensors(path, {.tensors = {{"weights", Tensor({3, 4})}}, .metadata = {{"by", "others"}}}).ok());
  const Outcome run = RunNeb("info " + path);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("no model of neb's"), HasSubstr("weights"), HasSubstr("f32[3, 4]"),
                             HasSubstr("others"), HasSubstr("12 numbers")));
}

// A file that says it is a model, but is not.
TEST(Info, OfAModelThatDoesNotLoadIsAnError) {
  const std::string path = NewFolder("files") + "/half.safetensors";
  ASSERT_TRUE(WriteSafetensors(path, {.tensors = {{"mean", Tensor({2})}},
                                      .metadata = {{"energy", R"({"form":"mlp"})"},
                                                   {"sigma", "0.5"},
                                                   {"item_shape", "2"},
                                                   {"seed", "0"},
                                                   {"fixed", "mean"}}})
                  .ok());
  const Outcome run = RunNeb("info " + path);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.out, HasSubstr("0.5"));
  EXPECT_THAT(run.err, AllOf(HasSubstr(path), HasSubstr("there is no parameter")));
}

TEST(InfoMistake, OneLineEach) {
  const std::string folder = NewFolder("empty");
  Spill(folder + "/text", "no tensors here");
  struct Case {
    std::string arguments, expected;
  };
  for (const Case& c :
       {Case{"", "expected one model, got 0"}, Case{"a b", "expected one model, got 2"},
        Case{folder, "has no model.safetensors"}, Case{folder + "/none", "none"}, Case{folder + "/text", "text"},
        Case{"--steps=3 " + folder, "is a flag of `neb train`"}, Case{"--out=x " + folder, "--out"}}) {
    const Outcome run = RunNeb("info " + c.arguments);
    EXPECT_EQ(run.exit_code, 1) << c.arguments;
    EXPECT_THAT(run.err, HasSubstr(c.expected)) << c.arguments;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(run.out, "") << c.arguments;
  }
}

TEST(Command, HelpAndUnknownCommands) {
  for (const char* arguments : {"", "--help", "help"}) {
    const Outcome run = RunNeb(arguments);
    EXPECT_EQ(run.exit_code, 0) << arguments;
    EXPECT_THAT(run.out, AllOf(HasSubstr("neb train"), HasSubstr("neb info"))) << arguments;
  }
  const Outcome info = RunNeb("info --help");
  EXPECT_EQ(info.exit_code, 0);
  EXPECT_THAT(info.out, AllOf(HasSubstr("--tensors"), Not(HasSubstr("--steps"))));
  const Outcome unknown = RunNeb("trian");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("\"trian\""), HasSubstr("neb --help")));
}

}  // namespace
}  // namespace neb
