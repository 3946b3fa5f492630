#include "neb/cli/data_source.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/npy.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::Shape;
using autodiff::Tensor;
using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOf(const DataSource& source) {
  const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(source);
  return data.ok() ? "" : std::string(data.status().message());
}

// n points on a line, 0 .. n - 1.
std::string NpyFile(const std::string& folder, const std::string& name, int64_t n, int64_t d = 1) {
  Tensor x({n, d});
  for (int64_t i = 0; i < n * d; ++i) x.set(i, static_cast<double>(i));
  EXPECT_TRUE(WriteNpy(folder + "/" + name, x).ok());
  return folder + "/" + name;
}

TEST(DataSource, JsonHoldsEveryField) {
  const DataSource source{.data = "a \"b\"/c.npy",
                          .held_out = "0.2",
                          .size = 32,
                          .max_items = 100,
                          .points = 50,
                          .seed = 18446744073709551615u};
  const absl::StatusOr<DataSource> read = ParseDataSource(ToJson(source));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->data, source.data);
  EXPECT_EQ(read->held_out, source.held_out);
  EXPECT_EQ(read->size, source.size);
  EXPECT_EQ(read->max_items, source.max_items);
  EXPECT_EQ(read->points, source.points);
  EXPECT_EQ(read->seed, source.seed);
}

TEST(DataSource, OtherJsonIsRefused) {
  for (const char* json : {"", "{", "[]", "{}", "3", R"({"data": 3})", R"({"data": "x", "size": "32"})"}) {
    EXPECT_THAT(std::string(ParseDataSource(json).status().message()), HasSubstr(json)) << json;
  }
}

TEST(DataSource, ShortNames) {
  struct Case {
    const char *data, *name;
  };
  for (const Case& c : {Case{"two_moons", "two_moons"}, Case{kFashionMnist, "fashion-mnist"},
                        Case{"/data/mnist/train-images-idx3-ubyte", "mnist"}, Case{"photos/", "photos"},
                        Case{"/a/photos", "photos"}, Case{"points.csv", "points"}, Case{"x/y.tar.gz", "y"},
                        Case{"x/../y.npy", "y"}, Case{"/", "data"}, Case{"", "data"}}) {
    EXPECT_EQ(ShortName({.data = c.data}), c.name) << c.data;
  }
}

TEST(ReadTrainHeldOut, SyntheticSetsHoldOutFreshPoints) {
  const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut({.data = "rings", .points = 40, .seed = 3});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->train.x.shape(), Shape({40, 2}));
  EXPECT_EQ(data->held_out.x.shape(), Shape({40, 2}));
  // Every held-out point is new.
  for (int64_t i = 0; i < 40; ++i) {
    for (int64_t j = 0; j < 40; ++j) EXPECT_NE(data->train.x.at(2 * i), data->held_out.x.at(2 * j));
  }
  // The training points are what a reader of the source alone finds.
  const absl::StatusOr<Dataset> again = ReadSource({.data = "rings", .points = 40, .seed = 3});
  EXPECT_TRUE(std::ranges::equal(again->x.data<float>(), data->train.x.data<float>()));
}

TEST(ReadTrainHeldOut, FractionsNumbersAndPaths) {
  const std::string folder = NewFolder("data");
  const std::string all = NpyFile(folder, "all.npy", 50), other = NpyFile(folder, "other.npy", 7);
  struct Case {
    DataSource source;
    int64_t train, held_out;
  };
  for (const Case& c : {Case{{.data = all}, 45, 5}, Case{{.data = all, .held_out = "0.2"}, 40, 10},
                        Case{{.data = all, .held_out = "3"}, 47, 3}, Case{{.data = all, .held_out = other}, 50, 7},
                        Case{{.data = all, .held_out = other, .max_items = 20}, 20, 7},
                        Case{{.data = "rings", .held_out = "0.5", .points = 20}, 10, 10}}) {
    const absl::StatusOr<TrainHeldOut> data = ReadTrainHeldOut(c.source);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(data->train.size(), c.train) << ToJson(c.source);
    EXPECT_EQ(data->held_out.size(), c.held_out) << ToJson(c.source);
  }
}

TEST(ReadTrainHeldOut, Mistakes) {
  const std::string folder = NewFolder("data");
  const std::string points = NpyFile(folder, "points.npy", 9), plane = NpyFile(folder, "plane.npy", 9, 2);
  EXPECT_THAT(ErrorOf({.data = "two_mons"}), AllOf(HasSubstr("\"two_mons\""), HasSubstr("two_moons, rings")));
  EXPECT_THAT(ErrorOf({.data = folder + "/none.npy"}), HasSubstr("none.npy"));
  EXPECT_THAT(ErrorOf({.data = points, .held_out = plane}), AllOf(HasSubstr("[2]"), HasSubstr("[1]")));
  EXPECT_THAT(ErrorOf({.data = points, .held_out = "1.5"}), HasSubstr("1.5"));
  EXPECT_THAT(ErrorOf({.data = points, .held_out = "9"}), HasSubstr("9"));
  EXPECT_THAT(ErrorOf({.data = points, .size = 4}), HasSubstr("no folder"));
  EXPECT_THAT(ErrorOf({.data = points, .points = 4}), HasSubstr("synthetic"));
  EXPECT_THAT(ErrorOf({.data = "rings", .size = 4}), HasSubstr("synthetic"));
  EXPECT_THAT(ErrorOf({.data = "rings", .max_items = 4}), HasSubstr("points"));
  EXPECT_THAT(ErrorOf({.data = "rings", .points = -4}), HasSubstr("-4"));
}

}  // namespace
}  // namespace neb
