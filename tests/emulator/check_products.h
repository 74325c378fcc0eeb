// Checks of matrix products, against plain loops.
#pragma once
#include "check_kernels.h"

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
    for (uint32_t epilogue : {1u, 6u}) product({0, 0, 68, 0, ta, tb, epilogue, 3, 1.0, 1.0}, 5, 6, 7);
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
