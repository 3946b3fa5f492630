#include "neb/cli/interrupt.h"

#include <csignal>
#include <cstdlib>

#include "gtest/gtest.h"

namespace neb {
namespace {

TEST(Interrupt, NotesTheFirstSignal) {
  const struct { int signal, exit_code; } cases[] = {{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 129}};
  for (const auto& c : cases) {
    const Interrupt interrupt;
    EXPECT_EQ(Interrupt::signal(), 0);
    EXPECT_EQ(Interrupt::ExitCode(), 0);
    std::raise(c.signal);
    EXPECT_EQ(Interrupt::signal(), c.signal);
    EXPECT_EQ(Interrupt::ExitCode(), c.exit_code);
  }
}

TEST(InterruptDeathTest, TheSecondSignalKills) {
  const auto twice = [](int first, int second) {
    const Interrupt interrupt;
    std::raise(first);
    std::raise(second);
    std::exit(0);
  };
  EXPECT_EXIT(twice(SIGINT, SIGINT), testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(twice(SIGTERM, SIGINT), testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(twice(SIGINT, SIGTERM), testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptDeathTest, AfterItsLifeSignalsKillAgain) {
  const auto later = [] {
    {
      const Interrupt interrupt;
      std::raise(SIGTERM);
    }
    std::raise(SIGTERM);
    std::exit(0);
  };
  EXPECT_EXIT(later(), testing::KilledBySignal(SIGTERM), "");
}

// nohup starts programs so.
TEST(InterruptDeathTest, AnIgnoredSignalStaysIgnored) {
  const auto ignored = [] {
    std::signal(SIGHUP, SIG_IGN);
    const Interrupt interrupt;
    std::raise(SIGHUP);
    std::raise(SIGHUP);
    if (Interrupt::signal() != 0) std::exit(1);
    std::raise(SIGINT);  // its noting does not end the ignoring
    std::raise(SIGHUP);
    std::exit(Interrupt::signal() == SIGINT ? 0 : 2);
  };
  EXPECT_EXIT(ignored(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace neb
