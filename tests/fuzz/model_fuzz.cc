// LoadModel and ParseEnergySpec: a small model's file whose metadata are the input, and a spec that is the input. An
// error, or a model whose parameters are those of the file.
#include <string>
#include <string_view>
#include <vector>

#include "neb/energy_spec.h"
#include "neb/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using autodiff::Tensor;

// The text before the next newline, taken off `text`.
std::string TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// A safetensors file, as bytes, of f32 tensors of zeros.
std::string ModelFile(std::string_view text) {
  // Lines: energy, item_shape, sigma, seed, fixed, then names and shapes of parameters, "hidden/w 4,3".
  const auto quoted = [](const std::string& line) {
    std::string json = "\"";
    for (const char c : line) {
      if (c == '"' || c == '\\') json += '\\';
      if (static_cast<unsigned char>(c) >= 0x20) json += c;
    }
    return json + "\"";
  };
  std::string header = "{\"__metadata__\":{";
  for (const char* key : {"energy", "item_shape", "sigma", "seed", "fixed"}) {
    header += (header.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(TakeLine(text));
  }
  header += "}";
  size_t data = 0;
  while (!text.empty()) {
    std::string line = TakeLine(text);
    const size_t space = std::min(line.find(' '), line.size());
    const std::string name = line.substr(0, space), shape = space < line.size() ? line.substr(space + 1) : "";
    size_t elements = 1, extent = 0;
    for (const char c : shape + ",") {
      if (c >= '0' && c <= '9' && extent < 1000) extent = 10 * extent + static_cast<size_t>(c - '0');
      if (c == ',' && !shape.empty()) elements *= std::exchange(extent, 0);
      if (elements > 100000) return "";
    }
    header += "," + quoted(name) + R"(:{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(data) + "," + std::to_string(data + 4 * elements) + "]}";
    data += 4 * elements;
  }
  header += "}";
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> 8 * i & 0xFF);
  return bytes + header + std::string(data, '\0');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<neb::EnergySpec> spec = neb::ParseEnergySpec(text);
  if (spec.ok()) {
    const absl::StatusOr<neb::EnergySpec> again = neb::ParseEnergySpec(neb::ToJson(*spec));
    neb::Check(again.ok() && neb::ToJson(*again) == neb::ToJson(*spec), "a spec that does not survive being written");
  } else {
    const std::string message(spec.status().message());
    neb::Check(message.find('\n') == std::string::npos && message.size() < 2000, "an error of no sensible length");
  }

  const std::string bytes = ModelFile(text);
  const neb::InputFile file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const absl::StatusOr<neb::Model> model = neb::LoadModel(file.path());
  if (!model.ok()) {
    neb::CheckError(model.status(), file.path());
    return 0;
  }
  int64_t numbers = 0;
  for (int i = 0; i < model->params().size(); ++i) numbers += model->params()[i].value.num_elements();
  neb::Check(static_cast<size_t>(4 * numbers) <= bytes.size(), "parameters that are not in the file");
  return 0;
}
