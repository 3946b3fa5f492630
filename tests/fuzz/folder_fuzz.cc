// ReadImageFolder on any folder: an error that names a file in it, or pictures of one shape.
//
// The input is a line of options, then an entry after another: a letter for its kind (f: file, d: folder, l: symbolic
// link), a byte for the length of its name, two (big-endian) for that of its content (of a link: where it leads), then
// both.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "neb/image_folder.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

namespace fs = std::filesystem;

// A folder of its own for each input, on a file system in memory where there is one.
class InputFolder {
 public:
  InputFolder() {
    const fs::path parent = fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string name = (parent / "folder_fuzz_XXXXXX").string();
    neb::Check(mkdtemp(name.data()) != nullptr, "no folder for the input");
    path_ = name;
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;
  ~InputFolder() { fs::remove_all(path_); }

  const fs::path& path() const { return path_; }

  // Names that a file system does not take are passed over.
  void Add(char kind, std::string name, const std::string& content) const {
    for (char& c : name) {
      if (c == '/' || c == '\0') c = '_';
    }
    const fs::path path = path_ / name;
    if (name.empty() || fs::exists(fs::symlink_status(path))) return;
    std::error_code ignored;
    if (kind == 'd') {
      fs::create_directory(path, ignored);
    } else if (kind == 'l') {
      // Nothing outside the folder: what is there is not the input's.
      if (content.find('/') == std::string::npos) fs::create_symlink(content.c_str(), path, ignored);
    } else {
      std::ofstream(path, std::ios::binary) << content;
    }
  }

 private:
  fs::path path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto byte = [&rest] {
    if (rest.empty()) return 0;
    const int value = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    return value;
  };
  const auto text = [&rest](int length) {
    const std::string taken(rest.substr(0, static_cast<size_t>(length)));
    rest.remove_prefix(taken.size());
    return taken;
  };
  const neb::ImageFolderOptions options{.channels = byte() - '0',
                                        .crop_square = byte() == 's',
                                        .crop = {byte() - '0', byte() - '0'},
                                        .resize = {byte() - '0', byte() - '0'}};
  const InputFolder folder;
  while (!rest.empty()) {
    const char kind = static_cast<char>(byte());
    const int name_length = byte();
    const int high = byte(), content_length = 256 * high + byte();
    const std::string name = text(name_length);
    folder.Add(kind, name, text(content_length));
  }

  const absl::StatusOr<neb::Dataset> set = neb::ReadImageFolder(folder.path().string(), options);
  if (!set.ok()) {
    const std::string message(set.status().message());
    neb::Check(message.rfind(folder.path().string(), 0) == 0, "an error that names no file: " + message);
    neb::Check(message.size() < 2000, "an error as long as its input: " + message);
    return 0;
  }
  const autodiff::Shape& item = set->item_shape;
  neb::Check(item.rank() == 3 && (item[2] == 1 || item[2] == 3), "pictures of another shape: " + item.ToString());
  neb::Check(set->x.shape()[0] > 0 && set->x.shape()[1] == item.num_elements(), "items of another size");
  for (const float value : set->x.data<float>()) neb::Check(value >= 0 && value <= 1, "a pixel outside [0, 1]");
  return 0;
}
