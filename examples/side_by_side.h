// Pictures beside each other, for the examples.
#ifndef NEB_EXAMPLES_SIDE_BY_SIDE_H_
#define NEB_EXAMPLES_SIDE_BY_SIDE_H_

#include <vector>

#include "neb/image.h"

namespace examples {

// Pictures with three channels and of one size, `columns` to a row.
neb::Image SideBySide(const std::vector<neb::Image>& pictures, int columns);

}  // namespace examples

#endif  // NEB_EXAMPLES_SIDE_BY_SIDE_H_
