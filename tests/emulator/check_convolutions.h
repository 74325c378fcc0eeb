// Checks of convolutions, against sums over what each result depends on.
#pragma once
#include "check_kernels.h"

struct Images {
  int n, c, h, w, k, r, s, padding[2], stride[2], dilation[2];
  int out(int i) const { return ((i ? w : h) + 2 * padding[i] - ((i ? s : r) - 1) * dilation[i] - 1) / stride[i] + 1; }
  size_t x(int a, int b, int i, int j) const { return ((size_t(a) * c + b) * h + i) * w + j; }
  size_t f(int a, int b, int i, int j) const { return ((size_t(a) * c + b) * r + i) * s + j; }
  size_t y(int a, int b, int i, int j) const { return ((size_t(a) * k + b) * out(0) + i) * out(1) + j; }
};

// Descriptors of x, the filter, y and the convolution.
struct Descriptors {
  void *x, *f, *y, *how;
  Descriptors(const Images& m, int type, int math) {
    EQUAL(call("cudnnCreateTensorDescriptor", &x), 0);
    EQUAL(call("cudnnCreateTensorDescriptor", &y), 0);
    EQUAL(call("cudnnCreateFilterDescriptor", &f), 0);
    EQUAL(call("cudnnCreateConvolutionDescriptor", &how), 0);
    EQUAL(call("cudnnSetTensor4dDescriptor", x, 0, type, m.n, m.c, m.h, m.w), 0);
    EQUAL(call("cudnnSetTensor4dDescriptor", y, 0, type, m.n, m.k, m.out(0), m.out(1)), 0);
    EQUAL(call("cudnnSetFilter4dDescriptor", f, type, 0, m.k, m.c, m.r, m.s), 0);
    EQUAL(call("cudnnSetConvolution2dDescriptor", how, m.padding[0], m.padding[1], m.stride[0], m.stride[1], m.dilation[0], m.dilation[1], 1, type), 0);
    EQUAL(call("cudnnSetConvolutionMathType", how, math), 0);
  }
  ~Descriptors() {
    EQUAL(call("cudnnDestroyTensorDescriptor", x), 0);
    EQUAL(call("cudnnDestroyTensorDescriptor", y), 0);
    EQUAL(call("cudnnDestroyFilterDescriptor", f), 0);
    EQUAL(call("cudnnDestroyConvolutionDescriptor", how), 0);
  }
};

static void* dnn;
static Pointer dnn_memory;

// All algorithms of a direction, for which `count` results are as `wanted`.
template <class T>
static void convolution(const Images& m, int type, const char* direction, bool fails, const std::vector<T>& wanted, Pointer x, Pointer f, Pointer y, Pointer to) {
  Descriptors d(m, type, 3);
  struct {
    int algo, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
  } perf[10];
  int found = 0;
  bool forward = *direction == 'F', data = direction[8] == 'D';
  void* a = forward || !data ? d.x : d.f;
  void* b = forward ? d.f : d.y;
  void* result = forward ? d.y : data ? d.x : d.f;
  Pointer pa = forward || !data ? x : f, pb = forward ? f : y;
  auto name = [&](const char* before, const char* after) { return std::string("cudnn") + before + direction + after; };
  EQUAL(call(name("GetConvolution", "Algorithm_v7").c_str(), dnn, a, b, d.how, result, 10, &found, perf), 0);
  EXPECT(found >= 3);
  int deterministic = 0, failing = 0;
  for (int i = 0; i < found; ++i) {
    failing += perf[i].status != 0;
    if (perf[i].status) continue;
    deterministic += perf[i].determinism;
    size_t bytes = 0;
    EQUAL(call(name("GetConvolution", "WorkspaceSize").c_str(), dnn, a, b, d.how, result, perf[i].algo, &bytes), 0);
    EQUAL(bytes, perf[i].memory);
    float one = 2, zero = 0;
    double wide_one = 2, wide_zero = 0;
    auto run = [&](size_t size) {
      return call(name("Convolution", "").c_str(), dnn, type ? (const void*)&wide_one : &one, a, pa, b, pb, d.how, perf[i].algo, dnn_memory, size,
                  type ? (const void*)&wide_zero : &zero, result, to);
    };
    if (bytes) EQUAL(run(bytes - 1), 2006);
    EQUAL(run(bytes), fails ? 5000 : 0);
    if (fails) return;
    auto got = download<T>(to, wanted.size());
    double worst = 0;
    for (size_t at = 0; at < wanted.size(); ++at) worst = std::max(worst, std::abs(double(got[at]) - 2 * double(wanted[at])));
    EXPECT(worst < (type ? 1e-12 : 1e-4));
  }
  EXPECT(deterministic >= 2 - !forward && failing == 1);
}

template <class T> static void all_directions(const Images& m, int type) {
  std::vector<T> x(m.x(m.n, 0, 0, 0)), f(m.f(m.k, 0, 0, 0)), y(m.y(m.n, 0, 0, 0)), dx(x.size()), df(f.size()), of(y.size());
  auto fill = [](std::vector<T>& v, int salt) {
    for (size_t i = 0; i < v.size(); ++i) v[i] = T(int((i * 7 + size_t(salt) * 5) % 17) - 8) / 4;
  };
  fill(x, 1), fill(f, 2), fill(y, 3);
  for (int n = 0; n < m.n; ++n)
    for (int k = 0; k < m.k; ++k)
      for (int i = 0; i < m.out(0); ++i)
        for (int j = 0; j < m.out(1); ++j)
          for (int c = 0; c < m.c; ++c)
            for (int r = 0; r < m.r; ++r)
              for (int s = 0; s < m.s; ++s) {
                int row = i * m.stride[0] + r * m.dilation[0] - m.padding[0], column = j * m.stride[1] + s * m.dilation[1] - m.padding[1];
                if (row < 0 || column < 0 || row >= m.h || column >= m.w) continue;
                of[m.y(n, k, i, j)] += x[m.x(n, c, row, column)] * f[m.f(k, c, r, s)];
                dx[m.x(n, c, row, column)] += y[m.y(n, k, i, j)] * f[m.f(k, c, r, s)];
                df[m.f(k, c, r, s)] += y[m.y(n, k, i, j)] * x[m.x(n, c, row, column)];
              }
  Pointer px = upload(x), pf = upload(f), py = upload(y), to = device_memory(std::max({x.size(), f.size(), y.size()}) * sizeof(T));
  convolution(m, type, "Forward", false, of, px, pf, py, to);
  convolution(m, type, "BackwardData", false, dx, px, pf, py, to);
  convolution(m, type, "BackwardFilter", false, df, px, pf, py, to);
}

static void convolutions() {
  start();
  EQUAL(call("cudnnCreate", &dnn), 0);
  EQUAL(call("cudnnSetStream", dnn, stream), 0);
  dnn_memory = device_memory(1 << 20);
  const Images plain = {3, 2, 6, 7, 4, 3, 3, {1, 1}, {1, 1}, {1, 1}};
  for (Images m : {plain, Images{2, 3, 11, 8, 5, 3, 2, {2, 0}, {2, 3}, {2, 1}}, Images{1, 1, 1, 1, 1, 1, 1, {0, 0}, {1, 1}, {1, 1}}}) {
    all_directions<float>(m, 0);
    all_directions<double>(m, 1);
  }
  // What the real library refuses.
  void *x, *how;
  EQUAL(call("cudnnCreateTensorDescriptor", &x), 0);
  EQUAL(call("cudnnCreateConvolutionDescriptor", &how), 0);
  EQUAL(call("cudnnSetTensor4dDescriptor", x, 0, 0, 0, 1, 1, 1), 2000);
  EQUAL(call("cudnnSetConvolution2dDescriptor", how, 0, 0, 0, 1, 1, 1, 1, 0), 2000);
  Descriptors d(plain, 0, 0);
  size_t bytes;
  EQUAL(call("cudnnGetConvolutionForwardWorkspaceSize", dnn, x, d.f, d.how, d.y, 0, &bytes), 2004);
  EQUAL(call("cudnnGetConvolutionForwardWorkspaceSize", dnn, d.y, d.f, d.how, d.x, 0, &bytes), 2008);
  EQUAL(call("cudnnGetConvolutionForwardWorkspaceSize", dnn, d.x, d.f, d.how, d.y, 5, &bytes), 3000);
  EQUAL(call("cudnnSetTensor4dDescriptor", x, 0, 1, plain.n, plain.c, plain.h, plain.w), 0);
  EQUAL(call("cudnnGetConvolutionForwardWorkspaceSize", dnn, x, d.f, d.how, d.y, 0, &bytes), 3003);
  // In a graph, like any other work.
  Pointer ones = upload(std::vector<float>(1000, 1)), y = device_memory(4000);
  float one = 1;
  auto run = [&] { return call("cudnnConvolutionForward", dnn, &one, d.x, ones, d.f, ones, d.how, 0, dnn_memory, size_t(64), &one, d.y, y); };
  void *graph, *executable;
  EQUAL(call("cuMemsetD8Async", y, (unsigned char)0, size_t(4000), stream), 0);
  EQUAL(call("cuStreamBeginCapture_v2", stream, 1), 0);
  EQUAL(run(), 0);
  EQUAL(call("cuStreamEndCapture", stream, &graph), 0);
  EQUAL(call("cuGraphInstantiateWithFlags", &executable, graph, 0ull), 0);
  for (int i = 0; i < 3; ++i) EQUAL(call("cuGraphLaunch", executable, stream), 0);
  EQUAL(download<float>(y, 4)[0], 3 * 8); // a corner: four taps of two channels
  // Outside of its memory.
  Pointer small = device_memory(16);
  convolution<float>(plain, 0, "Forward", true, {}, small, ones, y, y);
  EQUAL(call("cuStreamSynchronize", stream), 700);
}
