// What the checks share: how the libraries are called, as the crate does it, by name at run time.
#pragma once
#include <dlfcn.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
  static void* libraries[] = {library("libcuda.so"), library("libnvrtc.so.13"), library("libcublasLt.so.13"), library("libcudnn.so.9")};
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
