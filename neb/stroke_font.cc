#include "neb/stroke_font.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace neb {
namespace {

// Strokes are separated by blanks and consist of pairs: a digit for x, a letter for y (d is the baseline, j the height
// of an x, m that of a capital, a the deepest). A small letter is a point of the path; a capital letter is a control
// point of a quadratic curve, and between two of those the path passes through their midpoint, as in TrueType outlines.
struct Glyph {
  char32_t code;
  int advance;  // 0: drawn over the character before
  const char* strokes;
};

// Sorted by code.
constexpr Glyph kGlyphs[] = {
    {U' ', 4, ""},
    {U'!', 4, "0m0g 0d0e"},
    {U'"', 5, "0m0j 2m2j"},
    {U'#', 9, "1d2m 4d5m 0g6g 0j6j"},
    {U'$', 8, "5k5M0M0I5H5D0D0f 2n2c"},
    {U'%', 10, "0k0M3M3I0I0k 4f4H7H7D4D4f 6m1d"},
    {U'&', 9, "6d1j1M4M4J0G0D5D6h"},
    {U'\'', 3, "0m0j"},
    {U'(', 5, "2n0K0E2b"},
    {U')', 5, "0n2K2E0b"},
    {U'*', 7, "2m2i 0l4j 4l0j"},
    {U'+', 9, "0h6h 3e3k"},
    {U',', 4, "1e1d0b"},
    {U'-', 6, "0g3g"},
    {U'.', 3, "0d0e"},
    {U'/', 6, "0c4m"},
    {U'0', 8, "0g0j0M5M5j5g5D0D0g"},
    {U'1', 8, "1k3m3d 1d5d"},
    {U'2', 8, "0k0M5M5j5H0d5d"},
    {U'3', 8, "0l0M5M5I2i5I5D0D0e"},
    {U'4', 8, "4d4m0f5f"},
    {U'5', 8, "5m0m0i1J5J5D0D0e"},
    {U'6', 8, "5l5M0M0g 0g0J5J5D0D0g"},
    {U'7', 8, "0m5m2d"},
    {U'8', 8, "0k0M5M5I0I0k 0f0I5I5D0D0f"},
    {U'9', 8, "5j5M0M0G5G5j 5j5D0D0e"},
    {U':', 3, "0d0e 0i0j"},
    {U';', 4, "1i1j 1e1d0b"},
    {U'<', 8, "5k0h5e"},
    {U'=', 9, "0g6g 0i6i"},
    {U'>', 8, "0k5h0e"},
    {U'?', 7, "0k0M4M4J2H2g 2d2e"},
    {U'@', 10, "5j5f 5g5I2I2E5E5g 5f5E7E7h7M0M0C6c"},
    {U'A', 8, "0d3m6d 1g5g"},
    {U'B', 8, "0d0m2m5M5I2i0i 2i5I5D2d0d"},
    {U'C', 9, "6k6M0M0D6D6f"},
    {U'D', 9, "0d0m2m6M6D2d0d"},
    {U'E', 8, "5m0m0d5d 0i4i"},
    {U'F', 7, "5m0m0d 0i4i"},
    {U'G', 9, "6k6M0M0D6D6h3h"},
    {U'H', 9, "0d0m 6d6m 0i6i"},
    {U'I', 3, "0d0m"},
    {U'J', 6, "3m3f3D0D0e"},
    {U'K', 8, "0m0d 5m0g 2i5d"},
    {U'L', 7, "0m0d5d"},
    {U'M', 10, "0d0m3f4f7m7d"},
    {U'N', 9, "0d0m6d6m"},
    {U'O', 9, "0g0j0M6M6j6g6D0D0g"},
    {U'P', 8, "0d0m2m5M5H2h0h"},
    {U'Q', 9, "0g0j0M6M6j6g6D0D0g 4f6c"},
    {U'R', 8, "0d0m2m5M5H2h0h 3h5d"},
    {U'S', 8, "5k5M0M0I5H5D0D0f"},
    {U'T', 8, "0m6m 3m3d"},
    {U'U', 9, "0m0g0D6D6g6m"},
    {U'V', 8, "0m3d6m"},
    {U'W', 10, "0m2d4m6d8m"},
    {U'X', 8, "0m5d 5m0d"},
    {U'Y', 8, "0m3h6m 3h3d"},
    {U'Z', 8, "0m5m0d5d"},
    {U'[', 5, "2n0n0b2b"},
    {U'\\', 6, "0m4c"},
    {U']', 5, "0n2n2b0b"},
    {U'^', 8, "0i3m6i"},
    {U'_', 8, "0b6b"},
    {U'`', 4, "0n1l"},
    {U'a', 7, "0i0J4J4g4d 4g2g0G0D2d4D4f"},
    {U'b', 8, "0m0d 0g0J5J5D0D0g"},
    {U'c', 7, "4i4J0J0D4D4e"},
    {U'd', 8, "5m5d 5g5J0J0D5D5g"},
    {U'e', 8, "0g5g5J0J0D5D5e"},
    {U'f', 5, "3m1M1j1d 0j3j"},
    {U'g', 8, "5g5J0J0D5D5g 5j5c5A0A0b"},
    {U'h', 7, "0m0d 0g0J4J4h4d"},
    {U'i', 3, "0j0d 0l0m"},
    {U'j', 4, "1j1c1A0a 1l1m"},
    {U'k', 7, "0m0d 4j0f 1g4d"},
    {U'l', 3, "0m0d"},
    {U'm', 11, "0j0d 0g0J4J4h4d 4g4J8J8h8d"},
    {U'n', 7, "0j0d 0g0J4J4h4d"},
    {U'o', 8, "0g0J5J5D0D0g"},
    {U'p', 8, "0j0a 0g0J5J5D0D0g"},
    {U'q', 8, "5j5a 5g5J0J0D5D5g"},
    {U'r', 5, "0j0d 0g0J3j"},
    {U's', 7, "4i4J0J0G4G4D0D0e"},
    {U't', 5, "1l1f1D3d 0j3j"},
    {U'u', 7, "0j0f0D4D4g 4j4d"},
    {U'v', 7, "0j2d4j"},
    {U'w', 10, "0j2d4j6d8j"},
    {U'x', 7, "0j4d 4j0d"},
    {U'y', 7, "0j2d 4j2d2b1A0a"},
    {U'z', 7, "0j4j0d4d"},
    {U'{', 6, "3n1N1H0h1H1B3b"},
    {U'|', 3, "0n0b"},
    {U'}', 6, "0n2N2H3h2H2B0b"},
    {U'~', 9, "0g1J5E6i"},
    {U'°', 6, "0l0N3N3J0J0l"},
    {U'±', 9, "0i6i 3f3l 0d6d"},
    {U'²', 6, "0m0N3N3L0j3j"},
    {U'·', 4, "0h0h"},
    {U'×', 8, "0j5e 5j0e"},
    {U'\u0302', 0, "0l2n4l"},
    {U'α', 8, "5j4D0D0J4J5d"},
    {U'γ', 7, "0j2d2a 4j2d"},
    {U'δ', 8, "0g0J5J5D0D0g 4m1M1L5J5g"},
    {U'ε', 7, "4i4J0J0G2g0G0D4D4e"},
    {U'θ', 8, "0g0j0M5M5j5g5D0D0g 0h5h"},
    {U'λ', 8, "0m1m5d 2i0d"},
    {U'μ', 7, "0j0a 0f0D4D4g 4j4d"},
    {U'π', 9, "0j6j 1j1d 5j5d"},
    {U'σ', 9, "3j0J0D5D5J3j6j"},
    {U'τ', 7, "0j4j 2j2f2D4d"},
    {U'φ', 9, "0g0J6J6D0D0g 3m3a"},
    {U'χ', 8, "0j5a 5j0a"},
    {U'–', 8, "0g5g"},
    {U'—', 11, "0g8g"},
    {U'‖', 5, "0n0b 2n2b"},
    {U'…', 10, "0d0e 3d3e 6d6e"},
    {U'₁', 5, "0f1g1a"},
    {U'₂', 6, "0f0G3G3E0a3a"},
    {U'∇', 8, "0m6m3d0m"},
    {U'−', 9, "0h6h"},
    {U'√', 8, "0g1g3d5n"},
    {U'≈', 9, "0f1H5D6g 0i1K5G6j"},
    {U'≤', 8, "5l0i5f 0d5d"},
    {U'≥', 8, "0l5i0f 0d5d"},
};
constexpr Glyph kUnknown = {U'\0', 8, "0d0m5m5d0d"};

const Glyph& FindGlyph(char32_t code) {
  for (const Glyph& glyph : kGlyphs) {
    if (glyph.code == code) return glyph;
  }
  return kUnknown;
}

// The code point that starts at text[i]; moves i past it. A byte that is no UTF-8 counts as an unknown character.
char32_t NextCodePoint(std::string_view text, size_t& i) {
  const auto byte = static_cast<uint8_t>(text[i++]);
  if (byte < 0x80) return byte;
  const int more = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : 0;
  if (more == 0) return U'\uFFFD';
  char32_t code = byte & (0x3Fu >> more);
  for (int k = 0; k < more; ++k) {
    if (i >= text.size() || (static_cast<uint8_t>(text[i]) & 0xC0u) != 0x80u) return U'\uFFFD';
    code = code << 6 | (static_cast<uint8_t>(text[i++]) & 0x3Fu);
  }
  return code;
}

void AppendQuadratic(Point from, Point control, Point to, Stroke& stroke) {
  constexpr int kPieces = 6;
  for (int k = 1; k <= kPieces; ++k) {
    const double t = static_cast<double>(k) / kPieces;
    const double a = (1 - t) * (1 - t);
    const double b = 2 * t * (1 - t);
    const double c = t * t;
    stroke.push_back({a * from.x + b * control.x + c * to.x, a * from.y + b * control.y + c * to.y});
  }
}

// The strokes of one glyph, relative to its origin on the baseline.
std::vector<Stroke> GlyphStrokes(const Glyph& glyph) {
  std::vector<Stroke> strokes;
  Stroke stroke;
  bool pending = false;  // a control point waits for the end of its curve
  Point control;
  for (const char* p = glyph.strokes; *p != '\0';) {
    if (*p == ' ') {
      strokes.push_back(std::move(stroke));
      stroke.clear();
      ++p;
      continue;
    }
    const bool is_control = p[1] >= 'A' && p[1] <= 'Z';
    const Point point = {static_cast<double>(p[0] - '0'), static_cast<double>((is_control ? 'D' : 'd') - p[1])};
    p += 2;
    if (is_control) {
      if (pending) {
        AppendQuadratic(stroke.back(), control, {(control.x + point.x) / 2, (control.y + point.y) / 2}, stroke);
      }
      control = point;
    } else if (pending) {
      AppendQuadratic(stroke.back(), control, point, stroke);
    } else {
      stroke.push_back(point);
    }
    pending = is_control;
  }
  if (!stroke.empty()) strokes.push_back(std::move(stroke));
  return strokes;
}

constexpr double kGap = 2;  // between two characters; part of every advance

}  // namespace

double TextWidth(std::string_view text) {
  double width = 0;
  for (size_t i = 0; i < text.size();) width += FindGlyph(NextCodePoint(text, i)).advance;
  return std::max(width - kGap, 0.0);
}

std::vector<Stroke> TextStrokes(std::string_view text, Point origin, bool upwards) {
  std::vector<Stroke> all;
  double pen = 0;
  double previous_pen = 0;
  for (size_t i = 0; i < text.size();) {
    const Glyph& glyph = FindGlyph(NextCodePoint(text, i));
    const double start = glyph.advance == 0 ? previous_pen : pen;
    for (Stroke& stroke : GlyphStrokes(glyph)) {
      for (Point& p : stroke) {
        const Point q = {p.x + start, p.y};
        p = upwards ? Point{origin.x + q.y, origin.y - q.x} : Point{origin.x + q.x, origin.y + q.y};
      }
      all.push_back(std::move(stroke));
    }
    if (glyph.advance == 0) continue;
    previous_pen = pen;
    pen += glyph.advance;
  }
  return all;
}

}  // namespace neb
