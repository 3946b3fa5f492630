#include "neb/model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "neb/layers.h"
#include "neb/residual_denoiser.h"
#include "neb/safetensors.h"
#include "tests/neb/test_energies.h"
#include "tests/neb/test_files.h"

namespace neb {
namespace {

using autodiff::Shape;
using autodiff::ThreadPool;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kDims = 20;
constexpr double kSigma = 0.1;  // no float, and no short decimal, has this value

Energy Denoiser(int64_t hidden = 33) {
  return RandomDenoiser({.mean = NormalTensor({kDims}, 0.5, 0.2, 4), .stddev = 0.3, .sigma = kSigma, .radius = 3},
                        hidden);
}

// [NEB]'s kind: convolutions with stride, then a dense layer to one number. For images of 6 x 6 with one channel.
Var ConvNet(Var y, Params& p) {
  const Var x = reshape(y, {-1, 6, 6, 1});
  const Var a = silu(Conv2d(p, "conv0", x, 5));
  const Var b = silu(Conv2d(p, "conv1", a, 8, {.kernel = 3, .stride = 2, .padding = 1}));
  return reshape(Dense(p, "out", reshape(b, {-1, 3 * 3 * 8}), 1), {-1});
}

// A sum over unsplit rows and over a plain dense network, to have other shapes of reduction in the program.
Var Mixed(Var y, Params& p) {
  const Var hidden = tanh(Dense(p, "hidden", y, 70));
  return logsumexp(Dense(p, "experts", hidden, 11), {1}) + 0.1 * squared_norm(y, {1}) + norm(y, {1});
}

Model Created(const Energy& energy, const Shape& item_shape = {kDims}, double sigma = kSigma, uint64_t seed = 1) {
  absl::StatusOr<Model> model = Model::Create(energy, item_shape, sigma, seed);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// --- Create ---

TEST(ModelCreate, MakesTheParametersOnce) {
  const Model a = Created(Denoiser()), b = Created(Denoiser()), c = Created(Denoiser(), {kDims}, kSigma, 2);
  std::vector<std::string> names;
  for (int i = 0; i < a.params().size(); ++i) names.push_back(a.params()[i].name);
  EXPECT_THAT(names, testing::ElementsAre("mean", "stddev", "radius", "nu/0/w", "nu/0/b", "nu/1/w", "nu/1/b", "nu/2/w",
                                          "nu/2/b"));
  EXPECT_EQ(a.params().num_trainable(), kDims * 33 + 33 + 33 * 33 + 33 + 33 * kDims + kDims);
  EXPECT_TRUE(SameBits(ParameterValues(a), ParameterValues(b)));
  EXPECT_FALSE(SameBits(ParameterValues(a), ParameterValues(c)));
}

TEST(ModelCreate, RefusesSigmasThatAreNone) {
  for (const double sigma : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const absl::StatusOr<Model> model = Model::Create(Gaussian(1), {2}, sigma);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("sigma"));
  }
}

TEST(ModelCreate, RefusesShapesWithoutElements) {
  for (const Shape& shape : {Shape{0}, Shape{28, 0, 1}, Shape{-1, -4}, Shape{-3}}) {
    const absl::StatusOr<Model> model = Model::Create(Gaussian(1), shape, 0.5);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << shape.ToString();
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(shape.ToString()));
  }
}

// --- Save and Load ---

std::vector<float> SomePoints(int64_t n, int64_t d, uint64_t seed = 3) {
  return Values(NormalTensor({n, d}, 0.5, 0.6, seed));
}

TEST(ModelFile, RoundTripIsBitIdentical) {
  struct Case {
    Energy energy;
    Shape item_shape;
  };
  const std::string path = NewFolder("out") + "/model.safetensors";
  for (const Case& c : {Case{Denoiser(), {4, 5}}, Case{ConvNet, {6, 6, 1}}, Case{Mixed, {7}}, Case{Gaussian(2), {1}},
                        Case{Gaussian(2), {}}}) {
    Model saved = Created(c.energy, c.item_shape, kSigma, 18446744073709551615u);
    ASSERT_TRUE(saved.Save(path, {{"note", "δ"}}).ok());
    absl::StatusOr<Model> loaded = Model::Load(path, c.energy);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->sigma(), kSigma);
    EXPECT_EQ(loaded->item_shape(), c.item_shape);
    EXPECT_EQ(loaded->params().seed(), 18446744073709551615u);
    ASSERT_EQ(loaded->params().size(), saved.params().size());
    for (int i = 0; i < saved.params().size(); ++i) {
      EXPECT_EQ(loaded->params()[i].name, saved.params()[i].name);
      EXPECT_EQ(loaded->params()[i].trainable, saved.params()[i].trainable);
    }
    EXPECT_TRUE(SameBits(ParameterValues(*loaded), ParameterValues(saved)));
    const std::vector<float> y = SomePoints(9, saved.d());
    EXPECT_TRUE(SameBits(EnergyOf(*loaded, y), EnergyOf(saved, y)));
    EXPECT_TRUE(SameBits(GradientOf(*loaded, y), GradientOf(saved, y)));
    EXPECT_TRUE(SameBits(XHatOf(*loaded, y), XHatOf(saved, y)));
    EXPECT_EQ(ReadSafetensors(path)->metadata.at("note"), "δ");
  }
}

TEST(ModelFile, FixedValuesComeFromTheFile) {
  const auto shifted = [](double by) {
    return [by](Var y, Params& p) { return squared_norm(y - p.Fixed("by", Tensor::Full({}, by)), {1}); };
  };
  const std::string path = NewFolder("out") + "/model.safetensors";
  ASSERT_TRUE(Created(shifted(3), {1}).Save(path).ok());
  absl::StatusOr<Model> loaded = Model::Load(path, shifted(4));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(EnergyOf(*loaded, {0})[0], 9);
}

std::string LoadError(const std::string& path, const Energy& energy) {
  const absl::StatusOr<Model> model = Model::Load(path, energy);
  EXPECT_FALSE(model.ok());
  const std::string message(model.status().message());
  EXPECT_THAT(message, HasSubstr(path));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  return message;
}

TEST(ModelFile, AnotherEnergyIsNamedByItsFirstParameterThatDiffers) {
  const std::string path = NewFolder("out") + "/model.safetensors";
  ASSERT_TRUE(Created(Denoiser(33)).Save(path).ok());
  EXPECT_THAT(LoadError(path, Denoiser(34)),
              AllOf(HasSubstr("\"nu/0/w\""), HasSubstr("[20, 34]"), HasSubstr("[20, 33]")));
  // Asked for, not in the file; in the file, not asked for.
  EXPECT_THAT(LoadError(path, Mixed), HasSubstr("there is no parameter \"hidden/w\", [20, 70]"));
  EXPECT_THAT(LoadError(path, Gaussian(1)), HasSubstr("the energy has no parameter \"mean\", [20] in the file"));
  EXPECT_THAT(LoadError(path,
                        [](Var y, Params& p) {  // one layer less
                          return RandomDenoiser({.mean = Tensor({kDims})}, 33)(y, p) + sum(p("extra", {3}));
                        }),
              HasSubstr("\"extra\""));
  EXPECT_THAT(LoadError(path, [](Var y, Params& p) { return squared_norm(y - p("mean", {kDims}), {1}); }),
              AllOf(HasSubstr("\"mean\""), HasSubstr("trained")));
}

// A file as a model writes it, with one thing changed.
TEST(ModelFile, CorruptMetadataAreAnError) {
  const std::string path = NewFolder("out") + "/model.safetensors";
  ASSERT_TRUE(Created(Mixed, {7}).Save(path).ok());
  const TensorFile good = *ReadSafetensors(path);
  const auto error_with = [&](const std::string& key, const std::optional<std::string>& value) {
    TensorFile file = good;
    file.metadata.erase(key);
    if (value.has_value()) file.metadata[key] = *value;
    EXPECT_TRUE(WriteSafetensors(path, file).ok());
    return LoadError(path, Mixed);
  };
  for (const char* sigma : {"", "zero", "0", "-1", "nan", "inf", "1e999", "0.1 0.2"}) {
    EXPECT_THAT(error_with("sigma", sigma), AllOf(HasSubstr("sigma"), HasSubstr(sigma)));
  }
  EXPECT_THAT(error_with("sigma", std::nullopt), HasSubstr("sigma"));
  for (const char* seed : {"", "one", "-1", "18446744073709551616"})
    EXPECT_THAT(error_with("seed", seed), HasSubstr("seed"));
  EXPECT_THAT(error_with("seed", std::nullopt), HasSubstr("seed"));
  for (const char* shape :
       {"0", "-7", "7,", "seven", "7;1", "4611686018427387904,4", "4294967296,4294967296,4294967296"}) {
    EXPECT_THAT(error_with("item_shape", shape), AllOf(HasSubstr("item_shape"), HasSubstr(shape)));
  }
  EXPECT_THAT(error_with("item_shape", std::nullopt), HasSubstr("item_shape"));
  EXPECT_THAT(error_with("item_shape", "8"), AllOf(HasSubstr("[8, 70]"), HasSubstr("[7, 70]")));  // of other data
}

TEST(ModelFile, NumbersOfAnotherTypeAreAnError) {
  const std::string path = NewFolder("out") + "/model.safetensors";
  ASSERT_TRUE(Created(Mixed, {7}).Save(path).ok());
  TensorFile file = *ReadSafetensors(path);
  file.tensors[1].second = file.tensors[1].second.Cast(autodiff::DType::kF64);
  ASSERT_TRUE(WriteSafetensors(path, file).ok());
  EXPECT_THAT(LoadError(path, Mixed), AllOf(HasSubstr("\"hidden/b\""), HasSubstr("f64")));
}

TEST(ModelFile, NumbersThatAreNotFiniteAreAnError) {
  const std::string path = NewFolder("out") + "/model.safetensors";
  ASSERT_TRUE(Created(Mixed, {7}).Save(path).ok());
  const TensorFile good = *ReadSafetensors(path);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    TensorFile file = good;
    file.tensors[1].second.set(2, bad);
    ASSERT_TRUE(WriteSafetensors(path, file).ok());
    EXPECT_THAT(LoadError(path, Mixed), HasSubstr("parameter \"hidden/b\": number 2 (from 0) is "));
  }
}

TEST(ModelFile, FilesThatAreNoModel) {
  const std::string folder = NewFolder("out");
  LoadError(folder + "/none.safetensors", Mixed);
  Spill(folder + "/text", "not a model");
  LoadError(folder + "/text", Mixed);
  ASSERT_TRUE(WriteSafetensors(folder + "/empty", {}).ok());
  EXPECT_THAT(LoadError(folder + "/empty", Mixed), HasSubstr("not a model"));
}

// --- Evaluate ---

// Every point gives the same bits whichever others come along, in whatever order, with any threads, whatever else is
// asked for.
TEST(ModelEvaluate, EachPointOnItsOwn) {
  struct Case {
    const char* name;
    Energy energy;
    Shape item_shape;
  };
  for (const Case& c : {Case{"denoiser", Denoiser(), {kDims}}, Case{"convolutions", ConvNet, {6, 6, 1}},
                        Case{"mixed", Mixed, {9}}, Case{"gaussian", Gaussian(1.7), {3}}, Case{"scalar", Mixed, {1}}}) {
    SCOPED_TRACE(c.name);
    Model model = Created(c.energy, c.item_shape);
    const size_t d = static_cast<size_t>(model.d()), most = 1000;
    const std::vector<float> points = SomePoints(most, model.d());
    const std::vector<float> phi = EnergyOf(model, points), gradient = GradientOf(model, points);
    const std::vector<float> x_hat = XHatOf(model, points);
    ThreadPool two(2), three(3);
    for (const size_t n : {0u, 1u, 2u, 5u, 64u, 127u, 128u, 129u, 1000u}) {
      SCOPED_TRACE(n);
      for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), &two, &three}) {
        // All three at once, of the last n points in reverse order.
        std::vector<float> y, energy(n), slope(n * d), estimate(n * d), want_energy, want_slope, want_estimate;
        for (size_t i = 0; i < n; ++i) {
          const size_t from = most - 1 - i;
          y.insert(y.end(), points.begin() + static_cast<int64_t>(from * d),
                   points.begin() + static_cast<int64_t>((from + 1) * d));
          want_energy.push_back(phi[from]);
          for (size_t j = from * d; j < (from + 1) * d; ++j) {
            want_slope.push_back(gradient[j]);
            want_estimate.push_back(x_hat[j]);
          }
        }
        ASSERT_TRUE(model.Evaluate(y, {.energy = energy, .gradient = slope, .x_hat = estimate}, pool).ok());
        EXPECT_TRUE(SameBits(energy, want_energy));
        EXPECT_TRUE(SameBits(slope, want_slope));
        EXPECT_TRUE(SameBits(estimate, want_estimate));
      }
    }
  }
}

TEST(ModelEvaluate, XHatIsTheStepAgainstTheGradient) {
  Model model = Created(Mixed, {9});
  const std::vector<float> y = SomePoints(50, 9), gradient = GradientOf(model, y), x_hat = XHatOf(model, y);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(x_hat[i], y[i] - kSigma * kSigma * gradient[i], 1e-6);
}

TEST(ModelEvaluate, SeesNewParameters) {
  Model model = Created(LearnedGaussian, {2});
  EXPECT_FLOAT_EQ(EnergyOf(model, {1, 1})[0], 1);
  model.params()[0].value.set(0, std::log(3));
  EXPECT_FLOAT_EQ(EnergyOf(model, {1, 1})[0], 3);
}

TEST(ModelEvaluate, SizesThatDoNotFitAreAnError) {
  Model model = Created(Gaussian(1), {3});
  std::vector<float> y(6), one(1), two(2), three(3), six(6), seven(7);
  for (const Model::Results& r : {Model::Results{.energy = one},
                                  {.energy = three},
                                  {.gradient = two},
                                  {.gradient = seven},
                                  {.x_hat = three},
                                  {.energy = two, .gradient = six, .x_hat = seven}}) {
    EXPECT_EQ(model.Evaluate(y, r).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(model.Evaluate(seven, {.x_hat = seven}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.Evaluate(y, {.energy = three}).message()), AllOf(HasSubstr("6"), HasSubstr("3")));
  EXPECT_TRUE(model.Evaluate(y, {}).ok());
  EXPECT_TRUE(model.Evaluate({}, {}).ok());
  EXPECT_TRUE(model.Evaluate(y, {.energy = two, .gradient = six}).ok());
  EXPECT_EQ(model.Evaluate({}, {.energy = one}).code(), absl::StatusCode::kInvalidArgument);
}

// A pool may live shorter than the model, and the next one at its address have more threads.
TEST(ModelEvaluate, PoolsMayComeAndGo) {
  Model model = Created(Denoiser(200));
  const std::vector<float> y = SomePoints(128, kDims), expected = XHatOf(model, y);
  std::optional<ThreadPool> pool;
  for (const int threads : {1, 3, 2, 4, 1}) {
    pool.emplace(threads);
    EXPECT_TRUE(SameBits(XHatOf(model, y, &*pool), expected)) << threads;
  }
}

}  // namespace
}  // namespace neb
