// Which ready-made energy, by name: so that a command line can choose one, and a model file say which it holds.
//
//   absl::StatusOr<EnergySpec> spec = ParseEnergySpec(R"({"form": "conv", "channels": [32, 64], "strides": [1, 2]})");
//   absl::StatusOr<Energy> energy = FitEnergy(*spec, train.item_shape, train.x, /*sigma=*/0.3);
//   SaveModel(path, *model, *spec);
//   absl::StatusOr<Model> again = LoadModel(path);   // knows which energy it is
//
// A spec is a JSON object: its "form" and those of the form's options that are not at their defaults. The name of a
// form alone, without JSON, is its defaults.
//
//   form                options, and where they are explained
//   mlp                 hidden, activation                                 MlpEnergyOptions
//   product_of_experts  hidden, experts, activation                        ProductOfExpertsOptions
//   conv                channels, strides, kernel, bottleneck, activation  ConvEnergyOptions
//   residual_mlp        hidden, activation                                 ResidualMlpOptions
//   residual_conv       channels, kernel, bottleneck, activation           ResidualConvOptions
//
// and those that are fitted to the data, with nothing to train (fitted_energies.h):
//
//   quadratic           the Gaussian N(μ, s²I) of the samples
//   gaussian            the Gaussian N(μ, Σ) of the samples
//   gaussian_mixture    components, covariance, seed                       GaussianMixtureOptions
//   kernel_density      the samples themselves, which the model then holds
#ifndef NEB_NEB_ENERGY_SPEC_H_
#define NEB_NEB_ENERGY_SPEC_H_

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/parallel.h"
#include "autodiff/shape.h"
#include "neb/energies.h"
#include "neb/fitted_energies.h"
#include "neb/model.h"

namespace neb {

struct QuadraticForm {};
struct GaussianForm {};
struct KernelDensityForm {};

using EnergySpec =
    std::variant<ResidualMlpOptions, ResidualConvOptions, MlpEnergyOptions, ProductOfExpertsOptions, ConvEnergyOptions,
                 QuadraticForm, GaussianForm, GaussianMixtureOptions, KernelDensityForm>;

// The names of all forms.
std::vector<std::string> EnergyForms();

// InvalidArgument, naming what was expected: text that is neither a form nor a JSON object, a form or an option that
// does not exist, a value of another type.
absl::StatusOr<EnergySpec> ParseEnergySpec(const std::string& text);

// All options, also those at their defaults: a model saved today means the same when a default has changed.
std::string ToJson(const EnergySpec& spec);

// Whether the energy is fitted to the data: it has no trainable parameters.
bool IsFitted(const EnergySpec& spec);

// The energy for samples x [n, d], float32, finite, each of shape item_shape, and noise σ: ready to be trained, seeing
// the samples' scales, or fitted to them. Errors: those of energies.h and fitted_energies.h.
absl::StatusOr<Energy> FitEnergy(const EnergySpec& spec, const autodiff::Shape& item_shape, const autodiff::Tensor& x,
                                 double sigma, autodiff::ThreadPool* pool = nullptr);
// One that is to be trained, of scales that are known. InvalidArgument for those that are fitted.
absl::StatusOr<Energy> MakeEnergy(const EnergySpec& spec, const autodiff::Shape& item_shape, const Scales& scales);

// Model::Save, with the spec as metadata "energy" beside the caller's own. The spec must be that of the model's energy;
// of a JointEnergy (measurements.h) that of its mean, with their number as metadata "measurements", and a model whose
// item_shape has it as the first extent.
absl::Status SaveModel(const std::string& path, const Model& model, const EnergySpec& spec,
                       std::map<std::string, std::string> metadata = {});
// Reads what SaveModel wrote, scales included. Errors: as of Model::Load; InvalidArgument for a file without "energy".
absl::StatusOr<Model> LoadModel(const std::string& path);

}  // namespace neb

#endif  // NEB_NEB_ENERGY_SPEC_H_
