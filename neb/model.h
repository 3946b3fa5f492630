// A model: an energy, the values of its parameters, σ, and the shape of the data. What is trained, saved, evaluated.
//
//   absl::StatusOr<Model> model = Model::Create(energy, {28, 28, 1}, /*sigma=*/0.3);
//   Train(*model, data, {.steps = 10000});                       // trainer.h
//   model->Save("model.safetensors");
//   std::vector<float> x_hat(y.size());
//   absl::Status done = model->Evaluate(y, {.x_hat = x_hat});    // y: any number of points, row after row
#ifndef NEB_NEB_MODEL_H_
#define NEB_NEB_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"
#include "autodiff/parallel.h"
#include "neb/energy.h"
#include "neb/safetensors.h"

namespace neb {

class Model {
 public:
  // Records the energy once to create its parameters: the first mistake in it is the error. `item_shape` is the shape
  // of one sample, which the energy sees flattened to d numbers; σ > 0.
  static absl::StatusOr<Model> Create(Energy energy, autodiff::Shape item_shape, double sigma, uint64_t seed = 0);

  // Reads what Save wrote, or the model out of a checkpoint (checkpoint.h). The energy must be the one that was saved:
  // the first parameter of another name or shape is an error that names it, with both shapes, and so is one with a
  // number that is not finite. The file is not trusted: no parameter is created that is not in it, so memory is bounded
  // by its size. NotFound without a file; InvalidArgument, naming what was expected, for one that is no model.
  static absl::StatusOr<Model> Load(const std::string& path, Energy energy);
  // In the safetensors format: parameters as tensors; σ, item shape, seed and `metadata` as metadata.
  absl::Status Save(const std::string& path, const std::map<std::string, std::string>& metadata = {}) const;
  // What Save writes, valid as long as the model is.
  TensorFileView Contents(const std::map<std::string, std::string>& metadata = {}) const;

  const Energy& energy() const { return energy_; }
  const autodiff::Shape& item_shape() const { return item_shape_; }
  int64_t d() const { return item_shape_.num_elements(); }
  double sigma() const { return sigma_; }
  autodiff::ParamStore& params() { return *params_; }
  const autodiff::ParamStore& params() const { return *params_; }

  // Where Evaluate writes; an empty span is not computed.
  struct Results {
    std::span<float> energy = {};    // φ(y), [n]
    std::span<float> gradient = {};  // ∇φ(y), [n, d]; the score of the smoothed density is −∇φ
    std::span<float> x_hat = {};     // x̂(y) = y − σ² ∇φ(y), [n, d]
  };
  // For y of n points, [n, d] row-major, n >= 0. Compiles at the first call with results of one kind. Errors: sizes
  // that do not fit. Results do not depend on n, the order of the points, or the pool's threads. Not thread-safe.
  absl::Status Evaluate(std::span<const float> y, const Results& results, autodiff::ThreadPool* pool = nullptr);

 private:
  struct Evaluator;
  Model(Energy energy, autodiff::Shape item_shape, double sigma, std::shared_ptr<autodiff::ParamStore> params);
  absl::Status RecordOnce();

  Energy energy_;
  autodiff::Shape item_shape_;
  double sigma_;
  std::shared_ptr<autodiff::ParamStore> params_;
  std::shared_ptr<Evaluator> evaluator_;  // the last one compiled
};

// Which of a model's parameters a recording uses: the tensors that belong to its Vars, in order.
std::vector<const Tensor*> BoundTensors(const Params& p, const autodiff::ParamStore& store);
std::vector<Var> BoundVars(const Params& p);

}  // namespace neb

#endif  // NEB_NEB_MODEL_H_
