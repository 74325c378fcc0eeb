// An NVIDIA driver without a GPU: libcuda.so.1 for tests. See README.md.
#include <dlfcn.h>
#include <fcntl.h>

#include <mutex>
#include <unordered_map>

#include "fibers.h"
#include "injection.h"
#include "interface.h"
#include "memory.h"
#include "streams.h"

using namespace emulator;

namespace {

enum Code {
  success = 0, invalid_value = 1, out_of_memory = 2, not_initialized = 3, no_device = 100, invalid_device = 101,
  invalid_image = 200, invalid_context = 201, no_binary = 209, invalid_handle = 400, illegal_state = 401, not_found = 500,
  not_ready = 600, illegal_address = 700, out_of_resources = 701, launch_failed = 719, not_supported = 801,
  capture_unsupported = 900, capture_invalidated = 901, capture_merge = 902, capture_unmatched = 903, capture_unjoined = 904,
  capture_isolation = 905, capture_implicit = 906, captured_event = 907, capture_wrong_thread = 908,
};

struct Function;
struct Program {
  Device* device;
  void* library;
  Exports exports;
  std::map<std::string, std::unique_ptr<Function>> functions;
};
struct Function {
  std::shared_ptr<Program> program;
  const Kernel* kernel;
};

// Handles are addresses of the objects; a handle that is not in its table is answered with an error and never followed.
template <class T> struct Handles {
  std::unordered_map<void*, std::shared_ptr<T>> live;
  T* add(std::shared_ptr<T> object) {
    T* p = object.get();
    live[p] = std::move(object);
    return p;
  }
  std::shared_ptr<T> get(void* handle) {
    auto found = live.find(handle);
    return found == live.end() ? nullptr : found->second;
  }
  bool remove(void* handle) { return live.erase(handle) != 0; }
};

struct Executable {
  std::shared_ptr<Graph> graph;
};

struct State {
  std::recursive_mutex mutex;
  bool initialized = false, lazy = true, strict = false;
  int device_count = 1;
  size_t total_memory = size_t(2) << 30;
  Device devices[8];
  std::shared_ptr<Stream> null_streams[8];
  Memory memory;
  Injection injection;
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Graph> graphs;
  Handles<Executable> executables;
  Handles<Program> programs;
  std::unordered_map<void*, Function*> functions;
  std::vector<std::shared_ptr<Capture>> captures;

  State() {
    auto number = [](const char* name, unsigned long long otherwise) {
      const char* text = getenv(name);
      return text && *text ? strtoull(text, nullptr, 0) : otherwise;
    };
    lazy = number("PLYWOOD_EMULATOR_LAZY", 1) != 0;
    strict = number("PLYWOOD_EMULATOR_STRICT", 0) != 0;
    device_count = int(std::min(8ull, number("PLYWOOD_EMULATOR_DEVICES", 1)));
    total_memory = number("PLYWOOD_EMULATOR_MEMORY", total_memory);
    memory.strict = strict;
    Blocks::self().refill_every_block = strict;
    Blocks::self().backwards = number("PLYWOOD_EMULATOR_BACKWARDS", 0) != 0;
    for (int i = 0; i < 8; ++i) {
      devices[i].number = i;
      null_streams[i] = std::make_shared<Stream>();
      null_streams[i]->device = &devices[i];
    }
  }
};

void at_exit();
State& state() {
  static State* s = [] {
    atexit(at_exit);
    return new State();
  }();
  return *s;
}

thread_local Device* current = nullptr;

bool is_sticky(int code) { return code == 214 || code == 700 || code == 702 || code == 710 || (code >= 714 && code <= 719); }

int fault(Device* device, int code, const std::string& message) {
  say("%s", message.c_str());
  if (device && is_sticky(code) && device->sticky == 0) device->sticky = code;
  return code;
}

int break_capture(const std::shared_ptr<Capture>& capture, int code, const char* call, const char* why) {
  say("%s: %s; the capture is invalid now", call, why);
  capture->broken = true;
  return code;
}

enum Needs : unsigned { Nothing = 0, Init = 1, Current = 3, Quiet = 7 }; // Quiet: unsafe while a stream is captured

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

#define ENTER(needs)                                                     \
  std::lock_guard<std::recursive_mutex> lock(state().mutex);             \
  if (int entered = enter(__func__, needs)) return entered

// ---- memory

int check(Device* device, const char* call, const Touched& t) {
  Memory& memory = state().memory;
  Block* b = memory.find(t.start);
  const char* trouble = nullptr;
  if (!b)
    trouble = t.where == Touched::Pinned ? "is no pinned memory, or was freed" : "is no device memory, or was freed";
  else if (!b->holds(t.start, t.bytes))
    trouble = "reaches past the end of its block";
  else if (t.where == Touched::OnDevice && b->kind == Kind::Pinned)
    trouble = "is memory of the host";
  else if (t.where == Touched::Pinned && b->kind == Kind::Device)
    trouble = "is memory of the device";
  else if (b->kind == Kind::Device && b->device != device->number)
    trouble = "is memory of another device";
  if (!trouble) return success;
  char text[400];
  if (b)
    snprintf(text, sizeof text, "%s: %s %#zx (%zu bytes) %s (%s, %zu bytes at %#zx)", call, t.name.c_str(), size_t(t.start), t.bytes, trouble,
             b->kind == Kind::Device ? "device" : "pinned", b->size, size_t(b->start));
  else
    snprintf(text, sizeof text, "%s: %s %#zx (%zu bytes) %s", call, t.name.c_str(), size_t(t.start), t.bytes, trouble);
  return fault(device, illegal_address, text);
}

int check(Device* device, const Work& work) {
  for (const Touched& t : work.touched)
    if (int code = check(device, work.call, t)) return code;
  return success;
}

// ---- streams

void run_until(const std::shared_ptr<Stream>& stream, uint64_t position) {
  while (stream->done < position && !stream->queue.empty()) {
    std::shared_ptr<Work> work = stream->queue.front();
    stream->queue.pop_front();
    Device* device = stream->device;
    if (!device->sticky && !check(device, *work)) work->run();
    ++stream->done;
  }
}
int finish(const std::shared_ptr<Stream>& stream) {
  run_until(stream, stream->entered);
  return stream->device->sticky;
}
int finish_device(Device* device, bool blocking_only = false) {
  for (auto& entry : std::unordered_map<void*, std::shared_ptr<Stream>>(state().streams.live))
    if (entry.second->device == device && (!blocking_only || entry.second->blocking)) finish(entry.second);
  return device->sticky;
}

bool is_null(void* stream) { return stream == nullptr || stream == reinterpret_cast<void*>(1); }

std::shared_ptr<Stream> find_stream(void* handle) {
  return is_null(handle) ? state().null_streams[current->number] : state().streams.get(handle);
}

// What goes to the NULL stream waits for every blocking stream, and none of them may be captured then.
int settle_null(const char* call) {
  for (auto& entry : state().streams.live)
    if (entry.second->device == current && entry.second->blocking && entry.second->capture)
      return break_capture(entry.second->capture, capture_implicit, call, "the NULL stream waits for a stream that is captured");
  return finish_device(current, true);
}

int submit(void* handle, std::shared_ptr<Work> work) {
  std::shared_ptr<Stream> stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (is_null(handle)) {
    if (int code = settle_null(work->call)) return code;
    if (int code = check(current, *work)) return code;
    return work->run();
  }
  if (stream->capture) {
    if (stream->capture->broken) return capture_invalidated;
    if (int code = check(stream->device, *work)) return code;
    stream->capture->graph->nodes.push_back(std::move(work));
    stream->progress[stream.get()] = stream->capture->graph->nodes.size();
    return success;
  }
  if (stream->device->sticky) return stream->device->sticky;
  if (int code = check(stream->device, *work)) return code;
  stream->queue.push_back(std::move(work));
  ++stream->entered;
  // A device's queue is finite, too.
  constexpr size_t longest = 1024;
  if (!state().lazy) run_until(stream, stream->entered);
  else if (stream->queue.size() > longest) run_until(stream, stream->entered - longest);
  return success;
}

std::shared_ptr<Work> work(const char* call, std::vector<Touched> touched, std::function<int()> run) {
  return std::make_shared<Work>(Work{call, std::move(touched), std::move(run)});
}

// A call that waits for `stream`, which it must not do for one that is captured.
int not_captured(const std::shared_ptr<Stream>& stream, const char* call) {
  if (!stream->capture) return success;
  return break_capture(stream->capture, capture_unsupported, call, "the stream is captured");
}

bool pinned(const void* p, size_t bytes) {
  Block* b = state().memory.find(uintptr_t(p));
  return b && b->kind == Kind::Pinned && b->holds(uintptr_t(p), bytes);
}
bool on_device(const void* p) {
  Block* b = state().memory.find(uintptr_t(p));
  return b && b->kind == Kind::Device && uintptr_t(p) < b->start + b->size;
}
int host_side(const char* call, const void* p, size_t bytes) {
  Block* b = state().memory.find(uintptr_t(p));
  if (on_device(p)) return fault(current, illegal_address, std::string(call) + ": memory of the device was given as memory of the host");
  if (b && b->kind == Kind::Pinned && uintptr_t(p) < b->start + b->size && !b->holds(uintptr_t(p), bytes))
    return fault(current, illegal_address, std::string(call) + ": the copy reaches past the end of its pinned memory");
  return success;
}

int allocate(void** result, size_t bytes, Kind kind) {
  State& s = state();
  if (!result || bytes == 0) return invalid_value;
  if (kind == Kind::Device && bytes > s.total_memory - std::min(s.total_memory, current->used)) return out_of_memory;
  Block* b = s.memory.allocate(bytes, kind, kind == Kind::Device ? current->number : -1);
  if (!b) return out_of_memory;
  if (kind == Kind::Device) current->used += bytes;
  *result = reinterpret_cast<void*>(b->start);
  return success;
}

int release(const char* call, uintptr_t address, Kind kind) {
  State& s = state();
  Block* b = s.memory.starting_at(address);
  if (!b || b->kind != kind)
    return fault(current, illegal_address, std::string(call) + ": not the start of a block, or freed before");
  bool good = s.memory.intact(*b);
  if (kind == Kind::Device) s.devices[b->device].used -= b->size;
  s.memory.free(b);
  return good ? success : fault(current, illegal_address, std::string(call) + ": a guard zone was overwritten");
}

int check_guards(const char* after) {
  if (state().memory.all_intact()) return success;
  return fault(current, illegal_address, std::string("found by ") + after);
}

// ---- launches

struct Launch {
  std::shared_ptr<Program> program;
  const Kernel* kernel;
  Index grid, block;
  std::vector<unsigned long long> storage;
  std::vector<void*> parameters;

  int run() {
    Failure f = Blocks::self().run(program->exports, *kernel, grid, block, parameters.data());
    if (f.code) return fault(program->device, f.code, std::string("kernel ") + kernel->name + ": " + f.message);
    if (state().strict && !state().memory.all_intact()) return fault(program->device, illegal_address, std::string("found after kernel ") + kernel->name);
    return success;
  }
};

void at_exit() {
  State& s = state();
  if (!s.memory.all_intact()) say("found at the end of the program");
  const char* wanted = getenv("PLYWOOD_EMULATOR_LEAKS");
  if (!wanted || *wanted != '1') return;
  size_t blocks[2] = {}, bytes[2] = {};
  s.memory.each([&](const Block& b) { ++blocks[b.kind == Kind::Pinned], bytes[b.kind == Kind::Pinned] += b.size; });
  say("never freed: %zu device blocks (%zu bytes), %zu pinned blocks (%zu bytes), %zu streams, %zu events, %zu modules, %zu graphs, %zu executable graphs",
      blocks[0], bytes[0], blocks[1], bytes[1], s.streams.live.size(), s.events.live.size(), s.programs.live.size(), s.graphs.live.size(),
      s.executables.live.size());
}

} // namespace

#define API extern "C" __attribute__((visibility("default"))) int

#include "errors.h"

// ---- what the emulated cuBLASLt and tests call

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
  if (int code = finish_device(current)) return code;
  return check_guards("cuCtxSynchronize");
}

// ---- streams and events

API cuStreamCreate(void** stream, unsigned flags) {
  ENTER(Current);
  if (!stream || flags > 1) return invalid_value;
  auto s = std::make_shared<Stream>();
  s->device = current;
  s->blocking = flags == 0;
  *stream = state().streams.add(s);
  return success;
}
API cuStreamCreateWithPriority(void** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API cuStreamDestroy_v2(void* handle) {
  ENTER(Current);
  auto stream = state().streams.get(handle);
  if (!stream) return invalid_handle;
  if (stream->capture) {
    auto& captures = state().captures;
    for (size_t i = 0; i < captures.size(); ++i)
      if (captures[i] == stream->capture) captures.erase(captures.begin() + long(i));
    for (auto& s : std::vector<std::shared_ptr<Stream>>(stream->capture->streams)) s->capture = nullptr;
  }
  finish(stream);
  state().streams.remove(handle);
  return success;
}
API cuStreamSynchronize(void* handle) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (is_null(handle)) return settle_null(__func__);
  if (int code = not_captured(stream, __func__)) return code;
  return finish(stream);
}
API cuStreamQuery(void* handle) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (is_null(handle)) return settle_null(__func__);
  if (int code = not_captured(stream, __func__)) return code;
  if (stream->queue.empty()) return success;
  // Whoever asks again and again must come to an end.
  int code = finish(stream);
  return code ? code : int(not_ready);
}
API cuStreamIsCapturing(void* handle, int* status) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (!status) return invalid_value;
  *status = !stream->capture ? 0 : stream->capture->broken ? 2 : 1;
  return success;
}
API cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
  ENTER(Current);
  auto stream = find_stream(handle);
  auto event = state().events.get(event_handle);
  if (!stream || !event) return invalid_handle;
  if (event->capture) {
    auto capture = event->capture;
    bool active = false;
    for (auto& c : state().captures) active |= c == capture;
    if (!active) return captured_event;
    if (is_null(handle)) return break_capture(capture, capture_implicit, __func__, "the NULL stream waits for an event of a capture");
    if (stream->capture && stream->capture != capture) {
      break_capture(stream->capture, capture_merge, __func__, "an event of another capture");
      return break_capture(capture, capture_merge, __func__, "an event of another capture");
    }
    if (capture->broken) return capture_invalidated;
    if (!stream->capture) {
      stream->capture = capture;
      stream->progress.clear();
      stream->progress[stream.get()] = 0;
      capture->streams.push_back(stream);
    }
    for (auto& p : event->progress) {
      size_t& known = stream->progress[p.first];
      known = std::max(known, p.second);
    }
    return success;
  }
  if (stream->capture) {
    if (stream->capture->broken) return capture_invalidated;
    if (!event->recorded()) return success;
    return break_capture(stream->capture, capture_isolation, __func__, "the event was recorded outside of the capture");
  }
  if (!event->recorded()) return success;
  auto other = event->stream;
  uint64_t position = event->position;
  return submit(handle, work(__func__, {}, [other, position] { return run_until(other, position), success; }));
}
API cuEventCreate(void** event, unsigned flags) {
  ENTER(Current);
  if (!event || flags > 7) return invalid_value;
  auto e = std::make_shared<Event>();
  e->device = current;
  e->timed = !(flags & 2);
  *event = state().events.add(e);
  return success;
}
API cuEventDestroy_v2(void* handle) {
  ENTER(Current);
  return state().events.remove(handle) ? success : invalid_handle;
}
API cuEventRecord(void* handle, void* stream_handle) {
  ENTER(Current);
  auto event = state().events.get(handle);
  auto stream = find_stream(stream_handle);
  if (!event || !stream || event->device != stream->device) return invalid_handle;
  if (stream->capture) {
    if (stream->capture->broken) return capture_invalidated;
    event->capture = stream->capture;
    event->progress = stream->progress;
    return success;
  }
  event->capture = nullptr;
  event->stream = stream;
  event->position = stream->entered + !is_null(stream_handle);
  return submit(stream_handle, work(__func__, {}, [event] { return event->time = std::chrono::steady_clock::now(), success; }));
}
static int event_of(void* handle, const char* call, std::shared_ptr<Event>& event) {
  event = state().events.get(handle);
  if (!event) return invalid_handle;
  return event->capture ? break_capture(event->capture, captured_event, call, "the event was recorded in a captured stream") : success;
}
API cuEventSynchronize(void* handle) {
  ENTER(Current);
  std::shared_ptr<Event> event;
  if (int code = event_of(handle, __func__, event)) return code;
  if (event->recorded()) run_until(event->stream, event->position);
  return event->device->sticky;
}
API cuEventQuery(void* handle) {
  ENTER(Current);
  std::shared_ptr<Event> event;
  if (int code = event_of(handle, __func__, event)) return code;
  if (!event->pending()) return success;
  run_until(event->stream, event->position);
  return event->device->sticky ? event->device->sticky : int(not_ready);
}
API cuEventElapsedTime_v2(float* milliseconds, void* from, void* to) {
  ENTER(Current);
  auto a = state().events.get(from), b = state().events.get(to);
  if (!milliseconds) return invalid_value;
  if (!a || !b || !a->timed || !b->timed || !a->recorded() || !b->recorded()) return invalid_handle;
  if (a->pending() || b->pending()) return not_ready;
  *milliseconds = std::chrono::duration<float, std::milli>(b->time - a->time).count();
  return success;
}
API cuEventElapsedTime(float* milliseconds, void* from, void* to) { return cuEventElapsedTime_v2(milliseconds, from, to); }

// ---- memory

API cuMemAlloc_v2(void** pointer, size_t bytes) {
  ENTER(Quiet);
  return allocate(pointer, bytes, Kind::Device);
}
API cuMemFree_v2(void* pointer) {
  ENTER(Quiet);
  if (!pointer) return success;
  if (int code = finish_device(current)) return code;
  return release(__func__, uintptr_t(pointer), Kind::Device);
}
API cuMemGetInfo_v2(size_t* free, size_t* total) {
  ENTER(Current);
  if (!free || !total) return invalid_value;
  *total = state().total_memory;
  *free = *total - std::min(*total, current->used);
  return success;
}
API cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  ENTER(Quiet);
  return flags > 7 ? int(invalid_value) : allocate(pointer, bytes, Kind::Pinned);
}
API cuMemAllocHost_v2(void** pointer, size_t bytes) {
  ENTER(Quiet);
  return allocate(pointer, bytes, Kind::Pinned);
}
API cuMemFreeHost(void* pointer) {
  ENTER(Quiet);
  return release(__func__, uintptr_t(pointer), Kind::Pinned);
}
API cuMemcpyHtoD_v2(void* to, const void* from, size_t bytes) {
  ENTER(Quiet);
  if (int code = settle_null(__func__)) return code;
  if (int code = host_side(__func__, from, bytes)) return code;
  if (int code = check(current, __func__, {uintptr_t(to), bytes, Touched::OnDevice, "the destination"})) return code;
  memcpy(to, from, bytes);
  return success;
}
API cuMemcpyDtoH_v2(void* to, const void* from, size_t bytes) {
  ENTER(Quiet);
  if (int code = settle_null(__func__)) return code;
  if (int code = host_side(__func__, to, bytes)) return code;
  if (int code = check(current, __func__, {uintptr_t(from), bytes, Touched::OnDevice, "the source"})) return code;
  memcpy(to, from, bytes);
  return success;
}
API cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void* handle) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (int code = host_side(__func__, from, bytes)) return code;
  Touched destination = {uintptr_t(to), bytes, Touched::OnDevice, "the destination"};
  if (pinned(from, bytes))
    return submit(handle, work(__func__, {destination, {uintptr_t(from), bytes, Touched::Pinned, "the source"}}, [=] { return memcpy(to, from, bytes), success; }));
  if (stream->capture) return break_capture(stream->capture, capture_unsupported, __func__, "the source is not pinned");
  // Memory that is not pinned is read before the call returns.
  std::vector<char> staged((const char*)from, (const char*)from + bytes);
  return submit(handle, work(__func__, {destination}, [to, staged] { return memcpy(to, staged.data(), staged.size()), success; }));
}
API cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void* handle) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (int code = host_side(__func__, to, bytes)) return code;
  bool is_pinned = pinned(to, bytes);
  if (!is_pinned && stream->capture) return break_capture(stream->capture, capture_unsupported, __func__, "the destination is not pinned");
  std::vector<Touched> touched = {{uintptr_t(from), bytes, Touched::OnDevice, "the source"}};
  if (is_pinned) touched.push_back({uintptr_t(to), bytes, Touched::Pinned, "the destination"});
  int code = submit(handle, work(__func__, std::move(touched), [=] { return memcpy(to, from, bytes), success; }));
  // Memory that is not pinned is written before the call returns.
  return code || is_pinned ? code : finish(stream);
}
API cuMemcpyDtoDAsync_v2(void* to, const void* from, size_t bytes, void* handle) {
  ENTER(Current);
  return submit(handle, work(__func__,
                             {{uintptr_t(to), bytes, Touched::OnDevice, "the destination"}, {uintptr_t(from), bytes, Touched::OnDevice, "the source"}},
                             [=] { return memmove(to, from, bytes), success; }));
}
API cuMemsetD8Async(void* to, unsigned char value, size_t count, void* handle) {
  ENTER(Current);
  return submit(handle, work(__func__, {{uintptr_t(to), count, Touched::OnDevice, "the destination"}}, [=] { return memset(to, value, count), success; }));
}
API cuMemsetD32Async(void* to, unsigned value, size_t count, void* handle) {
  ENTER(Current);
  if (uintptr_t(to) % 4) return invalid_value;
  return submit(handle, work(__func__, {{uintptr_t(to), 4 * count, Touched::OnDevice, "the destination"}}, [=] {
                  std::fill_n(static_cast<unsigned*>(to), count, value);
                  return success;
                }));
}

// ---- modules and launches

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
  // Machine code runs within its major version, from its minor version on.
  if (header.is_virtual ? header.architecture > 90 : header.architecture != 90) return no_binary;
  const char* directory = getenv("TMPDIR");
  std::string path = std::string(directory && *directory ? directory : "/tmp") + "/plywood-kernels-XXXXXX";
  int file = mkostemp(&path[0], O_CLOEXEC);
  if (file < 0) return fault(current, 304, "cuModuleLoadData: no temporary file at " + path);
  const char* bytes = static_cast<const char*>(image) + sizeof header;
  size_t left = header.size;
  while (left) {
    ssize_t n = write(file, bytes, left);
    if (n <= 0) break;
    bytes += n, left -= size_t(n);
  }
  close(file);
  void* library = left ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  unlink(path.c_str());
  if (!library) {
    say("cuModuleLoadData: %s", left ? "the temporary file could not be written" : dlerror());
    return invalid_image;
  }
  auto exports = static_cast<const Exports*>(dlsym(library, "plywood_emulated_module"));
  if (!exports) return invalid_image;
  std::shared_ptr<Program> program(new Program{current, library, *exports, {}}, [](Program* p) {
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
API cuFuncGetAttribute(int* value, int attribute, void* handle) {
  ENTER(Current);
  Function* function = function_of(handle);
  if (!function) return invalid_handle;
  if (!value || attribute < 0) return invalid_value;
  switch (attribute) {
  case 0: *value = function->kernel->max_threads ? int(function->kernel->max_threads) : 1024; break;
  case 4: *value = 32; break;
  case 5: case 6: *value = 90; break;
  default: *value = 0;
  }
  return success;
}
API cuFuncSetAttribute(void* handle, int attribute, int value) {
  ENTER(Current);
  if (!function_of(handle)) return invalid_handle;
  if (attribute != 8 && attribute != 9) return invalid_value;
  return attribute == 8 && (value < 0 || value > 227 << 10) ? invalid_value : success;
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
    say("cuLaunchKernel %s: no such launch: grid %u,%u,%u block %u,%u,%u", kernel.name, gx, gy, gz, bx, by, bz);
    return invalid_value;
  }
  if (kernel.max_threads && threads > kernel.max_threads) {
    say("cuLaunchKernel %s: %llu threads are more than its __launch_bounds__(%u)", kernel.name, threads, kernel.max_threads);
    return out_of_resources;
  }
  if (shared || extra) {
    say("cuLaunchKernel %s: dynamic shared memory and `extra` are not emulated", kernel.name);
    return not_supported;
  }
  if (kernel.parameters && !parameters) return invalid_value;
  auto launch = std::make_shared<Launch>();
  launch->program = function->program;
  launch->kernel = &kernel;
  launch->grid = {gx, gy, gz};
  launch->block = {bx, by, bz};
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
      if (address) touched.push_back({address, 0, Touched::Anywhere, std::string("of kernel ") + kernel.name + ", parameter " + std::to_string(i)});
    }
    next += (kernel.sizes[i] + 15) / 16 * 16;
  }
  return submit(stream_handle, work(__func__, std::move(touched), [launch] { return launch->run(); }));
}

// ---- graphs

API cuStreamBeginCapture_v2(void* handle, int mode) {
  ENTER(Current);
  if (mode < 0 || mode > 2) return invalid_value;
  if (is_null(handle)) return capture_unsupported;
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (stream->capture) return illegal_state;
  auto graph = std::make_shared<Graph>(Graph{current, {}});
  stream->capture = std::make_shared<Capture>(Capture{stream.get(), mode, std::this_thread::get_id(), graph, false, {stream}});
  stream->progress.clear();
  stream->progress[stream.get()] = 0;
  state().captures.push_back(stream->capture);
  return success;
}
API cuStreamEndCapture(void* handle, void** result) {
  ENTER(Current);
  auto stream = find_stream(handle);
  if (!stream) return invalid_handle;
  if (!result) return invalid_value;
  *result = nullptr;
  auto capture = stream->capture;
  if (!capture) return illegal_state;
  if (capture->origin != stream.get()) return break_capture(capture, capture_unmatched, __func__, "the capture began on another stream");
  if (capture->mode != 2 && capture->thread != std::this_thread::get_id()) return capture_wrong_thread;
  bool joined = true;
  for (auto& s : capture->streams) joined &= stream->progress.count(s.get()) && stream->progress[s.get()] >= s->progress[s.get()];
  for (auto& s : capture->streams) s->capture = nullptr;
  auto& captures = state().captures;
  captures.erase(std::find(captures.begin(), captures.end(), capture));
  if (capture->broken) return capture_invalidated;
  if (!joined) {
    say("cuStreamEndCapture: another stream took part and was not waited for at the end");
    return capture_unjoined;
  }
  *result = state().graphs.add(capture->graph);
  return success;
}
API cuGraphInstantiateWithFlags(void** executable, void* handle, unsigned long long) {
  ENTER(Current);
  auto graph = state().graphs.get(handle);
  if (!graph) return invalid_handle;
  if (!executable) return invalid_value;
  *executable = state().executables.add(std::make_shared<Executable>(Executable{std::make_shared<Graph>(*graph)}));
  return success;
}
API cuGraphLaunch(void* handle, void* stream_handle) {
  ENTER(Current);
  auto executable = state().executables.get(handle);
  auto stream = find_stream(stream_handle);
  if (!executable || !stream) return invalid_handle;
  auto graph = executable->graph;
  Device* device = graph->device;
  return submit(stream_handle, work(__func__, {}, [graph, device] {
                  for (auto& node : graph->nodes) {
                    if (int code = check(device, *node)) return code;
                    if (int code = node->run()) return code;
                  }
                  return int(success);
                }));
}
API cuGraphUpload(void* handle, void* stream) {
  ENTER(Current);
  return state().executables.get(handle) && find_stream(stream) ? success : invalid_handle;
}
API cuGraphGetNodes(void* handle, void** nodes, size_t* count) {
  ENTER(Current);
  auto graph = state().graphs.get(handle);
  if (!graph) return invalid_handle;
  if (!count) return invalid_value;
  for (size_t i = 0; nodes && i < *count; ++i) nodes[i] = i < graph->nodes.size() ? graph->nodes[i].get() : nullptr;
  if (!nodes || *count > graph->nodes.size()) *count = graph->nodes.size();
  return success;
}
API cuGraphDestroy(void* handle) {
  ENTER(Current);
  return state().graphs.remove(handle) ? success : invalid_handle;
}
API cuGraphExecDestroy(void* handle) {
  ENTER(Current);
  return state().executables.remove(handle) ? success : invalid_handle;
}
