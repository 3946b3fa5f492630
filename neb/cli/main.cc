// The command `neb`.
#include "neb/cli/command.h"

int main(int argc, char** argv) {
  return neb::RunCommands({&neb::kTrain, &neb::kSample, &neb::kDenoise, &neb::kRecall, &neb::kSpheres, &neb::kInfo},
                          argc, argv);
}
