#include "neb/axes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace neb {
namespace {

// Larger numbers, and on a logarithmic axis those below its inverse, are left out: their spans would overflow.
constexpr double kLargest = 1e150;

// How to write the numbers of an axis that are multiples of `step`.
struct NumberFormat {
  double step = 1;
  double unit = 1;
  const char* suffix = "";
  bool scientific = false;
};

// How many decimals it takes to write `value` to within `error`.
int Decimals(double value, double error) {
  int decimals = 0;
  for (double power = 1; decimals < 15 && std::abs(value * power - std::round(value * power)) > error * power;
       power *= 10) {
    ++decimals;
  }
  return decimals;
}

std::string Format(double value, const NumberFormat& format) {
  if (value == 0) return "0";
  std::string text;
  if (format.scientific) {
    const auto exponent = static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-12));
    const double unit = std::pow(10, exponent);
    text = absl::StrFormat("%.*fe%d", Decimals(value / unit, 1e-3 * format.step / unit), value / unit, exponent);
  } else {
    text = absl::StrFormat("%.*f%s", Decimals(format.step / format.unit, 1e-6 * format.step / format.unit),
                           value / format.unit, format.suffix);
  }
  // A minus sign is as wide as a plus; a hyphen is not.
  if (text[0] == '-') text.replace(0, 1, "−");
  return text;
}

NumberFormat FormatFor(double largest, double step) {
  if (largest >= 1e9 || largest < 2e-4) return {.step = step, .scientific = true};
  if (largest >= 1e6) return {.step = step, .unit = 1e6, .suffix = "M"};
  if (largest >= 1e4) return {.step = step, .unit = 1e3, .suffix = "k"};
  return {.step = step};
}

std::vector<Tick> LinearTicks(double low, double high, int most) {
  // The smallest round step that gives few enough ticks.
  double power = std::pow(10, std::floor(std::log10((high - low) / most)) - 1);
  double step = 0;
  double first = 0;
  double last = 0;
  for (bool found = false; !found; power *= 10) {
    for (const double digit : {1.0, 2.0, 2.5, 5.0}) {
      step = digit * power;
      // A bound that is a multiple of the step but for rounding counts as one.
      first = std::ceil(low / step - 1e-9);
      last = std::floor(high / step + 1e-9);
      found = last - first + 1 <= most;
      if (found) break;
    }
  }
  const NumberFormat format = FormatFor(std::max(std::abs(first), std::abs(last)) * step, step);
  std::vector<Tick> ticks;
  for (double k = first; k <= last; ++k) ticks.push_back({k * step, Format(k * step, format)});
  return ticks;
}

std::vector<Tick> LogarithmicTicks(double low, double high, int most) {
  const auto first = static_cast<int>(std::floor(std::log10(low)));
  const auto last = static_cast<int>(std::ceil(std::log10(high)));
  auto collect = [&](std::initializer_list<double> digits, int stride) {
    std::vector<Tick> ticks;
    for (int exponent = first; exponent <= last; ++exponent) {
      if (exponent % stride != 0) continue;
      for (const double digit : digits) {
        const double value = digit * std::pow(10, exponent);
        if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
        ticks.push_back({value, Format(value, FormatFor(value, value))});
      }
    }
    return ticks;
  };
  std::vector<Tick> ticks = collect({1, 2, 5}, 1);
  for (int stride = 1; static_cast<int>(ticks.size()) > most; ++stride) ticks = collect({1}, stride);
  return ticks.size() < 2 ? LinearTicks(low, high, most) : ticks;
}

}  // namespace

double Axis::Map(double value) const {
  const double t =
      logarithmic ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low)) : (value - low) / (high - low);
  return first_pixel + t * (last_pixel - first_pixel);
}

std::vector<Tick> Ticks(const Axis& axis, int most) {
  return axis.logarithmic ? LogarithmicTicks(axis.low, axis.high, most) : LinearTicks(axis.low, axis.high, most);
}

Axis AxisAround(const std::vector<double>& values, bool logarithmic, double margin) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    // Also false for NaN.
    const bool usable = logarithmic ? value >= 1 / kLargest && value <= kLargest : std::abs(value) <= kLargest;
    if (!usable) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return {.low = logarithmic ? 1.0 : 0.0, .high = logarithmic ? 10.0 : 1.0, .logarithmic = logarithmic};
  // Below this length the positions of ticks would be lost in rounding.
  const bool is_point = high - low <= std::max(std::abs(low), std::abs(high)) * 1e-9;
  if (logarithmic) {
    const double widen = is_point ? 2 : std::exp(margin * (std::log(high) - std::log(low)));
    return {.low = low / widen, .high = high * widen, .logarithmic = true};
  }
  const double widen = is_point ? (low == 0 ? 0.5 : std::abs(low) / 2) : margin * (high - low);
  return {.low = low - widen, .high = high + widen};
}

}  // namespace neb
