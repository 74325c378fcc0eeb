// Checks of kernels, and of programs that are none.
#pragma once
#include "check.h"

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
template <class T> __device__ T unset() { __shared__ T s[4]; T v = s[threadIdx.x]; __syncthreads(); s[threadIdx.x] = 1; return v; }
extern "C" __global__ void unset_shared(float* y) { __shared__ float s[4]; y[threadIdx.x] = s[threadIdx.x]; __syncthreads(); s[threadIdx.x] = 1; y[4 + threadIdx.x] = unset<float>(); }
extern __shared__ float4 dynamic[];
extern "C" __global__ void dynamic_memory(float* y, int n) {
  float* own = reinterpret_cast<float*>(dynamic);
  if (threadIdx.x == 0) y[32] = own[n - 1];
  __syncthreads();
  own[n - 32 + threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = own[n - 1 - threadIdx.x];
}
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
template <class... A> static int launch_with(unsigned shared, const char* name, Size grid, Size block, A... arguments) {
  void* function = nullptr;
  EQUAL(call("cuModuleGetFunction", &function, module, name), 0);
  void* parameters[] = {&arguments..., nullptr};
  return call("cuLaunchKernel", function, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, stream, (void**)parameters, (void**)nullptr);
}
template <class... A> static int launch(const char* name, Size grid, Size block, A... arguments) {
  return launch_with(0, name, grid, block, arguments...);
}

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
  for (int i = 0; i < 2; ++i) {
    EQUAL(launch("unset_shared", {1}, {4}, dy), 0);
    y = download<float>(dy, 8);
    EXPECT(std::isnan(y[2]) && std::isnan(y[6]));
  }
  EQUAL(launch("deep_stack", {2}, {100}, dy), 0);
  EQUAL(download<float>(dy, 100)[99], 99);
  for (int bytes : {128, 1000, 48 << 10, 200 << 10}) {
    void* function = nullptr;
    EQUAL(call("cuModuleGetFunction", &function, module, "dynamic_memory"), 0);
    if (bytes > 48 << 10) {
      EQUAL(launch_with(unsigned(bytes), "dynamic_memory", {1}, {32}, dy, bytes / 4), 1);
      EQUAL(call("cuFuncSetAttribute", function, 8, 228 << 10), 1);
      EQUAL(call("cuFuncSetAttribute", function, 8, bytes), 0);
    }
    EQUAL(launch_with(unsigned(bytes), "dynamic_memory", {1}, {32}, dy, bytes / 4), 0);
    y = download<float>(dy, 33);
    EXPECT(y[0] == 31 && y[31] == 0 && std::isnan(y[32]));
  }
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
  EQUAL(compile("", {"--gpu-architecture=sm_90"}, &image, nullptr), 0);
  EQUAL(call("cuModuleLoadData", &module, (const void*)image.data()), 0);
  image[1000] ^= 1;
  EQUAL(call("cuModuleLoadData", &module, (const void*)image.data()), 200);
}

static void kernels_backwards() {
  setenv("PLYWOOD_EMULATOR_BACKWARDS", "1", 1);
  kernels();
}
static void kernels_strict() {
  setenv("PLYWOOD_EMULATOR_STRICT", "1", 1);
  kernels();
}
