// A matrix product with its epilogue, column-major, in double whatever the type: every sum has one order, which depends on k alone.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace emulator {

namespace Type {
enum : int { F32 = 0, F64 = 1, BF16 = 14 };
}
inline size_t size_of(int type) { return type == Type::F64 ? 8 : type == Type::F32 ? 4 : 2; }

namespace Epilogue {
enum : uint32_t {
  Default = 1, Relu = 2, Bias = 4, ReluBias = 6, ReluAux = 130, ReluAuxBias = 134, Drelu = 136, DreluBgrad = 152, Bgrada = 256, Bgradb = 512,
};
}

struct Product {
  uint64_t m, n, k;
  int batch, input, output;
  bool single; // alpha and beta are floats
  bool keeps_nan; // by the ReLU epilogues
  uint32_t epilogue;
  double alpha, beta;
  const void *a, *b, *c;
  void *d, *bias;
  unsigned char* aux;
  int64_t a_row, a_col, b_row, b_col, ldc, ldd, aux_ld, stride_a, stride_b, stride_c, stride_d;

  bool has(uint32_t bits) const { return epilogue != Epilogue::Default && (epilogue & bits) != 0; }
  bool uses_aux() const { return has(128); }
  bool uses_bias() const { return has(Epilogue::Bias | 16 | Epilogue::Bgrada | Epilogue::Bgradb); }
};

inline double load(const void* from, int64_t i, int type) {
  if (type == Type::F64) return static_cast<const double*>(from)[i];
  if (type == Type::F32) return static_cast<const float*>(from)[i];
  uint32_t bits = uint32_t(static_cast<const uint16_t*>(from)[i]) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
inline void store(void* to, int64_t i, int type, double value) {
  if (type == Type::F64) {
    static_cast<double*>(to)[i] = value;
    return;
  }
  float single = float(value);
  if (type == Type::F32) {
    static_cast<float*>(to)[i] = single;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &single, 4);
  // To the nearest, ties to even; a NaN must not round to infinity.
  uint16_t rounded = single != single ? uint16_t(bits >> 16 | 0x40) : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  static_cast<uint16_t*>(to)[i] = rounded;
}

constexpr int tile_m = 8, tile_n = 4, depth = 256;
typedef double Rows __attribute__((vector_size(8 * tile_m)));

// sums[tile_n][tile_m] += a[depth][tile_m] × b[depth][tile_n]
#ifdef __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void multiply_tile(const double* a, const double* b, uint64_t depth_here, double* sums, uint64_t ld) {
  Rows s0 = {}, s1 = {}, s2 = {}, s3 = {};
  for (uint64_t k = 0; k < depth_here; ++k) {
    Rows x;
    memcpy(&x, a + k * tile_m, sizeof x);
    const double* y = b + k * tile_n;
    s0 += x * y[0];
    s1 += x * y[1];
    s2 += x * y[2];
    s3 += x * y[3];
  }
  for (int i = 0; i < tile_m; ++i) {
    sums[i] += s0[i];
    sums[ld + i] += s1[i];
    sums[2 * ld + i] += s2[i];
    sums[3 * ld + i] += s3[i];
  }
}

// `tiles` strips of `width` lines: to[strip][k][line], with zeros after the last line.
inline void pack(const void* from, int type, int64_t line_step, int64_t k_step, uint64_t lines, uint64_t ks, int width, double* to) {
  for (uint64_t first = 0; first < lines; first += width)
    for (uint64_t k = 0; k < ks; ++k)
      for (int i = 0; i < width; ++i) *to++ = first + i < lines ? load(from, int64_t(first + i) * line_step + int64_t(k) * k_step, type) : 0.0;
}
inline const void* offset(const void* p, int64_t elements, int type) { return static_cast<const char*>(p) + elements * int64_t(size_of(type)); }
inline void* offset(void* p, int64_t elements, int type) { return static_cast<char*>(p) + elements * int64_t(size_of(type)); }

inline void multiply_one(const Product& p, const void* a, const void* b, const void* c, void* d) {
  uint64_t mp = (p.m + tile_m - 1) / tile_m * tile_m, np = (p.n + tile_n - 1) / tile_n * tile_n;
  std::vector<double> sums(mp * np), strip_a(mp * depth), strip_b(np * depth);
  for (uint64_t k = 0; k < p.k; k += depth) {
    uint64_t ks = std::min<uint64_t>(depth, p.k - k);
    pack(offset(a, int64_t(k) * p.a_col, p.input), p.input, p.a_row, p.a_col, p.m, ks, tile_m, strip_a.data());
    pack(offset(b, int64_t(k) * p.b_row, p.input), p.input, p.b_col, p.b_row, p.n, ks, tile_n, strip_b.data());
    for (uint64_t j = 0; j < np; j += tile_n)
      for (uint64_t i = 0; i < mp; i += tile_m) multiply_tile(&strip_a[i * ks], &strip_b[j * ks], ks, &sums[j * mp + i], mp);
  }
  std::vector<double> gradient(p.has(16) ? p.m : 0);
  for (uint64_t j = 0; j < p.n; ++j)
    for (uint64_t i = 0; i < p.m; ++i) {
      double v = p.alpha * sums[j * mp + i];
      // With beta = 0, C is not read: it may be fresh memory.
      if (p.beta != 0) v += p.beta * load(c, int64_t(j) * p.ldc + int64_t(i), p.output);
      if (p.has(Epilogue::Bias)) v += load(p.bias, int64_t(i), p.output);
      uint64_t bit = j * uint64_t(p.aux_ld) + i;
      if (p.has(Epilogue::Relu)) {
        bool on = v > 0;
        if (p.uses_aux()) p.aux[bit / 8] = (unsigned char)((p.aux[bit / 8] & ~(1u << bit % 8)) | unsigned(on) << bit % 8);
        if (!on && !(p.keeps_nan && v != v)) v = 0;
      } else if (p.uses_aux() && !(p.aux[bit / 8] >> bit % 8 & 1)) {
        v = 0;
      }
      if (p.has(16)) gradient[i] += v;
      store(d, int64_t(j) * p.ldd + int64_t(i), p.output, v);
    }
  for (uint64_t i = 0; i < gradient.size(); ++i) store(p.bias, int64_t(i), p.output, gradient[i]);
  bool of_a = p.has(Epilogue::Bgrada);
  if (!of_a && !p.has(Epilogue::Bgradb)) return;
  for (uint64_t i = 0; i < (of_a ? p.m : p.n); ++i) {
    double sum = 0;
    for (uint64_t k = 0; k < p.k; ++k)
      sum += of_a ? load(a, int64_t(i) * p.a_row + int64_t(k) * p.a_col, p.input) : load(b, int64_t(k) * p.b_row + int64_t(i) * p.b_col, p.input);
    store(p.bias, int64_t(i), p.output, sum);
  }
}

inline void multiply(const Product& p) {
  for (int64_t i = 0; i < p.batch; ++i)
    multiply_one(p, offset(p.a, i * p.stride_a, p.input), offset(p.b, i * p.stride_b, p.input), offset(p.c, i * p.stride_c, p.output),
                 offset(p.d, i * p.stride_d, p.output));
}

} // namespace emulator
