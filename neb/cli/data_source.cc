#include "neb/cli/data_source.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "neb/read_data.h"
#include "neb/synthetic.h"
#include "nlohmann/json.hpp"

namespace neb {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

absl::StatusOr<Dataset> ReadSynthetic(const DataSource& source, uint64_t seed) {
  if (source.size != 0 || source.max_items != 0) {
    return absl::InvalidArgumentError(absl::StrCat("size and max_items are for files; ", source.data,
                                                   " is a synthetic set, whose number of points is given by points"));
  }
  return MakeSynthetic(source.data, source.points == 0 ? kDefaultPoints : source.points, seed);
}

// Whether a word may have been meant as the name of a set.
bool IsWord(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

absl::Status CheckHeldOut(const Dataset& train, const Dataset& held_out) {
  if (train.item_shape == held_out.item_shape) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("held-out items of shape ", held_out.item_shape.ToString(), " (",
                                                 held_out.name, "), but those of ", train.name, " are ",
                                                 train.item_shape.ToString()));
}

absl::StatusOr<Dataset> ReadHeldOut(const DataSource& source, const std::string& path, const Dataset& train) {
  std::error_code ignored;
  DataSource other{.data = path};
  if (fs::is_directory(path, ignored)) other.size = source.size;
  absl::StatusOr<Dataset> held_out = ReadSource(other);
  if (!held_out.ok()) return held_out.status();
  if (absl::Status s = CheckHeldOut(train, *held_out); !s.ok()) return s;
  return held_out;
}

}  // namespace

bool IsSynthetic(const DataSource& source) {
  const std::vector<std::string> names = SyntheticNames();
  return std::find(names.begin(), names.end(), source.data) != names.end();
}

std::string ShortName(const DataSource& source) {
  fs::path path = fs::path(source.data).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "photos/"
  // MNIST and its relatives are told apart by their folders.
  if (absl::StartsWith(path.filename().string(), "train-images-idx3-ubyte") && path.has_parent_path()) {
    path = path.parent_path();
  }
  std::string name = path.filename().string();
  name = name.substr(0, name.find('.', 1));
  return name.empty() || name == "/" ? "data" : name;
}

absl::StatusOr<Dataset> ReadSource(const DataSource& source) {
  if (source.size < 0 || source.max_items < 0 || source.points < 0) {
    return absl::InvalidArgumentError(absl::StrCat("size, max_items and points must be >= 0, got ", source.size, ", ",
                                                   source.max_items, " and ", source.points));
  }
  if (IsSynthetic(source)) return ReadSynthetic(source, source.seed);
  std::error_code ignored;
  if (IsWord(source.data) && !fs::exists(source.data, ignored)) {
    return absl::InvalidArgumentError(absl::StrCat("no file and no synthetic set is called \"", source.data,
                                                   "\"; the sets are ", absl::StrJoin(SyntheticNames(), ", ")));
  }
  if (source.points != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("points is for synthetic sets; for ", source.data, " there is max_items"));
  }
  ReadOptions options;
  if (source.max_items != 0) options.max_items = source.max_items;
  const int size = static_cast<int>(std::min<int64_t>(source.size, 1 << 20));
  if (size != 0) options.images = {.crop_square = true, .resize = {.height = size, .width = size}};
  return ReadData(source.data, options);
}

absl::StatusOr<TrainHeldOut> ReadTrainHeldOut(const DataSource& source) {
  absl::StatusOr<Dataset> all = ReadSource(source);
  return all.ok() ? HoldOut(*std::move(all), source) : all.status();
}

absl::StatusOr<TrainHeldOut> HoldOut(Dataset all, const DataSource& source) {
  if (double share = 0; absl::SimpleAtod(source.held_out, &share)) return Split(std::move(all), share, source.seed);
  std::optional<std::string> path;
  if (!source.held_out.empty()) {
    path = source.held_out;
  } else if (!IsSynthetic(source)) {
    path = HeldOutSibling(source.data);
  }
  if (path.has_value()) {
    absl::StatusOr<Dataset> held_out = ReadHeldOut(source, *path, all);
    if (!held_out.ok()) return held_out.status();
    return TrainHeldOut{std::move(all), *std::move(held_out)};
  }
  if (!IsSynthetic(source)) return Split(std::move(all), 0.1, source.seed);
  absl::StatusOr<Dataset> fresh = ReadSynthetic(source, source.seed + 1);
  if (!fresh.ok()) return fresh.status();
  return TrainHeldOut{std::move(all), *std::move(fresh)};
}

std::string ToJson(const DataSource& source) {
  Json json = {{"data", source.data}};
  if (!source.held_out.empty()) json["held_out"] = source.held_out;
  if (source.size != 0) json["size"] = source.size;
  if (source.max_items != 0) json["max_items"] = source.max_items;
  if (source.points != 0) json["points"] = source.points;
  json["seed"] = source.seed;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<DataSource> ParseDataSource(const std::string& json) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  DataSource source;
  bool ok = parsed.is_object();
  const auto read = [&](const char* name, auto& field, auto is_type) {
    if (!ok || !parsed.contains(name)) return;
    ok = (parsed[name].*is_type)();
    if (ok) parsed[name].get_to(field);
  };
  read("data", source.data, &Json::is_string);
  read("held_out", source.held_out, &Json::is_string);
  read("size", source.size, &Json::is_number_integer);
  read("max_items", source.max_items, &Json::is_number_integer);
  read("points", source.points, &Json::is_number_integer);
  read("seed", source.seed, &Json::is_number_integer);
  if (!ok || !parsed.contains("data")) {
    return absl::InvalidArgumentError(absl::StrCat("expected where data comes from, {\"data\": …}, got ", json));
  }
  return source;
}

}  // namespace neb
