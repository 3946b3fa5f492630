// Named parameters: where their values live (ParamStore) and how a function asks for them while it is recorded
// (Params).
//
//   Var Phi(Var y, Params& p) {
//     Var w = p("w", {784, 64}, LecunNormal());
//     Params head = p.Scope("head");
//     return reshape(matmul(silu(matmul(y, w)), head("w", {64, 1})), {-1});
//   }
//   ParamStore store(/*seed=*/1);
//   Params p(&tape, &store);
//   Var phi = Phi(y, p);                     // creates and initialises "w" and "head/w", or finds them
//   std::vector<Var> g = grad(phi, p.trainable());
#ifndef NEB_AUTODIFF_PARAMS_H_
#define NEB_AUTODIFF_PARAMS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"

namespace autodiff {

// How a new parameter is filled. Fans are those of a weight [.., in, out] as Dense and Conv2d use it: fan_out is the
// last extent times, fan_in the second-last extent times, the product of all extents before (the kernel's area).
struct Initializer {
  enum class Kind : uint8_t { kConstant, kNormal, kUniform } kind = Kind::kConstant;
  enum class Fan : uint8_t { kNone, kIn, kAverage } fan = Fan::kNone;
  // The constant; or, of the distribution, the variance times the fan.
  double value = 0;
};
inline Initializer Constant(double value) { return {Initializer::Kind::kConstant, Initializer::Fan::kNone, value}; }
inline Initializer Zeros() { return Constant(0); }
// N(0, stddev²).
inline Initializer Normal(double stddev) {
  return {Initializer::Kind::kNormal, Initializer::Fan::kNone, stddev * stddev};
}
// Variance 1/fan_in (LeCun et al. 1998), 2/fan_in (He et al. 2015), 2/(fan_in + fan_out) (Glorot & Bengio 2010). The
// uniform ones are U(−a, a) of the same variance, a = √(3 variance).
inline Initializer LecunNormal() { return {Initializer::Kind::kNormal, Initializer::Fan::kIn, 1}; }
inline Initializer LecunUniform() { return {Initializer::Kind::kUniform, Initializer::Fan::kIn, 1}; }
inline Initializer HeNormal() { return {Initializer::Kind::kNormal, Initializer::Fan::kIn, 2}; }
inline Initializer HeUniform() { return {Initializer::Kind::kUniform, Initializer::Fan::kIn, 2}; }
inline Initializer XavierNormal() { return {Initializer::Kind::kNormal, Initializer::Fan::kAverage, 1}; }
inline Initializer XavierUniform() { return {Initializer::Kind::kUniform, Initializer::Fan::kAverage, 1}; }

// The values, in the order in which they were first asked for.
class ParamStore {
 public:
  struct Entry {
    std::string name;  // with its scopes: "left/w"
    Tensor value;
    bool trainable = true;
  };

  // First values depend on (seed, name) only. Values are of the tape's dtype at first use.
  explicit ParamStore(uint64_t seed = 0) : seed_(seed) {}

  int size() const { return static_cast<int>(entries_.size()); }
  const Entry& operator[](int i) const { return *entries_[static_cast<size_t>(i)]; }
  Entry& operator[](int i) { return *entries_[static_cast<size_t>(i)]; }
  // Index by name; -1 if absent.
  int Find(const std::string& name) const;
  // Appends an entry; the name must be new.
  int Add(std::string name, Tensor value, bool trainable);
  uint64_t seed() const { return seed_; }
  // From now on a recording that asks for a name which is not there fails, instead of creating it: for values from a
  // file, which are all there are.
  void Close() { closed_ = true; }
  bool closed() const { return closed_; }
  // Numbers in all trainable entries together.
  int64_t num_trainable() const;

 private:
  uint64_t seed_;
  bool closed_ = false;
  std::vector<std::unique_ptr<Entry>> entries_;  // pointers to entries stay valid as the store grows
};

// What a function sees of a store while it is recorded on a tape: a handle, cheap to copy, with the prefix of its
// scope. In one recording each name may be asked for once (two layers with one name are a mistake, never silently
// shared); to use a parameter twice, ask once and pass the Var.
class Params {
 public:
  Params(Tape* tape, ParamStore* store);

  // The parameter `name` of this scope. The first recording creates it; later ones must ask for the same shape.
  Var operator()(const std::string& name, const Shape& shape, Initializer init = LecunNormal(),
                 SourceLocation location = SourceLocation::Here());
  // A number or array that belongs to the model and is saved with it, but is not trained, such as the data's mean. A
  // value that the store has already (from a file) wins over `value`.
  Var Fixed(const std::string& name, const Tensor& value, SourceLocation location = SourceLocation::Here());
  // The same recording, with `name`/ before every name.
  Params Scope(const std::string& name) const;

  Tape* tape() const { return recording_->tape; }

  // What was asked for so far, in that order: Vars and their places in the store.
  struct Bound {
    Var var;
    int index;
  };
  const std::vector<Bound>& bound() const { return recording_->bound; }
  std::vector<Var> trainable() const;

 private:
  struct Recording {
    Tape* tape;
    ParamStore* store;
    std::vector<Bound> bound;
  };
  Var Bind(const std::string& name, const Shape& shape, const Tensor* value, const Initializer& init,
           SourceLocation location);

  std::shared_ptr<Recording> recording_;
  std::string prefix_;
};

}  // namespace autodiff

#endif  // NEB_AUTODIFF_PARAMS_H_
