// NVRTC without a GPU: compiles a program of kernels by the C++ compiler of the machine. The result, given out as the CUBIN, is a
// shared library that the emulated driver loads. See README.md.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "injection.h"
#include "interface.h"
#include "kernels.h"

extern char** environ;

using namespace emulator;

namespace {

enum Result { success = 0, invalid_input = 3, invalid_program = 4, invalid_option = 5, compilation = 6, internal_error = 11 };

// interface.h and device.h; the build script writes the file.
const char device_text[] =
#include "device_text.inc"
    ;

struct Program {
  std::string text, name, log;
  std::string image;
  bool is_virtual = false;
};

std::mutex mutex;
Injection& injection() {
  static Injection rules;
  return rules;
}
#define ENTER()                                    \
  std::lock_guard<std::mutex> lock(mutex);         \
  if (int code = injection().next(__func__)) return code

bool read_file(const std::string& path, std::string& text) {
  FILE* file = fopen(path.c_str(), "rb");
  if (!file) return false;
  char buffer[1 << 16];
  text.clear();
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  fclose(file);
  return true;
}
bool write_file(const std::string& path, const std::string& text) {
  FILE* file = fopen(path.c_str(), "wb");
  if (!file) return false;
  bool good = fwrite(text.data(), 1, text.size(), file) == text.size();
  return fclose(file) == 0 && good;
}

std::string temporary() {
  const char* directory = getenv("TMPDIR");
  return directory && *directory ? directory : "/tmp";
}

// Where compiled programs are kept: beside this library, or where that cannot be written, in the temporary directory.
std::string cache_directory() {
  static std::string directory = [] {
    Dl_info info;
    std::string path = temporary();
    if (dladdr(reinterpret_cast<void*>(&cache_directory), &info) && info.dli_fname) {
      std::string own = info.dli_fname;
      size_t slash = own.rfind('/');
      own = slash == std::string::npos ? "." : own.substr(0, slash);
      if (access(own.c_str(), W_OK) == 0) path = own;
    }
    path += "/compiled-kernels";
    mkdir(path.c_str(), 0700);
    return path;
  }();
  return directory;
}

std::string hash(const std::string& text) {
  unsigned long long a = 0xcbf29ce484222325ull, b = 0x84222325cbf29ce4ull;
  for (unsigned char c : text) {
    a = (a ^ c) * 0x100000001b3ull;
    b = (b ^ c) * 0x9e3779b97f4a7c15ull;
    b ^= b >> 29;
  }
  char digits[33];
  snprintf(digits, sizeof digits, "%016llx%016llx", a, b);
  return digits;
}

// Runs the compiler; what it says goes to `said`.
bool run(const std::vector<std::string>& words, const std::string& said_path, std::string& said) {
  std::vector<char*> arguments;
  for (auto& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, said_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t child;
  int error = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) {
    said = "plywood emulator: the compiler " + words[0] + " could not be started: " + strerror(error) + "\n";
    return false;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  read_file(said_path, said);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// `extern __shared__ T name[];` becomes a name for the pointer to what the launch asked for.
std::string with_dynamic_memory(const std::string& text) {
  static const std::regex declaration("extern\\s+__shared__\\s+([^;]+?)\\s+(\\w+)\\s*\\[\\s*\\]\\s*;");
  return std::regex_replace(text, declaration, "static $1* const& $2 = reinterpret_cast<$1* const&>(plywood_module.dynamic);");
}

struct Scratch {
  std::string directory;
  Scratch() {
    directory = temporary() + "/plywood-compile-XXXXXX";
    if (!mkdtemp(&directory[0])) directory.clear();
  }
  ~Scratch() {
    for (const char* name : {"/program.cpp", "/expanded.cpp", "/library.so", "/said"}) unlink((directory + name).c_str());
    rmdir(directory.c_str());
  }
};

int compile(Program& p, int architecture, const std::vector<std::string>& defines) {
  const char* cxx = getenv("CXX");
  std::vector<std::string> compiler;
  std::istringstream words_of_cxx(cxx && *cxx ? cxx : "c++"); // it may be "ccache g++"
  for (std::string word; words_of_cxx >> word;) compiler.push_back(word);
  // Nothing of one module may be shared with another one, as GNU's "unique" symbols would be.
  std::vector<std::string> flags = {"-std=c++17", "-O2", "-w", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
                                    "-fno-gnu-unique", "-fno-strict-aliasing", "-ffp-contract=off"};
  const char* strict_text = getenv("PLYWOOD_EMULATOR_STRICT");
  bool strict = strict_text && *strict_text && *strict_text != '0';
  if (strict)
    for (const char* f : {"-fsanitize=alignment,bounds,shift,signed-integer-overflow", "-fsanitize-undefined-trap-on-error"}) flags.push_back(f);
  // Without a name that others see: the __shared__ variables of inline functions would not go into one section with the rest.
  std::string text = std::string(device_text) + "\nnamespace {\n# 1 \"" + p.name + "\"\n" + with_dynamic_memory(p.text) + "\n}\n";
  std::string key = text;
  for (const auto& list : {compiler, flags, defines})
    for (auto& word : list) key += '\n' + word;
  std::string cached = cache_directory() + "/" + hash(key);

  ImageHeader header = {};
  memcpy(header.magic, image_magic, sizeof header.magic);
  header.architecture = unsigned(architecture);
  header.is_virtual = p.is_virtual;
  header.is_strict = strict;
  header.version = PLYWOOD_EMULATOR_VERSION;
  std::string library;
  if (!read_file(cached, library) || library.size() < 64) {
    Scratch scratch;
    if (scratch.directory.empty()) {
      p.log = "plywood emulator: no temporary directory\n";
      return internal_error;
    }
    std::string source = scratch.directory + "/program.cpp", expanded = scratch.directory + "/expanded.cpp", result = scratch.directory + "/library.so",
                said = scratch.directory + "/said";
    write_file(source, text);
    // First the preprocessor alone, so that kernels that a macro makes are found.
    std::vector<std::string> words = compiler;
    words.insert(words.end(), {"-std=c++17", "-E", "-w"});
    words.insert(words.end(), defines.begin(), defines.end());
    words.insert(words.end(), {source, "-o", expanded});
    if (!run(words, said, p.log)) return compilation;
    std::string program;
    read_file(expanded, program);
    program += registration(find_kernels(program));
    write_file(expanded, program);
    words = compiler;
    words.insert(words.end(), flags.begin(), flags.end());
    words.insert(words.end(), {"-D__global__=", "-D__launch_bounds__(...)=", "-shared", "-Wl,-z,defs", expanded, "-o", result, "-lm"});
    if (!run(words, said, p.log)) return compilation;
    read_file(result, library);
    // Under its final name only when complete: other processes read it at the same time.
    std::string unfinished = cached + "." + std::to_string(getpid());
    if (write_file(unfinished, library)) rename(unfinished.c_str(), cached.c_str());
  }
  header.size = library.size();
  header.checksum = checksum(library.data(), library.size());
  p.image.assign(reinterpret_cast<const char*>(&header), sizeof header);
  p.image += library;
  return success;
}

const int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

} // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API nvrtcVersion(int* major, int* minor) {
  ENTER();
  if (!major || !minor) return invalid_input;
  *major = 13;
  *minor = 0;
  return success;
}
API nvrtcGetNumSupportedArchs(int* count) {
  if (!count) return invalid_input;
  *count = sizeof architectures / sizeof *architectures;
  return success;
}
API nvrtcGetSupportedArchs(int* list) {
  if (!list) return invalid_input;
  memcpy(list, architectures, sizeof architectures);
  return success;
}
API nvrtcCreateProgram(Program** program, const char* text, const char* name, int headers, const char* const*, const char* const*) {
  ENTER();
  if (!program || !text || headers < 0) return invalid_input;
  if (headers > 0) {
    fprintf(stderr, "plywood emulator: nvrtcCreateProgram: headers are not emulated\n");
    return invalid_input;
  }
  *program = new Program();
  (*program)->text = text;
  (*program)->name = name && *name ? name : "default_program";
  return success;
}
API nvrtcDestroyProgram(Program** program) {
  ENTER();
  if (!program || !*program) return invalid_program;
  delete *program;
  *program = nullptr;
  return success;
}
API nvrtcCompileProgram(Program* p, int count, const char* const* options) {
  ENTER();
  if (!p) return invalid_program;
  p->log.clear();
  p->image.clear();
  int architecture = 0;
  std::vector<std::string> defines;
  for (int i = 0; i < count; ++i) {
    std::string option = options[i], value;
    // An option's value stands behind a `=` or is the next option.
    size_t equal = option.find('=');
    std::string name = option.substr(0, equal);
    auto take = [&]() -> std::string {
      if (equal != std::string::npos) return option.substr(equal + 1);
      return i + 1 < count ? options[++i] : "";
    };
    auto refuse = [&](const std::string& why) {
      p->log = "nvrtc: error: " + why + "\n";
      return int(invalid_option);
    };
    if (name == "--gpu-architecture" || name == "-arch") {
      value = take();
      p->is_virtual = value.compare(0, 8, "compute_") == 0;
      if (!p->is_virtual && value.compare(0, 3, "sm_") != 0) return refuse("invalid value for --gpu-architecture (-arch)");
      architecture = atoi(value.c_str() + (p->is_virtual ? 8 : 3));
      bool known = false;
      for (int a : architectures) known |= a == architecture;
      if (!known) return refuse("invalid value for --gpu-architecture (-arch)");
    } else if (name == "--std" || name == "-std") {
      value = take();
      if (value != "c++17") return refuse("only --std=c++17 is emulated");
    } else if (option.compare(0, 2, "-D") == 0 && option.size() > 2) {
      defines.push_back(option);
    } else if (name == "--define-macro" || option == "-D") {
      defines.push_back("-D" + take());
    } else if (name == "--fmad" || name == "-fmad" || name == "--ftz" || name == "--prec-div" || name == "--prec-sqrt" || name == "--use_fast_math" ||
               name == "-use_fast_math" || name == "--restrict" || name == "-restrict" || name == "--extra-device-vectorization" || name == "--maxrregcount" || name == "--ptxas-options" ||
               name == "--device-as-default-execution-space" || name == "-default-device" || name == "-lineinfo" || name == "--generate-line-info" ||
               name == "--disable-warnings" || name == "-w") {
      // They change how fast or how exact a device is.
      if (name == "--maxrregcount" && equal == std::string::npos) ++i;
    } else {
      return refuse("unrecognized option " + option + " found");
    }
  }
  // The real one takes a default here, with which no kernel would load on most devices.
  if (architecture == 0) {
    p->log = "plywood emulator: --gpu-architecture is missing\n";
    return invalid_option;
  }
  return compile(*p, architecture, defines);
}
API nvrtcGetCUBINSize(Program* p, size_t* size) {
  ENTER();
  if (!p) return invalid_program;
  if (!size) return invalid_input;
  *size = p->is_virtual ? 0 : p->image.size();
  return success;
}
API nvrtcGetCUBIN(Program* p, char* bytes) {
  ENTER();
  if (!p || p->image.empty() || p->is_virtual) return invalid_program;
  if (!bytes) return invalid_input;
  memcpy(bytes, p->image.data(), p->image.size());
  return success;
}
// PTX is text; here it is the image again, with the closing zero that PTX has.
API nvrtcGetPTXSize(Program* p, size_t* size) {
  ENTER();
  if (!p) return invalid_program;
  if (!size) return invalid_input;
  *size = p->image.size() + 1;
  return success;
}
API nvrtcGetPTX(Program* p, char* bytes) {
  ENTER();
  if (!p || p->image.empty()) return invalid_program;
  if (!bytes) return invalid_input;
  memcpy(bytes, p->image.c_str(), p->image.size() + 1);
  return success;
}
API nvrtcGetProgramLogSize(Program* p, size_t* size) {
  ENTER();
  if (!p) return invalid_program;
  if (!size) return invalid_input;
  *size = p->log.size() + 1;
  return success;
}
API nvrtcGetProgramLog(Program* p, char* text) {
  ENTER();
  if (!p) return invalid_program;
  if (!text) return invalid_input;
  memcpy(text, p->log.c_str(), p->log.size() + 1);
  return success;
}
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int code) {
  static const char* const names[] = {"NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE", "NVRTC_ERROR_INVALID_INPUT",
                                      "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION", "NVRTC_ERROR_COMPILATION",
                                      "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE", "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION",
                                      "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION", "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID", "NVRTC_ERROR_INTERNAL_ERROR"};
  return code >= 0 && code < 12 ? names[code] : "NVRTC_ERROR unknown";
}
