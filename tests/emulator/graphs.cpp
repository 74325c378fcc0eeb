// The emulated driver's captures and graphs.
#include "state.h"

using namespace emulator;

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
