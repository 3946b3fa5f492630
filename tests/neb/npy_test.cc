#include "neb/npy.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::DType;
using autodiff::Shape;
using autodiff::Tensor;

// A file as numpy 2.4.6 writes it: `length` is the two bytes that give the length of the dictionary, which NumPy pads
// with spaces to that length and ends with a newline.
std::string NumpyFile(const std::string& dictionary, const std::string& data, size_t length = 118) {
  std::string text = dictionary;
  text.resize(length - 1, ' ');
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) + static_cast<char>(length >> 8) +
         text + "\n" + data;
}

// numpy.save(f, numpy.array([[1, -2, 3.5], [0, 0.1, 7]], dtype=numpy.float32))
std::string Float32File() {
  return NumpyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                   std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x00\x00\x60\x40"
                               "\x00\x00\x00\x00\xcd\xcc\xcc\x3d\x00\x00\xe0\x40",
                               24));
}

Tensor Float32Tensor() { return Tensor::From<float>({2, 3}, {1, -2, 3.5f, 0, 0.1f, 7}); }

absl::StatusOr<Tensor> ReadBytes(const std::string& bytes, int64_t max_rows = 1'000'000) {
  const std::string path = testing::TempDir() + "/x.npy";
  Spill(path, bytes);
  return ReadNpy(path, max_rows);
}

// The message of the error that reading `bytes` gives, without the path.
std::string ErrorFor(const std::string& bytes) {
  const absl::Status status = ReadBytes(bytes).status();
  EXPECT_FALSE(status.ok());
  const std::string message(status.message());
  const size_t end = message.find("/x.npy: ");
  EXPECT_NE(end, std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(std::min(message.size(), end + 8));
}

std::string ErrorForDictionary(const std::string& dictionary, const std::string& data = "") {
  return ErrorFor(NumpyFile(dictionary, data));
}

void ExpectEqual(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  ASSERT_EQ(a.dtype(), b.dtype());
  for (int64_t i = 0; i < a.num_elements(); ++i) EXPECT_EQ(a.at(i), b.at(i)) << i;
}

// --- Reading what NumPy wrote ---

TEST(ReadNpyTest, Float32) {
  const absl::StatusOr<Tensor> x = ReadBytes(Float32File());
  ASSERT_TRUE(x.ok()) << x.status();
  ExpectEqual(*x, Float32Tensor());
}

TEST(ReadNpyTest, Float64KeepsAllBits) {
  // numpy.save(f, numpy.array([0.1, numpy.nan, -numpy.inf]))
  const std::string data(
      "\x9a\x99\x99\x99\x99\x99\xb9\x3f\x00\x00\x00\x00\x00\x00\xf8\x7f\x00\x00\x00\x00\x00\x00\xf0\xff", 24);
  const absl::StatusOr<Tensor> x =
      ReadBytes(NumpyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", data));
  ASSERT_TRUE(x.ok()) << x.status();
  ASSERT_EQ(x->shape(), Shape({3}));
  EXPECT_EQ(x->dtype(), DType::kF64);
  EXPECT_EQ(x->at(0), 0.1);
  EXPECT_TRUE(std::isnan(x->at(1)));
  EXPECT_EQ(x->at(2), -std::numeric_limits<double>::infinity());
}

TEST(ReadNpyTest, UnsignedBytesArePixels) {
  // numpy.save(f, numpy.array([[[0, 51]], [[102, 255]]], dtype=numpy.uint8)); cnpy writes '<u1'.
  for (const std::string dtype : {"|u1", "<u1"}) {
    const absl::StatusOr<Tensor> x =
        ReadBytes(NumpyFile("{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (2, 1, 2), }",
                            std::string("\x00\x33\x66\xff", 4)));
    ASSERT_TRUE(x.ok()) << x.status();
    ExpectEqual(*x, Tensor::From<float>({2, 1, 2}, {0, 51 / 255.0f, 102 / 255.0f, 1}));
  }
}

TEST(ReadNpyTest, AScalarAndEmptyArrays) {
  // numpy.save(f, numpy.array(1.5)); numpy.save(f, numpy.zeros((0, 2)))
  const absl::StatusOr<Tensor> scalar = ReadBytes(NumpyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
                                                            std::string("\x00\x00\x00\x00\x00\x00\xf8\x3f", 8)));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_EQ(scalar->shape(), Shape());
  EXPECT_EQ(scalar->at(0), 1.5);
  const absl::StatusOr<Tensor> empty =
      ReadBytes(NumpyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2), }", ""));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->shape(), Shape({0, 2}));
}

TEST(ReadNpyTest, FortranOrder) {
  // numpy.save(f, numpy.asfortranarray(numpy.arange(6, dtype=numpy.uint8).reshape(2, 3)))
  const std::string two("\x00\x03\x01\x04\x02\x05", 6);
  const absl::StatusOr<Tensor> x =
      ReadBytes(NumpyFile("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", two));
  ASSERT_TRUE(x.ok()) << x.status();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(x->at(i), static_cast<float>(i) / 255.0f);
  // numpy.save(f, numpy.asfortranarray(numpy.arange(12, dtype=numpy.uint8).reshape(2, 3, 2)))
  const std::string three("\x00\x06\x02\x08\x04\x0a\x01\x07\x03\x09\x05\x0b", 12);
  const std::string file = NumpyFile("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", three);
  const absl::StatusOr<Tensor> y = ReadBytes(file), first = ReadBytes(file, 1);
  ASSERT_TRUE(y.ok()) << y.status();
  for (int i = 0; i < 12; ++i) EXPECT_EQ(y->at(i), static_cast<float>(i) / 255.0f);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->shape(), Shape({1, 3, 2}));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(first->at(i), static_cast<float>(i) / 255.0f);
  // numpy.save(f, numpy.asfortranarray(numpy.array([[1, 2], [3, 4]], dtype=numpy.float32)))
  const absl::StatusOr<Tensor> z =
      ReadBytes(NumpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }",
                          std::string("\x00\x00\x80\x3f\x00\x00\x40\x40\x00\x00\x00\x40\x00\x00\x80\x40", 16)));
  ASSERT_TRUE(z.ok()) << z.status();
  ExpectEqual(*z, Tensor::From<float>({2, 2}, {1, 2, 3, 4}));
}

// numpy.lib.format.write_array(f, numpy.float32([1, -2]), version=(2, 0)), and (3, 0)
TEST(ReadNpyTest, LaterVersions) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  text.resize(115, ' ');
  for (const char version : {'\x02', '\x03'}) {
    const std::string file = std::string("\x93NUMPY") + version + std::string("\x00\x74\x00\x00\x00", 5) + text + "\n" +
                             std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
    const absl::StatusOr<Tensor> x = ReadBytes(file);
    ASSERT_TRUE(x.ok()) << x.status();
    ExpectEqual(*x, Tensor::From<float>({2}, {1, -2}));
    for (size_t size = 0; size < file.size(); ++size) ErrorFor(file.substr(0, size));
  }
}

TEST(ReadNpyTest, MaxRowsKeepsTheFirst) {
  const absl::StatusOr<Tensor> one = ReadBytes(Float32File(), 1);
  ASSERT_TRUE(one.ok()) << one.status();
  ExpectEqual(*one, Tensor::From<float>({1, 3}, {1, -2, 3.5f}));
  EXPECT_EQ(ReadBytes(Float32File(), 0)->shape(), Shape({0, 3}));
  EXPECT_FALSE(ReadBytes(Float32File(), -1).ok());
}

// --- Files that are not what they should be ---

TEST(ReadNpyTest, EveryTruncationIsAnError) {
  const std::string whole = Float32File();
  EXPECT_EQ(ErrorFor(""), "offset 0: empty file: expected a .npy file of at least 10 bytes, found 0");
  for (size_t size = 1; size < whole.size(); ++size) {
    const std::string found = std::to_string(size);
    EXPECT_EQ(ErrorFor(whole.substr(0, size)),
              size < 10    ? "offset 0: truncated header: expected a .npy file of at least 10 bytes, found " + found
              : size < 128 ? "offset 8: truncated header: expected a .npy file of at least 128 bytes, found " + found
                           : "offset 128: truncated data of shape [2, 3]: expected 24 bytes, found " +
                                 std::to_string(size - 128));
  }
  EXPECT_EQ(ErrorFor(whole + "x"),
            "offset 152: trailing bytes: the data of shape [2, 3] ends here, expected the end of the file");
}

// Whatever a byte of the header becomes, the answer is an array of that size or an error of one line.
TEST(ReadNpyTest, EveryByteOfTheHeaderMayBeWrong) {
  const std::string whole = Float32File();
  for (size_t i = 0; i < 128; ++i) {
    for (const int value : {0, whole[i] + 1, ~whole[i], int{'9'}}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(value);
      const absl::StatusOr<Tensor> x = ReadBytes(changed);
      if (x.ok()) {
        EXPECT_EQ(x->num_elements(), 6) << i << " " << value;
      } else {
        EXPECT_EQ(std::string(x.status().message()).find('\n'), std::string::npos) << i << " " << value;
      }
    }
  }
}

TEST(ReadNpyTest, OtherDtypesAreNamed) {
  const auto with = [](const std::string& descr) {
    const absl::StatusOr<Tensor> x =
        ReadBytes(NumpyFile("{'descr': " + descr + ", 'fortran_order': False, 'shape': (1,), }", "12345678"));
    EXPECT_EQ(x.status().code(), absl::StatusCode::kUnimplemented) << descr;
    const std::string message(x.status().message());
    return message.substr(message.find("/x.npy: ") + 8);
  };
  EXPECT_EQ(with("'>f4'"), "offset 20: dtype \">f4\" is big-endian, expected '<f4', '<f8' or '|u1'");
  EXPECT_EQ(with("'>f8'"), "offset 20: dtype \">f8\" is big-endian, expected '<f4', '<f8' or '|u1'");
  for (const std::string dtype : {"<f2", "<i8", "|i1", "|b1", "<c8", "|O", "<U3", ""}) {
    EXPECT_EQ(with("'" + dtype + "'"),
              "offset 20: dtype \"" + dtype + "\" is not supported, expected '<f4', '<f8' or '|u1'");
  }
  // numpy.zeros(1, dtype=[('a', '<f4'), ('b', '<f4')])
  EXPECT_EQ(with("[('a', '<f4'), ('b', '<f4')]"),
            "offset 20: a structured dtype is not supported, expected one of plain numbers");
}

TEST(ReadNpyTest, ExtentsAreNotTrusted) {
  const auto with = [](const std::string& shape) {
    return ErrorForDictionary("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", "1234");
  };
  EXPECT_EQ(with("(9223372036854775808,)"), "offset 61: an extent above 2^60, expected at most that");
  EXPECT_EQ(with("(18446744073709551617,)"), "offset 61: an extent above 2^60, expected at most that");
  EXPECT_EQ(with("(4294967296, 4294967296)"),
            "offset 128: absurd shape [4294967296, 4294967296], expected at most 2^60 bytes");
  EXPECT_EQ(with("(0, 1073741824, 1073741824, 16)"),
            "offset 128: absurd shape [0, 1073741824, 1073741824, 16], expected at most 2^60 bytes");
  // A terabyte by the header: fails at once, without the memory.
  EXPECT_EQ(with("(250000000000,)"),
            "offset 128: truncated data of shape [250000000000]: expected 1000000000000 bytes, found 4");
  EXPECT_EQ(with("(-1,)"), "offset 61: found \"-\", expected a non-negative integer");
  EXPECT_EQ(with("(1)"), "offset 62: found \")\", expected ','");
  EXPECT_EQ(with("1"), "offset 60: found \"1\", expected '('");
  EXPECT_EQ(with("(1 1)"), "offset 63: found \"1\", expected ','");
}

TEST(ReadNpyTest, HeadersThatAreNone) {
  EXPECT_EQ(ErrorFor("PK\x03\x04, an .npz file"),
            "offset 0: \"PK\\x03\\x04, \", expected \"\\x93NUMPY\", the start of a .npy file");
  std::string file = Float32File();
  file[6] = 4;
  EXPECT_EQ(ErrorFor(file), "offset 6: version 4.0, expected 1.0, 2.0 or 3.0");
  file[6] = 1;
  file[9] = '\x7f';
  EXPECT_EQ(ErrorFor(file), "offset 8: header length 32630, expected at most 10000");
  EXPECT_EQ(ErrorForDictionary("{'descr': '<f4', 'shape': (1,), }"),
            "offset 10: the header lacks one of 'descr', 'fortran_order' and 'shape', expected all three");
  EXPECT_EQ(ErrorForDictionary("{'descr': '<f4', 'descr': '<f4'}"),
            "offset 27: key \"descr\", expected each of 'descr', 'fortran_order' and 'shape' once and no other");
  EXPECT_EQ(ErrorForDictionary("{'fortran_order': 1}"), "offset 28: found \"1\", expected True or False");
  EXPECT_EQ(ErrorForDictionary("{'descr': '<f4', 'fortran_order': False, 'shape': ()} + {}"),
            "offset 64: found \"+\", expected spaces up to the end of the header");
  EXPECT_EQ(ErrorForDictionary("{'shape': (1,"),
            "offset 128: found the end of the header, expected a non-negative integer");
}

TEST(ReadNpyTest, NoSuchFileAndFolder) {
  const std::string folder = NewFolder("d");
  const absl::Status missing = ReadNpy(folder + "/x.npy").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder + "/x.npy: cannot open: No such file or directory");
  EXPECT_EQ(ReadNpy(folder).status().message(), folder + ": is a directory, expected a .npy file");
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadNpy(folder + "/pipe").status().message(), folder + "/pipe: is no regular file, expected a .npy file");
}

// --- Writing ---

TEST(WriteNpyTest, WritesNumpysBytes) {
  const std::string path = NewFolder("d") + "/x.npy";
  ASSERT_TRUE(WriteNpy(path, Float32Tensor()).ok());
  EXPECT_EQ(Slurp(path), Float32File());
  // numpy.save(f, numpy.array(1.5)), numpy.save(f, numpy.array([1.5]))
  const std::string data("\x00\x00\x00\x00\x00\x00\xf8\x3f", 8);
  ASSERT_TRUE(WriteNpy(path, Tensor::Full({}, 1.5, DType::kF64)).ok());
  EXPECT_EQ(Slurp(path), NumpyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", data));
  ASSERT_TRUE(WriteNpy(path, Tensor::Full({1}, 1.5, DType::kF64)).ok());
  EXPECT_EQ(Slurp(path), NumpyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", data));
}

TEST(WriteNpyTest, ErrorsNameThePath) {
  const std::string folder = NewFolder("d");
  EXPECT_EQ(WriteNpy(folder + "/no/x.npy", Float32Tensor()).message(),
            folder + "/no/x.npy: cannot write: No such file or directory");
}

TEST(NpyWriterTest, RowByRowIsTheSameFile) {
  const std::string folder = NewFolder("d"), path = folder + "/stream.npy";
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    Tensor whole({5, 2, 3}, dtype);
    for (int64_t i = 0; i < whole.num_elements(); ++i) whole.set(i, 0.5 * static_cast<double>(i));
    absl::StatusOr<NpyWriter> writer = NpyWriter::Create(path, {2, 3}, dtype);
    ASSERT_TRUE(writer.ok()) << writer.status();
    // Complete after each step: no row, one row, then one and three at once.
    ASSERT_TRUE(ReadNpy(path).ok());
    EXPECT_EQ(ReadNpy(path)->shape(), Shape({0, 2, 3}));
    const auto part = [&](int64_t begin, const Shape& shape) {
      Tensor rows(shape, dtype);
      for (int64_t i = 0; i < rows.num_elements(); ++i) rows.set(i, whole.at(begin * 6 + i));
      return rows;
    };
    ASSERT_TRUE(writer->Append(part(0, {2, 3})).ok());
    EXPECT_EQ(ReadNpy(path)->shape(), Shape({1, 2, 3}));
    ASSERT_TRUE(writer->Append(part(1, {1, 2, 3})).ok());
    ASSERT_TRUE(writer->Append(part(2, {0, 2, 3})).ok());
    ASSERT_TRUE(writer->Append(part(2, {3, 2, 3})).ok());
    EXPECT_EQ(writer->rows(), 5);
    ASSERT_TRUE(writer->Close().ok());
    EXPECT_TRUE(writer->Close().ok());
    EXPECT_EQ(writer->Append(part(0, {2, 3})).message(), path + ": rows appended after Close");
    ASSERT_TRUE(WriteNpy(folder + "/whole.npy", whole).ok());
    EXPECT_EQ(Slurp(path), Slurp(folder + "/whole.npy"));
  }
}

// The header has room for a count of any length.
TEST(NpyWriterTest, TheRowCountMayGrow) {
  const std::string path = NewFolder("d") + "/x.npy";
  absl::StatusOr<NpyWriter> writer = NpyWriter::Create(path, {}, DType::kF32);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(writer->Append(Tensor::Full({}, i)).ok());
  ASSERT_TRUE(writer->Append(Tensor({99988})).ok());
  ASSERT_TRUE(writer->Close().ok());
  const absl::StatusOr<Tensor> x = ReadNpy(path);
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_EQ(x->shape(), Shape({100000}));
  EXPECT_EQ(x->at(11), 11);
}

TEST(NpyWriterTest, RefusesRowsOfAnotherKind) {
  const std::string path = NewFolder("d") + "/x.npy";
  absl::StatusOr<NpyWriter> writer = NpyWriter::Create(path, {3});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(
      writer->Append(Tensor({2})).message(),
      path + ": rows of f32 [2] appended, expected f32 [3] for one row, or those behind a number of rows for many");
  EXPECT_FALSE(writer->Append(Tensor({2, 2})).ok());
  EXPECT_FALSE(writer->Append(Tensor({3}, DType::kF64)).ok());
  // A mistake of the caller spoils nothing.
  EXPECT_TRUE(writer->Append(Tensor({3})).ok());
  EXPECT_TRUE(writer->Close().ok());
  EXPECT_EQ(ReadNpy(path)->shape(), Shape({1, 3}));
}

TEST(NpyWriterTest, PlacesThatCannotBeWritten) {
  const std::string folder = NewFolder("d");
  EXPECT_EQ(NpyWriter::Create(folder, {3}).status().message(), folder + ": cannot write: Is a directory");
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(NpyWriter::Create(folder + "/pipe", {3}).status().message(),
            folder + "/pipe: is no regular file: its header could not be rewritten");
  EXPECT_FALSE(NpyWriter::Create(folder + "/x.npy", {-1}).ok());
  EXPECT_FALSE(NpyWriter::Create(folder + "/x.npy", {int64_t{1} << 62}).ok());
}

// In a process that may write files of 1000 bytes. Exits with the number of rows that were written.
[[noreturn]] void WriteRowsToAFullDisk(const std::string& path) {
  signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
  setrlimit(RLIMIT_FSIZE, &limit);
  absl::StatusOr<NpyWriter> writer = NpyWriter::Create(path, {50});  // 200 bytes each, after 128
  if (!writer.ok()) _exit(101);
  int written = 0;
  absl::Status status;
  while (status.ok() && written < 100) {
    status = writer->Append(Tensor::Full({50}, written));
    written += status.ok() ? 1 : 0;
  }
  const bool told = status.message() == path + ": offset 1000: cannot write: File too large" &&
                    writer->Append(Tensor({50})) == status && writer->Close() == status;
  _exit(told ? written : 102);
}

TEST(NpyWriterDeathTest, AFullDiskKeepsTheRowsBefore) {
  const std::string path = NewFolder("d") + "/x.npy";
  EXPECT_EXIT(WriteRowsToAFullDisk(path), testing::ExitedWithCode(4), "");
  const absl::StatusOr<Tensor> x = ReadNpy(path);
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_EQ(x->shape(), Shape({4, 50}));
  EXPECT_EQ(x->at(199), 3);
}

}  // namespace
}  // namespace neb
