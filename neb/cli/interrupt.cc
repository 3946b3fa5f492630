#include "neb/cli/interrupt.h"

#include <atomic>

namespace neb {
namespace {

// A handler reaches nothing but what is global, and of that only what is free of locks.
std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

void Interrupt::Note(int signal) {
  int none = 0;
  noted.compare_exchange_strong(none, signal);
  // Who asks twice does not want to wait: from now on these signals kill.
  struct sigaction kill = {};
  kill.sa_handler = SIG_DFL;
  for (const int s : kSignals) {
    struct sigaction now = {};
    if (sigaction(s, nullptr, &now) == 0 && now.sa_handler == Note) sigaction(s, &kill, nullptr);
  }
}

Interrupt::Interrupt() {
  noted = 0;
  struct sigaction note = {};
  note.sa_handler = Note;
  note.sa_flags = SA_RESTART;  // a read or write that is under way goes on
  for (int i = 0; i < 3; ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &note, nullptr);
  }
}

Interrupt::~Interrupt() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

int Interrupt::signal() { return noted; }

int Interrupt::ExitCode() { return noted == 0 ? 0 : 128 + noted; }

}  // namespace neb
