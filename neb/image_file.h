// PNG and JPEG files before their pixels are decoded. The decoder (stb_image) does not look at checksums, makes
// room for whatever size a header claims, and writes past its tables for some files: what it gets is checked here
// first.
//
//   absl::Status status = CheckImageFile("cat.jpg", bytes);
#ifndef NEB_NEB_IMAGE_FILE_H_
#define NEB_NEB_IMAGE_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace neb {

// InvalidArgument, "path: offset 12: what was expected", when the bytes
//   are neither PNG nor JPEG;
//   end early: before PNG's IEND chunk, or JPEG's end-of-image marker (what follows those is ignored);
//   have a PNG chunk whose checksum is another;
//   are too few for the size that the header claims: PNG's pixels at deflate's highest ratio, JPEG's at half a bit for
//   each block of 8 x 8;
//   have more than 256 JPEG scans, each of which goes over the whole picture, or a Huffman table that is none.
absl::Status CheckImageFile(const std::string& path, std::string_view bytes);

}  // namespace neb

#endif  // NEB_NEB_IMAGE_FILE_H_
