// The promise of docs/numerics.md: the same binary, seed and SIMD target give the same bits for any number of threads,
// of everything that computes. One run of each, with 1, 2, 3 and 5 threads and without a pool, on sizes that no number
// of threads divides.
#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/parallel.h"
#include "gtest/gtest.h"
#include "neb/kernel_density.h"
#include "neb/nebula.h"
#include "neb/reference.h"
#include "neb/sample_quality.h"
#include "neb/spheres.h"
#include "neb/stability.h"
#include "neb/trainer.h"
#include "neb/walk.h"
#include "tests/neb/test_energies.h"

namespace neb {
namespace {

using autodiff::ThreadPool;

// A result as bits: all of its numbers, whatever their type.
class Bits {
 public:
  void Add(double v) { bits_.push_back(std::bit_cast<uint64_t>(v)); }
  void Add(const Tensor& t) {
    for (int64_t i = 0; i < t.num_elements(); ++i) Add(t.at(i));
  }
  void Add(const std::vector<float>& values) {
    for (const float v : values) Add(static_cast<double>(v));
  }
  const std::vector<uint64_t>& bits() const { return bits_; }

 private:
  std::vector<uint64_t> bits_;
};

constexpr int64_t kDims = 67;

// Data with structure, and a network that has learned a little of it: two layers wide enough to be split.
Tensor Data(int64_t n, uint64_t seed) { return NormalTensor({n, kDims}, 0.5, 0.4, seed); }
Model Learned(ThreadPool* pool) {
  const Tensor x = Data(301, 1);
  absl::StatusOr<Model> model = Model::Create(RandomDenoiser(MeasureScales(x, 0.3), 130), {kDims}, 0.3, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  const absl::StatusOr<TrainResult> trained = Train(
      *model, x, nullptr,
      {.steps = 12, .batch = 101, .adam = {.weight_decay = 0.01, .clip_norm = 1}, .far_fraction = 0.1, .pool = pool});
  EXPECT_TRUE(trained.ok()) << trained.status();
  return *std::move(model);
}

// One for all that do not train.
Model& Shared() {
  static Model& model = *new Model(Learned(nullptr));
  return model;
}

Bits Training(ThreadPool* pool) {
  Bits bits;
  Model model = Learned(pool);
  bits.Add(ParameterValues(model));
  const Tensor held_out = Data(131, 2);
  bits.Add(MeasureLoss(model, held_out, 131, 1, pool).value());
  // Several measurements per sample.
  const Scales scales = MeasureScales(NormalTensor({50, 2 * kDims}, 0.5, 0.4, 3), 0.3);
  absl::StatusOr<Model> joint = Model::Create(RandomDenoiser(scales, 40), {2 * kDims}, 0.3, 2);
  EXPECT_TRUE(Train(*joint, Data(90, 4), &held_out, {.steps = 5, .batch = 33, .measurements = 2, .pool = pool}).ok());
  bits.Add(ParameterValues(*joint));
  return bits;
}

Bits Walking(Sampler sampler, ThreadPool* pool) {
  Bits bits;
  Model& model = Shared();
  absl::StatusOr<Walk> walk =
      Walk::Create(model, UniformStarts(79, model, 3), {.sampler = sampler, .seed = 5, .pool = pool});
  EXPECT_TRUE(walk.ok()) << walk.status();
  EXPECT_TRUE(walk->BurnIn(4).ok());
  EXPECT_TRUE(walk->Run(6).ok());
  bits.Add(walk->y());
  bits.Add(walk->Jump().value());
  bits.Add(walk->step_size());
  for (const double a : walk->acceptance()) bits.Add(a);
  return bits;
}

Bits Descending(ThreadPool* pool) {
  Bits bits;
  Model& model = Shared();
  const Descents memories =
      Descend(model, NoisyStarts(Data(23, 5), model, 6), {.max_evaluations = 20, .path_every = 3, .pool = pool})
          .value();
  bits.Add(memories.y);
  bits.Add(memories.x_hat);
  for (const Descent& row : memories.rows) {
    for (const double e : row.path.energy) bits.Add(e);
    bits.Add(row.path.y);
    bits.Add(row.energy);
    bits.Add(static_cast<double>(row.evaluations));
  }
  const std::vector<Spectrum> spectra = ExtremeCurvatures(model, memories.y, {.pool = pool}).value();
  for (const Spectrum& s : spectra) {
    bits.Add(s.smallest);
    bits.Add(s.direction);
  }
  return bits;
}

Bits Geometry(ThreadPool* pool) {
  Bits bits;
  const Tensor x = Data(517, 7);
  const Chi chi = Chi::Measure(x, pool).value();
  for (const double q : {0.0, 0.05, 0.5, 0.95, 1.0}) bits.Add(chi.Quantile(q));
  bits.Add(chi.mean());
  bits.Add(static_cast<double>(chi.closest().first));
  bits.Add(static_cast<double>(chi.farthest().second));
  return bits;
}

Bits Quality(ThreadPool* pool) {
  Bits bits;
  const Tensor x = Data(333, 8), y = Data(259, 9);
  const Measured sliced = SlicedWasserstein(x, y, {.directions = 50, .pool = pool}).value();
  const Discrepancy mmd = MeanDiscrepancy(x, y, {.pool = pool}).value();
  for (const double v : {sliced.value, sliced.standard_error, mmd.value, mmd.standard_error, mmd.bandwidth})
    bits.Add(v);
  const std::vector<Nearest> nearest = NearestSamples(x, y, pool).value();
  for (const Nearest& n : nearest) {
    bits.Add(static_cast<double>(n.index));
    bits.Add(n.distance);
  }
  return bits;
}

Bits References(ThreadPool* pool) {
  Bits bits;
  const Tensor x = Data(701, 10), y = Data(403, 11);
  const KernelDensity kde = KernelDensity::Create(x, 0.4).value();
  const Smoothed at = kde.Evaluate(y, pool).value();
  bits.Add(at.energy);
  bits.Add(at.gradient);
  bits.Add(at.x_hat);
  bits.Add(kde.Loss(y, 3, pool).value().mean);
  const LinearEstimator wiener = LinearEstimator::Fit(x, 0.4, pool).value();
  bits.Add(wiener.Loss(y, pool).value());
  return bits;
}

struct Computation {
  std::string name;
  std::function<Bits(ThreadPool*)> run;
};

class AnyNumberOfThreads : public testing::TestWithParam<Computation> {};

TEST_P(AnyNumberOfThreads, GivesTheSameBits) {
  const std::vector<uint64_t> expected = GetParam().run(nullptr).bits();
  ASSERT_GT(expected.size(), 4u);
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(GetParam().run(&pool).bits() == expected) << threads << " threads";
  }
}

std::vector<Computation> All() {
  std::vector<Computation> all = {{"Training", Training},
                                  {"Descend", Descending},
                                  {"Geometry", Geometry},
                                  {"SampleQuality", Quality},
                                  {"References", References}};
  for (const Sampler s : {Sampler::kUla, Sampler::kMala, Sampler::kBaoab, Sampler::kAboba, Sampler::kHalfDenoising}) {
    std::string name = Name(s);
    for (char& c : name) c = c == '-' ? '_' : c;
    all.push_back({name, [s](ThreadPool* pool) { return Walking(s, pool); }});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Determinism, AnyNumberOfThreads, testing::ValuesIn(All()),
                         [](const auto& of) { return of.param.name; });

// What a test of equality is worth: another seed gives other bits.
TEST(Determinism, AnotherSeedGivesOtherBits) {
  Model& model = Shared();
  std::vector<std::vector<float>> ends;
  for (const uint64_t seed : {1, 2}) {
    absl::StatusOr<Walk> walk = Walk::Create(model, UniformStarts(3, model, 3), {.seed = seed});
    ASSERT_TRUE(walk.ok() && walk->Run(2).ok());
    ends.push_back(Values(walk->y()));
  }
  EXPECT_NE(ends[0], ends[1]);
}

}  // namespace
}  // namespace neb
