// What the emulated driver, the emulated cuBLASLt and every compiled kernel module agree on.
//
// It includes nothing: its text stands in front of every kernel module, and NVRTC gives kernels no C library either.
#pragma once

namespace emulator {

struct Index {
  unsigned x, y, z;
};

enum class Exchange : unsigned { Synchronize, Shuffle, Ballot };

// The state of the block that runs. It lives in the module, where a kernel reads its indices as cheaply as any global.
struct Module {
  Index thread, block, block_size, grid;
  Index next;         // the thread to start next
  unsigned unstarted; // how many threads of the block were not started yet
  unsigned ended;     // how many ran to their end
  bool backwards;     // start the threads last to first
  char* dynamic;      // the shared memory that the launch asked for, or null
  void (*barrier)();
  // What a lane gets out of the warp operation that all lanes of `mask` take part in. Shuffle: the value of lane `source`.
  // Ballot: a bit for every lane whose value is not zero.
  unsigned long long (*exchange)(Exchange kind, unsigned mask, unsigned long long value, int source);
  void (*trap)(const char* message);

  void start() {
    thread = next;
    --unstarted;
    if (backwards) {
      if (next.x-- == 0) {
        next.x = block_size.x - 1;
        if (next.y-- == 0) {
          next.y = block_size.y - 1;
          --next.z;
        }
      }
    } else if (++next.x == block_size.x) {
      next.x = 0;
      if (++next.y == block_size.y) {
        next.y = 0;
        ++next.z;
      }
    }
  }
};

struct Kernel {
  const char* name;
  // Starts and runs threads, one after another, until none is left to start.
  void (*threads)(void** parameters);
  unsigned parameters;
  const unsigned* sizes;
  const bool* pointers; // which parameters are addresses
  unsigned max_threads; // __launch_bounds__, or 0
};

// What a module exports, under the name `plywood_emulated_module`.
struct Exports {
  Module* module;
  const Kernel* kernels;
  unsigned kernel_count;
};

// A __shared__ variable of a module.
struct Span {
  char* start;
  unsigned long long bytes;
};

// What NVRTC's emulation gives out as a CUBIN: this header, then a shared library. Programs keep CUBINs on disk, so the driver
// must notice one that is damaged, or that another version of the emulator made.
struct ImageHeader {
  char magic[24];
  unsigned long long version, size, checksum;
  unsigned architecture; // 90 for sm_90
  unsigned is_virtual;   // compiled for compute_90: runs on every later architecture, too
  unsigned is_strict;    // compiled under PLYWOOD_EMULATOR_STRICT=1
};
constexpr char image_magic[24] = "plywood emulator image";

inline unsigned long long checksum(const char* bytes, unsigned long long count) {
  unsigned long long sum = 0xcbf29ce484222325ull;
  for (unsigned long long i = 0; i < count; ++i) sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
  return sum;
}

// Device memory that a piece of work touches.
struct Range {
  const void* start;
  unsigned long long bytes;
  const char* name;
};

} // namespace emulator
