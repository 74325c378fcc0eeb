// An NVIDIA driver without a GPU: libcuda.so.1 for tests. See README.md. Here: devices, contexts and errors.
#include "state.h"

#include <map>

namespace emulator {

thread_local Device* current = nullptr;

static void at_exit();

State& state() {
  static State* s = [] {
    atexit(at_exit);
    return new State();
  }();
  return *s;
}

State::State() {
  auto number = [](const char* name, unsigned long long otherwise) {
    const char* text = getenv(name);
    return text && *text ? strtoull(text, nullptr, 0) : otherwise;
  };
  lazy = number("PLYWOOD_EMULATOR_LAZY", 1) != 0;
  strict = memory.strict = number("PLYWOOD_EMULATOR_STRICT", 0) != 0;
  backwards = number("PLYWOOD_EMULATOR_BACKWARDS", 0) != 0;
  abort = number("PLYWOOD_EMULATOR_ABORT", 0) != 0;
  counts = number("PLYWOOD_EMULATOR_RUNS", 0) != 0;
  device_count = int(std::min(8ull, number("PLYWOOD_EMULATOR_DEVICES", 1)));
  total_memory = number("PLYWOOD_EMULATOR_MEMORY", 2ull << 30);
  for (int i = 0; i < 8; ++i) {
    devices[i].number = i;
    null_streams[i] = std::make_shared<Stream>();
    null_streams[i]->device = &devices[i];
  }
}

bool is_sticky(int code) { return code == 214 || code == 700 || code == 702 || code == 710 || (code >= 714 && code <= 719); }

// The calling program's mistake: with PLYWOOD_EMULATOR_ABORT=1 no test can overlook it.
static void mistake(const char* message) {
  say("%s", message);
  if (state().abort) abort();
}

int fault(Device* device, int code, const std::string& message) {
  mistake(message.c_str());
  if (device && is_sticky(code) && device->sticky == 0) device->sticky = code;
  return code;
}

int break_capture(const std::shared_ptr<Capture>& capture, int code, const char* call, const char* why) {
  capture->broken = true;
  mistake((std::string(call) + ": " + why + "; the capture is invalid now").c_str());
  return code;
}

int enter(const char* call, unsigned needs) {
  State& s = state();
  if (int code = s.injection.next(call)) {
    say("%s: error %d, as PLYWOOD_EMULATOR_FAIL asks", call, code);
    if (current && is_sticky(code) && current->sticky == 0) current->sticky = code;
    return code;
  }
  if ((needs & Init) && !s.initialized) return not_initialized;
  if ((needs & Current) == Current) {
    if (!current || current->retained == 0) return invalid_context;
    if (current->sticky) return current->sticky;
  }
  if ((needs & Quiet) == Quiet)
    for (auto& capture : s.captures)
      if (capture->mode == 0 || (capture->mode == 1 && capture->thread == std::this_thread::get_id()))
        return break_capture(capture, capture_unsupported, call, "not allowed while a stream is captured");
  return success;
}

static void at_exit() {
  State& s = state();
  if (!s.memory.all_intact()) say("found at the end of the program");
  for (auto& entry : s.runs) say("%s ran %zu times", entry.first.c_str(), entry.second);
  const char* wanted = getenv("PLYWOOD_EMULATOR_LEAKS");
  if (!wanted || *wanted != '1') return;
  size_t blocks[2] = {}, bytes[2] = {};
  s.memory.each([&](const Block& b) { ++blocks[b.kind == Kind::Pinned], bytes[b.kind == Kind::Pinned] += b.size; });
  say("never freed: %zu device blocks (%zu bytes), %zu pinned blocks (%zu bytes), %zu streams, %zu events, %zu modules, %zu graphs, %zu executable graphs",
      blocks[0], bytes[0], blocks[1], bytes[1], s.streams.live.size(), s.events.live.size(), s.programs.live.size(), s.graphs.live.size(),
      s.executables.live.size());
}

} // namespace emulator

using namespace emulator;

#include "errors.h"

// ---- what the emulated libraries and tests call

// Work of `size` bytes of description, which are copied, on a stream.
API plywood_emulator_enqueue(void* stream, const char* call, void (*run)(const void*), const void* data, size_t size, const Range* ranges, size_t count) {
  ENTER(Current);
  std::vector<Touched> touched;
  for (size_t i = 0; i < count; ++i) touched.push_back({uintptr_t(ranges[i].start), size_t(ranges[i].bytes), Touched::OnDevice, ranges[i].name});
  std::vector<char> copy((const char*)data, (const char*)data + size);
  return submit(stream, work(call, std::move(touched), [run, copy] { return run(copy.data()), success; }));
}
// As PLYWOOD_EMULATOR_FAIL, for the calls of libcuda from now on. Null: no more failures.
API plywood_emulator_fail(const char* rules) {
  std::lock_guard<std::recursive_mutex> lock(state().mutex);
  state().injection.set(rules);
  return success;
}

// ---- the device and its context

API cuInit(unsigned flags) {
  ENTER(Nothing);
  if (flags != 0) return invalid_value;
  if (state().device_count == 0) return no_device;
  state().initialized = true;
  return success;
}
API cuDriverGetVersion(int* version) {
  ENTER(Nothing);
  if (!version) return invalid_value;
  *version = 13000;
  return success;
}
API cuDeviceGetCount(int* count) {
  ENTER(Init);
  if (!count) return invalid_value;
  *count = state().device_count;
  return success;
}
API cuDeviceGet(int* device, int ordinal) {
  ENTER(Init);
  if (!device) return invalid_value;
  if (ordinal < 0 || ordinal >= state().device_count) return invalid_device;
  *device = ordinal;
  return success;
}
#define DEVICE(device) \
  if (device < 0 || device >= state().device_count) return invalid_device
API cuDeviceGetName(char* name, int length, int device) {
  ENTER(Init);
  DEVICE(device);
  if (!name || length <= 0) return invalid_value;
  snprintf(name, size_t(length), "Plywood's emulator of a GPU");
  return success;
}
API cuDeviceTotalMem_v2(size_t* bytes, int device) {
  ENTER(Init);
  DEVICE(device);
  if (!bytes) return invalid_value;
  *bytes = state().total_memory;
  return success;
}
API cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  ENTER(Init);
  DEVICE(device);
  if (!uuid) return invalid_value;
  memcpy(uuid, "plywoodemulator", 15);
  uuid[15] = (unsigned char)device;
  return success;
}
API cuDeviceGetAttribute(int* value, int attribute, int device) {
  ENTER(Init);
  DEVICE(device);
  if (!value || attribute < 1) return invalid_value;
  static const std::map<int, int> known = {
      {1, 1024},    {2, 1024},   {3, 1024},       {4, 64},         {5, 0x7fffffff}, {6, 65535},  {7, 65535},  {8, 48 << 10},
      {9, 64 << 10}, {10, 32},   {12, 65536},     {13, 1000000},   {16, 4},         {19, 1},     {31, 1},     {33, 1},
      {36, 1000000}, {37, 256},  {38, 4 << 20},   {39, 2048},      {40, 1},         {41, 1},     {75, 9},     {76, 0},
      {78, 1},      {81, 228 << 10}, {82, 65536}, {97, 227 << 10}, {106, 32},       {111, 1024},
  };
  auto found = known.find(attribute);
  *value = attribute == 34 ? device : found == known.end() ? 0 : found->second;
  return success;
}
API cuDevicePrimaryCtxRetain(void** context, int device) {
  ENTER(Init);
  DEVICE(device);
  if (!context) return invalid_value;
  Device& d = state().devices[device];
  ++d.retained;
  *context = &d;
  return success;
}
static void destroy_context(Device& d) {
  State& s = state();
  finish_device(&d);
  std::vector<Block*> gone;
  s.memory.each([&](Block& b) {
    if (b.kind == Kind::Device && b.device == d.number) gone.push_back(&b);
  });
  for (Block* b : gone) {
    s.memory.intact(*b);
    s.memory.free(b);
  }
  auto sweep = [&](auto& live) {
    for (auto i = live.begin(); i != live.end();) i = i->second->device == &d ? live.erase(i) : std::next(i);
  };
  for (auto i = s.functions.begin(); i != s.functions.end();) i = i->second->program->device == &d ? s.functions.erase(i) : std::next(i);
  sweep(s.streams.live);
  sweep(s.events.live);
  for (auto& entry : s.programs.live)
    if (entry.second->device == &d) entry.second->functions.clear();
  sweep(s.programs.live);
  d.used = 0;
  d.sticky = 0;
}
API cuDevicePrimaryCtxRelease_v2(int device) {
  ENTER(Init);
  DEVICE(device);
  Device& d = state().devices[device];
  if (d.retained == 0) return invalid_context;
  if (--d.retained == 0) destroy_context(d);
  return success;
}
API cuDevicePrimaryCtxReset_v2(int device) {
  ENTER(Init);
  DEVICE(device);
  destroy_context(state().devices[device]);
  return success;
}
API cuCtxSetCurrent(void* context) {
  ENTER(Init);
  State& s = state();
  if (!context) {
    current = nullptr;
    return success;
  }
  Device* d = static_cast<Device*>(context);
  if (d < s.devices || d >= s.devices + s.device_count || d->retained == 0) return invalid_context;
  current = d;
  return success;
}
API cuCtxGetCurrent(void** context) {
  ENTER(Init);
  if (!context) return invalid_value;
  *context = current;
  return success;
}
API cuCtxGetDevice(int* device) {
  ENTER(Init);
  if (!device) return invalid_value;
  if (!current) return invalid_context;
  *device = current->number;
  return success;
}
API cuCtxSynchronize() {
  ENTER(Quiet);
  for (auto& capture : state().captures)
    if (capture->graph->device == current) return break_capture(capture, capture_unsupported, __func__, "a stream of the context is captured");
  if (int code = finish_device(current)) return code;
  if (state().memory.all_intact()) return success;
  return fault(current, illegal_address, "found by cuCtxSynchronize");
}
