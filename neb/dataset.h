// Data sets: samples in rows, read from files (read_data.h) or drawn (synthetic.h), split and cut into batches
// reproducibly.
//
//   absl::StatusOr<Dataset> digits = ReadData("train-images-idx3-ubyte.gz");  // read_data.h; x: [60000, 784]
//   absl::StatusOr<TrainHeldOut> parts = Split(*std::move(digits), 0.1, /*seed=*/1);
//   Batches batches(parts->train.size(), {.batch_size = 128, .seed = 1});
//   GatherRows(parts->train.x, batches.At(step), batch);                             // batch: [128, 784]
#ifndef NEB_NEB_DATASET_H_
#define NEB_NEB_DATASET_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/shape.h"
#include "autodiff/tensor.h"

namespace neb {

// "All of them", for the readers that can stop early.
inline constexpr int64_t kAllItems = std::numeric_limits<int64_t>::max();

struct Dataset {
  autodiff::Tensor x = {};          // float32 [n, d]; pixels in [0, 1]
  autodiff::Shape item_shape = {};  // what a row is: {height, width, channels} of an image, {2} of a point in the plane
  std::string name = {};            // for titles and logs

  int64_t size() const { return x.shape()[0]; }
};

struct TrainHeldOut {
  Dataset train;
  Dataset held_out;
};
// Splits at random; the same seed and size give the same split. `held_out` below 1 is a fraction of the data set
// (rounded to nearest), from 1 on it is a number of items. InvalidArgument when either part would be empty. The part to
// train on stays in the memory of `data`, which is reordered: with Split(std::move(data), …) only what is held out is
// copied.
absl::StatusOr<TrainHeldOut> Split(Dataset data, double held_out, uint64_t seed);

struct BatchOptions {
  int64_t batch_size = 128;
  uint64_t seed = 0;
  bool keep_partial = false;  // whether an epoch ends with a smaller batch of what is left, or leaves it out
};

// Which rows the batches of a training run consist of: each epoch is a fresh permutation of [0, n). A batch depends
// only on n, the options and its number, so a run that is resumed at step t sees what it would have seen.
class Batches {
 public:
  // n >= 1, batch_size >= 1; with keep_partial false a batch_size above n is taken as n.
  Batches(int64_t n, BatchOptions options);

  int64_t per_epoch() const { return per_epoch_; }
  int64_t batch_size() const { return batch_size_; }  // of every batch but a partial one

  // The rows of batch `step` >= 0, counted across epochs; valid until the next call. Permutes anew (O(n)) when the
  // epoch changes, allocates nothing.
  std::span<const int64_t> At(int64_t step);

 private:
  int64_t batch_size_;
  int64_t per_epoch_;
  uint64_t seed_;
  int64_t epoch_ = -1;  // the one that order_ belongs to
  std::vector<int64_t> order_;
};

// out[i] = x[indices[i]] for whole rows. `out` is [indices.size(), …] with x's row shape and dtype, indices are in
// [0, x.shape()[0]): anything else aborts. No allocation.
void GatherRows(const autodiff::Tensor& x, std::span<const int64_t> indices, autodiff::Tensor& out);

}  // namespace neb

#endif  // NEB_NEB_DATASET_H_
