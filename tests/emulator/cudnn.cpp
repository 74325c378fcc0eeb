// cuDNN without a GPU: convolutions of images as their descriptors say, by the CPU, in the emulated driver's streams. See README.md.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "enter.h"
#include "interface.h"

using namespace emulator;

extern "C" int plywood_emulator_enqueue(void* stream, const char* call, void (*run)(const void*), const void* data, size_t size, const Range* ranges, size_t count);

namespace {

enum Status {
  success = 0, bad_param = 2000, null_pointer = 2002, not_finalized = 2004, too_small = 2006, shape_mismatch = 2008, not_supported = 3000,
  wrong_type = 3003, execution_failed = 5000,
};
enum Type { Float = 0, Double = 1 };
enum Math { Default = 0, TensorOp = 1, AllowConversion = 2, Fma = 3 };

struct Handle {
  void* stream = nullptr;
};
// A tensor [n, c, h, w] or a filter [k, c, h, w].
struct Sizes {
  int type = -1, size[4] = {};
};
struct Tensor : Sizes {};
struct Filter : Sizes {};
struct Convolution {
  bool set = false;
  int padding[2], stride[2], dilation[2], type, math = Default;
};
struct Perf {
  int algo, status;
  float time;
  size_t memory;
  int determinism, math, reserved[3];
};
static_assert(sizeof(Perf) == 48, "the layout of cudnnConvolutionFwdAlgoPerf_t");

enum Direction { Forward, Data, Weight };
// Its names in PLYWOOD_EMULATOR_SLOW and PLYWOOD_EMULATOR_RUNS.
const char* const names[3][3] = {
    {"cudnnConvolutionForward", "cudnnConvolutionForward(atomic)", "cudnnConvolutionForward(transformed)"},
    {"cudnnConvolutionBackwardData", "cudnnConvolutionBackwardData(atomic)", "cudnnConvolutionBackwardData(transformed)"},
    {"cudnnConvolutionBackwardFilter", "cudnnConvolutionBackwardFilter(atomic)", "cudnnConvolutionBackwardFilter(transformed)"},
};
enum Way { Plain, Atomic, Transformed, None };
// What each algorithm is, by its number, as far as it is emulated.
const Way ways[3][8] = {
    {Plain, Plain, None, None, None, None, None, Transformed},
    {Atomic, Plain, None, None, None, Transformed, None, None},
    {Atomic, Plain, None, Atomic, None, Transformed, None, None},
};

struct Job {
  Direction direction;
  bool wide;
  int n, c, h, w, k, oh, ow, r, s, padding[2], stride[2], dilation[2];
  double alpha, beta;
  const void *x, *filter, *y; // the one that `direction` writes is `to`
  void* to;
  void* workspace;
  size_t workspace_size;
};

int refuse(int status, const char* why) {
  fprintf(stderr, "plywood emulator: convolution: %s\n", why);
  return status;
}

template <class T> void convolve(const Job& j) {
  const T *x = static_cast<const T*>(j.x), *f = static_cast<const T*>(j.filter), *y = static_cast<const T*>(j.y);
  size_t nx = size_t(j.n) * j.c * j.h * j.w, nf = size_t(j.k) * j.c * j.r * j.s, ny = size_t(j.n) * j.k * j.oh * j.ow;
  size_t count = j.direction == Forward ? ny : j.direction == Data ? nx : nf;
  std::vector<double> sums(count);
  for (int n = 0; n < j.n; ++n)
    for (int k = 0; k < j.k; ++k)
      for (int c = 0; c < j.c; ++c)
        for (int r = 0; r < j.r; ++r)
          for (int s = 0; s < j.s; ++s) {
            size_t at_f = ((size_t(k) * j.c + c) * j.r + r) * j.s + s;
            for (int p = 0; p < j.oh; ++p) {
              int row = p * j.stride[0] - j.padding[0] + r * j.dilation[0];
              if (row < 0 || row >= j.h) continue;
              size_t line_x = ((size_t(n) * j.c + c) * j.h + row) * j.w, line_y = ((size_t(n) * j.k + k) * j.oh + p) * j.ow;
              for (int q = 0; q < j.ow; ++q) {
                int column = q * j.stride[1] - j.padding[1] + s * j.dilation[1];
                if (column < 0 || column >= j.w) continue;
                if (j.direction == Forward) sums[line_y + q] += double(x[line_x + column]) * double(f[at_f]);
                else if (j.direction == Data) sums[line_x + column] += double(y[line_y + q]) * double(f[at_f]);
                else sums[at_f] += double(y[line_y + q]) * double(x[line_x + column]);
              }
            }
          }
  T* to = static_cast<T*>(j.to);
  // With beta = 0 the result is not read: it may be fresh memory.
  for (size_t i = 0; i < count; ++i) to[i] = T(j.alpha * sums[i] + (j.beta != 0 ? j.beta * double(to[i]) : 0.0));
}
void run(const void* job) {
  const Job& j = *static_cast<const Job*>(job);
  // What was there before is lost.
  if (j.workspace_size) memset(j.workspace, 0xff, j.workspace_size);
  if (j.wide) convolve<double>(j);
  else convolve<float>(j);
}

// Everything but the addresses.
int understand(const Tensor* x, const Filter* f, const Convolution* conv, const Tensor* y, Job& j) {
  if (!x || !f || !conv || !y) return null_pointer;
  if (x->type < 0 || f->type < 0 || y->type < 0 || !conv->set) return refuse(not_finalized, "a descriptor was never set");
  if (x->type != f->type || x->type != y->type || x->type != conv->type) return refuse(wrong_type, "types differ");
  j.wide = x->type == Double;
  j.n = x->size[0], j.c = x->size[1], j.h = x->size[2], j.w = x->size[3];
  j.k = f->size[0], j.r = f->size[2], j.s = f->size[3];
  j.oh = y->size[2], j.ow = y->size[3];
  if (f->size[1] != j.c || y->size[0] != j.n || y->size[1] != j.k) return refuse(shape_mismatch, "samples or channels differ");
  int in[2] = {j.h, j.w}, taps[2] = {j.r, j.s}, out[2] = {j.oh, j.ow};
  for (int i = 0; i < 2; ++i) {
    j.padding[i] = conv->padding[i], j.stride[i] = conv->stride[i], j.dilation[i] = conv->dilation[i];
    int room = in[i] + 2 * j.padding[i] - ((taps[i] - 1) * j.dilation[i] + 1);
    if (room < 0 || out[i] != room / j.stride[i] + 1) return refuse(shape_mismatch, "the output has another size");
  }
  return success;
}
Way way_of(Direction direction, int algo) { return algo < 0 || algo >= 8 ? None : ways[direction][algo]; }

// What an algorithm needs of memory: some more for each that is more elaborate.
size_t workspace_of(Direction direction, int algo, const Convolution& conv, const Job& j) {
  size_t size = way_of(direction, algo) == Transformed ? size_t(j.n) * j.k * j.oh * j.ow * 4 + 100 : algo == 0 ? 0 : size_t(j.k) * 4 + 20;
  return conv.math == Fma ? size : size + 64;
}

// Candidates, the one that is said to be the fastest first; the last one fails.
int propose(Direction direction, const Handle* handle, const Tensor* x, const Filter* f, const Convolution* conv, const Tensor* y, int wanted, int* found, Perf* perf) {
  if (!handle || !found || !perf || wanted <= 0) return null_pointer;
  Job j;
  if (int status = understand(x, f, conv, y, j)) return status;
  *found = 0;
  for (Way way : {Atomic, Transformed, Plain, None})
    for (int algo = 0; algo < 8 && *found < wanted; ++algo) {
      if (way_of(direction, algo) != way || (way == None && algo != 4)) continue;
      int n = *found;
      perf[n] = {algo, way == None ? int(not_supported) : int(success), way == None ? -1.0f : 1.0f + float(n), workspace_of(direction, algo, *conv, j), way != Atomic,
                 conv->math == Default && !j.wide ? int(TensorOp) : conv->math, {}};
      ++*found;
    }
  return success;
}
int workspace(Direction direction, const Handle* handle, const Tensor* x, const Filter* f, const Convolution* conv, const Tensor* y, int algo, size_t* bytes) {
  if (!handle || !bytes) return null_pointer;
  Job j;
  if (int status = understand(x, f, conv, y, j)) return status;
  if (way_of(direction, algo) == None) return refuse(not_supported, "this algorithm");
  *bytes = workspace_of(direction, algo, *conv, j);
  return success;
}
int start(Direction direction, const Handle* handle, const void* alpha, const Tensor* dx, const void* x, const Filter* df, const void* f, const Convolution* conv, int algo,
          void* memory, size_t bytes, const void* beta, const Tensor* dy, const void* y) {
  if (!handle || !alpha || !beta || !x || !f || !y) return null_pointer;
  Job j = {};
  if (int status = understand(dx, df, conv, dy, j)) return status;
  Way way = way_of(direction, algo);
  if (way == None) return refuse(not_supported, "this algorithm");
  if (bytes < workspace_of(direction, algo, *conv, j)) return refuse(too_small, "the workspace is too small");
  if (bytes && !memory) return refuse(null_pointer, "a workspace without an address");
  j.direction = direction;
  j.alpha = j.wide ? *static_cast<const double*>(alpha) : *static_cast<const float*>(alpha);
  j.beta = j.wide ? *static_cast<const double*>(beta) : *static_cast<const float*>(beta);
  j.x = x, j.filter = f, j.y = y;
  j.to = const_cast<void*>(direction == Forward ? y : direction == Data ? x : f);
  j.workspace = memory, j.workspace_size = workspace_of(direction, algo, *conv, j);
  size_t size = j.wide ? 8 : 4;
  for (const void* p : {x, f, y})
    if (uintptr_t(p) % size) return refuse(bad_param, "a pointer is not aligned to its type");
  std::vector<Range> ranges = {{x, size * j.n * j.c * j.h * j.w, "x"}, {f, size * j.k * j.c * j.r * j.s, "the filter"}, {y, size * j.n * j.k * j.oh * j.ow, "y"}};
  if (bytes) ranges.push_back({memory, bytes, "the workspace"});
  int code = plywood_emulator_enqueue(handle->stream, names[direction][way], run, &j, sizeof j, ranges.data(), ranges.size());
  return code ? execution_failed : success;
}
int set_sizes(Sizes* sizes, int type, int format, int a, int b, int c, int d) {
  if (!sizes) return null_pointer;
  if (format != 0) return refuse(not_supported, "only NCHW");
  if (type != Float && type != Double) return refuse(wrong_type, "only float32 and float64");
  if (a <= 0 || b <= 0 || c <= 0 || d <= 0) return refuse(bad_param, "a size is not positive");
  sizes->type = type;
  int all[] = {a, b, c, d};
  memcpy(sizes->size, all, sizeof all);
  return success;
}
template <class T> int create(T** object) {
  if (!object) return null_pointer;
  *object = new T();
  return success;
}
template <class T> int destroy(T* object) {
  delete object;
  return object ? success : null_pointer;
}

} // namespace

#define PUBLIC extern "C" __attribute__((visibility("default")))
#define API PUBLIC int

PUBLIC size_t cudnnGetVersion() { return 90800; }
PUBLIC const char* cudnnGetErrorString(int status) {
  switch (status) {
  case success: return "CUDNN_STATUS_SUCCESS";
  case 1001: return "CUDNN_STATUS_NOT_INITIALIZED";
  case 1008: return "CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED";
  case bad_param: return "CUDNN_STATUS_BAD_PARAM";
  case null_pointer: return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
  case not_finalized: return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
  case too_small: return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
  case shape_mismatch: return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
  case not_supported: return "CUDNN_STATUS_NOT_SUPPORTED";
  case wrong_type: return "CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE";
  case execution_failed: return "CUDNN_STATUS_EXECUTION_FAILED";
  default: return "CUDNN_UNKNOWN_STATUS";
  }
}

API cudnnCreate(Handle** handle) { ENTER(); return create(handle); }
API cudnnDestroy(Handle* handle) { return destroy(handle); }
API cudnnSetStream(Handle* handle, void* stream) {
  ENTER();
  if (!handle) return null_pointer;
  handle->stream = stream;
  return success;
}
API cudnnCreateTensorDescriptor(Tensor** tensor) { ENTER(); return create(tensor); }
API cudnnDestroyTensorDescriptor(Tensor* tensor) { return destroy(tensor); }
API cudnnSetTensor4dDescriptor(Tensor* tensor, int format, int type, int n, int c, int h, int w) { ENTER(); return set_sizes(tensor, type, format, n, c, h, w); }
API cudnnCreateFilterDescriptor(Filter** filter) { ENTER(); return create(filter); }
API cudnnDestroyFilterDescriptor(Filter* filter) { return destroy(filter); }
API cudnnSetFilter4dDescriptor(Filter* filter, int type, int format, int k, int c, int h, int w) { ENTER(); return set_sizes(filter, type, format, k, c, h, w); }
API cudnnCreateConvolutionDescriptor(Convolution** conv) { ENTER(); return create(conv); }
API cudnnDestroyConvolutionDescriptor(Convolution* conv) { return destroy(conv); }
API cudnnSetConvolution2dDescriptor(Convolution* conv, int pad_h, int pad_w, int u, int v, int dilation_h, int dilation_w, int mode, int type) {
  ENTER();
  if (!conv) return null_pointer;
  if (pad_h < 0 || pad_w < 0 || u <= 0 || v <= 0 || dilation_h <= 0 || dilation_w <= 0) return refuse(bad_param, "a padding, stride or dilation");
  if (mode != 1) return refuse(not_supported, "only cross-correlation");
  *conv = {true, {pad_h, pad_w}, {u, v}, {dilation_h, dilation_w}, type};
  return success;
}
API cudnnSetConvolutionMathType(Convolution* conv, int math) {
  ENTER();
  if (!conv) return null_pointer;
  if (math < Default || math > Fma) return bad_param;
  conv->math = math;
  return success;
}

API cudnnGetConvolutionForwardAlgorithm_v7(Handle* handle, const Tensor* x, const Filter* w, const Convolution* conv, const Tensor* y, int wanted, int* found, Perf* perf) {
  ENTER();
  return propose(Forward, handle, x, w, conv, y, wanted, found, perf);
}
API cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle* handle, const Filter* w, const Tensor* dy, const Convolution* conv, const Tensor* dx, int wanted, int* found, Perf* perf) {
  ENTER();
  return propose(Data, handle, dx, w, conv, dy, wanted, found, perf);
}
API cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle* handle, const Tensor* x, const Tensor* dy, const Convolution* conv, const Filter* dw, int wanted, int* found, Perf* perf) {
  ENTER();
  return propose(Weight, handle, x, dw, conv, dy, wanted, found, perf);
}
API cudnnGetConvolutionForwardWorkspaceSize(Handle* handle, const Tensor* x, const Filter* w, const Convolution* conv, const Tensor* y, int algo, size_t* bytes) {
  ENTER();
  return workspace(Forward, handle, x, w, conv, y, algo, bytes);
}
API cudnnGetConvolutionBackwardDataWorkspaceSize(Handle* handle, const Filter* w, const Tensor* dy, const Convolution* conv, const Tensor* dx, int algo, size_t* bytes) {
  ENTER();
  return workspace(Data, handle, dx, w, conv, dy, algo, bytes);
}
API cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle* handle, const Tensor* x, const Tensor* dy, const Convolution* conv, const Filter* dw, int algo, size_t* bytes) {
  ENTER();
  return workspace(Weight, handle, x, dw, conv, dy, algo, bytes);
}
API cudnnConvolutionForward(Handle* handle, const void* alpha, const Tensor* dx, const void* x, const Filter* dw, const void* w, const Convolution* conv, int algo,
                            void* memory, size_t bytes, const void* beta, const Tensor* dy, void* y) {
  ENTER();
  return start(Forward, handle, alpha, dx, x, dw, w, conv, algo, memory, bytes, beta, dy, y);
}
API cudnnConvolutionBackwardData(Handle* handle, const void* alpha, const Filter* dw, const void* w, const Tensor* dy, const void* y, const Convolution* conv, int algo,
                                 void* memory, size_t bytes, const void* beta, const Tensor* dx, void* x) {
  ENTER();
  return start(Data, handle, alpha, dx, x, dw, w, conv, algo, memory, bytes, beta, dy, y);
}
API cudnnConvolutionBackwardFilter(Handle* handle, const void* alpha, const Tensor* dx, const void* x, const Tensor* dy, const void* y, const Convolution* conv, int algo,
                                   void* memory, size_t bytes, const void* beta, const Filter* dw, void* w) {
  ENTER();
  return start(Weight, handle, alpha, dx, x, dw, w, conv, algo, memory, bytes, beta, dy, y);
}
