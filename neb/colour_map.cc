#include "neb/colour_map.h"

#include <algorithm>
#include <cmath>

namespace neb {

Colour Viridis(double t) {
  // Every 32nd entry of matplotlib's table (by Smith, van der Walt and Firing; CC0), linear in between.
  constexpr int kLast = 8;
  constexpr double kAnchors[kLast + 1][3] = {{0x44, 0x01, 0x54}, {0x47, 0x2d, 0x7b}, {0x3b, 0x52, 0x8b},
                                             {0x2c, 0x72, 0x8e}, {0x21, 0x91, 0x8c}, {0x28, 0xae, 0x80},
                                             {0x5e, 0xc9, 0x62}, {0xad, 0xdc, 0x30}, {0xfd, 0xe7, 0x25}};
  const double position = std::clamp(t, 0.0, 1.0) * kLast;
  const int below = std::min(static_cast<int>(position), kLast - 1);
  const double part = position - below;
  auto channel = [&](int c) {
    return static_cast<uint8_t>(std::lround((1 - part) * kAnchors[below][c] + part * kAnchors[below + 1][c]));
  };
  return {channel(0), channel(1), channel(2)};
}

}  // namespace neb
