#include "neb/energy_spec.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "neb/file_reader.h"
#include "neb/measurements.h"
#include "neb/safetensors.h"
#include "nlohmann/json.hpp"

namespace neb {
namespace {

using Json = nlohmann::ordered_json;

template <typename Form>
constexpr bool kIsFitted = std::is_same_v<Form, QuadraticForm> || std::is_same_v<Form, GaussianForm> ||
                           std::is_same_v<Form, GaussianMixtureOptions> || std::is_same_v<Form, KernelDensityForm>;

// The options of a form by name: what is read and what is written. A form is a row in Name and one here.
template <typename Options, typename Visitor>
void ForEachOption([[maybe_unused]] Options& o, [[maybe_unused]] Visitor&& visit) {
  using Form = std::remove_const_t<Options>;
  constexpr bool kConvolutional = std::is_same_v<Form, ConvEnergyOptions> || std::is_same_v<Form, ResidualConvOptions>;
  if constexpr (kConvolutional) {
    visit("channels", o.channels);
    visit("kernel", o.kernel);
    visit("bottleneck", o.bottleneck);
  } else if constexpr (!kIsFitted<Form>) {
    visit("hidden", o.hidden);
  }
  if constexpr (std::is_same_v<Form, ConvEnergyOptions>) visit("strides", o.strides);
  if constexpr (std::is_same_v<Form, ProductOfExpertsOptions>) visit("experts", o.experts);
  if constexpr (!kIsFitted<Form>) visit("activation", o.activation);
  if constexpr (std::is_same_v<Form, GaussianMixtureOptions>) {
    visit("components", o.components);
    visit("covariance", o.covariance);
    visit("seed", o.seed);
  }
}

const char* Name(const ResidualMlpOptions&) { return "residual_mlp"; }
const char* Name(const ResidualConvOptions&) { return "residual_conv"; }
const char* Name(const MlpEnergyOptions&) { return "mlp"; }
const char* Name(const ProductOfExpertsOptions&) { return "product_of_experts"; }
const char* Name(const ConvEnergyOptions&) { return "conv"; }
const char* Name(const QuadraticForm&) { return "quadratic"; }
const char* Name(const GaussianForm&) { return "gaussian"; }
const char* Name(const GaussianMixtureOptions&) { return "gaussian_mixture"; }
const char* Name(const KernelDensityForm&) { return "kernel_density"; }

// Whether the energy is that of a Gaussian mixture, maybe of one component, with "means"; the others have one "mean".
bool HasMeans(const EnergySpec& spec) {
  return std::holds_alternative<QuadraticForm>(spec) || std::holds_alternative<GaussianForm>(spec) ||
         std::holds_alternative<GaussianMixtureOptions>(spec);
}

// Every form at its defaults.
template <size_t... kIndex>
std::vector<EnergySpec> Defaults(std::index_sequence<kIndex...>) {
  return {EnergySpec(std::variant_alternative_t<kIndex, EnergySpec>())...};
}
std::vector<EnergySpec> Defaults() { return Defaults(std::make_index_sequence<std::variant_size_v<EnergySpec>>()); }

std::string FormOf(const EnergySpec& spec) {
  return std::visit([](const auto& o) { return std::string(Name(o)); }, spec);
}

// Whether `value` is what the option holds, and if so puts it there.
bool Read(const Json& value, std::string& option) {
  if (!value.is_string()) return false;
  option = value.get<std::string>();
  return true;
}
bool Read(const Json& value, int64_t& option) {
  if (!value.is_number_integer()) return false;
  option = value.get<int64_t>();
  return true;
}
bool Read(const Json& value, std::vector<int64_t>& option) {
  if (!value.is_array()) return false;
  option.assign(value.size(), 0);
  for (size_t i = 0; i < value.size(); ++i) {
    if (!Read(value[i], option[i])) return false;
  }
  return true;
}
// For errors. The text may be of any length, nested to any depth, and not even UTF-8.
std::string Shown(const Json& value) {
  if (value.is_string()) return Excerpt(value.get_ref<const std::string&>());
  return value.is_structured() ? value.type_name() : value.dump();
}

const char* TypeOf(const std::string&) { return "a string"; }
const char* TypeOf(int64_t) { return "a whole number"; }
const char* TypeOf(const std::vector<int64_t>&) { return "a list of whole numbers"; }

// The energy of a model's file, for samples of that shape and noise σ.
absl::StatusOr<Energy> StoredEnergy(const EnergySpec& spec, const TensorFile& file, const autodiff::Shape& item_shape,
                                    double sigma) {
  const int64_t d = item_shape.num_elements();
  if (HasMeans(spec)) return StoredMixture(file, d);
  if (std::holds_alternative<KernelDensityForm>(spec)) return StoredKernelDensity(file, d, sigma);
  // The file's own mean, s and radius win.
  return MakeEnergy(spec, item_shape, {.mean = *file.Find("mean"), .sigma = sigma});
}

absl::Status ReadOptions(const Json& json, EnergySpec& spec) {
  absl::Status status;
  std::vector<std::string> names;
  std::visit(
      [&](auto& options) {
        ForEachOption(options, [&](const char* name, auto& option) {
          names.emplace_back(name);
          const auto it = json.find(name);
          if (it == json.end() || Read(*it, option)) return;
          status.Update(absl::InvalidArgumentError(
              absl::StrCat("option \"", name, "\" must be ", TypeOf(option), ", got ", Shown(*it))));
        });
      },
      spec);
  for (const auto& [name, value] : json.items()) {
    if (name == "form" || std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string others = names.empty() ? "nor any other" : "only " + absl::StrJoin(names, ", ");
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("the form ", FormOf(spec), " has no option ", Excerpt(name), ", ", others)));
  }
  return status;
}

}  // namespace

std::vector<std::string> EnergyForms() {
  std::vector<std::string> forms;
  for (const EnergySpec& spec : Defaults()) forms.push_back(FormOf(spec));
  return forms;
}

absl::StatusOr<EnergySpec> ParseEnergySpec(const std::string& text) {
  const bool is_json = text.find('{') != std::string::npos;
  const Json json = is_json ? Json::parse(text, nullptr, /*allow_exceptions=*/false) : Json{{"form", text}};
  if (!json.is_object() || !json.contains("form") || !json["form"].is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the name of an energy or {\"form\": NAME, ...}, got ", Excerpt(text)));
  }
  for (EnergySpec& spec : Defaults()) {
    if (FormOf(spec) != json["form"].get<std::string>()) continue;
    if (absl::Status s = ReadOptions(json, spec); !s.ok()) return s;
    return spec;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no energy is called ", Shown(json["form"]), ", only ", absl::StrJoin(EnergyForms(), ", ")));
}

std::string ToJson(const EnergySpec& spec) {
  Json json = {{"form", FormOf(spec)}};
  std::visit(
      [&json](const auto& options) {
        ForEachOption(options, [&json](const char* name, const auto& option) { json[name] = option; });
      },
      spec);
  return json.dump();
}

bool IsFitted(const EnergySpec& spec) {
  return std::visit([](const auto& options) { return kIsFitted<std::decay_t<decltype(options)>>; }, spec);
}

absl::StatusOr<Energy> FitEnergy(const EnergySpec& spec, const autodiff::Shape& item_shape, const Tensor& x,
                                 double sigma, autodiff::ThreadPool* pool) {
  if (std::holds_alternative<QuadraticForm>(spec)) return FitQuadratic(x, sigma);
  if (std::holds_alternative<GaussianForm>(spec)) return FitGaussian(x, sigma, pool);
  if (const auto* mixture = std::get_if<GaussianMixtureOptions>(&spec)) {
    return FitGaussianMixture(x, sigma, *mixture, pool);
  }
  if (std::holds_alternative<KernelDensityForm>(spec)) return FitKernelDensity(x, sigma);
  return MakeEnergy(spec, item_shape, MeasureScales(x, sigma));
}

absl::StatusOr<Energy> MakeEnergy(const EnergySpec& spec, const autodiff::Shape& item_shape, const Scales& scales) {
  if (item_shape.num_elements() != scales.mean.num_elements()) {
    return absl::InvalidArgumentError(absl::StrCat("samples of shape ", item_shape.ToString(), ", but scales for ",
                                                   scales.mean.num_elements(), " numbers"));
  }
  return std::visit(
      [&](const auto& options) -> absl::StatusOr<Energy> {
        using Form = std::decay_t<decltype(options)>;
        if constexpr (std::is_same_v<Form, ResidualMlpOptions>) return ResidualMlp(options, scales);
        if constexpr (std::is_same_v<Form, ResidualConvOptions>) return ResidualConv(options, item_shape, scales);
        if constexpr (std::is_same_v<Form, MlpEnergyOptions>) return MlpEnergy(options, scales);
        if constexpr (std::is_same_v<Form, ProductOfExpertsOptions>) return ProductOfExperts(options, scales);
        if constexpr (std::is_same_v<Form, ConvEnergyOptions>) return ConvEnergy(options, item_shape, scales);
        return absl::InvalidArgumentError(
            absl::StrCat("the form ", Name(options), " is fitted to samples: see FitEnergy"));
      },
      spec);
}

absl::Status SaveModel(const std::string& path, const Model& model, const EnergySpec& spec,
                       std::map<std::string, std::string> metadata) {
  metadata["energy"] = ToJson(spec);
  return model.Save(path, metadata);
}

absl::StatusOr<Model> LoadModel(const std::string& path) {
  const absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  const auto fail = [&path](const auto& why) { return absl::InvalidArgumentError(absl::StrCat(path, ": ", why)); };
  const auto metadata = [&file](const char* key) {
    const auto it = file->metadata.find(key);
    return it == file->metadata.end() ? std::string() : it->second;
  };
  const absl::StatusOr<EnergySpec> spec = ParseEnergySpec(metadata("energy"));
  if (!spec.ok()) return fail(absl::StrCat("metadata \"energy\": ", spec.status().message()));
  // A joint energy of M measurements says so, and has them as the first extent.
  int64_t measurements = 1;
  if (const std::string m = metadata("measurements"); !m.empty()) {
    if (!absl::SimpleAtoi(m, &measurements) || measurements < 1 || measurements > kMaxMeasurements) {
      return fail(
          absl::StrCat("metadata \"measurements\" ", Excerpt(m), " is not a number in [1, ", kMaxMeasurements, "]"));
    }
  }
  double sigma = 0;
  if (!absl::SimpleAtod(metadata("sigma"), &sigma)) return fail("metadata \"sigma\" is not a number");
  // Every form has a parameter whose last extent is that of a sample.
  const char* const centre_name = HasMeans(*spec) ? "means" : "mean";
  const Tensor* const centre = file->Find(centre_name);
  if (centre == nullptr) {
    return fail(absl::StrCat("a model of the form ", FormOf(*spec), " has a parameter \"", centre_name, "\""));
  }
  const int64_t d = centre->shape().rank() == 0 ? 1 : centre->shape()[centre->shape().rank() - 1];
  // As far as the energy needs them: Model::Load checks the file.
  autodiff::Shape item_shape;
  int64_t left = measurements * d;  // for the extents that follow
  for (absl::string_view part : absl::StrSplit(metadata("item_shape"), ',', absl::SkipEmpty())) {
    int64_t extent = 0;
    if (!absl::SimpleAtoi(part, &extent) || extent < 1 || extent > left) {
      return fail(absl::StrCat("metadata \"item_shape\" ", Excerpt(metadata("item_shape")),
                               " is not a list of positive numbers with a product of ", measurements * d,
                               ", by the size of \"", centre_name, "\""));
    }
    left /= extent;
    item_shape.push_back(extent);
  }
  if (measurements > 1) {
    if (item_shape.rank() < 2 || item_shape[0] != measurements) {
      return fail(absl::StrCat("metadata \"item_shape\" does not begin with the ", measurements, " measurements"));
    }
    item_shape = autodiff::Shape(item_shape.dims().subspan(1));
  }
  absl::StatusOr<Energy> energy =
      StoredEnergy(*spec, *file, item_shape, sigma / std::sqrt(static_cast<double>(measurements)));
  if (!energy.ok()) return fail(energy.status().message());
  if (measurements > 1) energy = JointEnergy(*std::move(energy), measurements, sigma);
  return Model::Load(path, *std::move(energy));
}

}  // namespace neb
