// The emulated driver's memory and copies.
#include "state.h"

using namespace emulator;

static bool pinned(const void* p, size_t bytes) {
  Block* b = state().memory.find(uintptr_t(p));
  return b && b->kind == Kind::Pinned && b->holds(uintptr_t(p), bytes);
}
static bool on_device(const void* p) {
  Block* b = state().memory.find(uintptr_t(p));
  return b && b->kind == Kind::Device && uintptr_t(p) < b->start + b->size;
}
static int host_side(const char* call, const void* p, size_t bytes) {
  Block* b = state().memory.find(uintptr_t(p));
  if (on_device(p)) return fault(current, illegal_address, std::string(call) + ": memory of the device was given as memory of the host");
  if (b && b->kind == Kind::Pinned && uintptr_t(p) < b->start + b->size && !b->holds(uintptr_t(p), bytes))
    return fault(current, illegal_address, std::string(call) + ": the copy reaches past the end of its pinned memory");
  return success;
}

static int allocate(void** result, size_t bytes, Kind kind) {
  State& s = state();
  if (!result || bytes == 0) return invalid_value;
  if (kind == Kind::Device && bytes > s.total_memory - std::min(s.total_memory, current->used)) return out_of_memory;
  Block* b = s.memory.allocate(bytes, kind, kind == Kind::Device ? current->number : -1);
  if (!b) return out_of_memory;
  if (kind == Kind::Device) current->used += bytes;
  *result = reinterpret_cast<void*>(b->start);
  return success;
}

static int release(const char* call, uintptr_t address, Kind kind) {
  State& s = state();
  Block* b = s.memory.starting_at(address);
  if (!b || b->kind != kind)
    return fault(current, illegal_address, std::string(call) + ": not the start of a block, or freed before");
  bool good = s.memory.intact(*b);
  if (kind == Kind::Device) s.devices[b->device].used -= b->size;
  s.memory.free(b);
  return good ? success : fault(current, illegal_address, std::string(call) + ": a guard zone was overwritten");
}

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
