// Streams, events and graphs.
//
// Work waits in its stream until somebody waits for it, so that a missing synchronisation shows: a result that is read too early is
// not there yet, and pinned memory that is reused too early is copied with its new contents.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "memory.h"

namespace emulator {

struct Device {
  int number = 0, retained = 0;
  int sticky = 0; // the error that every call gives back after a fault on the device
  size_t used = 0;
};

// Memory that a piece of work touches: checked when it is handed in and again when it runs.
struct Touched {
  uintptr_t start;
  size_t bytes;
  enum { OnDevice, Pinned, Anywhere } where;
  const char* name;
  int parameter = -1; // of the kernel `name`
};

struct Work {
  const char* call;
  std::vector<Touched> touched;
  std::function<int()> run;
};
using Works = std::vector<std::shared_ptr<Work>>;

struct Graph {
  Device* device;
  Works nodes;
};

struct Stream;
struct Capture {
  Stream* origin;
  int mode;
  std::thread::id thread;
  std::shared_ptr<Graph> graph;
  bool broken = false;
  std::vector<std::shared_ptr<Stream>> streams;
};

// How far each captured stream has come, as another stream or an event knows it.
using Progress = std::map<Stream*, size_t>;

struct Stream {
  Device* device;
  bool blocking; // waits for the NULL stream
  std::deque<std::shared_ptr<Work>> queue;
  uint64_t entered = 0, done = 0;
  std::shared_ptr<Capture> capture;
  Progress progress;
};

struct Event {
  Device* device;
  bool timed;
  std::shared_ptr<Stream> stream; // where it was recorded last
  uint64_t position = 0;
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<Capture> capture;
  Progress progress;
  bool recorded() const { return stream != nullptr; }
  bool pending() const { return stream && stream->done < position; }
};

} // namespace emulator
