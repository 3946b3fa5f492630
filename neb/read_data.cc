#include "neb/read_data.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "neb/csv.h"
#include "neb/idx.h"
#include "neb/npy.h"

namespace neb {
namespace {

namespace fs = std::filesystem;
using autodiff::Shape;

// What a row of an array is.
Shape ItemShape(const Shape& array) {
  if (array.rank() == 1) return {1};
  Shape item(array.dims().subspan(1));
  if (item.rank() == 2) item.push_back(1);
  return item;
}

absl::StatusOr<Dataset> ReadNpyItems(const std::string& path, int64_t max_items) {
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
  };
  if (max_items < 1) return error(absl::StrCat("max_items is ", max_items, ", expected at least 1"));
  absl::StatusOr<NpyRows> rows = ReadNpyRows(path, max_items);
  if (!rows.ok()) return rows.status();
  const Shape& shape = rows->shape;
  const bool fits = shape.rank() >= 1 && shape.rank() <= 4 && shape.num_elements() > 0 &&
                    (shape.rank() < 4 || shape[3] == 1 || shape[3] == 3);
  if (!fits) {
    return error(absl::StrCat("an array of shape ", shape.ToString(),
                              ", expected [n], [n, d], [n, height, width] or [n, height, width, 1 or 3], without 0"));
  }
  return Dataset{.x = std::move(rows->x), .item_shape = ItemShape(shape), .name = fs::path(path).filename().string()};
}

// Without ".gz" at its end.
fs::path PlainName(const fs::path& path) {
  return path.extension() == ".gz" ? fs::path(path).replace_extension() : path;
}

// The file, plain or gzip, the preferred kind first.
std::optional<std::string> Existing(const fs::path& plain, bool prefer_gzip) {
  const fs::path gzip = plain.string() + ".gz";
  std::error_code ignored;
  for (const fs::path& file : {prefer_gzip ? gzip : plain, prefer_gzip ? plain : gzip}) {
    if (fs::exists(file, ignored)) return file.string();
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Dataset> ReadData(const std::string& path, const ReadOptions& options) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return ReadImageFolder(path, options.images, options.max_items);
  if (options.images != ImageFolderOptions{}) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is no folder: only the pictures of a folder can be cropped, resized or recoloured"));
  }
  const std::string extension = absl::AsciiStrToLower(fs::path(path).extension().string());
  if (extension == ".npy") return ReadNpyItems(path, options.max_items);
  if (extension == ".csv" || extension == ".tsv" || extension == ".txt") return ReadCsv(path, options.max_items);
  if (extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is one picture, expected the folder of many"));
  }
  return ReadIdx(path, options.max_items);
}

std::optional<std::string> HeldOutSibling(const std::string& train_path) {
  const fs::path path = PlainName(train_path);
  if (path.filename() != "train-images-idx3-ubyte") return std::nullopt;
  return Existing(path.parent_path() / "t10k-images-idx3-ubyte", path != train_path);
}

std::optional<std::string> LabelsSibling(const std::string& images_path) {
  constexpr absl::string_view kImages = "-images-idx3-ubyte";
  const fs::path path = PlainName(images_path);
  const std::string file = path.filename().string();
  if (!absl::EndsWith(file, kImages)) return std::nullopt;
  const std::string name = file.substr(0, file.size() - kImages.size());
  return Existing(path.parent_path() / (name + "-labels-idx1-ubyte"), path != images_path);
}

}  // namespace neb
