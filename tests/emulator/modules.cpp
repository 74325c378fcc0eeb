// The emulated driver's modules, functions and launches.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>

#include "fibers.h"
#include "state.h"

using namespace emulator;

struct Launch {
  std::shared_ptr<Program> program;
  const Kernel* kernel;
  Index grid, block;
  unsigned dynamic;
  std::vector<unsigned long long> storage;
  std::vector<void*> parameters;

  int run() {
    Failure f =
        Blocks::self().run(program->exports.module, program->shared, dynamic, *kernel, grid, block, parameters.data(), state().backwards, state().strict);
    if (f.code) return fault(program->device, f.code, std::string("kernel ") + kernel->name + ": " + f.message);
    if (state().strict && !state().memory.all_intact()) return fault(program->device, illegal_address, std::string("found after kernel ") + kernel->name);
    return success;
  }
};
// The __shared__ variables: what functions have of their own in memory that begins as zero. The compiler calls them _ZZ…
static std::vector<Span> shared_of(void* library, const char* elf) {
  std::vector<Span> found;
  link_map* map;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return found;
  auto header = reinterpret_cast<const ElfW(Ehdr)*>(elf);
  auto sections = reinterpret_cast<const ElfW(Shdr)*>(elf + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    auto symbols = reinterpret_cast<const ElfW(Sym)*>(elf + sections[i].sh_offset);
    const char* names = elf + sections[sections[i].sh_link].sh_offset;
    for (size_t s = 0; s < sections[i].sh_size / sizeof *symbols; ++s) {
      const ElfW(Sym)& symbol = symbols[s];
      bool zeroed = symbol.st_shndx < header->e_shnum && sections[symbol.st_shndx].sh_type == SHT_NOBITS;
      if (zeroed && ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && strncmp(names + symbol.st_name, "_ZZ", 3) == 0)
        found.push_back({reinterpret_cast<char*>(map->l_addr + symbol.st_value), symbol.st_size});
    }
  }
  return found;
}

API cuModuleLoadData(void** module, const void* image) {
  ENTER(Quiet);
  if (!module || !image) return invalid_value;
  ImageHeader header;
  memcpy(&header.magic, image, sizeof header.magic);
  if (memcmp(header.magic, image_magic, sizeof header.magic) != 0) {
    say("cuModuleLoadData: not an image of the emulated NVRTC");
    return invalid_image;
  }
  memcpy(&header, image, sizeof header);
  // A program that kept the image of another version compiles anew: nothing to complain of.
  if (header.version != PLYWOOD_EMULATOR_VERSION || (header.is_strict != 0) != state().strict) return invalid_image;
  // Machine code runs within its major version, from its minor version on.
  if (header.is_virtual ? header.architecture > 90 : header.architecture != 90) return no_binary;
  const char* directory = getenv("TMPDIR");
  std::string path = std::string(directory && *directory ? directory : "/tmp") + "/plywood-kernels-XXXXXX";
  int file = mkostemp(&path[0], O_CLOEXEC);
  if (file < 0) return fault(current, 304, "cuModuleLoadData: no temporary file at " + path);
  // The kernel reads the image: where it is cut off and no memory follows, that is an error and not a fault.
  const char* bytes = static_cast<const char*>(image) + sizeof header;
  size_t left = header.size;
  while (left) {
    ssize_t n = write(file, bytes, left);
    if (n <= 0) break;
    bytes += n, left -= size_t(n);
  }
  std::vector<char> written(left ? 0 : header.size);
  bool whole = !left && pread(file, written.data(), written.size(), 0) == ssize_t(written.size()) && checksum(written.data(), written.size()) == header.checksum;
  close(file);
  void* library = whole ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path.c_str());
  if (!library) {
    say("cuModuleLoadData: %s", whole ? dlerror() : "a damaged image");
    return invalid_image;
  }
  auto exports = static_cast<const Exports*>(dlsym(library, "plywood_emulated_module"));
  if (!exports) return invalid_image;
  std::shared_ptr<Program> program(new Program{current, library, *exports, shared_of(library, written.data()), {}}, [](Program* p) {
    dlclose(p->library);
    delete p;
  });
  *module = state().programs.add(program);
  return success;
}
API cuModuleUnload(void* module) {
  ENTER(Quiet);
  State& s = state();
  auto program = s.programs.get(module);
  if (!program) return invalid_handle;
  finish_device(program->device);
  for (auto i = s.functions.begin(); i != s.functions.end();) i = i->second->program == program ? s.functions.erase(i) : std::next(i);
  program->functions.clear();
  s.programs.remove(module);
  return success;
}
API cuModuleGetFunction(void** result, void* module, const char* name) {
  ENTER(Current);
  State& s = state();
  auto program = s.programs.get(module);
  if (!program) return invalid_handle;
  if (!result || !name) return invalid_value;
  for (unsigned i = 0; i < program->exports.kernel_count; ++i) {
    const Kernel* kernel = &program->exports.kernels[i];
    if (strcmp(kernel->name, name) != 0) continue;
    auto& function = program->functions[name];
    if (!function) function.reset(new Function{program, kernel});
    *result = function.get();
    s.functions[function.get()] = function.get();
    return success;
  }
  return not_found;
}
static Function* function_of(void* handle) {
  auto found = state().functions.find(handle);
  return found == state().functions.end() ? nullptr : found->second;
}
// The shared memory of a block, and what a kernel has of it by its text: at most that of all kernels of its module.
static constexpr size_t most_shared = 227 << 10;
static size_t own_shared(const Function& function) {
  size_t bytes = 0;
  for (const Span& span : function.program->shared) bytes += span.bytes;
  return bytes;
}
API cuFuncGetAttribute(int* value, int attribute, void* handle) {
  ENTER(Current);
  Function* function = function_of(handle);
  if (!function) return invalid_handle;
  if (!value || attribute < 0) return invalid_value;
  switch (attribute) {
  case 0: *value = function->kernel->max_threads ? int(function->kernel->max_threads) : 1024; break;
  case 4: *value = 32; break;
  case 8: *value = int(function->dynamic); break;
  case 5: case 6: *value = 90; break;
  default: *value = 0;
  }
  return success;
}
API cuFuncSetAttribute(void* handle, int attribute, int value) {
  ENTER(Current);
  Function* function = function_of(handle);
  if (!function) return invalid_handle;
  if (attribute != 8 && attribute != 9) return invalid_value;
  if (attribute == 9) return success;
  if (value < 0 || size_t(value) + own_shared(*function) > most_shared) return invalid_value;
  function->dynamic = unsigned(value);
  return success;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* handle, int block_size, size_t shared) {
  ENTER(Current);
  if (!function_of(handle)) return invalid_handle;
  if (!blocks || block_size <= 0 || block_size > 1024 || shared > size_t(227) << 10) return invalid_value;
  *blocks = std::min(32, 2048 / block_size);
  return success;
}
API cuLaunchKernel(void* handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* stream_handle, void** parameters, void** extra) {
  ENTER(Current);
  Function* function = function_of(handle);
  auto stream = find_stream(stream_handle);
  if (!function || !stream || function->program->device != stream->device) return invalid_handle;
  const Kernel& kernel = *function->kernel;
  unsigned long long threads = 1ull * bx * by * bz;
  if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || !threads || threads > 1024 || bx > 1024 || by > 1024 || bz > 64) {
    char text[200];
    snprintf(text, sizeof text, "kernel %s: no such launch: grid %u,%u,%u block %u,%u,%u", kernel.name, gx, gy, gz, bx, by, bz);
    return fault(current, invalid_value, text);
  }
  if (kernel.max_threads && threads > kernel.max_threads)
    return fault(current, out_of_resources, std::string("kernel ") + kernel.name + ": more threads than its __launch_bounds__");
  if (extra) return fault(current, not_supported, std::string("kernel ") + kernel.name + ": `extra` is not emulated");
  if (shared > function->dynamic)
    return fault(current, invalid_value, std::string("kernel ") + kernel.name + ": more shared memory than cuFuncSetAttribute allowed");
  if (kernel.parameters && !parameters) return invalid_value;
  auto launch = std::make_shared<Launch>();
  launch->program = function->program;
  launch->kernel = &kernel;
  launch->grid = {gx, gy, gz};
  launch->block = {bx, by, bz};
  launch->dynamic = shared;
  size_t words = 0;
  for (unsigned i = 0; i < kernel.parameters; ++i) words += (kernel.sizes[i] + 15) / 16 * 2;
  launch->storage.resize(words + 2);
  char* next = reinterpret_cast<char*>((uintptr_t(launch->storage.data()) + 15) / 16 * 16);
  std::vector<Touched> touched;
  for (unsigned i = 0; i < kernel.parameters; ++i) {
    if (!parameters[i]) return invalid_value;
    memcpy(next, parameters[i], kernel.sizes[i]);
    launch->parameters.push_back(next);
    if (kernel.pointers[i]) {
      uintptr_t address;
      memcpy(&address, next, sizeof address);
      if (address) touched.push_back({address, 0, Touched::Anywhere, kernel.name, int(i)});
    }
    next += (kernel.sizes[i] + 15) / 16 * 16;
  }
  return submit(stream_handle, work(__func__, std::move(touched), [launch] { return launch->run(); }, kernel.name));
}
