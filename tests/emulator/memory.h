// Memory of the emulated devices and pinned memory of the host: every block between guard zones, with a table of all blocks.
#pragma once
#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <sys/mman.h>

namespace emulator {

// On stderr, since a test that expects an error code still wants to see why.
__attribute__((format(printf, 1, 2))) inline void say(const char* format, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(stderr, "plywood emulator: %s\n", text);
}

enum class Kind { Device, Pinned };

struct Block {
  uintptr_t start;
  size_t size;
  Kind kind;
  int device; // -1: pinned
  char* region;
  size_t region_size;
  bool strict;

  bool holds(uintptr_t address, size_t bytes) const { return address >= start && bytes <= size && address - start <= size - bytes; }
};

class Memory {
  static constexpr size_t zone = 256, page = 4096, quarantine_limit = 64 << 20;
  // As float and double a NaN, so that a sum that reads past a block's end shows it; not the 0xff of fresh memory, so that a
  // NaN written there shows, too.
  static constexpr unsigned char pattern[4] = {0xd1, 0xba, 0xff, 0xff};

  std::map<uintptr_t, Block> blocks;
  // Freed blocks, filled with NaN, stay out of use for a while: a late access finds NaN and not another tensor's numbers.
  std::deque<Block> quarantine;
  size_t quarantined = 0;

  static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
  static void paint(uintptr_t from, uintptr_t to) {
    for (uintptr_t a = from; a < to; ++a) *reinterpret_cast<unsigned char*>(a) = pattern[a % 4];
  }
  static bool painted(uintptr_t from, uintptr_t to, uintptr_t* where) {
    for (uintptr_t a = from; a < to; ++a)
      if (*reinterpret_cast<unsigned char*>(a) != pattern[a % 4]) {
        *where = a;
        return false;
      }
    return true;
  }
  static uintptr_t painted_from(const Block& b) { return b.strict ? std::max(uintptr_t(b.region) + page, b.start - zone) : b.start - zone; }
  static uintptr_t painted_to(const Block& b) { return uintptr_t(b.region) + b.region_size - (b.strict ? page : 0); }

public:
  // Every block ends where an inaccessible page begins: an access past its end faults at once.
  bool strict = false;

  Block* allocate(size_t size, Kind kind, int device) {
    Block b = {0, size, kind, device, nullptr, 0, strict};
    if (strict) {
      size_t data = round_up(size, 16);
      b.region_size = round_up(data, page) + 2 * page;
      void* region = mmap(nullptr, b.region_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (region == MAP_FAILED) return nullptr;
      b.region = static_cast<char*>(region);
      if (mprotect(b.region + page, b.region_size - 2 * page, PROT_READ | PROT_WRITE) != 0) return nullptr;
      b.start = uintptr_t(b.region) + b.region_size - page - data;
    } else {
      b.region_size = round_up(size, zone) + 2 * zone;
      void* region = nullptr;
      if (posix_memalign(&region, zone, b.region_size) != 0) return nullptr;
      b.region = static_cast<char*>(region);
      b.start = uintptr_t(region) + zone;
    }
    paint(painted_from(b), b.start);
    memset(reinterpret_cast<void*>(b.start), 0xff, size);
    paint(b.start + size, painted_to(b));
    return &(blocks[b.start] = b);
  }

  Block* find(uintptr_t address) {
    auto after = blocks.upper_bound(address);
    if (after == blocks.begin()) return nullptr;
    Block& b = std::prev(after)->second;
    return address <= b.start + b.size ? &b : nullptr;
  }
  Block* starting_at(uintptr_t address) {
    auto found = blocks.find(address);
    return found == blocks.end() ? nullptr : &found->second;
  }

  bool intact(const Block& b) const {
    uintptr_t where;
    if (painted(painted_from(b), b.start, &where)) {
      if (painted(b.start + b.size, painted_to(b), &where)) return true;
    }
    long long offset = (long long)(where - b.start);
    say("something wrote at byte %lld of a %s block of %zu bytes at %#zx", offset, b.kind == Kind::Device ? "device" : "pinned", b.size, size_t(b.start));
    return false;
  }
  bool all_intact() const {
    bool good = true;
    for (auto& entry : blocks) good &= intact(entry.second);
    return good;
  }

  void free(Block* gone) {
    Block b = *gone;
    blocks.erase(b.start);
    if (b.strict) {
      // The addresses are never given out again, so that every late access faults.
      mprotect(b.region, b.region_size, PROT_NONE);
      madvise(b.region, b.region_size, MADV_DONTNEED);
      return;
    }
    memset(reinterpret_cast<void*>(b.start), 0xff, b.size);
    quarantine.push_back(b);
    quarantined += b.region_size;
    while (quarantined > quarantine_limit) {
      quarantined -= quarantine.front().region_size;
      ::free(quarantine.front().region);
      quarantine.pop_front();
    }
  }

  template <class F> void each(F f) {
    for (auto& entry : blocks) f(entry.second);
  }
};

} // namespace emulator
