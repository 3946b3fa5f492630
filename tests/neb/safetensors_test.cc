#include "neb/safetensors.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using autodiff::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A path in a folder of this test's own.
  std::string Path(const std::string& name = "file.safetensors") const { return (folder_ / name).string(); }
  // The names in that folder.
  std::vector<std::string> Folder() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }
  std::string Write(const std::string& bytes) const {
    std::filesystem::remove(Path());  // some file systems flush a file that is cut and written again: slow
    std::ofstream(Path(), std::ios::binary) << bytes;
    return Path();
  }

 private:
  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) /
      absl::StrCat("safetensors_", getpid(), "_", ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A file of that header and that many zero bytes of data.
std::string FileOf(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\0');
}

// The bytes of `a` and `b` as written by safetensors 0.8.0 for Python:
//   save({"b": np.array([[-2.5, -1.5, -0.5], [0.5, 1.5, 2.5]], np.float32), "weights/a": np.array([0.1, np.pi]),
//         "s": np.array(7, np.float32), "e": np.zeros((0, 3), np.float32)}, {"format": "np"})
const std::string& PythonFile() {
  static const auto* const file = new std::string(absl::StrCat(
      std::string("\x08\x01\0\0\0\0\0\0", 8), R"({"__metadata__":{"format":"np"},)",
      R"("weights/a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},)",
      R"("b":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)",
      R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[40,40]},)",
      R"("s":{"dtype":"F32","shape":[],"data_offsets":[40,44]}}  )",
      std::string("\x9a\x99\x99\x99\x99\x99\xb9\x3f\x18\x2d\x44\x54\xfb\x21\x09\x40", 16),
      std::string("\x00\x00\x20\xc0\x00\x00\xc0\xbf\x00\x00\x00\xbf\x00\x00\x00\x3f\x00\x00\xc0\x3f\x00\x00\x20\x40",
                  24),
      std::string("\x00\x00\xe0\x40", 4)));
  return *file;
}

TensorFile PythonContents() {
  return {.tensors = {{"weights/a", Tensor::From<double>({2}, {0.1, 3.141592653589793})},
                      {"b", Tensor::From<float>({2, 3}, {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f})},
                      {"e", Tensor({0, 3})},
                      {"s", Tensor::Full(Shape(), 7)}},
          .metadata = {{"format", "np"}}};
}

void ExpectEqual(const TensorFile& a, const TensorFile& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const auto& [name, tensor] = a.tensors[i];
    EXPECT_EQ(name, b.tensors[i].first);
    EXPECT_EQ(tensor.shape(), b.tensors[i].second.shape()) << name;
    ASSERT_EQ(tensor.dtype(), b.tensors[i].second.dtype()) << name;
    EXPECT_EQ(std::memcmp(tensor.bytes(), b.tensors[i].second.bytes(), static_cast<size_t>(tensor.num_bytes())), 0)
        << name;
  }
}

TEST_F(SafetensorsTest, ReadsWhatPythonWrote) {
  const absl::StatusOr<TensorFile> file = ReadSafetensors(Write(PythonFile()));
  ASSERT_TRUE(file.ok()) << file.status();
  ExpectEqual(*file, PythonContents());
  ASSERT_NE(file->Find("s"), nullptr);
  EXPECT_EQ(file->Find("s")->at(0), 7);
  EXPECT_EQ(file->Find("t"), nullptr);
}

TEST_F(SafetensorsTest, WritesTheBytesThatPythonWrites) {
  const absl::Status status = WriteSafetensors(Path(), PythonContents());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ReadBytes(Path()), PythonFile());
  EXPECT_THAT(Folder(), ElementsAre("file.safetensors"));
}

TEST_F(SafetensorsTest, RoundTrip) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const TensorFile files[] = {
      {},
      {.tensors = {}, .metadata = {{"note", "line 1\nline 2 \"quoted\" \\ \t \u03c6 = -log p"}, {"", ""}}},
      // f64 after f32, adjacent empty arrays, names that need escapes.
      {.tensors = {{"z", Tensor::From<float>({5}, {inf, -inf, nan, -0.0f, 1e-45f})},
                   {"a", Tensor::From<double>({1, 1, 1}, {1e308})},
                   {"empty2", Tensor({2, 0, 3}, DType::kF64)},
                   {"empty1", Tensor({0})},
                   {"\u03c6/\"\n\\", Tensor({3, 4, 5})},
                   {"", Tensor(Shape(), DType::kF64)}},
       .metadata = {}},
  };
  for (const TensorFile& written : files) {
    const absl::Status status = WriteSafetensors(Path(), written);
    ASSERT_TRUE(status.ok()) << status;
    const absl::StatusOr<TensorFile> read = ReadSafetensors(Path());
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectEqual(*read, written);
  }
}

// Every array starts at a multiple of its element size, also counted from the start of the file.
TEST_F(SafetensorsTest, DataIsAligned) {
  ASSERT_TRUE(WriteSafetensors(
                  Path(), {.tensors = {{"f", Tensor({1})}, {"d", Tensor::Full({1}, 1, DType::kF64)}}, .metadata = {}})
                  .ok());
  const std::string bytes = ReadBytes(Path());
  const size_t one = bytes.find(std::string("\0\0\0\0\0\0\xf0\x3f", 8));
  ASSERT_NE(one, std::string::npos);
  EXPECT_EQ(one % 8, 0u);
}

TEST_F(SafetensorsTest, TruncationAnywhereIsAnError) {
  for (size_t size = 0; size < PythonFile().size(); ++size) {
    const absl::Status status = ReadSafetensors(Write(PythonFile().substr(0, size))).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(status.message()), StartsWith(Path() + ": offset "));
  }
}

// Any single byte of the length or the header changed: an error or other contents, but never a crash.
TEST_F(SafetensorsTest, ChangedBytesAreHandled) {
  const size_t data_begin = 8 + 0x108;
  for (size_t i = 0; i < data_begin; ++i) {
    for (const char value : {'\0', ' ', '"', ',', '0', '9', '{', '}', 'x', '\x80', '\xff'}) {
      std::string bytes = PythonFile();
      bytes[i] = value;
      const absl::StatusOr<TensorFile> file = ReadSafetensors(Write(bytes));
      if (file.ok()) continue;
      EXPECT_THAT(std::string(file.status().message()), Not(HasSubstr("\n")));
    }
  }
}

struct Corruption {
  std::string bytes;
  std::string message;
};

TEST_F(SafetensorsTest, CorruptionIsNamed) {
  const auto tensor = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return absl::StrCat("{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets, "}");
  };
  std::string many_extents = "[1";
  for (int i = 0; i < 100; ++i) many_extents += ",1";
  many_extents += "]";
  const std::string two = tensor("F32", "[2]", "[0,8]");
  const Corruption cases[] = {
      {"", "offset 0: file of 0 bytes, expected an 8-byte header length"},
      {std::string("\x03\0\0\0\0\0\0\0{}", 10), "offset 0: header length 3, but only 2 bytes follow"},
      {std::string(8, '\xff') + "{}", "offset 0: header length 18446744073709551615, expected at most 100000000"},
      {std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10), "header length 100000001, expected at most 100000000"},
      {FileOf("", 0), "offset 8: expected '{'"},
      {FileOf(" {}", 0), "offset 8: expected '{'"},
      {FileOf("[]", 0), "offset 8: expected '{'"},
      {FileOf(std::string("{}\0", 3), 0), "offset 10: zero byte"},
      {FileOf("{\"a\":", 0), "offset 14: expected a header of valid JSON"},
      {FileOf("{\"a\" 1}", 0), "offset 14: expected a header of valid JSON"},
      {FileOf("{} {}", 0), "valid JSON"},
      {FileOf("{\"\xff\":1}", 0), "valid JSON and UTF-8"},
      {FileOf("{\"w\":1}", 0), "tensor \"w\": expected an object"},
      {FileOf("{\"w\":{}}", 0), "expected a string \"dtype\""},
      {FileOf(R"({"w":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8), "expected a string \"dtype\""},
      {FileOf(R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", 8), "expected \"shape\""},
      {FileOf(R"({"w":{"dtype":"F32","shape":[2]}})", 8), "expected \"data_offsets\""},
      {FileOf("{\"w\":" + tensor("F32", "2", "[0,8]") + "}", 8), "expected \"shape\""},
      {FileOf("{\"w\":" + tensor("F32", "[-2]", "[0,8]") + "}", 8), "expected \"shape\""},
      {FileOf("{\"w\":" + tensor("F32", "[2.0]", "[0,8]") + "}", 8), "expected \"shape\""},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[0]") + "}", 8), "expected \"data_offsets\""},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[0,8,16]") + "}", 8), "expected \"data_offsets\""},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[-8,0]") + "}", 8), "expected \"data_offsets\""},
      // Not an integer of 64 bits.
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[0,18446744073709551616]") + "}", 8), "expected \"data_offsets\""},
      {FileOf("{\"w\":" + tensor("F32", "[3]", "[0,8]") + "}", 8), "expected 12 bytes for shape [3] of F32"},
      {FileOf("{\"w\":" + tensor("F64", "[2]", "[0,8]") + "}", 8), "expected 16 bytes for shape [2] of F64"},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[8,0]") + "}", 8), "data_offsets [8,0], expected 8 bytes"},
      // Products that overflow, once to the very length that the offsets give, and once with an extent of 0.
      {FileOf("{\"w\":" + tensor("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0), "expected at most 2^60 bytes"},
      {FileOf("{\"w\":" + tensor("F32", "[2305843009213693952,2]", "[0,0]") + "}", 0), "expected at most 2^60"},
      {FileOf("{\"w\":" + tensor("F32", "[0,4294967296,4294967296]", "[0,0]") + "}", 0), "at most 2^60 bytes"},
      {FileOf("{\"w\":" + tensor("F32", "[18446744073709551615]", "[0,8]") + "}", 8), "extent 18446744073709551615"},
      {FileOf("{\"w\":" + tensor("F32", many_extents, "[0,4]") + "}", 4), "101 extents, expected at most 64"},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[8,16]") + "}", 8), "reach beyond the 8 bytes of data"},
      {FileOf("{\"w\":" + tensor("F32", "[1152921504606846976]", "[0,4611686018427387904]") + "}", 8), "2^60"},
      {FileOf("{\"w\":" + tensor("F32", "[1073741824]", "[0,4294967296]") + "}", 8), "reach beyond the 8 bytes"},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[18446744073709551608,18446744073709551615]") + "}", 8),
       "expected 8 bytes"},
      {FileOf("{\"w\":" + tensor("F32", "[2]", "[4,12]") + "}", 12), "leave a hole, expected them to start at 0"},
      {FileOf("{\"v\":" + two + ",\"w\":" + two + "}", 8), "overlap another tensor, expected them to start at 8"},
      {FileOf("{\"v\":" + two + ",\"w\":" + tensor("F32", "[2]", "[4,12]") + "}", 12), "overlap"},
      {FileOf("{\"v\":" + two + ",\"w\":" + tensor("F32", "[2]", "[12,20]") + "}", 20), "leave a hole"},
      {FileOf("{\"w\":" + two + "}", 9), "trailing bytes: 1 belong to no tensor"},
      {FileOf("{}", 1), "offset 10: trailing bytes"},
      {FileOf("{\"w\":" + two + ",\"w\":" + two + "}", 8), "has \"w\" twice"},
      {FileOf(R"({"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "has \"dtype\" twice"},
      {FileOf(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "has \"a\" twice"},
      {FileOf(R"({"__metadata__":{},"__metadata__":{}})", 0), "has \"__metadata__\" twice"},
      {FileOf(R"({"__metadata__":{"a":1}})", 0), "expected an object of strings"},
      {FileOf(R"({"__metadata__":["a"]})", 0), "expected an object of strings"},
  };
  for (const Corruption& c : cases) {
    const absl::Status status = ReadSafetensors(Write(c.bytes)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), StartsWith(Path() + ": offset "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST_F(SafetensorsTest, OtherDtypesAreUnimplemented) {
  for (const std::string dtype : {"BF16", "F16", "I64", "U8", "BOOL", "F128"}) {
    const std::string header = absl::StrCat(R"({"w":{"dtype":")", dtype, R"(","shape":[2],"data_offsets":[0,4]}})");
    const absl::Status status = ReadSafetensors(Write(FileOf(header, 4))).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("tensor \"w\": dtype \"", dtype, "\"")));
  }
}

// Unknown fields are ignored, whatever is in them; arrays may lie in another order than the header names them.
TEST_F(SafetensorsTest, ToleratesWhatTheReferenceTolerates) {
  const std::string header = R"({"w":{"data_offsets":[4,8],"x":{"a":[1,{"a":2,"a":3}]},"shape":[1],"dtype":"F32"}, )"
                             R"("v":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4],"y":null}})"
                             "\n\t  ";
  std::string bytes = FileOf(header, 8);
  bytes.replace(bytes.size() - 8, 8, std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8));
  const absl::StatusOr<TensorFile> file = ReadSafetensors(Write(bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  ExpectEqual(*file, {.tensors = {{"w", Tensor::From<float>({1}, {2.0f})}, {"v", Tensor::From<float>({1, 1}, {1.0f})}},
                      .metadata = {}});
}

TEST_F(SafetensorsTest, DeeplyNestedHeadersAreHandled) {
  const size_t depth = 200000;
  const absl::Status status = ReadSafetensors(Write(FileOf("{\"w\":" + std::string(depth, '['), 0))).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("valid JSON"));
  const std::string closed = "{\"w\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  EXPECT_THAT(std::string(ReadSafetensors(Write(FileOf(closed, 0))).status().message()),
              HasSubstr("tensor \"w\": expected an object"));
}

TEST_F(SafetensorsTest, NotAFile) {
  EXPECT_EQ(ReadSafetensors(Path("missing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadSafetensors(Path("missing")).status().message()), HasSubstr(Path("missing")));
  const absl::Status folder = ReadSafetensors(::testing::TempDir()).status();
  EXPECT_EQ(folder.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(folder.message()), HasSubstr("is a directory"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(std::string(ReadSafetensors(Path("pipe")).status().message()), HasSubstr("no regular file"));
}

TEST_F(SafetensorsTest, RefusesToWriteWhatItCouldNotRead) {
  const auto message = [&](const TensorFile& file) {
    const absl::Status status = WriteSafetensors(Path(), file);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({.tensors = {{"w", Tensor()}, {"w", Tensor()}}, .metadata = {}}), HasSubstr("named \"w\""));
  EXPECT_THAT(message({.tensors = {{"__metadata__", Tensor()}}, .metadata = {}}), HasSubstr("reserved"));
  EXPECT_THAT(message({.tensors = {{"\xff", Tensor()}}, .metadata = {}}), HasSubstr("not UTF-8"));
  EXPECT_THAT(message({.tensors = {}, .metadata = {{"a", "\xc3"}}}), HasSubstr("not UTF-8"));
  EXPECT_THAT(Folder(), ElementsAre());
}

TEST_F(SafetensorsTest, FailedWritesLeaveTheOldFileAndNothingElse) {
  ASSERT_TRUE(WriteSafetensors(Path(), PythonContents()).ok());
  // The system refuses to let the new file grow beyond 4096 bytes, as a full disk would.
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit limit = {.rlim_cur = 4096, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status = WriteSafetensors(Path(), {.tensors = {{"large", Tensor({10000})}}, .metadata = {}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path() + ": cannot write: "));
  EXPECT_EQ(ReadBytes(Path()), PythonFile());
  EXPECT_THAT(Folder(), ElementsAre("file.safetensors"));

  EXPECT_THAT(std::string(WriteSafetensors(Path("no/such/folder"), {}).message()), HasSubstr("no/such/folder"));
  std::filesystem::create_directory(Path("folder"));
  EXPECT_THAT(std::string(WriteSafetensors(Path("folder"), {}).message()), HasSubstr("Is a directory"));
  EXPECT_THAT(Folder(), ::testing::UnorderedElementsAre("file.safetensors", "folder"));
}

// A temporary file that a crash left behind is taken over: it is neither in the way nor does another one join it.
TEST_F(SafetensorsTest, LeftoversAreNotInTheWay) {
  const std::string leftover = Path() + ".tmp0";
  std::ofstream(leftover) << std::string(100000, 'x');  // longer than the new one
  ASSERT_TRUE(WriteSafetensors(Path(), PythonContents()).ok());
  EXPECT_EQ(ReadBytes(Path()), PythonFile());
  EXPECT_THAT(Folder(), ElementsAre("file.safetensors"));
}

TEST_F(SafetensorsTest, WritesToTheCurrentFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(std::filesystem::path(Path()).parent_path());
  EXPECT_TRUE(WriteSafetensors("here.safetensors", PythonContents()).ok());
  std::filesystem::current_path(before);
  EXPECT_EQ(ReadBytes(Path("here.safetensors")), PythonFile());
}

}  // namespace
}  // namespace neb
