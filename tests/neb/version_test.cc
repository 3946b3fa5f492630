#include "neb/version.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

TEST(Version, IsThatOfTheModule) {
  EXPECT_THAT(Slurp("MODULE.bazel"),
              testing::HasSubstr(absl::StrCat("name = \"neb\",\n    version = \"", kVersion, "\",\n")));
}

}  // namespace
}  // namespace neb
