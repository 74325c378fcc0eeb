// Tests the emulated libraries. Called by `build OUTDIR --check`.
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "check.h"
#include "check_kernels.h"
#include "check_convolutions.h"
#include "check_products.h"

static void laziness() {
  start();
  load_kernels();
  Pointer host = pinned_memory(40), d = device_memory(40), back = pinned_memory(40);
  float* h = (float*)host;
  float* b = (float*)back;
  for (int i = 0; i < 10; ++i) h[i] = 1, b[i] = -1;
  EQUAL(call("cuMemcpyHtoDAsync_v2", d, (const void*)host, size_t(40), stream), 0);
  EQUAL(launch("add_one", {1}, {32}, d, 10), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)back, d, size_t(40), stream), 0);
  h[3] = 50; // too early
  EQUAL(b[3], -1); // not there yet
  EQUAL(call("cuStreamQuery", stream), 600);
  EQUAL(call("cuStreamQuery", stream), 0);
  EQUAL(b[3], 51);
  // Memory that is not pinned is read and written at once.
  std::vector<float> plain(10, 5);
  EQUAL(call("cuMemcpyHtoDAsync_v2", d, (const void*)plain.data(), size_t(40), stream), 0);
  plain.assign(10, 6);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)plain.data(), d, size_t(40), stream), 0);
  EQUAL(plain[9], 5);
  // A second stream waits for an event; without it, it would see the old numbers.
  void *other, *first = stream, *event, *end;
  EQUAL(call("cuStreamCreate", &other, 1u), 0);
  EQUAL(call("cuEventCreate", &event, 0u), 0);
  EQUAL(call("cuEventCreate", &end, 0u), 0);
  EQUAL(launch("add_one", {1}, {32}, d, 10), 0);
  EQUAL(call("cuEventRecord", event, first), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)back, d, size_t(40), other), 0);
  EQUAL(call("cuStreamSynchronize", other), 0);
  EQUAL(b[0], 5);
  EQUAL(call("cuEventQuery", event), 600);
  EQUAL(call("cuStreamWaitEvent", other, event, 0u), 0);
  EQUAL(launch("add_one", {1}, {32}, d, 10), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)back, d, size_t(40), other), 0);
  EQUAL(call("cuEventRecord", end, other), 0);
  float milliseconds = -1;
  EQUAL(call("cuEventElapsedTime_v2", &milliseconds, event, end), 600);
  EQUAL(call("cuEventSynchronize", end), 0);
  EQUAL(b[0], 6);
  EQUAL(call("cuEventElapsedTime_v2", &milliseconds, event, end), 0);
  EXPECT(milliseconds >= 0 && milliseconds < 1000);
  EQUAL(call("cuMemsetD32Async", d, 0x40000000u, size_t(10), first), 0);
  EQUAL(call("cuMemsetD8Async", d, (unsigned char)0, size_t(4), first), 0);
  auto v = download<float>(d, 10);
  EXPECT(v[0] == 0 && v[1] == 2);
  EQUAL(call("cuStreamDestroy_v2", other), 0);
  EQUAL(call("cuStreamSynchronize", other), 400);
}

static void graphs() {
  start();
  load_kernels();
  Pointer d = upload(std::vector<float>(100, 0)), host = pinned_memory(400);
  void *graph = nullptr, *executable, *other, *fork, *join;
  EQUAL(call("cuStreamCreate", &other, 1u), 0);
  EQUAL(call("cuEventCreate", &fork, 2u), 0);
  EQUAL(call("cuEventCreate", &join, 2u), 0);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  int status = -1;
  EQUAL(call("cuStreamIsCapturing", stream, &status), 0);
  EQUAL(status, 1);
  EQUAL(launch("add_one", {4}, {32}, d, 100), 0);
  EQUAL(call("cuEventRecord", fork, stream), 0);
  EQUAL(call("cuStreamWaitEvent", other, fork, 0u), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)host, d, size_t(400), other), 0);
  EQUAL(call("cuEventRecord", join, other), 0);
  EQUAL(call("cuStreamWaitEvent", stream, join, 0u), 0);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 0);
  size_t count = 0;
  EQUAL(call("cuGraphGetNodes", graph, (void**)nullptr, &count), 0);
  EQUAL(count, 2);
  EQUAL(call("cuGraphInstantiateWithFlags", &executable, graph, 0ull), 0);
  EQUAL(call("cuGraphDestroy", graph), 0);
  EQUAL(download<float>(d, 1)[0], 0); // capture runs nothing
  for (int i = 0; i < 3; ++i) EQUAL(call("cuGraphLaunch", executable, stream), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  EQUAL(((float*)host)[99], 3);
  EQUAL(call("cuGraphExecDestroy", executable), 0);

  // What a capture forbids.
  void* p;
  EQUAL(call("cuStreamBeginCapture_v2", (void*)nullptr, 1), 900);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 0), 0);
  EQUAL(call("cuMemAlloc_v2", &p, size_t(4)), 900);
  EQUAL(launch("add_one", {4}, {32}, d, 100), 901);
  EQUAL(call("cuStreamIsCapturing", stream, &status), 0);
  EQUAL(status, 2);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 901);
  EXPECT(graph == nullptr);
  for (const char* waits : {"cuStreamSynchronize", "cuStreamQuery"}) {
    EQUAL(call("cuStreamBeginCapture_v2", stream, 2), 0);
    EQUAL(call(waits, stream), 900);
    EQUAL(call("cuStreamEndCapture", stream, &graph), 901);
  }
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  EQUAL(call("cuEventRecord", fork, stream), 0);
  EQUAL(call("cuStreamWaitEvent", other, fork, 0u), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)host, d, size_t(400), other), 0);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 904);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 401);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  EQUAL(call("cuEventRecord", fork, other), 0);
  EQUAL(call("cuStreamWaitEvent", stream, fork, 0u), 905);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 901);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  EQUAL(call("cuEventRecord", fork, stream), 0);
  EQUAL(call("cuEventQuery", fork), 907);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 901);
  // A blocking stream may not be captured while the NULL stream is used, and only the origin ends a capture.
  void* blocking;
  EQUAL(call("cuStreamCreate", &blocking, 0u), 0);
  EQUAL(call("cuStreamBeginCapture_v2", blocking, 2), 0);
  EQUAL(call("cuMemsetD8Async", d, (unsigned char)0, size_t(4), (void*)nullptr), 906);
  EQUAL(call("cuStreamEndCapture", blocking, &graph), 901);
  EQUAL(call("cuCtxSynchronize"), 0);
  // A graph that outlives the memory it works on.
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  EQUAL(launch("add_one", {4}, {32}, d, 100), 0);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 0);
  EQUAL(call("cuGraphInstantiateWithFlags", &executable, graph, 0ull), 0);
  EQUAL(call("cuMemFree_v2", d), 0);
  EQUAL(call("cuGraphLaunch", executable, stream), 0);
  EQUAL(call("cuStreamSynchronize", stream), 700);
}
static void eager() {
  setenv("PLYWOOD_EMULATOR_LAZY", "0", 1);
  start();
  Pointer d = device_memory(16), host = pinned_memory(16);
  EQUAL(call("cuMemsetD32Async", d, 0x3f800000u, size_t(4), stream), 0);
  EQUAL(call("cuMemcpyDtoHAsync_v2", (void*)host, d, size_t(16), stream), 0);
  EQUAL(((float*)host)[3], 1);
  EQUAL(call("cuStreamQuery", stream), 0);
}
static void null_stream() {
  start(0);
  load_kernels();
  // Synchronous copies wait for blocking streams, and for no others.
  Pointer d = upload(std::vector<float>(4, 1));
  EQUAL(launch("add_one", {1}, {32}, d, 4), 0);
  float back[4];
  EQUAL(call("cuMemcpyDtoH_v2", (void*)back, d, size_t(16)), 0);
  EQUAL(back[0], 2);
  EQUAL(call("cuStreamCreate", &stream, 1u), 0);
  EQUAL(launch("add_one", {1}, {32}, d, 4), 0);
  EQUAL(call("cuMemcpyDtoH_v2", (void*)back, d, size_t(16)), 0);
  EQUAL(back[0], 2);
  EQUAL(call("cuCtxSynchronize"), 0);
  EQUAL(call("cuMemcpyDtoH_v2", (void*)back, d, size_t(16)), 0);
  EQUAL(back[0], 3);
}
// What a program says on stderr until it ends.
static std::string said_by(std::function<void()> program, int* status) {
  int ends[2];
  if (pipe(ends) != 0) exit(1);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    program();
    exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
  waitpid(child, status, 0);
  return text;
}
static void leaks_and_aborts() {
  int status;
  std::string said = said_by([] {
    setenv("PLYWOOD_EMULATOR_LEAKS", "1", 1);
    start();
    device_memory(100);
    Pointer freed = device_memory(50);
    call("cuMemFree_v2", freed);
  }, &status);
  EQUAL(status, 0);
  EXPECT(said.find("never freed: 1 device blocks (100 bytes), 0 pinned blocks (0 bytes), 1 streams") != std::string::npos);
  said = said_by([] {
    setenv("PLYWOOD_EMULATOR_ABORT", "1", 1);
    start();
    call("cuMemFree_v2", device_memory(50) + 1);
  }, &status);
  EXPECT(WIFSIGNALED(status) && said.find("cuMemFree_v2: not the start of a block") != std::string::npos);
}

static void out_of_memory() {
  setenv("PLYWOOD_EMULATOR_MEMORY", "1000000", 1);
  start();
  Pointer a = device_memory(900000), b;
  EQUAL(call("cuMemAlloc_v2", &b, size_t(200000)), 2);
  size_t free_bytes, total;
  EQUAL(call("cuMemGetInfo_v2", &free_bytes, &total), 0);
  EXPECT(free_bytes == 100000 && total == 1000000);
  EQUAL(uintptr_t(a) % 256, 0);
  EQUAL(call("cuMemFree_v2", a), 0);
  b = device_memory(200000);
  std::vector<float> fresh(4);
  EQUAL(call("cuMemcpyDtoH_v2", (void*)fresh.data(), b, size_t(16)), 0);
  EXPECT(std::isnan(fresh[0]));
}

static void overrun_of_a_kernel() {
  start();
  load_kernels();
  Pointer d = device_memory(40);
  EQUAL(launch("write_at", {1}, {1}, d, 10ll), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  EQUAL(call("cuCtxSynchronize"), 700);
  // From now on everything fails.
  EQUAL(call("cuStreamSynchronize", stream), 700);
  EQUAL(call("cuDevicePrimaryCtxReset_v2", 0), 0);
  EQUAL(call("cuCtxSynchronize"), 0);
}
static void overrun_found_at_free() {
  start();
  load_kernels();
  Pointer d = device_memory(40);
  EQUAL(launch("write_at", {1}, {1}, d, -1ll), 0);
  EQUAL(call("cuMemFree_v2", d), 700);
}
static void fault_of_a_kernel() {
  start();
  load_kernels();
  EQUAL(launch("write_at", {1}, {1}, (Pointer) nullptr, 3ll), 0);
  EQUAL(call("cuStreamSynchronize", stream), 700);
  void* p;
  EQUAL(call("cuMemAlloc_v2", &p, size_t(4)), 700);
}
static void overrun_of_dynamic_memory() {
  start();
  load_kernels();
  Pointer d = device_memory(33 * 4);
  EQUAL(launch_with(128, "dynamic_memory", {1}, {32}, d, 33), 0);
  EQUAL(call("cuStreamSynchronize", stream), 700);
}
static void slow_kernels() {
  setenv("PLYWOOD_EMULATOR_SLOW", "write_at,add_one", 1);
  start();
  load_kernels();
  Pointer d = device_memory(64);
  void *begin, *end;
  EQUAL(call("cuEventCreate", &begin, 0u), 0);
  EQUAL(call("cuEventCreate", &end, 0u), 0);
  for (bool slow : {true, false}) {
    EQUAL(call("cuEventRecord", begin, stream), 0);
    EQUAL(slow ? launch("add_one", {1}, {4}, d, 4) : launch("deep_stack", {1}, {4}, d), 0);
    EQUAL(call("cuEventRecord", end, stream), 0);
    EQUAL(call("cuEventSynchronize", end), 0);
    float milliseconds = -1;
    EQUAL(call("cuEventElapsedTime_v2", &milliseconds, begin, end), 0);
    EXPECT((milliseconds > 999) == slow);
  }
}
static void strict_overrun() {
  setenv("PLYWOOD_EMULATOR_STRICT", "1", 1);
  start();
  load_kernels();
  Pointer d = device_memory(64);
  EQUAL(launch("write_at", {1}, {1}, d, 15ll), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  EQUAL(launch("write_at", {1}, {1}, d, 16ll), 0);
  EQUAL(call("cuStreamSynchronize", stream), 700);
}
static void strict_misaligned() {
  setenv("PLYWOOD_EMULATOR_STRICT", "1", 1);
  start();
  load_kernels();
  Pointer d = device_memory(64);
  EQUAL(launch("write_at", {1}, {1}, d + 1, 3ll), 0);
  EQUAL(call("cuStreamSynchronize", stream), 716);
}
static void divergence() {
  start();
  load_kernels();
  Pointer d = device_memory(400);
  EQUAL(launch("diverge", {1}, {32}, d), 0);
  EQUAL(call("cuStreamSynchronize", stream), 719);
  EQUAL(call("cuDevicePrimaryCtxReset_v2", 0), 0);
  EQUAL(call("cuStreamCreate", &stream, 1u), 0);
  load_kernels();
  d = device_memory(400);
  EQUAL(launch("diverge_in_warp", {1}, {32}, d), 0);
  EQUAL(call("cuStreamSynchronize", stream), 719);
}
static void wrong_pointers() {
  start();
  load_kernels();
  float host[4] = {};
  Pointer d = device_memory(16);
  auto again = [&] {
    EQUAL(call("cuDevicePrimaryCtxReset_v2", 0), 0);
    EQUAL(call("cuStreamCreate", &stream, 1u), 0);
    load_kernels();
    d = device_memory(16);
  };
  EQUAL(call("cuMemcpyHtoD_v2", (Pointer)host, (const void*)host, size_t(16)), 700);
  again();
  EQUAL(call("cuMemcpyHtoD_v2", d, (const void*)host, size_t(20)), 700);
  again();
  EQUAL(call("cuMemcpyDtoH_v2", (void*)d, d, size_t(16)), 700);
  again();
  EQUAL(call("cuMemsetD8Async", d + 8, (unsigned char)0, size_t(9), stream), 700);
  again();
  EQUAL(launch("add_one", {1}, {32}, (Pointer)host, 4), 700);
  again();
  EQUAL(call("cuMemFree_v2", d + 4), 700);
  again();
  EQUAL(call("cuMemFree_v2", d), 0);
  EQUAL(call("cuMemFree_v2", d), 700);
  again();
  Pointer pinned = pinned_memory(16);
  EQUAL(call("cuMemcpyHtoDAsync_v2", d, (const void*)pinned, size_t(16), stream), 0);
  EQUAL(call("cuMemFreeHost", pinned), 0);
  EQUAL(call("cuStreamSynchronize", stream), 700);
}
static void injected() {
  setenv("PLYWOOD_EMULATOR_FAIL", "cuLaunchKernel:2=719,cuMemAlloc:2=2,cublasLtCreate:1=3,nvrtcVersion:1=11", 1);
  start();
  load_kernels();
  Pointer d = device_memory(400), e;
  EQUAL(call("cuMemAlloc_v2", &e, size_t(4)), 2);
  EQUAL(call("cuMemAlloc_v2", &e, size_t(4)), 0);
  void* handle;
  int major, minor;
  EQUAL(call("cublasLtCreate", &handle), 3);
  EQUAL(call("cublasLtCreate", &handle), 0);
  EQUAL(call("nvrtcVersion", &major, &minor), 11);
  EQUAL(launch("add_one", {1}, {32}, d, 4), 0);
  EQUAL(launch("add_one", {1}, {32}, d, 4), 719);
  EQUAL(call("cuStreamSynchronize", stream), 719);
}
static void devices() {
  setenv("PLYWOOD_EMULATOR_DEVICES", "2", 1);
  start();
  int count = 0;
  EQUAL(call("cuDeviceGetCount", &count), 0);
  EQUAL(count, 2);
  char name[64];
  EQUAL(call("cuDeviceGetName", name, 64, 1), 0);
  EXPECT(strstr(name, "emulator"));
  Pointer d = device_memory(16);
  void* context;
  EQUAL(call("cuDevicePrimaryCtxRetain", &context, 1), 0);
  EQUAL(call("cuCtxSetCurrent", context), 0);
  load_kernels();
  EQUAL(launch("add_one", {1}, {32}, d, 4), 400); // a stream of the other device
  EQUAL(call("cuMemsetD8Async", d, (unsigned char)0, size_t(16), (void*)nullptr), 700);
}
static void no_devices() {
  setenv("PLYWOOD_EMULATOR_DEVICES", "0", 1);
  EQUAL(call("cuInit", 0u), 100);
  int count;
  EQUAL(call("cuDeviceGetCount", &count), 3);
}

static void speed() {
  start();
  load_kernels();
  EQUAL(call("cublasLtCreate", &lt), 0);
  using Clock = std::chrono::steady_clock;
  auto milliseconds = [](Clock::time_point from) { return std::chrono::duration<double, std::milli>(Clock::now() - from).count(); };
  Pointer a = upload(std::vector<float>(1024 * 1024, 1)), b = upload(std::vector<float>(128 * 1024, 1)), c = device_memory(128 * 1024 * 4);
  auto begin = Clock::now();
  EQUAL(status_of({0, 0, 68, 0, true, false, 1, 1, 1.0, 0.0}, 1024, 128, 1024, 0, 0, 0, nullptr, nullptr, a, b, c, c, 0, 0, 0, 1024, 1024, 1024), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  printf("  a product of 128x1024x1024: %.1f ms\n", milliseconds(begin));
  void* function = nullptr;
  EQUAL(call("cuModuleGetFunction", &function, module, "add_one"), 0);
  begin = Clock::now();
  for (int i = 0; i < 10000; ++i) {
    int n = 32;
    void* parameters[] = {&c, &n};
    call("cuLaunchKernel", function, 1u, 1u, 1u, 32u, 1u, 1u, 0u, stream, (void**)parameters, (void**)nullptr);
  }
  EQUAL(call("cuStreamSynchronize", stream), 0);
  printf("  a launch of 32 threads: %.2f us\n", milliseconds(begin) / 10);
  begin = Clock::now();
  EQUAL(launch("rows_sum", {1000}, {128}, a, c, 1024), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  printf("  1000 blocks of 128 threads, 5 shuffles and 2 barriers each: %.2f ms\n", milliseconds(begin));
  begin = Clock::now();
  EQUAL(launch("add_one", {4096}, {256}, a, 1 << 20), 0);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  printf("  adding one to a million numbers: %.2f ms\n", milliseconds(begin));
}

// check OUTDIR [NAME]: all checks, or one.
int main(int count, char** arguments) {
  directory = arguments[1];
  // Every check in its own process: environment variables are read once, and an error on the device stays.
  const struct {
    const char* name;
    void (*run)();
  } all[] = {{"kernels", kernels}, {"kernels, backwards", kernels_backwards}, {"kernels, strict", kernels_strict}, {"compile errors", compile_errors}, {"laziness", laziness}, {"graphs", graphs}, {"eager", eager}, {"NULL stream", null_stream}, {"leaks and aborts", leaks_and_aborts}, {"out of memory", out_of_memory},
             {"overrun of a kernel", overrun_of_a_kernel}, {"overrun found at free", overrun_found_at_free}, {"fault of a kernel", fault_of_a_kernel},
             {"overrun of dynamic memory", overrun_of_dynamic_memory}, {"slow kernels", slow_kernels},
             {"strict: overrun", strict_overrun}, {"strict: misaligned", strict_misaligned}, {"divergence", divergence}, {"wrong pointers", wrong_pointers},
             {"injected failures", injected}, {"two devices", devices}, {"no devices", no_devices}, {"products", products}, {"convolutions", convolutions}, {"speed", speed}};
  bool good = true;
  for (auto& check : all) {
    if (count > 2 && strcmp(arguments[2], check.name) != 0) continue;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      // The emulator's messages are expected here.
      if (!getenv("SHOW")) (void)!freopen("/dev/null", "w", stderr), setvbuf(stderr, nullptr, _IONBF, 0);
      check.run();
      printf("%s %s (%d checks)\n", failures ? "FAILED" : "ok    ", check.name, checks);
      fflush(stdout);
      exit(failures != 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("FAILED %s: signal %d\n", check.name, WTERMSIG(status));
    good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return good ? 0 : 1;
}
