// Models and data for tests of the commands: small, and known in closed form.
//
//   const std::string run = NewFolder("run");
//   WriteBowl(run + "/model.safetensors", {2, 3, 1}, /*sigma=*/0.5, /*metadata=*/{});
//   RunNeb("sample " + run);
#ifndef NEB_TESTS_NEB_CLI_TINY_MODEL_H_
#define NEB_TESTS_NEB_CLI_TINY_MODEL_H_

#include <cmath>
#include <cstdint>
#include <map>
#include <string>

#include "autodiff/tensor.h"
#include "gtest/gtest.h"
#include "neb/cli/data_source.h"
#include "neb/energy_spec.h"
#include "neb/measurements.h"
#include "neb/model.h"
#include "neb/npy.h"
#include "neb/scales.h"

namespace neb {

inline constexpr double kBowlMean = 0.25;   // μ of all coordinates
inline constexpr double kBowlStddev = 0.5;  // s

// A residual denoiser of the mean of M measurements, before its first step of training: of their mean ȳ, whose noise is
// σ/√M, the isotropic Wiener estimate.
inline void WriteJointBowl(const std::string& path, const autodiff::Shape& item_shape, int64_t measurements,
                           double sigma, std::map<std::string, std::string> metadata) {
  const EnergySpec spec = ResidualMlpOptions{.hidden = {4}};
  Scales scales{.mean = autodiff::Tensor({item_shape.num_elements()}),
                .stddev = kBowlStddev,
                .sigma = sigma / std::sqrt(static_cast<double>(measurements))};
  for (float& mean : scales.mean.data<float>()) mean = static_cast<float>(kBowlMean);
  const absl::StatusOr<Energy> energy = MakeEnergy(spec, item_shape, scales);
  ASSERT_TRUE(energy.ok()) << energy.status();
  autodiff::Shape shape = item_shape;
  if (measurements > 1) {
    shape = {measurements};
    for (const int64_t extent : item_shape) shape.push_back(extent);
    metadata["measurements"] = std::to_string(measurements);
  }
  const absl::StatusOr<Model> model = Model::Create(JointEnergy(*energy, measurements, sigma), shape, sigma);
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::Status saved = SaveModel(path, *model, spec, metadata);
  ASSERT_TRUE(saved.ok()) << saved;
}
// Of one: φ(y) = ‖y − μ‖²/2(s² + σ²).
inline void WriteBowl(const std::string& path, const autodiff::Shape& item_shape, double sigma,
                      const std::map<std::string, std::string>& metadata) {
  WriteJointBowl(path, item_shape, 1, sigma, metadata);
}

// n images of 6 × 5 with a bright column that moves, as `path`, an .npy file.
inline void WriteImages(const std::string& path, int64_t n) {
  autodiff::Tensor x({n, 6, 5});
  for (int64_t i = 0; i < n * 30; ++i) x.set(i, i % 5 == i / 30 % 5 ? 0.9 : 0.01 * static_cast<double>(i / 30 % 7));
  ASSERT_TRUE(WriteNpy(path, x).ok());
}

}  // namespace neb

#endif  // NEB_TESTS_NEB_CLI_TINY_MODEL_H_
