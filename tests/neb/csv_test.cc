#include "neb/csv.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::Shape;

absl::StatusOr<Dataset> ReadText(const std::string& text, int64_t max_items = kAllItems) {
  const std::string path = testing::TempDir() + "/points.csv";
  Spill(path, text);
  return ReadCsv(path, max_items);
}

// The message of the error that reading `text` gives, without the path.
std::string ErrorFor(const std::string& text) {
  const absl::Status status = ReadText(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  const size_t end = message.find("/points.csv: ");
  EXPECT_NE(end, std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(std::min(message.size(), end + 13));
}

void ExpectPoints(const absl::StatusOr<Dataset>& data, const Shape& shape, const std::vector<float>& values) {
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_EQ(data->x.shape(), shape);
  EXPECT_EQ(data->item_shape, Shape({shape[1]}));
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(data->x.data<float>()[i], values[i]) << i;
}

TEST(CsvTest, ReadsCommasTabsAndSpaces) {
  ExpectPoints(ReadText("1,2.5\n-3e2,+0.125\n"), {2, 2}, {1, 2.5f, -300, 0.125f});
  ExpectPoints(ReadText("1\t2.5\n-3e2\t0.125"), {2, 2}, {1, 2.5f, -300, 0.125f});
  ExpectPoints(ReadText(" 1 , 2 \n3,4\n"), {2, 2}, {1, 2, 3, 4});
  ExpectPoints(ReadText("7\n8\n9\n"), {3, 1}, {7, 8, 9});
  EXPECT_EQ(ReadText("1,2\n")->name, "points.csv");
  // numpy.savetxt(f, [[1, -0.5], [1e-3, 4]], fmt="%.3e", header="x y")
  ExpectPoints(ReadText("# x y\n1.000e+00 -5.000e-01\n1.000e-03 4.000e+00\n"), {2, 2}, {1, -0.5f, 0.001f, 4});
  ExpectPoints(ReadText("  1   2  \n   3 4\n"), {2, 2}, {1, 2, 3, 4});
}

TEST(CsvTest, PassesOverHeadersCommentsAndBlankLines) {
  ExpectPoints(ReadText("x,y\n1,2\n"), {1, 2}, {1, 2});
  // R: write.csv(data.frame(x = 1, "y, in m" = 2, check.names = FALSE), row.names = FALSE)
  ExpectPoints(ReadText("\"x\",\"y, in m\"\n1,2\n"), {1, 2}, {1, 2});
  ExpectPoints(ReadText("# made by hand\n\n   # twice\n1,2\n\n# 5,6\n3,4\n \n"), {2, 2}, {1, 2, 3, 4});
  // A spreadsheet: byte order mark, carriage returns, quotes around everything.
  ExpectPoints(ReadText("\xEF\xBB\xBF\"a\",\"b\"\r\n\"1\",\"2\"\r\n\r\n"), {1, 2}, {1, 2});
}

TEST(CsvTest, MaxItemsKeepsTheFirst) {
  ExpectPoints(ReadText("x\n1\n2\nthree\n", 2), {2, 1}, {1, 2});
  EXPECT_FALSE(ReadText("1\n", 0).ok());
}

TEST(CsvTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(ErrorFor("# c\nx,y\n1,2\n3,4,5\n"), "line 4: 3 fields, expected 2 as in line 2");
  EXPECT_EQ(ErrorFor("1,2\n\n3\n"), "line 3: 1 field, expected 2 as in line 1");
  EXPECT_EQ(ErrorFor("1,2\n3,four\n"), "line 2, column 2: \"four\", expected a number");
  EXPECT_EQ(ErrorFor("1,2\n,4\n"), "line 2, column 1: \"\", expected a number");
  EXPECT_EQ(ErrorFor("1,2\n3,\n"), "line 2, column 2: \"\", expected a number");
  // No header: one field of it is a number.
  EXPECT_EQ(ErrorFor("1,two\n3,4\n"), "line 1, column 2: \"two\", expected a number");
  EXPECT_EQ(ErrorFor("1 2\n3 0x10\n"), "line 2, column 2: \"0x10\", expected a number");
  EXPECT_EQ(ErrorFor("1;2\n3;4\n"), "line 2, column 1: \"3;4\", expected a number");
}

TEST(CsvTest, WhatIsNotFiniteIsRefused) {
  for (const std::string text : {"nan", "NaN", "-inf", "Infinity", "1e39", "-1e400"}) {
    EXPECT_EQ(ErrorFor("1,2\n3," + text + "\n"),
              "line 2, column 2: \"" + text + "\", expected a finite number within float32's range");
    // Neither are they words of a header.
    EXPECT_EQ(ErrorFor("x," + text + "\n").substr(0, 7), "line 1,");
  }
}

TEST(CsvTest, EmptyFilesAndBinaryOnes) {
  EXPECT_EQ(ErrorFor(""), "empty file, expected a file of comma-, tab- or space-separated numbers");
  EXPECT_EQ(ErrorFor("\n"), "no point in 1 line, expected a file of comma-, tab- or space-separated numbers");
  EXPECT_EQ(ErrorFor("x,y\n"), "no point in 1 line, expected a file of comma-, tab- or space-separated numbers");
  EXPECT_EQ(ErrorFor(std::string("1,2\n3,\x00\xFF", 8)), "line 2, column 2: \"\\x00\\xff\", expected a number");
  EXPECT_EQ(ErrorFor("1,2\n3," + std::string(1000, 'z')),
            "line 2, column 2: \"" + std::string(40, 'z') + "…\", expected a number");
}

TEST(CsvTest, ALineMayBeAsLongAsTheFile) {
  constexpr int kFields = 300'000;
  std::string line = "1";
  for (int i = 1; i < kFields; ++i) line += ",1";
  const absl::StatusOr<Dataset> data = ReadText(line + "\n" + line);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->x.shape(), Shape({2, kFields}));
  EXPECT_EQ(ErrorFor(line + "\n" + line + ","), "line 2: 300001 fields, expected 300000 as in line 1");
  EXPECT_EQ(ErrorFor(std::string(1'000'000, ',')),
            "no point in 1 line, expected a file of comma-, tab- or space-separated numbers");
}

// Every beginning of a file is read as far as it goes, or is an error; never a crash.
TEST(CsvTest, EveryTruncation) {
  const std::string whole = "# c\nx,y\n1.5,\"2\"\r\n-3,4e2\n";
  for (size_t size = 0; size < whole.size(); ++size) {
    const absl::StatusOr<Dataset> data = ReadText(whole.substr(0, size));
    EXPECT_EQ(data.ok(), size >= 15 && size != 18 && size != 19 && size != 20 && size != 22) << size;
    if (data.ok()) {
      EXPECT_EQ(data->x.at(0), 1.5);
    }
  }
}

TEST(CsvTest, NoSuchFileAndFolder) {
  const std::string folder = NewFolder("d");
  const absl::Status missing = ReadCsv(folder + "/x.csv").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder + "/x.csv: cannot open: No such file or directory");
  EXPECT_EQ(ReadCsv(folder).status().message(),
            folder + ": is a directory, expected a file of comma-, tab- or space-separated numbers");
}

}  // namespace
}  // namespace neb
