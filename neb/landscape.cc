#include "neb/landscape.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "neb/evaluation_batch.h"

namespace neb {

using autodiff::DType;
using autodiff::Program;
using autodiff::Shape;
using autodiff::Tape;

namespace {

// A program for batches of one size, with its buffers: y and v go in, φ [batch] and ∇φ, or ∇²φ v, come out.
struct Compiled {
  Program program;
  Tensor y, v, energy, rows;
};

}  // namespace

struct Landscape::Impl {
  Model model;  // shares its parameters with the caller's, but their values are those copied below
  autodiff::ThreadPool* pool;
  std::vector<Tensor> params = {};                           // of the store, by index, as float64
  std::map<int64_t, std::unique_ptr<Compiled>> first = {};   // by batch: φ and ∇φ
  std::map<int64_t, std::unique_ptr<Compiled>> second = {};  // by batch: ∇²φ v
  std::vector<const Tensor*> inputs = {};

  absl::StatusOr<Compiled*> Get(int64_t batch, bool hessian);
  absl::Status Run(std::span<const double> y, std::span<const double> v, std::span<double> energy,
                   std::span<double> out);
};

absl::StatusOr<Compiled*> Landscape::Impl::Get(int64_t batch, bool hessian) {
  std::unique_ptr<Compiled>& slot = (hessian ? second : first)[batch];
  if (slot == nullptr) {
    const Shape shape = {batch, model.d()};
    Tape tape(DType::kF64);
    Params p(&tape, &model.params());
    const Var y = tape.Input("y", shape), v = tape.Input("v", shape);
    const Var phi = RecordEnergy(model.energy(), y, p);
    const Var gradient = autodiff::grad(phi, y);
    std::vector<Var> program_inputs = {y}, outputs = {phi, gradient};
    if (hessian) {
      program_inputs.push_back(v);
      outputs = {autodiff::grad(dot(gradient, v), y)};
    }
    const std::vector<Var> bound = BoundVars(p);
    program_inputs.insert(program_inputs.end(), bound.begin(), bound.end());
    absl::StatusOr<Program> program =
        autodiff::Compile({.inputs = program_inputs, .state = {}, .outputs = outputs}, {.pool = pool});
    if (!program.ok()) return program.status();
    slot =
        std::make_unique<Compiled>(Compiled{*std::move(program), Tensor(shape, DType::kF64), Tensor(shape, DType::kF64),
                                            Tensor(Shape{batch}, DType::kF64), Tensor(shape, DType::kF64)});
    inputs.clear();
    for (const Params::Bound& b : p.bound()) inputs.push_back(&params[static_cast<size_t>(b.index)]);
  }
  return slot.get();
}

// An empty v asks for φ and ∇φ.
absl::Status Landscape::Impl::Run(std::span<const double> y, std::span<const double> v, std::span<double> energy,
                                  std::span<double> out) {
  const bool hessian = !v.empty();
  const size_t d = static_cast<size_t>(model.d()), n = y.size() / d;
  for (size_t begin = 0; begin < n;) {
    const size_t rows = std::min(n - begin, static_cast<size_t>(kMaxBatch));
    const int64_t batch = BatchFor(static_cast<int64_t>(rows));
    absl::StatusOr<Compiled*> compiled = Get(batch, hessian);
    if (!compiled.ok()) return compiled.status();
    Compiled& c = **compiled;
    // Rows that are left over get the last point, which the energy is known to take.
    auto fill = [&](std::span<const double> from, Tensor& to) {
      double* const values = to.data<double>().data();
      for (size_t r = 0; r < static_cast<size_t>(batch); ++r) {
        std::copy_n(from.data() + (begin + std::min(r, rows - 1)) * d, d, values + r * d);
      }
    };
    fill(y, c.y);
    if (hessian) fill(v, c.v);
    std::vector<const Tensor*> in = {&c.y};
    if (hessian) in.push_back(&c.v);
    in.insert(in.end(), inputs.begin(), inputs.end());
    std::vector<Tensor*> results = {&c.energy, &c.rows};
    if (hessian) results = {&c.rows};
    if (absl::Status s = c.program.Run(in, {}, results); !s.ok()) return s;
    std::copy_n(c.rows.data<double>().data(), rows * d, out.data() + begin * d);
    if (!hessian) std::copy_n(c.energy.data<double>().data(), rows, energy.data() + begin);
    begin += rows;
  }
  return absl::OkStatus();
}

Landscape::Landscape(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Landscape::Landscape(Landscape&&) noexcept = default;
Landscape& Landscape::operator=(Landscape&&) noexcept = default;
Landscape::~Landscape() = default;
int64_t Landscape::d() const { return impl_->model.d(); }
double Landscape::sigma() const { return impl_->model.sigma(); }

absl::StatusOr<Landscape> Landscape::Create(Model& model, autodiff::ThreadPool* pool) {
  auto impl = std::make_unique<Impl>(Impl{.model = model, .pool = pool});
  for (int i = 0; i < model.params().size(); ++i) {
    impl->params.push_back(model.params()[i].value.Cast(DType::kF64));
  }
  // Mistakes show now, not at the first point.
  if (absl::StatusOr<Compiled*> c = impl->Get(kMinBatch, false); !c.ok()) return c.status();
  return Landscape(std::move(impl));
}

absl::Status Landscape::Evaluate(std::span<const double> y, std::span<double> energy, std::span<double> gradient) {
  const size_t width = static_cast<size_t>(d());
  if (y.size() % width != 0 || energy.size() * width != y.size() || gradient.size() != y.size()) {
    return absl::InvalidArgumentError(absl::StrCat("Landscape: points of ", width, " numbers: got y of ", y.size(),
                                                   ", energy of ", energy.size(), ", gradient of ", gradient.size()));
  }
  return impl_->Run(y, {}, energy, gradient);
}

absl::Status Landscape::HessianTimes(std::span<const double> y, std::span<const double> v, std::span<double> product) {
  const size_t width = static_cast<size_t>(d());
  if (y.size() % width != 0 || v.size() != y.size() || product.size() != y.size()) {
    return absl::InvalidArgumentError(absl::StrCat("Landscape: points of ", width, " numbers: got y of ", y.size(),
                                                   ", v of ", v.size(), ", product of ", product.size()));
  }
  return impl_->Run(y, v, {}, product);
}

}  // namespace neb
