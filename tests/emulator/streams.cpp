// The emulated driver's streams and events, and the queues behind them.
#include "state.h"

namespace emulator {

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
  char what[100], text[400];
  if (t.parameter < 0) snprintf(what, sizeof what, "%s", t.name);
  else snprintf(what, sizeof what, "parameter %d of kernel %s", t.parameter, t.name);
  if (b)
    snprintf(text, sizeof text, "%s: %s %#zx (%zu bytes) %s (%s, %zu bytes at %#zx)", call, what, size_t(t.start), t.bytes, trouble,
             b->kind == Kind::Device ? "device" : "pinned", b->size, size_t(b->start));
  else
    snprintf(text, sizeof text, "%s: %s %#zx (%zu bytes) %s", call, what, size_t(t.start), t.bytes, trouble);
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
int finish_device(Device* device, bool blocking_only) {
  for (auto& entry : std::unordered_map<void*, std::shared_ptr<Stream>>(state().streams.live))
    if (entry.second->device == device && (!blocking_only || entry.second->blocking)) finish(entry.second);
  return device->sticky;
}

bool is_null(void* stream) { return stream == nullptr || stream == reinterpret_cast<void*>(1); }

std::shared_ptr<Stream> find_stream(void* handle) {
  return is_null(handle) ? state().null_streams[current->number] : state().streams.get(handle);
}

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

} // namespace emulator

using namespace emulator;

// A call that waits for `stream`, which it must not do for one that is captured.
static int not_captured(const std::shared_ptr<Stream>& stream, const char* call) {
  if (!stream->capture) return success;
  return break_capture(stream->capture, capture_unsupported, call, "the stream is captured");
}
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
  return submit(stream_handle, work(__func__, {}, [event] { return event->time = std::chrono::steady_clock::now() + state().slowness, success; }));
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
