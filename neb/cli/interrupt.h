// Ctrl-C and SIGTERM as a question that a program asks when it can save its work.
//
//   const Interrupt interrupt;
//   options.stop = [] { return Interrupt::signal() != 0; };
//   absl::StatusOr<TrainResult> result = Train(model, x, nullptr, options);   // saves before it returns
//   if (Interrupt::signal() != 0) return Interrupt::ExitCode();
#ifndef NEB_NEB_CLI_INTERRUPT_H_
#define NEB_NEB_CLI_INTERRUPT_H_

#include <csignal>

namespace neb {

// While one lives, the first SIGINT, SIGTERM or SIGHUP is only noted; a second one, of any of them, kills at once. A
// signal that the program was started to ignore (nohup) stays ignored. One at a time: signals belong to the process.
class Interrupt {
 public:
  Interrupt();
  // From here on signals do what they did before.
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The first signal that came, 0 if none did. Both can be asked also after its life.
  static int signal();
  // What a shell reports of a program that the signal ended: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP; 0 if none
  // came.
  static int ExitCode();

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  static void Note(int signal);

  struct sigaction before_[3];
};

}  // namespace neb

#endif  // NEB_NEB_CLI_INTERRUPT_H_
