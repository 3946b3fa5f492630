// ReadIdx and ReadIdxLabels on any bytes, as they are and packed by gzip: an error, or pixels that the file holds.
#include "neb/idx.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzz_input.h"

namespace {

std::vector<uint8_t> Packed(const uint8_t* data, size_t size) {
  z_stream stream = {};
  constexpr int kGzip = 16;
  neb::Check(deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflate");
  std::vector<uint8_t> packed(deflateBound(&stream, size));
  stream.next_in = const_cast<uint8_t*>(data);
  stream.avail_in = static_cast<unsigned>(size);
  stream.next_out = packed.data();
  stream.avail_out = static_cast<unsigned>(packed.size());
  neb::Check(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

bool Equal(const autodiff::Tensor& a, const autodiff::Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.bytes(), a.bytes() + a.num_bytes(), b.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const neb::InputFile file(data, size);
  const absl::StatusOr<neb::Dataset> images = neb::ReadIdx(file.path()), first = neb::ReadIdx(file.path(), 1);
  const absl::StatusOr<std::vector<int>> labels = neb::ReadIdxLabels(file.path());
  if (!images.ok()) neb::CheckError(images.status(), file.path());
  if (!first.ok()) neb::CheckError(first.status(), file.path());
  if (!labels.ok()) neb::CheckError(labels.status(), file.path());
  neb::Check(!(images.ok() && labels.ok()), "both images and labels");
  neb::Check(!images.ok() || first.ok(), "all images are readable, but not the first alone");
  if (images.ok()) {
    neb::Check(images->x.shape()[1] == images->item_shape.num_elements(), "rows that are not images");
    const std::span<const float> x = images->x.data<float>();
    neb::Check(std::all_of(x.begin(), x.end(), [](float v) { return v >= 0 && v <= 1; }), "a pixel outside [0, 1]");
  }

  const std::vector<uint8_t> packed = Packed(data, size);
  const neb::InputFile gzip(packed.data(), packed.size());
  const absl::StatusOr<neb::Dataset> unpacked = neb::ReadIdx(gzip.path());
  const bool is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;  // then it is packed twice
  if (!unpacked.ok()) neb::CheckError(unpacked.status(), gzip.path());
  neb::Check(unpacked.ok() == (images.ok() && !is_gzip), "gzip changes what is readable");
  if (unpacked.ok()) neb::Check(Equal(images->x, unpacked->x), "gzip changes the pixels");
  return 0;
}
