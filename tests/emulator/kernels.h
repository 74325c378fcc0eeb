// Finds the kernels in the text of a program, after the preprocessor, and writes the table of them that the driver reads.
#pragma once
#include <cctype>
#include <string>
#include <vector>

namespace emulator {

struct KernelText {
  std::string name, bounds;
};

struct Tokens {
  const std::string& text;
  size_t at = 0;
  std::string next() {
    for (;;) {
      while (at < text.size() && isspace((unsigned char)text[at])) ++at;
      if (at >= text.size()) return "";
      if (text[at] == '#' && (at == 0 || text[at - 1] == '\n')) {
        at = text.find('\n', at); // a line marker or a pragma
        if (at == std::string::npos) at = text.size();
        continue;
      }
      break;
    }
    size_t begin = at;
    char c = text[at];
    if (isalnum((unsigned char)c) || c == '_') {
      while (at < text.size() && (isalnum((unsigned char)text[at]) || text[at] == '_')) ++at;
    } else if (c == '"' || c == '\'') {
      for (++at; at < text.size() && text[at] != c; ++at)
        if (text[at] == '\\') ++at;
      ++at;
    } else {
      ++at;
    }
    return text.substr(begin, at - begin);
  }
  // After an opening parenthesis: what stands before the closing one.
  std::string enclosed() {
    size_t begin = at;
    for (int depth = 1; depth;) {
      std::string t = next();
      if (t.empty()) return "";
      depth += (t == "(") - (t == ")");
    }
    return text.substr(begin, at - 1 - begin);
  }
};

// Only kernels with C linkage can be looked up by their plain name, here as on a device.
inline std::vector<KernelText> find_kernels(const std::string& text) {
  std::vector<KernelText> kernels;
  Tokens tokens{text};
  std::vector<bool> braces; // open braces, and whether `extern "C"` opened them
  std::string before, before_that;
  bool c_linkage = false; // the present declaration began with `extern "C"`
  for (std::string t = tokens.next(); !t.empty(); t = tokens.next()) {
    if (before == "extern" && t == "\"C\"") {
      c_linkage = true;
    } else if (t == "{") {
      braces.push_back(before == "\"C\"" && before_that == "extern");
      c_linkage = false;
    } else if (t == "}") {
      if (!braces.empty()) braces.pop_back();
      c_linkage = false;
    } else if (t == ";") {
      c_linkage = false;
    } else if (t == "__global__") {
      KernelText kernel;
      bool by_block = !braces.empty() && braces.back();
      for (std::string u = tokens.next(); !u.empty(); u = tokens.next()) {
        if (u == "__launch_bounds__" || u == "__attribute__" || u == "alignas") {
          tokens.next();
          std::string inside = tokens.enclosed();
          if (u == "__launch_bounds__") kernel.bounds = inside;
        } else if (u == "(") {
          break;
        } else {
          kernel.name = u;
        }
      }
      tokens.enclosed();
      // A declaration alone is no kernel yet.
      size_t body = tokens.at;
      bool defined = tokens.next() == "{";
      tokens.at = body;
      if (defined && (c_linkage || by_block)) kernels.push_back(kernel);
      t = ")";
    }
    before_that = before;
    before = t;
  }
  return kernels;
}

inline std::string registration(const std::vector<KernelText>& kernels) {
  std::string text = "\n# 1 \"registration\"\n"
                     "static const emulator::Kernel plywood_kernels[] = {\n";
  for (auto& k : kernels)
    text += "  {\"" + k.name + "\", emulator::Entry<&" + k.name + ">::threads, emulator::Entry<&" + k.name + ">::count, emulator::Entry<&" + k.name +
            ">::sizes, emulator::Entry<&" + k.name + ">::pointers, emulator::first(" + (k.bounds.empty() ? "0" : k.bounds) + ")},\n";
  return text +
         "  {}};\n"
         "extern \"C\" __attribute__((visibility(\"default\"))) const emulator::Exports plywood_emulated_module = {&plywood_module, plywood_kernels, " +
         std::to_string(kernels.size()) + "};\n";
}

} // namespace emulator
