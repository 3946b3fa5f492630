#include "neb/checkpoint.h"

#include <charconv>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace neb {
namespace {

using autodiff::ParamStore;
using autodiff::Tensor;

constexpr char kSetting[] = "setting/";

std::string Described(const Tensor& t) { return absl::StrCat(Name(t.dtype()), t.shape().ToString()); }

// Where two arrays of one shape differ in a bit first; their length if nowhere.
int64_t FirstDifference(const Tensor& a, const Tensor& b) {
  const auto size = static_cast<size_t>(SizeOf(a.dtype()));
  int64_t i = 0;
  while (i < a.num_elements() &&
         std::memcmp(a.bytes() + static_cast<size_t>(i) * size, b.bytes() + static_cast<size_t>(i) * size, size) == 0) {
    ++i;
  }
  return i;
}

}  // namespace

bool IsCheckpoint(const TensorFile& file) { return file.metadata.count("checkpoint") > 0; }

bool IsTrainingState(std::string_view tensor) { return !tensor.empty() && tensor[0] == '@'; }

std::string ExactText(double value) {
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
  return {text, end.ptr};
}

void AddSettings(const Settings& settings, std::map<std::string, std::string>& metadata) {
  for (const auto& [name, value] : settings) metadata[absl::StrCat(kSetting, name)] = value;
}

absl::Status CheckSettings(const TensorFile& file, const Settings& settings) {
  std::map<std::string, std::string> unseen = file.metadata;
  for (const auto& [name, value] : settings) {
    const auto it = unseen.find(absl::StrCat(kSetting, name));
    if (it == unseen.end()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", but the checkpoint says nothing of it"));
    }
    if (it->second != value) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", but ", it->second, " in the checkpoint"));
    }
    unseen.erase(it);
  }
  const auto more = unseen.lower_bound(kSetting);
  if (more == unseen.end() || more->first.rfind(kSetting, 0) != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(more->first.substr(std::strlen(kSetting)), " is not set, but ", more->second, " in the checkpoint"));
}

absl::Status CheckParameters(const TensorFile& file, const ParamStore& params) {
  for (int i = 0; i < params.size(); ++i) {
    const ParamStore::Entry& own = params[i];
    const std::string name = absl::StrCat("parameter \"", own.name, "\"");
    const Tensor* const stored = file.Find(own.name);
    if (stored == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " of the energy, ", Described(own.value), ", is not in the checkpoint"));
    }
    if (!(stored->shape() == own.value.shape()) || stored->dtype() != own.value.dtype()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " of the energy is ", Described(own.value), ", but ",
                                                     Described(*stored), " in the checkpoint"));
    }
    const int64_t other = own.trainable ? own.value.num_elements() : FirstDifference(*stored, own.value);
    if (other < own.value.num_elements()) {
      return absl::InvalidArgumentError(absl::StrCat("number ", other, " of the fixed \"", own.name, "\" is ",
                                                     ExactText(own.value.at(other)), ", but ",
                                                     ExactText(stored->at(other)), " in the checkpoint"));
    }
  }
  for (const auto& [name, value] : file.tensors) {
    if (IsTrainingState(name) || params.Find(name) >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the energy has no parameter \"", name, "\", ", Described(value), " in the checkpoint"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> StepsOf(const TensorFile& file) { return CountIn(file, absl::StrCat(kSetting, "steps")); }

absl::StatusOr<double> NumberIn(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata.find(key);
  double value = 0;
  if (it != file.metadata.end() && absl::SimpleAtod(it->second, &value)) return value;
  return absl::InvalidArgumentError(absl::StrCat("not a checkpoint: metadata \"", key, "\" is ",
                                                 it == file.metadata.end() ? "missing" : "no number: " + it->second));
}

absl::StatusOr<int64_t> CountIn(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata.find(key);
  int64_t value = 0;
  if (it != file.metadata.end() && absl::SimpleAtoi(it->second, &value) && value >= 0) return value;
  return absl::InvalidArgumentError(absl::StrCat("not a checkpoint: metadata \"", key, "\" is ",
                                                 it == file.metadata.end() ? "missing" : "no count: " + it->second));
}

}  // namespace neb
