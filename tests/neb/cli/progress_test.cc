#include "neb/cli/progress.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace neb {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(HumanDuration, PicksItsUnit) {
  EXPECT_EQ(HumanDuration(0), "0 s");
  EXPECT_EQ(HumanDuration(90), "90 s");
  EXPECT_EQ(HumanDuration(99), "99 s");
  EXPECT_EQ(HumanDuration(12 * 60), "12 min");
  EXPECT_EQ(HumanDuration(99 * 60), "99 min");
  EXPECT_EQ(HumanDuration(3.2 * 3600), "3.2 h");
  EXPECT_EQ(HumanDuration(50 * 3600), "50.0 h");
}

Progress At(int64_t step, double held_out_loss) {
  return {.step = step,
          .steps = 1000,
          .loss = 7.3125,
          .held_out_loss = held_out_loss,
          .rate = 1e-3,
          .samples_per_second = 5100,
          .seconds = static_cast<double>(step) / 10};
}

// A test's standard error is no terminal: a line comes with a new held-out loss and at the end.
TEST(ProgressLine, WritesPlainLinesNowAndThen) {
  testing::internal::CaptureStderr();
  {
    ProgressLine line("images");
    line.Show(At(100, std::nan("")));
    line.Show(At(200, 7.02));
    line.Show(At(300, std::nan("")));
    line.Show(At(1000, std::nan("")));
  }
  const std::string text = testing::internal::GetCapturedStderr();
  const size_t first_end = text.find('\n');
  ASSERT_NE(first_end, std::string::npos);
  const std::string first = text.substr(0, first_end), rest = text.substr(first_end + 1);
  EXPECT_THAT(first, AllOf(HasSubstr("200/1000"), HasSubstr("7.31"), HasSubstr("7.02"), HasSubstr("5100 images/s")));
  EXPECT_THAT(first, HasSubstr("80 s left"));  // 20 s for 200 steps
  EXPECT_THAT(rest, AllOf(HasSubstr("1000/1000"), HasSubstr("7.02"), HasSubstr("0 s left")));
  EXPECT_EQ(rest.find('\n'), rest.size() - 1);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ProgressLine, WithoutHeldOutDataShowsTheEnd) {
  testing::internal::CaptureStderr();
  ProgressLine line("images");
  line.Show(At(500, std::nan("")));
  line.Show(At(1000, std::nan("")));
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, AllOf(HasSubstr("1000/1000"), testing::Not(HasSubstr("held-out")), testing::Not(HasSubstr("nan"))));
}

// What an earlier run has shown is known, not shown again.
TEST(ProgressLine, ResumedReportsAreOnlyRemembered) {
  testing::internal::CaptureStderr();
  ProgressLine line("images");
  Progress earlier = At(200, 7.02);
  earlier.resumed = true;
  line.Show(earlier);
  line.Warn("goes on");
  line.Show(At(1000, std::nan("")));
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.rfind("goes on\nstep 1000/1000", 0), 0u) << text;
  EXPECT_THAT(text, HasSubstr("held-out 7.02"));
}

}  // namespace
}  // namespace neb
