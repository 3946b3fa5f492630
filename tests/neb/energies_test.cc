#include "neb/energies.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/energy_spec.h"
#include "neb/safetensors.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::Shape;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Shape kImage = {6, 5, 2};

Scales SomeScales(int64_t d, double sigma = 0.4) {
  return {.mean = NormalTensor({d}, 0.5, 0.2, 4), .stddev = 0.3125, .sigma = sigma, .radius = 3};
}

// One of each form, small.
std::vector<EnergySpec> SmallOnes() {
  return {MlpEnergyOptions{.hidden = {16, 16}},
          ProductOfExpertsOptions{.hidden = {16}, .experts = 20},
          ConvEnergyOptions{.channels = {4, 8}, .strides = {1, 2}, .bottleneck = 3},
          ResidualMlpOptions{.hidden = {16}},
          ResidualConvOptions{.channels = {3, 5, 4}},
          ResidualConvOptions{.channels = {3, 4}, .bottleneck = 6}};
}

Model Created(const EnergySpec& spec, const Scales& scales) {
  const absl::StatusOr<Energy> energy = MakeEnergy(spec, kImage, scales);
  EXPECT_TRUE(energy.ok()) << energy.status();
  absl::StatusOr<Model> model = Model::Create(*energy, kImage, scales.sigma, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// Every trainable parameter away from where it starts, which may be zero.
void Disturb(Model& model) {
  for (int i = 0; i < model.params().size(); ++i) {
    autodiff::ParamStore::Entry& e = model.params()[i];
    if (!e.trainable) continue;
    const Tensor noise = NormalTensor(e.value.shape(), 0, 0.1, static_cast<uint64_t>(i));
    for (int64_t j = 0; j < noise.num_elements(); ++j) e.value.set(j, e.value.at(j) + noise.at(j));
  }
}

Tensor NoisyPoints(const Scales& scales, int64_t n) {
  const int64_t d = scales.mean.num_elements();
  Tensor y = NormalTensor({n, d}, 0, std::hypot(scales.stddev, scales.sigma), 8);
  for (int64_t i = 0; i < n * d; ++i) y.set(i, y.at(i) + scales.mean.at(i % d));
  return y;
}

// x̂ = μ + s²/(s² + σ²)(y − μ) before training; with the experts, off it by less than half of the noise.
TEST(ReadyMadeEnergies, StartAtTheWienerEstimate) {
  const Scales scales = SomeScales(60);
  for (const EnergySpec& spec : SmallOnes()) {
    Model model = Created(spec, scales);
    const Tensor y = NoisyPoints(scales, 30);
    const std::vector<float> x_hat = XHatOf(model, Values(y));
    const double s = scales.stddev * scales.stddev, gain = s / (s + 0.16);
    double off = 0, noise = 0;
    for (int64_t i = 0; i < y.num_elements(); ++i) {
      const double mu = scales.mean.at(i % 60), wiener = mu + gain * (y.at(i) - mu);
      off += std::pow(x_hat[static_cast<size_t>(i)] - wiener, 2) / (30 * 60);
      noise += 0.16 / (30 * 60);
    }
    const bool experts = std::holds_alternative<ProductOfExpertsOptions>(spec);
    EXPECT_LT(off, experts ? 0.25 * noise : 1e-12) << ToJson(spec);
  }
}

// With data, σ and points in other units, φ is the same number: nothing depends on the units.
TEST(ReadyMadeEnergies, DoNotDependOnUnits) {
  const double unit = 64;
  const Scales scales = SomeScales(60);
  Scales other = scales;
  for (float& v : other.mean.data<float>()) v *= 64;
  other.stddev *= unit;
  other.sigma *= unit;
  for (const EnergySpec& spec : SmallOnes()) {
    Model model = Created(spec, scales), scaled = Created(spec, other);
    Disturb(model);
    Disturb(scaled);
    const Tensor y = NoisyPoints(scales, 20);
    Tensor z = y;
    for (float& v : z.data<float>()) v *= 64;
    const std::vector<float> a = EnergyOf(model, Values(y)), b = EnergyOf(scaled, Values(z));
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4 * std::abs(a[i])) << ToJson(spec);
  }
}

// Far away the bowl wins: a point at 10⁴ deviations is drawn straight home.
TEST(ReadyMadeEnergies, FarAwayAreBowls) {
  const Scales scales = SomeScales(60);
  for (const EnergySpec& spec : SmallOnes()) {
    Model model = Created(spec, scales);
    Disturb(model);
    Tensor y = NoisyPoints(scales, 10);
    for (int64_t i = 0; i < y.num_elements(); ++i) {
      y.set(i, scales.mean.at(i % 60) + 1e4 * (y.at(i) - scales.mean.at(i % 60)));
    }
    const std::vector<float> gradient = GradientOf(model, Values(y));
    for (size_t row = 0; row < 10; ++row) {
      double inner = 0, length = 0, distance = 0;
      for (size_t j = row * 60; j < row * 60 + 60; ++j) {
        const double off = y.at(static_cast<int64_t>(j)) - scales.mean.at(static_cast<int64_t>(j) % 60);
        inner += off * gradient[j];
        length += gradient[j] * gradient[j];
        distance += off * off;
      }
      EXPECT_GT(inner, 0.9 * std::sqrt(length * distance)) << ToJson(spec);
    }
  }
}

TEST(ReadyMadeEnergies, Errors) {
  const Scales scales = SomeScales(60);
  const auto error = [&](const EnergySpec& spec, const Shape& shape = kImage) {
    const absl::StatusOr<Energy> energy = MakeEnergy(spec, shape, scales);
    EXPECT_EQ(energy.status().code(), absl::StatusCode::kInvalidArgument) << ToJson(spec);
    return std::string(energy.status().message());
  };
  EXPECT_THAT(error(MlpEnergyOptions{.hidden = {4, 0}}), HasSubstr("positive, got 0"));
  EXPECT_THAT(error(MlpEnergyOptions{.activation = "relu"}), AllOf(HasSubstr("relu"), HasSubstr("silu")));
  EXPECT_THAT(error(ProductOfExpertsOptions{.experts = -1}), HasSubstr("experts"));
  EXPECT_THAT(error(ConvEnergyOptions{.channels = {4}, .strides = {1, 2}}), HasSubstr("1 and 2"));
  EXPECT_THAT(error(ConvEnergyOptions{.kernel = 4}), HasSubstr("odd"));
  EXPECT_THAT(error(ConvEnergyOptions{.bottleneck = 0}), HasSubstr("bottleneck"));
  EXPECT_THAT(error(ConvEnergyOptions{}, {60}), HasSubstr("[60]"));
  EXPECT_THAT(error(ResidualConvOptions{.channels = {}}), HasSubstr("none"));
  EXPECT_THAT(error(ResidualConvOptions{.bottleneck = -1}), HasSubstr("-1"));
  EXPECT_THAT(error(ResidualConvOptions{}, {3, 20}), HasSubstr("[3, 20]"));
  EXPECT_THAT(error(ResidualMlpOptions{}, {61}), HasSubstr("[61]"));
}

// --- Specs ---

TEST(EnergySpec, ANameAloneIsTheDefaults) {
  EXPECT_EQ(EnergyForms().size(), std::variant_size_v<EnergySpec>);
  for (const std::string& form : EnergyForms()) {
    const absl::StatusOr<EnergySpec> spec = ParseEnergySpec(form);
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_THAT(ToJson(*spec), HasSubstr("\"form\":\"" + form + "\""));
  }
  EXPECT_EQ(std::get<ConvEnergyOptions>(*ParseEnergySpec("conv")).strides, ConvEnergyOptions().strides);
}

TEST(EnergySpec, IsWhatWasWritten) {
  const absl::StatusOr<EnergySpec> spec =
      ParseEnergySpec(R"({"form": "conv", "channels": [8, 16], "strides": [2, 1], "activation": "tanh"})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const ConvEnergyOptions conv = std::get<ConvEnergyOptions>(*spec);
  EXPECT_EQ(conv.channels, (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(conv.strides, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(conv.activation, "tanh");
  EXPECT_EQ(conv.bottleneck, ConvEnergyOptions().bottleneck);
  for (const EnergySpec& one : SmallOnes()) {
    const absl::StatusOr<EnergySpec> again = ParseEnergySpec(ToJson(one));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->index(), one.index());
    EXPECT_EQ(ToJson(*again), ToJson(one));
  }
}

TEST(EnergySpec, Errors) {
  const auto error = [](const std::string& text) {
    const absl::StatusOr<EnergySpec> spec = ParseEnergySpec(text);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(spec.status().message());
  };
  EXPECT_THAT(error("transformer"), AllOf(HasSubstr("transformer"), HasSubstr("residual_mlp")));
  EXPECT_THAT(error(""), HasSubstr("residual_mlp"));
  EXPECT_THAT(error("{\"form\": "), HasSubstr("expected"));
  EXPECT_THAT(error("{\"hidden\": [3]}"), HasSubstr("form"));
  EXPECT_THAT(error("[{\"form\": \"mlp\"}]"), HasSubstr("expected"));
  EXPECT_THAT(error(R"({"form": "mlp", "hiden": [3]})"), AllOf(HasSubstr("hiden"), HasSubstr("hidden")));
  EXPECT_THAT(error(R"({"form": "mlp", "hidden": 3})"), HasSubstr("list of whole numbers, got 3"));
  EXPECT_THAT(error(R"({"form": "mlp", "hidden": [3, "a"]})"), HasSubstr("hidden"));
  EXPECT_THAT(error(R"({"form": "conv", "kernel": 2.5})"), HasSubstr("whole number"));
  EXPECT_THAT(error(R"({"form": "mlp", "activation": 1})"), HasSubstr("string"));
  // One short line, whatever the text is.
  for (const std::string& text : {std::string(100000, 'x'), std::string("\xff\n"), std::string("{\n")}) {
    EXPECT_LT(error(text).size(), 300u);
    EXPECT_EQ(error(text).find('\n'), std::string::npos);
  }
  const std::string nested = std::string(300000, '[') + std::string(300000, ']');
  EXPECT_THAT(error(R"({"form": "mlp", "hidden": )" + nested + "}"), HasSubstr("hidden"));
  EXPECT_THAT(error(R"({"form": "mlp", "activation": )" + nested + "}"), HasSubstr("a string, got array"));
}

// A file says which energy it holds, and the scales of its data.
TEST(LoadModel, IsWhatWasSaved) {
  const Scales scales = SomeScales(60);
  for (const EnergySpec& spec : SmallOnes()) {
    Model model = Created(spec, scales);
    Disturb(model);
    const std::string path = NewFolder("models") + "/model.safetensors";
    ASSERT_TRUE(SaveModel(path, model, spec).ok());
    absl::StatusOr<Model> loaded = LoadModel(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const std::vector<float> y = Values(NoisyPoints(scales, 10));
    EXPECT_TRUE(SameBits(EnergyOf(model, y), EnergyOf(*loaded, y))) << ToJson(spec);
    EXPECT_TRUE(SameBits(GradientOf(model, y), GradientOf(*loaded, y))) << ToJson(spec);
  }
}

TEST(LoadModel, Errors) {
  EXPECT_EQ(LoadModel("/nowhere/model.safetensors").status().code(), absl::StatusCode::kNotFound);
  const std::string path = NewFolder("models") + "/model.safetensors";
  ASSERT_TRUE(Created(MlpEnergyOptions{}, SomeScales(60)).Save(path).ok());
  EXPECT_THAT(std::string(LoadModel(path).status().message()), AllOf(HasSubstr(path), HasSubstr("\"energy\"")));
}

TEST(LoadModel, ShapesThatAreNotThoseOfTheMean) {
  const std::string path = NewFolder("models") + "/model.safetensors";
  ASSERT_TRUE(SaveModel(path, Created(MlpEnergyOptions{}, SomeScales(60)), MlpEnergyOptions{}).ok());
  TensorFile file = *ReadSafetensors(path);
  for (const char* shape : {"61", "60,2", "-60,-1", "4611686018427387904,4", "0", "60;1", "1\n60"}) {
    file.metadata["item_shape"] = shape;
    ASSERT_TRUE(WriteSafetensors(path, file).ok());
    const std::string message(LoadModel(path).status().message());
    EXPECT_THAT(message, AllOf(HasSubstr(path), HasSubstr("item_shape"), Not(HasSubstr("\n")))) << shape;
  }
}

// A convolutional residual denoiser estimates a pixel from its neighbourhood; with a bottleneck, from all of the
// picture.
TEST(ResidualConv, SeesTheWholePictureThroughItsBottleneck) {
  const Shape image = {64, 64, 1};
  const int64_t d = image.num_elements();
  const Scales scales = SomeScales(d);
  for (const int64_t bottleneck : {0, 6}) {
    const absl::StatusOr<Energy> energy =
        MakeEnergy(ResidualConvOptions{.channels = {2, 2}, .bottleneck = bottleneck}, image, scales);
    ASSERT_TRUE(energy.ok()) << energy.status();
    absl::StatusOr<Model> model = Model::Create(*energy, image, scales.sigma, 1);
    ASSERT_TRUE(model.ok()) << model.status();
    // Networks start at zero: give them some weights.
    for (int i = 0; i < model->params().size(); ++i) {
      autodiff::ParamStore::Entry& entry = model->params()[i];
      if (entry.trainable) entry.value = NormalTensor(entry.value.shape(), 0, 0.2, static_cast<uint64_t>(10 + i));
    }
    Tensor y = NormalTensor({2, d}, 0.5, 0.1, 3);
    const std::span<float> numbers = y.data<float>();
    std::copy_n(numbers.begin(), d, numbers.begin() + d);
    numbers.back() += 1;  // the last pixel of the second picture
    std::vector<float> x_hat(numbers.size());
    ASSERT_TRUE(model->Evaluate(y.data<float>(), {.x_hat = x_hat}).ok());
    EXPECT_EQ(x_hat[0] != x_hat[static_cast<size_t>(d)], bottleneck > 0) << bottleneck;
  }
}

}  // namespace
}  // namespace neb
