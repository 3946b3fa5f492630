// The colours of a scalar: matplotlib's "viridis", which gets evenly lighter to the eye and reads in grey too.
//
//   Colour c = Viridis(0.5);  // a teal
#ifndef NEB_NEB_COLOUR_MAP_H_
#define NEB_NEB_COLOUR_MAP_H_

#include "neb/canvas.h"

namespace neb {

// t is clamped to [0, 1]: dark blue to bright yellow.
Colour Viridis(double t);

}  // namespace neb

#endif  // NEB_NEB_COLOUR_MAP_H_
