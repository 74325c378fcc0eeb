// Tests the emulated libraries as the crate uses them: loaded by name at run time. Called by `build OUTDIR --check`.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

static std::string directory;
static int failures = 0, checks = 0;

#define EXPECT(condition)                                                             \
  do {                                                                                \
    ++checks;                                                                         \
    if (!(condition)) ++failures, printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
  } while (0)
#define EQUAL(got, wanted)                                                            \
  do {                                                                                \
    ++checks;                                                                         \
    double got_ = double(got), wanted_ = double(wanted);                              \
    if (!(got_ == wanted_)) ++failures, printf("%s:%d: %s is %.9g, not %.9g\n", __FILE__, __LINE__, #got, got_, wanted_); \
  } while (0)

static void* library(const char* name) {
  void* handle = dlopen((directory + "/" + name).c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!handle) printf("%s\n", dlerror()), exit(1);
  return handle;
}
// Calls a function by its name; every call gives an int.
template <class... A> static int call(const char* name, A... arguments) {
  static void* libraries[] = {library("libcuda.so"), library("libnvrtc.so.13"), library("libcublasLt.so.13")};
  for (void* handle : libraries)
    if (void* f = dlsym(handle, name)) return reinterpret_cast<int (*)(A...)>(f)(arguments...);
  printf("no function %s\n", name);
  exit(1);
}

using Pointer = char*;
static void* stream;

static void start(unsigned stream_flags = 1) {
  void* context;
  int device;
  EQUAL(call("cuInit", 0u), 0);
  EQUAL(call("cuDeviceGet", &device, 0), 0);
  EQUAL(call("cuDevicePrimaryCtxRetain", &context, device), 0);
  EQUAL(call("cuCtxSetCurrent", context), 0);
  EQUAL(call("cuStreamCreate", &stream, stream_flags), 0);
}
static Pointer device_memory(size_t bytes) {
  Pointer p = nullptr;
  EQUAL(call("cuMemAlloc_v2", &p, bytes), 0);
  return p;
}
static Pointer pinned_memory(size_t bytes) {
  Pointer p = nullptr;
  EQUAL(call("cuMemHostAlloc", &p, bytes, 0u), 0);
  return p;
}
template <class T> static Pointer upload(const std::vector<T>& values) {
  Pointer p = device_memory(values.size() * sizeof(T));
  EQUAL(call("cuMemcpyHtoD_v2", p, (const void*)values.data(), values.size() * sizeof(T)), 0);
  return p;
}
template <class T> static std::vector<T> download(Pointer p, size_t count) {
  std::vector<T> values(count);
  EQUAL(call("cuStreamSynchronize", stream), 0);
  EQUAL(call("cuMemcpyDtoH_v2", (void*)values.data(), p, count * sizeof(T)), 0);
  return values;
}

static int compile(const char* text, std::vector<const char*> options, std::string* image, std::string* log) {
  void* program;
  size_t size;
  EQUAL(call("nvrtcCreateProgram", &program, text, "kernels.cu", 0, (const char**)nullptr, (const char**)nullptr), 0);
  int code = call("nvrtcCompileProgram", program, int(options.size()), options.data());
  EQUAL(call("nvrtcGetProgramLogSize", program, &size), 0);
  std::vector<char> text_of_log(size);
  EQUAL(call("nvrtcGetProgramLog", program, text_of_log.data()), 0);
  if (log) *log = text_of_log.data();
  if (code == 0 && image) {
    EQUAL(call("nvrtcGetCUBINSize", program, &size), 0);
    image->resize(size);
    EQUAL(call("nvrtcGetCUBIN", program, &(*image)[0]), 0);
  }
  if (code) printf("%s", text_of_log.data());
  EQUAL(call("nvrtcDestroyProgram", &program), 0);
  return code;
}

static const char* const kernels_text = R"(
#ifndef REAL
#error REAL is missing
#endif
// __global__ void not_a_kernel(int) { — a comment is no kernel
typedef REAL real;
template <int N> __device__ __forceinline__ real block_sum(real v) {
  __shared__ real partial[N / 32];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  #pragma unroll
  for (int o = 16; o > 0; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  v = 0;
  for (int i = 0; i < N / 32; ++i) v += partial[i];
  __syncthreads();
  return v;
}
extern "C" __global__ void __launch_bounds__(128) rows_sum(const real* __restrict__ x, real* __restrict__ y, int columns) {
  real sum = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += x[blockIdx.x * columns + i];
  sum = block_sum<128>(sum);
  if (threadIdx.x == 0) y[blockIdx.x] = sum;
}
extern "C" __global__ void transpose(const real* x, real* y, int rows, int columns) {
  __shared__ real tile[16][17];
  int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y;
  if (r < rows && c < columns) tile[threadIdx.y][threadIdx.x] = x[r * columns + c];
  __syncthreads();
  c = blockIdx.y * 16 + threadIdx.x; r = blockIdx.x * 16 + threadIdx.y;
  if (r < columns && c < rows) y[r * rows + c] = tile[threadIdx.x][threadIdx.y];
}
extern "C" __global__ void indices(unsigned* out) {
  unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = blockIdx.z * 100000 + blockIdx.y * 10000 + blockIdx.x * 1000 + threadIdx.z * 100 + threadIdx.y * 10 + threadIdx.x;
}
extern "C" {
#define MAP(name, f) __global__ void map_##name(const real* x, real* y, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = f; }
MAP(exp, exp(x[i])) MAP(tanh, tanh(x[i])) MAP(rsqrt, rsqrt(x[i])) MAP(log1p, log1p(x[i])) MAP(max, max(x[i], (real)2)) MAP(erf, erf(x[i]))
}
struct Hyper { float rate; int power; double wide; };
extern "C" __global__ void take_struct(real* y, Hyper h, const float4* v) { if (threadIdx.x == 0) { y[0] = h.rate; y[1] = h.power; y[2] = h.wide; y[3] = v->w; } }
extern "C" __global__ void warp_words(unsigned* out, unsigned long long* counter) {
  unsigned lane = threadIdx.x % 32;
  out[threadIdx.x] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  out[threadIdx.x + 64] = __shfl_down_sync(0xffffffffu, lane, 3);
  out[threadIdx.x + 128] = __shfl_sync(0xffffffffu, lane * 10, 7);
  out[threadIdx.x + 192] = __shfl_xor_sync(0xffffffffu, lane, 1, 8);
  // Half of a warp on its own.
  if (lane < 16) out[threadIdx.x + 256] = __shfl_xor_sync(0x0000ffffu, lane, 15);
  else out[threadIdx.x + 256] = 77;
  __syncwarp();
  atomicAdd(counter, 1ull);
  atomicMax(counter + 1, (unsigned long long)threadIdx.x);
}
extern "C" __global__ void add_one(float* x, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) x[i] += 1.0f; }
extern "C" __global__ void diverge(float* x) { if (threadIdx.x < 5) return; __syncthreads(); x[threadIdx.x] = 1; }
extern "C" __global__ void diverge_in_warp(float* x) { if (threadIdx.x < 5) x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[0], 1); }
extern "C" __global__ void write_at(float* x, long long i) { x[i] = 1; }
extern "C" __global__ void unset_shared(float* y) { __shared__ float s[4]; y[threadIdx.x] = s[threadIdx.x]; }
extern "C" __global__ void deep_stack(float* y) { volatile float local[4096]; for (int i = 0; i < 4096; ++i) local[i] = i; __syncthreads(); y[threadIdx.x] = local[threadIdx.x]; }
)";

static void* module;
static void load_kernels(const char* real = "-DREAL=float") {
  std::string image;
  EQUAL(compile(kernels_text, {"--gpu-architecture=sm_90", "--std=c++17", real}, &image, nullptr), 0);
  EQUAL(call("cuModuleLoadData", &module, (const void*)image.data()), 0);
}
struct Size {
  unsigned x = 1, y = 1, z = 1;
};
template <class... A> static int launch(const char* name, Size grid, Size block, A... arguments) {
  void* function = nullptr;
  EQUAL(call("cuModuleGetFunction", &function, module, name), 0);
  void* parameters[] = {&arguments..., nullptr};
  return call("cuLaunchKernel", function, grid.x, grid.y, grid.z, block.x, block.y, block.z, 0u, stream, (void**)parameters, (void**)nullptr);
}

// ---- the checks

static void kernels() {
  start();
  load_kernels();
  std::vector<float> x(7 * 300);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 13) - 5;
  Pointer dx = upload(x), dy = device_memory(x.size() * 4);
  EQUAL(launch("rows_sum", {7}, {128}, dx, dy, 300), 0);
  auto y = download<float>(dy, 7);
  for (int r = 0; r < 7; ++r) {
    float sum = 0;
    for (int c = 0; c < 300; ++c) sum += x[size_t(r * 300 + c)];
    EQUAL(y[size_t(r)], sum);
  }
  EQUAL(launch("transpose", {19, 1}, {16, 16}, dx, dy, 7, 300), 0);
  y = download<float>(dy, x.size());
  bool transposed = true;
  for (size_t r = 0; r < 7; ++r)
    for (size_t c = 0; c < 300; ++c) transposed &= y[c * 7 + r] == x[r * 300 + c];
  EXPECT(transposed);
  Pointer di = device_memory(2 * 3 * 2 * 24 * 4);
  EQUAL(launch("indices", {2, 3, 2}, {4, 3, 2}, di), 0);
  auto indices = download<unsigned>(di, 2 * 3 * 2 * 24);
  EQUAL(indices[0], 0);
  EQUAL(indices[(1 + 2 * (2 + 3 * 1)) * 24 + 3 + 4 * (2 + 3 * 1)], 121123);
  EQUAL(launch("map_exp", {1}, {64}, dx, dy, 13), 0);
  EXPECT(std::abs(download<float>(dy, 13)[7] - std::exp(2.0f)) < 1e-5f);
  EQUAL(launch("map_max", {1}, {64}, dx, dy, 13), 0);
  EQUAL(download<float>(dy, 13)[1], 2);
  struct {
    float rate;
    int power;
    double wide;
  } hyper = {0.5f, 3, 1.25};
  Pointer dv = upload(std::vector<float>{1, 2, 3, 4});
  EQUAL(launch("take_struct", {1}, {32}, dy, hyper, dv), 0);
  y = download<float>(dy, 4);
  EXPECT(y[0] == 0.5f && y[1] == 3 && y[2] == 1.25f && y[3] == 4);
  Pointer words = device_memory(320 * 4), counter = upload(std::vector<uint64_t>{0, 0});
  EQUAL(launch("warp_words", {1}, {64}, words, counter), 0);
  auto w = download<unsigned>(words, 320);
  auto c = download<uint64_t>(counter, 2);
  EQUAL(w[40], 0x49249249u);
  EQUAL(w[64 + 1], 4);
  EQUAL(w[64 + 30], 30);
  EQUAL(w[128 + 50], 70);
  EQUAL(w[192 + 9], 8);
  EQUAL(w[256 + 2], 13);
  EQUAL(w[256 + 20], 77);
  EXPECT(c[0] == 64 && c[1] == 63);
  EQUAL(launch("unset_shared", {1}, {4}, dy), 0);
  EXPECT(std::isnan(download<float>(dy, 4)[2]));
  EQUAL(launch("deep_stack", {2}, {100}, dy), 0);
  EQUAL(download<float>(dy, 100)[99], 99);
  // The limits of a launch.
  EQUAL(launch("rows_sum", {1}, {256}, dx, dy, 300), 701);
  EQUAL(launch("add_one", {1}, {1025}, dx, 3), 1);
  EQUAL(launch("add_one", {0}, {32}, dx, 3), 1);
  void* function = nullptr;
  EQUAL(call("cuModuleGetFunction", &function, module, "not_a_kernel"), 500);
  EQUAL(call("cuModuleGetFunction", &function, module, "rows_sum"), 0);
  int threads = 0;
  EQUAL(call("cuFuncGetAttribute", &threads, 0, function), 0);
  EQUAL(threads, 128);
  EQUAL(call("cuModuleUnload", module), 0);
  // The same program in double is another program.
  load_kernels("-DREAL=double");
  Pointer xd = upload(std::vector<double>(128, 0.1)), yd = device_memory(8);
  EQUAL(launch("rows_sum", {1}, {128}, xd, yd, 128), 0);
  EXPECT(std::abs(download<double>(yd, 1)[0] - 12.8) < 1e-12);
  EQUAL(call("cuCtxSynchronize"), 0);
}

static void compile_errors() {
  std::string log;
  EQUAL(compile("extern \"C\" __global__ void f(float* x) {\n  x[0] = nonsense;\n}\n", {"--gpu-architecture=sm_90", "--std=c++17"}, nullptr, &log), 6);
  EXPECT(log.find("kernels.cu:2") != std::string::npos && log.find("nonsense") != std::string::npos);
  EQUAL(compile("extern \"C\" __global__ void f(float* x) { x[0] = INFINITY; }", {"--gpu-architecture=sm_90"}, nullptr, &log), 6);
  EQUAL(compile("", {"--gpu-architecture=sm_90", "--nonsense"}, nullptr, &log), 5);
  EXPECT(log.find("--nonsense") != std::string::npos);
  EQUAL(compile("", {"--std=c++17"}, nullptr, &log), 5);
  EQUAL(compile("", {"--gpu-architecture=sm_12"}, nullptr, &log), 5);
  start();
  std::string image;
  EQUAL(compile("", {"--gpu-architecture=sm_80"}, &image, nullptr), 0);
  EQUAL(call("cuModuleLoadData", &module, (const void*)image.data()), 209);
  EQUAL(call("cuModuleLoadData", &module, (const void*)"\177ELF and so on, but no image"), 200);
}

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

static void kernels_backwards() {
  setenv("PLYWOOD_EMULATOR_BACKWARDS", "1", 1);
  kernels();
}
static void kernels_strict() {
  setenv("PLYWOOD_EMULATOR_STRICT", "1", 1);
  kernels();
}

// ---- matrix products

static uint16_t to_bf16(float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  return uint16_t(bits >> 16);
}
struct Setting {
  int type_in, type_out, compute, scale;
  bool ta, tb;
  uint32_t epilogue;
  int batch;
  double alpha, beta;
};
struct Case {
  Setting s;
  size_t m, n, k;
};
static double value(size_t i, int salt) { return double(int((i * 7 + size_t(salt) * 5) % 17) - 8) * 0.25; }

static size_t width(int type) { return type == 1 ? 8 : type == 0 ? 4 : 2; }
static Pointer upload_as(const std::vector<double>& v, int type) {
  std::vector<char> bytes(v.size() * width(type));
  for (size_t i = 0; i < v.size(); ++i) {
    float f = float(v[i]);
    uint16_t h = to_bf16(f);
    memcpy(&bytes[i * width(type)], type == 1 ? (const void*)&v[i] : type == 0 ? (const void*)&f : (const void*)&h, width(type));
  }
  return upload(bytes);
}
static std::vector<double> download_as(Pointer p, size_t count, int type) {
  auto bytes = download<char>(p, count * width(type));
  std::vector<double> v(count);
  for (size_t i = 0; i < count; ++i) {
    if (type == 1) memcpy(&v[i], &bytes[i * 8], 8);
    else if (type == 0) {
      float f;
      memcpy(&f, &bytes[i * 4], 4);
      v[i] = f;
    } else {
      uint32_t bits = 0;
      memcpy((char*)&bits + 2, &bytes[i * 2], 2);
      float f;
      memcpy(&f, &bits, 4);
      v[i] = f;
    }
  }
  return v;
}

static void* lt;
static int status_of(const Setting& s, size_t m, size_t n, size_t k, int64_t aux_ld, uint32_t alignment, size_t shift, Pointer bias, Pointer aux, Pointer a, Pointer b, Pointer c,
                     Pointer d, int64_t stride_a, int64_t stride_b, int64_t stride_d, int64_t lda, int64_t ldb, int64_t ldd) {
  void *desc, *la, *lb, *lc, *preference;
  EQUAL(call("cublasLtMatmulDescCreate", &desc, s.compute, s.scale), 0);
  auto set = [&](int attribute, const void* v, size_t size) { EQUAL(call("cublasLtMatmulDescSetAttribute", desc, attribute, v, size), 0); };
  int ta = s.ta, tb = s.tb;
  set(3, &ta, 4), set(4, &tb, 4), set(7, &s.epilogue, 4);
  if (bias) set(8, &bias, 8);
  if (aux) set(11, &aux, 8), set(12, &aux_ld, 8);
  EQUAL(call("cublasLtMatrixLayoutCreate", &la, s.type_in, uint64_t(s.ta ? k : m), uint64_t(s.ta ? m : k), lda), 0);
  EQUAL(call("cublasLtMatrixLayoutCreate", &lb, s.type_in, uint64_t(s.tb ? n : k), uint64_t(s.tb ? k : n), ldb), 0);
  EQUAL(call("cublasLtMatrixLayoutCreate", &lc, s.type_out, uint64_t(m), uint64_t(n), ldd), 0);
  int64_t strides[] = {stride_a, stride_b, stride_d};
  void* layouts[] = {la, lb, lc};
  for (int i = 0; i < 3; ++i) {
    EQUAL(call("cublasLtMatrixLayoutSetAttribute", layouts[i], 5, (const void*)&s.batch, size_t(4)), 0);
    EQUAL(call("cublasLtMatrixLayoutSetAttribute", layouts[i], 6, (const void*)&strides[i], size_t(8)), 0);
  }
  EQUAL(call("cublasLtMatmulPreferenceCreate", &preference), 0);
  for (int i = 5; i <= 8 && alignment; ++i) EQUAL(call("cublasLtMatmulPreferenceSetAttribute", preference, i, (const void*)&alignment, size_t(4)), 0);
  struct {
    uint64_t algo[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
  } results[4];
  int found = -1;
  int status = call("cublasLtMatmulAlgoGetHeuristic", lt, desc, la, lb, lc, lc, preference, 4, results, &found);
  float alpha = float(s.alpha), beta = float(s.beta);
  if (status == 0) {
    EQUAL(found, 2);
    status = call("cublasLtMatmul", lt, desc, s.scale == 1 ? (const void*)&s.alpha : (const void*)&alpha, a + shift, la, b, lb,
                  s.scale == 1 ? (const void*)&s.beta : (const void*)&beta, c, lc, d, lc, &results[1].algo, (void*)nullptr, size_t(0), stream);
  }
  for (void* l : layouts) EQUAL(call("cublasLtMatrixLayoutDestroy", l), 0);
  EQUAL(call("cublasLtMatmulDescDestroy", desc), 0);
  EQUAL(call("cublasLtMatmulPreferenceDestroy", preference), 0);
  return status;
}

static void product(const Setting& s, size_t m, size_t n, size_t k) {
  size_t rows_a = s.ta ? k : m, cols_a = s.ta ? m : k, rows_b = s.tb ? n : k, cols_b = s.tb ? k : n;
  size_t lda = rows_a + 3, ldb = rows_b + 1, ldd = m + 2, batch = size_t(s.batch);
  size_t stride_a = lda * cols_a + 5, stride_b = ldb * cols_b, stride_d = ldd * n + 1;
  int64_t aux_ld = int64_t((m + 127) / 128 * 128);
  std::vector<double> a(stride_a * batch), b(stride_b * batch), c(stride_d * batch), bias(std::max(m, n));
  for (size_t i = 0; i < a.size(); ++i) a[i] = value(i, 1);
  for (size_t i = 0; i < b.size(); ++i) b[i] = value(i, 2);
  for (size_t i = 0; i < c.size(); ++i) c[i] = value(i, 3);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = value(i, 4);
  bool has_bias = (s.epilogue != 1) && (s.epilogue & (4 | 16 | 256 | 512)), has_aux = s.epilogue & 128;
  std::vector<unsigned char> mask(size_t(aux_ld) / 8 * n);
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = (unsigned char)(i * 37);
  Pointer da = upload_as(a, s.type_in), db = upload_as(b, s.type_in), dc = upload_as(c, s.type_out), dbias = upload_as(bias, s.type_out), dmask = upload(mask);
  EQUAL(status_of(s, m, n, k, aux_ld, 0, 0, has_bias ? dbias : nullptr, has_aux ? dmask : nullptr, da, db, dc, dc, int64_t(stride_a), int64_t(stride_b), int64_t(stride_d),
                  int64_t(lda), int64_t(ldb), int64_t(ldd)),
        0);
  auto got = download_as(dc, c.size(), s.type_out), got_bias = download_as(dbias, bias.size(), s.type_out);
  auto got_mask = download<unsigned char>(dmask, mask.size());
  double worst = 0, tolerance = s.type_out == 14 ? 0.01 : 1e-6;
  auto differ = [&](double x, double y) { worst = std::max(worst, std::abs(x - y) / (1 + std::abs(y))); };
  std::vector<double> gradient(std::max(m, n));
  bool mask_right = true;
  auto op_a = [&](size_t z, size_t i, size_t q) { return a[z * stride_a + (s.ta ? i * lda + q : q * lda + i)]; };
  auto op_b = [&](size_t z, size_t q, size_t j) { return b[z * stride_b + (s.tb ? q * ldb + j : j * ldb + q)]; };
  for (size_t z = 0; z < batch; ++z)
    for (size_t j = 0; j < n; ++j)
      for (size_t i = 0; i < m; ++i) {
        double sum = 0;
        for (size_t q = 0; q < k; ++q) sum += op_a(z, i, q) * op_b(z, q, j);
        sum = s.alpha * sum + s.beta * c[z * stride_d + j * ldd + i];
        if (s.epilogue & 4) sum += bias[i];
        size_t bit = j * size_t(aux_ld) + i;
        bool mask_bit = got_mask[bit / 8] >> bit % 8 & 1;
        if (s.epilogue & 2) {
          if (has_aux) mask_right &= mask_bit == (sum > 0);
          sum = std::max(sum, 0.0);
        } else if (has_aux) {
          mask_right &= got_mask[bit / 8] == mask[bit / 8];
          if (!mask_bit) sum = 0;
        }
        if (s.epilogue != 1 && s.epilogue & 16) gradient[i] += sum;
        differ(got[z * stride_d + j * ldd + i], sum);
      }
  for (size_t i = 0; i < m && s.epilogue == 256; ++i)
    for (size_t q = 0; q < k; ++q) gradient[i] += op_a(0, i, q);
  for (size_t j = 0; j < n && s.epilogue == 512; ++j)
    for (size_t q = 0; q < k; ++q) gradient[j] += op_b(0, q, j);
  if (s.epilogue == 152 || s.epilogue == 256)
    for (size_t i = 0; i < m; ++i) differ(got_bias[i], gradient[i]);
  if (s.epilogue == 512)
    for (size_t j = 0; j < n; ++j) differ(got_bias[j], gradient[j]);
  if (!(worst < tolerance) || !mask_right)
    printf("product %zux%zux%zu, types %d %d, transposed %d %d, epilogue %u: off by %g%s\n", m, n, k, s.type_in, s.type_out, s.ta, s.tb, s.epilogue, worst,
           mask_right ? "" : ", wrong mask");
  EXPECT(worst < tolerance && mask_right);
  for (Pointer p : {da, db, dc, dbias, dmask}) EQUAL(call("cuMemFree_v2", p), 0);
}

static void products() {
  start();
  EQUAL(call("cublasLtCreate", &lt), 0);
  for (int t = 0; t < 4; ++t) {
    bool ta = t & 1, tb = t & 2;
    for (uint32_t epilogue : {1u, 2u, 4u, 6u, 130u, 134u, 136u, 152u, 256u, 512u}) {
      product({0, 0, 68, 0, ta, tb, epilogue, 1, 1.0, 0.0}, 37, 21, 19);
      product({0, 0, 77, 0, ta, tb, epilogue, 1, 0.5, 2.0}, 1, 5, 300);
      product({14, 0, 68, 0, ta, tb, epilogue, 1, 1.0, 0.0}, 16, 8, 40);
      product({14, 14, 68, 0, ta, tb, epilogue, 1, 1.0, 0.0}, 9, 10, 11);
      if (epilogue <= 6) product({1, 1, 70, 1, ta, tb, epilogue, 1, 1.5, 1.0}, 8, 9, 10);
    }
    product({0, 0, 68, 0, ta, tb, 1, 3, 1.0, 1.0}, 5, 6, 7);
  }
  // What the real library refuses.
  Pointer x = upload(std::vector<float>(4096, 1)), y = device_memory(16384);
  auto status = [&](Setting s, int64_t aux_ld, uint32_t alignment, size_t shift, Pointer bias, Pointer aux) {
    return status_of(s, 16, 16, 16, aux_ld, alignment, shift, bias, aux, x, x, y, y, 0, 0, 256, 16, 16, 16);
  };
  Setting plain = {0, 0, 68, 0, false, false, 1, 1, 1.0, 0.0};
  auto with = [&](uint32_t epilogue) {
    Setting s = plain;
    s.epilogue = epilogue;
    return s;
  };
  EQUAL(status(plain, 0, 0, 0, nullptr, nullptr), 0);
  EQUAL(status(plain, 0, 0, 4, nullptr, nullptr), 15);  // not aligned to 256
  EQUAL(status(plain, 0, 4, 4, nullptr, nullptr), 0);
  EQUAL(status(with(4), 0, 0, 0, nullptr, nullptr), 7); // no bias
  EQUAL(status(with(130), 64, 0, 0, nullptr, y), 15);
  EQUAL(status(with(130), 128, 0, 0, nullptr, nullptr), 7);
  EQUAL(status(with(152), 128, 0, 0, nullptr, y), 7);
  EQUAL(status(with(32), 0, 0, 0, nullptr, nullptr), 15); // GELU
  EQUAL(status({0, 1, 68, 0, false, false, 1, 1, 1.0, 0.0}, 0, 0, 0, nullptr, nullptr), 15);
  EQUAL(status({14, 0, 77, 0, false, false, 1, 1, 1.0, 0.0}, 0, 0, 0, nullptr, nullptr), 15);
  // In a graph, like any other work.
  load_kernels();
  void *graph, *executable;
  EQUAL(call("cuMemsetD8Async", y, (unsigned char)0, size_t(1024), stream), 0);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  Setting again = plain;
  again.beta = 1;
  EQUAL(status(again, 0, 0, 0, nullptr, nullptr), 0);
  EQUAL(launch("add_one", {8}, {32}, y, 256), 0);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 0);
  EQUAL(call("cuGraphInstantiateWithFlags", &executable, graph, 0ull), 0);
  for (int i = 0; i < 3; ++i) EQUAL(call("cuGraphLaunch", executable, stream), 0);
  EQUAL(download<float>(y, 256)[255], 3 * 17);
  // Outside of its memory.
  EQUAL(status_of(plain, 64, 64, 65, 0, 0, 0, nullptr, nullptr, x, x, y, y, 0, 0, 4096, 64, 65, 64), 13);
  EQUAL(call("cuStreamSynchronize", stream), 700);
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
             {"strict: overrun", strict_overrun}, {"strict: misaligned", strict_misaligned}, {"divergence", divergence}, {"wrong pointers", wrong_pointers},
             {"injected failures", injected}, {"two devices", devices}, {"no devices", no_devices}, {"products", products}, {"speed", speed}};
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
