// The command `neb`.
#include "neb/cli/command.h"

int main(int argc, char** argv) { return neb::RunCommands({&neb::kDenoise, &neb::kSpheres, &neb::kInfo}, argc, argv); }
