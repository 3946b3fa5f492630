// neb info: what a model file holds.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "neb/cli/command.h"
#include "neb/cli/common_flags.h"
#include "neb/cli/data_source.h"
#include "neb/cli/run_folder.h"
#include "neb/energy_spec.h"
#include "neb/safetensors.h"

ABSL_FLAG(bool, tensors, false, "also lists the tensors, with their shapes");

namespace neb {

namespace {

// A line of the card; an empty value is left out.
void PrintRow(const char* name, const std::string& value) {
  if (!value.empty()) std::printf("  %-14s %s\n", name, value.c_str());
}

// A number as it was given, without the digits that a file keeps beyond these.
std::string Shorter(const std::string& number) {
  double value = 0;
  return absl::SimpleAtod(number, &value) ? absl::StrCat(value) : number;
}

class Card {
 public:
  explicit Card(const TensorFile& file) : file_(file) {}

  std::string Get(const char* key) const {
    const auto it = file_.metadata.find(key);
    return it == file_.metadata.end() ? std::string() : it->second;
  }
  // `text` with the value of `key` in place of its %; empty without one.
  std::string Say(const char* text, const char* key) const {
    const std::string value = Get(key);
    return value.empty() ? value : absl::StrReplaceAll(text, {{"%", value}});
  }

  bool IsModel() const { return !Get("sigma").empty() && file_.metadata.count("item_shape") != 0; }

  void Print() const {
    const std::string energy = Get("energy");
    PrintRow("energy", energy.empty() ? "of its own program, which must be given to load it" : energy);
    PrintRow("items", absl::StrCat("[", absl::StrReplaceAll(Get("item_shape"), {{",", ", "}}), "]"));
    PrintRow("sigma", Shorter(Get("sigma")));
    if (Get("measurements") != "1") PrintRow("measurements", Get("measurements"));
    PrintRow("parameters", Parameters());
    PrintRow("data", Data());
    const absl::StatusOr<EnergySpec> spec = ParseEnergySpec(energy);
    if (spec.ok() && IsFitted(*spec)) {
      PrintRow("training", "none, fitted to the data");
    } else {
      PrintRow("training", Join({Say("% steps", "steps"), Say("batches of %", "batch"),
                                 Say("learning rate %", "learning_rate"), Say("running average %", "ema_decay"),
                                 Say("far fraction %", "far_fraction"), Say("seed %", "seed")}));
    }
    const std::string loss = Shorter(Get("held_out_loss"));
    PrintRow("held-out loss",
             Join({loss.empty() ? loss : loss + " per item", Say("mean of % items", "held_out_items")}));
    PrintRow("written by", Say("neb %", "neb"));
  }

 private:
  // The parts that are not empty.
  static std::string Join(const std::vector<std::string>& parts) {
    std::vector<std::string> said;
    for (const std::string& part : parts) {
      if (!part.empty()) said.push_back(part);
    }
    return absl::StrJoin(said, ", ");
  }

  std::string Parameters() const {
    const std::vector<std::string> fixed = absl::StrSplit(Get("fixed"), ',', absl::SkipEmpty());
    int64_t trained = 0, others = 0;
    for (const auto& [name, tensor] : file_.tensors) {
      const bool is_fixed = std::find(fixed.begin(), fixed.end(), name) != fixed.end();
      (is_fixed ? others : trained) += tensor.num_elements();
    }
    return absl::StrCat(trained, " trained, ", others, " fixed");
  }

  std::string Data() const {
    const absl::StatusOr<DataSource> source = ParseDataSource(Get("data"));
    if (!source.ok()) return Get("data");
    return Join({source->data, source->size == 0 ? "" : absl::StrCat("resized to ", source->size),
                 source->max_items == 0 ? "" : absl::StrCat("the first ", source->max_items),
                 Say("% items to train on", "training_items")});
  }

  const TensorFile& file_;
};

void PrintTensors(const TensorFile& file) {
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) {
    numbers += tensor.num_elements();
    std::printf("  %-40s %s%s\n", name.c_str(), Name(tensor.dtype()), tensor.shape().ToString().c_str());
  }
  std::printf("%lld tensors, %lld numbers\n", static_cast<long long>(file.tensors.size()),
              static_cast<long long>(numbers));
}

absl::Status RunInfo(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected one model, got ", arguments.size(), " arguments"));
  }
  const std::string path = ModelFile(arguments[0]);
  std::error_code ignored;
  const bool is_folder = path != UserPath(arguments[0]);
  if (is_folder && !std::filesystem::exists(path, ignored)) {
    return absl::NotFoundError(absl::StrCat("the folder ", arguments[0],
                                            " has no model.safetensors: no run of `neb train` has written one there"));
  }
  const absl::StatusOr<TensorFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  const Card card(*file);
  std::printf("%s\n", path.c_str());
  if (!card.IsModel()) {
    std::printf("  no model of neb's: a safetensors file with\n");
    for (const auto& [key, value] : file->metadata) PrintRow(key.c_str(), value);
    PrintTensors(*file);
    return absl::OkStatus();
  }
  card.Print();
  if (absl::GetFlag(FLAGS_tensors)) PrintTensors(*file);
  // A card that reads well is no proof that the model can be used.
  if (card.Get("energy").empty()) return absl::OkStatus();
  return LoadModel(path).status();
}

}  // namespace

const Command kInfo = {
    .name = "info",
    .arguments = "MODEL",
    .summary = "says what a model file holds",
    .description =
        "Says which energy a model is, of what data, at which σ, and how it was trained; and checks that it\n"
        "loads. MODEL: a file, or the folder of a run.\n\n"
        "  neb info runs/fashion-mnist\n"
        "  neb info runs/fashion-mnist --tensors",
    .files = {"neb/cli/info.cc"},
    .run = RunInfo};

}  // namespace neb
