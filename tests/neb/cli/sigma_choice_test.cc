#include "neb/cli/sigma_choice.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using autodiff::Tensor;
using testing::HasSubstr;

TEST(ParseSigma, Numbers) {
  for (const auto& [text, value] : {std::pair("0.3", 0.3), {"1", 1.0}, {"2.5e-3", 2.5e-3}, {" 0.3 ", 0.3}}) {
    const absl::StatusOr<SigmaText> sigma = ParseSigma(text);
    ASSERT_TRUE(sigma.ok()) << text << ": " << sigma.status();
    ASSERT_TRUE(std::holds_alternative<double>(*sigma)) << text;
    EXPECT_EQ(std::get<double>(*sigma), value) << text;
  }
}

TEST(ParseSigma, Geometry) {
  struct Case {
    const char* text;
    double quantile, multiple;
  };
  for (const Case& c :
       {Case{"sigma_c", 1, 1}, Case{"1.5*sigma_c", 1, 1.5}, Case{"1.5 * sigma_c", 1, 1.5}, Case{"chi(0.5)", 0.5, 1},
        Case{"2*chi(0.25)", 0.25, 2}, Case{"0.1*chi(0)", 0, 0.1}, Case{"chi(1)", 1, 1}}) {
    const absl::StatusOr<SigmaText> sigma = ParseSigma(c.text);
    ASSERT_TRUE(sigma.ok()) << c.text << ": " << sigma.status();
    ASSERT_TRUE(std::holds_alternative<SigmaChoice>(*sigma)) << c.text;
    EXPECT_EQ(std::get<SigmaChoice>(*sigma).quantile, c.quantile) << c.text;
    EXPECT_EQ(std::get<SigmaChoice>(*sigma).multiple, c.multiple) << c.text;
  }
}

TEST(ParseSigma, MistakesAreQuoted) {
  for (const char* text :
       {"",          "0",          "-1",          "nan",        "inf",       "sigma", "sigma_c*2", "*sigma_c",
        "0*sigma_c", "-1*sigma_c", "nan*sigma_c", "2**sigma_c", "2*0.3",     "chi",   "chi()",     "chi(",
        "chi(0.5",   "chi(1.5)",   "chi(-0.1)",   "chi(nan)",   "chi(0.5)x", "0.3x"}) {
    const absl::StatusOr<SigmaText> sigma = ParseSigma(text);
    ASSERT_FALSE(sigma.ok()) << text;
    EXPECT_THAT(std::string(sigma.status().message()), HasSubstr(std::string("got \"") + text + "\""));
  }
}

// χ of points on a line: half of the distance.
TEST(ChooseSigma, OfThreePoints) {
  const Tensor x = Tensor::From<float>({3, 1}, {0, 2, 10});
  EXPECT_DOUBLE_EQ(*ChooseSigma(0.25, x), 0.25);
  EXPECT_NEAR(*ChooseSigma(SigmaChoice{}, x), 5, 1e-6);
  EXPECT_NEAR(*ChooseSigma(SigmaChoice{.quantile = 0, .multiple = 3}, x), 3, 1e-6);
  EXPECT_NEAR(*ChooseSigma(SigmaChoice{.quantile = 0.5}, x), 4, 1e-3);
  EXPECT_FALSE(ChooseSigma(SigmaChoice{}, Tensor({3, 1})).ok());  // all equal
}

TEST(ChooseSigma, OfManyRowsTakesTheFirst) {
  Tensor x({kGeometryRows + 1, 1});
  x.set(1, 2);
  x.set(kGeometryRows, 1000);
  EXPECT_NEAR(*ChooseSigma(SigmaChoice{}, x), 1, 1e-6);
}

}  // namespace
}  // namespace neb
