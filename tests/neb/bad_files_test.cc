// Every reader of files against paths that lead to no file of its kind, and small files that claim to be large ones.
// What is particular to a format is in the test of its reader.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/csv.h"
#include "neb/energy_spec.h"
#include "neb/idx.h"
#include "neb/image.h"
#include "neb/npy.h"
#include "neb/read_data.h"
#include "neb/safetensors.h"
#include "tests/autodiff/count_allocations.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Reader {
  const char* name;
  absl::Status (*read)(const std::string& path);
};

const Reader kReaders[] = {
    {"safetensors", [](const std::string& path) { return ReadSafetensors(path).status(); }},
    {"model", [](const std::string& path) { return LoadModel(path).status(); }},
    {"npy", [](const std::string& path) { return ReadNpy(path).status(); }},
    {"idx", [](const std::string& path) { return ReadIdx(path).status(); }},
    {"idx labels", [](const std::string& path) { return ReadIdxLabels(path).status(); }},
    {"csv", [](const std::string& path) { return ReadCsv(path).status(); }},
    {"image", [](const std::string& path) { return ReadImage(path).status(); }},
};

// The file is named first, in one line.
void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& path) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith(path + ": "));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
}

TEST(BadFilesTest, PathsThatLeadToNoFile) {
  const std::string folder = NewFolder("d");
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder + "/loop");
  std::filesystem::create_symlink("nowhere", folder + "/dangling");
  std::filesystem::create_directory(folder + "/folder");
  Spill(folder + "/file", "");
  Spill(folder + "/unreadable", "");
  ASSERT_EQ(chmod((folder + "/unreadable").c_str(), 0), 0);
  struct Case {
    std::string path;
    absl::StatusCode code;
    const char* reason;
  };
  std::vector<Case> cases = {
      {folder + "/missing", absl::StatusCode::kNotFound, "cannot open: No such file or directory"},
      {folder + "/dangling", absl::StatusCode::kNotFound, "cannot open: No such file or directory"},
      {folder + "/folder", absl::StatusCode::kInvalidArgument, "is a directory, expected a"},
      {folder + "/loop", absl::StatusCode::kUnknown, "cannot open: Too many levels of symbolic links"},
      {folder + "/file/x", absl::StatusCode::kUnknown, "cannot open: Not a directory"},
      {folder + "/" + std::string(300, 'x'), absl::StatusCode::kUnknown, "cannot open: File name too long"},
      // Nobody writes to the pipe, and the device has no end: neither is waited for.
      {folder + "/pipe", absl::StatusCode::kInvalidArgument, "is no regular file, expected a"},
      {"/dev/zero", absl::StatusCode::kInvalidArgument, "is no regular file, expected a"},
  };
  if (geteuid() != 0) {  // root reads everything
    cases.push_back({folder + "/unreadable", absl::StatusCode::kUnknown, "cannot open: Permission denied"});
  }
  for (const Reader& reader : kReaders) {
    for (const Case& c : cases) {
      SCOPED_TRACE(absl::StrCat(reader.name, " ", c.path));
      const absl::Status status = reader.read(c.path);
      ExpectError(status, c.code, c.path);
      EXPECT_THAT(std::string(status.message()), HasSubstr(c.reason));
    }
  }
}

TEST(BadFilesTest, EmptyFilesAndFilesOfAnotherKind) {
  const std::string folder = NewFolder("d");
  Spill(folder + "/empty", "");
  Spill(folder + "/zeros", std::string(10000, '\0'));
  Spill(folder + "/ones", std::string(10000, '\xFF'));
  Spill(folder + "/text", "To be, or not to be,\nthat is the question:\n1,2\n");
  for (const Reader& reader : kReaders) {
    for (const char* name : {"/empty", "/zeros", "/ones", "/text"}) {
      SCOPED_TRACE(absl::StrCat(reader.name, name));
      const absl::Status status = reader.read(folder + name);
      ExpectError(status, absl::StatusCode::kInvalidArgument, folder + name);
      EXPECT_THAT(std::string(status.message()), HasSubstr("expected"));
    }
  }
}

// In a folder, a picture that is no file is an error, not passed over: a data set without it would be another.
TEST(BadFilesTest, PicturesOfAFolderThatAreNoFiles) {
  const std::string folder = NewFolder("faces");
  ASSERT_TRUE(WritePng(folder + "/a.png", Image(2, 2, 1)).ok());
  const std::string path = folder + "/b.png";
  std::filesystem::create_symlink("b.png", path);
  ExpectError(ReadData(folder).status(), absl::StatusCode::kUnknown, path);
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  ExpectError(ReadData(folder).status(), absl::StatusCode::kInvalidArgument, path);
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/zero", path);
  ExpectError(ReadData(folder).status(), absl::StatusCode::kInvalidArgument, path);
  std::filesystem::remove(path);
  // A folder that contains itself is not descended into.
  std::filesystem::create_directory_symlink(".", path);
  EXPECT_TRUE(ReadData(folder).ok());
  // A folder that is a loop.
  std::filesystem::create_symlink("loop", folder + "/loop");
  ExpectError(ReadData(folder + "/loop").status(), absl::StatusCode::kUnknown, folder + "/loop");
  ExpectError(ReadImageFolder(folder + "/loop").status(), absl::StatusCode::kUnknown, folder + "/loop");
}

// --- Memory ---

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift & 0xFF));
  return bytes;
}

// The bytes that reading `bytes` as a file asks the allocator for, all together. It must be an error.
int64_t BytesAllocatedBy(const Reader& reader, const std::string& bytes) {
  const std::string path = NewFolder("d") + "/f";
  Spill(path, bytes);
  const int64_t before = autodiff::allocated_bytes;
  const absl::Status status = reader.read(path);
  const int64_t used = autodiff::allocated_bytes - before;
  ExpectError(status, absl::StatusCode::kInvalidArgument, path);
  return used;
}

const Reader& ReaderOf(const std::string& name) {
  return *std::find_if(std::begin(kReaders), std::end(kReaders), [&](const Reader& r) { return r.name == name; });
}

// A thousandth of what the smallest of these headers claims.
constexpr int64_t kFewBytes = int64_t{1} << 18;

TEST(BadFilesTest, WhatAHeaderClaimsCostsNoMemory) {
  if (!autodiff::kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  std::string npy = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 784), }";
  npy.resize(117, ' ');
  EXPECT_LT(BytesAllocatedBy(ReaderOf("npy"), std::string("\x93NUMPY\x01\0\x76\0", 10) + npy + "\n" + "12345678"),
            kFewBytes);

  const std::string safetensors = R"({"w":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}})";
  EXPECT_LT(BytesAllocatedBy(ReaderOf("safetensors"), std::string(1, static_cast<char>(safetensors.size())) +
                                                          std::string(7, '\0') + safetensors),
            kFewBytes);
  // A header of 100 MB in a file of ten bytes.
  EXPECT_LT(BytesAllocatedBy(ReaderOf("safetensors"), std::string("\x00\xe1\xf5\x05\0\0\0\0{}", 10)), kFewBytes);

  EXPECT_LT(BytesAllocatedBy(ReaderOf("idx"),
                             BigEndian(0x803) + BigEndian(4000000000u) + BigEndian(28) + BigEndian(28) + "1234"),
            kFewBytes);
  EXPECT_LT(BytesAllocatedBy(ReaderOf("idx labels"), BigEndian(0x801) + BigEndian(4000000000u) + "1234"), kFewBytes);

  // A PNG of 16384 x 16384 whose pixels are nine bytes, and a JPEG of that size without any.
  EXPECT_LT(BytesAllocatedBy(ReaderOf("image"), Slurp("tests/fuzz/corpus/image/huge.png")), kFewBytes);
  EXPECT_LT(BytesAllocatedBy(ReaderOf("image"), Slurp("tests/fuzz/corpus/image/huge.jpg")), kFewBytes);
}

// A model's file says which energy it holds, and that may be of any size.
TEST(BadFilesTest, ParametersThatAreNotInTheFileCostNoMemory) {
  if (!autodiff::kAllocationsAreCounted) GTEST_SKIP() << "the allocator is a sanitizer's";
  const std::string path = NewFolder("d") + "/f";
  for (const char* energy : {R"({"form": "mlp", "hidden": [1000000, 1000000]})",
                             R"({"form": "residual_mlp", "hidden": [4611686018427387904]})",
                             R"({"form": "product_of_experts", "experts": 1000000000})"}) {
    ASSERT_TRUE(WriteSafetensors(path, {.tensors = {{"mean", autodiff::Tensor({2})},
                                                    {"stddev", autodiff::Tensor::Full({}, 1)},
                                                    {"radius", autodiff::Tensor::Full({}, 1)}},
                                        .metadata = {{"energy", energy},
                                                     {"item_shape", "2"},
                                                     {"sigma", "0.5"},
                                                     {"seed", "0"},
                                                     {"fixed", "mean,stddev,radius"}}})
                    .ok());
    const int64_t before = autodiff::allocated_bytes;
    const absl::Status status = LoadModel(path).status();
    EXPECT_LT(autodiff::allocated_bytes - before, kFewBytes);
    ExpectError(status, absl::StatusCode::kInvalidArgument, path);
    EXPECT_THAT(std::string(status.message()), HasSubstr("there is no parameter"));
  }
}

}  // namespace
}  // namespace neb
