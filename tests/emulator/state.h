// What the parts of the emulated driver share: its tables, and how every call begins.
#pragma once
#include <algorithm>
#include <mutex>
#include <string>
#include <unordered_map>

#include "injection.h"
#include "interface.h"
#include "memory.h"
#include "streams.h"

namespace emulator {

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
  std::vector<Span> shared;
  std::map<std::string, std::unique_ptr<Function>> functions;
};
struct Function {
  std::shared_ptr<Program> program;
  const Kernel* kernel;
  unsigned dynamic = 48 << 10; // how many bytes of shared memory a launch may ask for
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
  bool initialized = false;
  bool lazy, strict, backwards, abort;
  int device_count;
  size_t total_memory;
  Device devices[8];
  std::shared_ptr<Stream> null_streams[8];
  Memory memory;
  Injection injection;
  Slow slow;
  // How often each kernel and function ran, where PLYWOOD_EMULATOR_RUNS asks.
  std::map<std::string, size_t> runs;
  bool counts;
  // What slow work adds to every time that an event takes.
  std::chrono::steady_clock::duration delay{};
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Graph> graphs;
  Handles<Executable> executables;
  Handles<Program> programs;
  std::unordered_map<void*, Function*> functions;
  std::vector<std::shared_ptr<Capture>> captures;
  State();
};
State& state();

// The calling thread's context.
extern thread_local Device* current;

// What the call of an API function needs. Quiet: that no stream is captured, as it is unsafe then.
enum Needs : unsigned { Nothing = 0, Init = 1, Current = 3, Quiet = 7 };
int enter(const char* call, unsigned needs);
#define ENTER(needs)                                         \
  std::lock_guard<std::recursive_mutex> lock(state().mutex); \
  if (int entered = enter(__func__, needs)) return entered
#define API extern "C" __attribute__((visibility("default"))) int

// Says what is wrong with the calling program and, for the codes with which a real device stops, stops the device.
int fault(Device* device, int code, const std::string& message);
int break_capture(const std::shared_ptr<Capture>& capture, int code, const char* call, const char* why);
bool is_sticky(int code);
int check(Device* device, const char* call, const Touched& t);
int check(Device* device, const Work& work);

bool is_null(void* stream);
std::shared_ptr<Stream> find_stream(void* handle);
std::shared_ptr<Work> work(const char* call, std::vector<Touched> touched, std::function<int()> run, const char* name = nullptr);
// Puts work into a stream or, while it is captured, into the graph.
int submit(void* stream, std::shared_ptr<Work> work);
int finish(const std::shared_ptr<Stream>& stream);
int finish_device(Device* device, bool blocking_only = false);
// What goes to the NULL stream waits for every blocking stream, and none of them may be captured then.
int settle_null(const char* call);

} // namespace emulator
