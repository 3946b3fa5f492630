#include "neb/read_data.h"

#include <limits>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using autodiff::Tensor;

TEST(ReadDataTest, PicksTheReaderByThePath) {
  const std::string folder = NewFolder("d");
  ASSERT_TRUE(WritePng(folder + "/a.png", Image(2, 3, 1)).ok());
  const absl::StatusOr<Dataset> images = ReadData(folder);
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->item_shape, Shape({2, 3, 1}));
  Spill(folder + "/idx", std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\xFF", 18));
  const absl::StatusOr<Dataset> idx = ReadData(folder + "/idx");
  ASSERT_TRUE(idx.ok()) << idx.status();
  EXPECT_EQ(idx->x.at(1), 1.0);
  for (const std::string name : {"/p.csv", "/p.TSV", "/p.txt"}) {
    Spill(folder + name, "1\t2\n3\t4\n");
    const absl::StatusOr<Dataset> points = ReadData(folder + name);
    ASSERT_TRUE(points.ok()) << points.status();
    EXPECT_EQ(points->x.shape(), Shape({2, 2}));
    EXPECT_EQ(ReadData(folder + name, {.max_items = 1})->size(), 1);
  }
  ASSERT_TRUE(WriteNpy(folder + "/x.npy", Tensor({5, 3})).ok());
  EXPECT_EQ(ReadData(folder + "/x.npy")->item_shape, Shape({3}));
  EXPECT_EQ(ReadData(folder + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadData(folder + "/a.png").status().message(),
            folder + "/a.png: is one picture, expected the folder of many");
}

TEST(ReadDataTest, ImageOptionsAreForFolders) {
  const std::string folder = NewFolder("d");
  ASSERT_TRUE(WritePng(folder + "/a.png", Image(4, 6, 1)).ok());
  Spill(folder + "/p.csv", "1,2\n");
  const ReadOptions options = {.images = {.crop_square = true, .resize = {.height = 3, .width = 3}}};
  EXPECT_EQ(ReadData(folder, options)->item_shape, Shape({3, 3, 1}));
  EXPECT_EQ(ReadData(folder + "/p.csv", options).status().message(),
            folder + "/p.csv: is no folder: only the pictures of a folder can be cropped, resized or recoloured");
}

TEST(ReadDataTest, ArraysBecomeItems) {
  const std::string path = NewFolder("d") + "/x.npy";
  const auto item_shape = [&](const Shape& shape, DType dtype) {
    Tensor x(shape, dtype);
    for (int64_t i = 0; i < x.num_elements(); ++i) x.set(i, static_cast<double>(i));
    EXPECT_TRUE(WriteNpy(path, x).ok());
    const absl::StatusOr<Dataset> data = ReadData(path, {.max_items = 2});
    if (!data.ok()) return Shape({-1});
    EXPECT_EQ(data->x.dtype(), DType::kF32);
    EXPECT_EQ(data->name, "x.npy");
    EXPECT_EQ(data->x.shape(), Shape({2, data->item_shape.num_elements()}));
    for (int64_t i = 0; i < data->x.num_elements(); ++i) EXPECT_EQ(data->x.at(i), static_cast<double>(i));
    return data->item_shape;
  };
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    EXPECT_EQ(item_shape({3}, dtype), Shape({1}));
    EXPECT_EQ(item_shape({3, 4}, dtype), Shape({4}));
    EXPECT_EQ(item_shape({3, 4, 5}, dtype), Shape({4, 5, 1}));
    EXPECT_EQ(item_shape({3, 4, 5, 3}, dtype), Shape({4, 5, 3}));
    EXPECT_EQ(item_shape({3, 4, 5, 2}, dtype), Shape({-1}));
    EXPECT_EQ(item_shape({}, dtype), Shape({-1}));
    EXPECT_EQ(item_shape({0, 2}, dtype), Shape({-1}));
    EXPECT_EQ(item_shape({2, 2, 2, 1, 1}, dtype), Shape({-1}));
  }
}

TEST(ReadDataTest, ArraysOfWhatIsNotFiniteAreRefused) {
  const std::string path = NewFolder("d") + "/x.npy";
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity(), 1e39}) {
    Tensor x({3, 4}, DType::kF64);
    x.set(6, bad);
    ASSERT_TRUE(WriteNpy(path, x).ok());
    const std::string shown = bad == 1e39 ? "1e+39" : bad < 0 ? "-inf" : "nan";
    EXPECT_EQ(ReadData(path).status().message(),
              path + ": item 1, value 2 (both from 0): " + shown + ", expected a finite number within float32's range");
    EXPECT_TRUE(ReadData(path, {.max_items = 1}).ok());
  }
}

TEST(HeldOutSiblingTest, FindsTheFileBesideTheTrainingImages) {
  const std::string folder = NewFolder("d");
  const std::string train = folder + "/train-images-idx3-ubyte";
  const std::string test = folder + "/t10k-images-idx3-ubyte";
  EXPECT_EQ(HeldOutSibling(train), std::nullopt);
  Spill(test + ".gz", "");
  EXPECT_EQ(HeldOutSibling(train), test + ".gz");
  EXPECT_EQ(HeldOutSibling(train + ".gz"), test + ".gz");
  Spill(test, "");
  EXPECT_EQ(HeldOutSibling(train), test);
  EXPECT_EQ(HeldOutSibling(train + ".gz"), test + ".gz");
  EXPECT_EQ(HeldOutSibling(test), std::nullopt);
  EXPECT_EQ(HeldOutSibling(folder), std::nullopt);
}

TEST(LabelsSiblingTest, FindsTheLabelsOfTrainingAndTestImages) {
  const std::string folder = NewFolder("d");
  for (const std::string name : {"train", "t10k", "emnist-letters-train"}) {
    const std::string images = folder + "/" + name + "-images-idx3-ubyte";
    const std::string labels = folder + "/" + name + "-labels-idx1-ubyte";
    EXPECT_EQ(LabelsSibling(images), std::nullopt);
    Spill(labels + ".gz", "");
    EXPECT_EQ(LabelsSibling(images), labels + ".gz");
    Spill(labels, "");
    EXPECT_EQ(LabelsSibling(images), labels);
    EXPECT_EQ(LabelsSibling(images + ".gz"), labels + ".gz");
    EXPECT_EQ(LabelsSibling(labels), std::nullopt);
  }
}

}  // namespace
}  // namespace neb
