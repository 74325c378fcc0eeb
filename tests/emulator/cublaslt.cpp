// cuBLASLt without a GPU: matrix products as their descriptors say, by the CPU, in the emulated driver's streams. See README.md.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "enter.h"
#include "interface.h"
#include "product.h"

using namespace emulator;

extern "C" int plywood_emulator_enqueue(void* stream, const char* call, void (*run)(const void*), const void* data, size_t size, const Range* ranges, size_t count);

namespace {

enum Status { success = 0, not_initialized = 1, invalid_value = 7, execution_failed = 13, not_supported = 15 };

struct Handle {
  int unused;
};
struct MatmulDesc {
  int compute, scale_type;
  int trans_a = 0, trans_b = 0, bias_type = -1;
  uint32_t epilogue = Epilogue::Default;
  void *bias = nullptr, *aux = nullptr;
  int64_t aux_ld = 0;
};
struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t ld;
  int32_t order = 0, batch = 1;
  int64_t stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};
struct Algo {
  uint64_t data[8];
};
struct HeuristicResult {
  Algo algo;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96, "the layout of cublasLtMatmulHeuristicResult_t");

constexpr uint64_t algo_mark = 0x646f6f77796c70;

// As it stands in messages, in PLYWOOD_EMULATOR_SLOW and in PLYWOOD_EMULATOR_RUNS.
const char* name_of(uint32_t epilogue) {
  switch (epilogue) {
  case Epilogue::Relu: return "cublasLtMatmul(RELU)";
  case Epilogue::Bias: return "cublasLtMatmul(BIAS)";
  case Epilogue::ReluBias: return "cublasLtMatmul(RELU_BIAS)";
  case Epilogue::ReluAux: return "cublasLtMatmul(RELU_AUX)";
  case Epilogue::ReluAuxBias: return "cublasLtMatmul(RELU_AUX_BIAS)";
  case Epilogue::Drelu: return "cublasLtMatmul(DRELU)";
  case Epilogue::DreluBgrad: return "cublasLtMatmul(DRELU_BGRAD)";
  case Epilogue::Bgrada: return "cublasLtMatmul(BGRADA)";
  case Epilogue::Bgradb: return "cublasLtMatmul(BGRADB)";
  default: return "cublasLtMatmul";
  }
}

bool is_set(const char* variable) {
  const char* text = getenv(variable);
  return text && *text && *text != '0';
}

// Whether PLYWOOD_EMULATOR_WITHOUT names the epilogue: then no algorithm has it.
bool refuses(uint32_t epilogue) {
  const char* names = getenv("PLYWOOD_EMULATOR_WITHOUT");
  const char* name = strchr(name_of(epilogue), '(');
  return names && name && strstr(names, name);
}

int refuse(int status, const char* why) {
  fprintf(stderr, "plywood emulator: matmul: %s\n", why);
  return status;
}

// Everything but the addresses. `p` gets the sizes.
int understand(const MatmulDesc* d, const Layout* a, const Layout* b, const Layout* c, const Layout* out, Product& p) {
  if (!d || !a || !b || !c || !out) return invalid_value;
  bool transposed_a = d->trans_a != 0, transposed_b = d->trans_b != 0;
  p.m = out->rows;
  p.n = out->cols;
  p.k = transposed_a ? a->rows : a->cols;
  uint64_t rows_a = transposed_a ? a->cols : a->rows, rows_b = transposed_b ? b->cols : b->rows, cols_b = transposed_b ? b->rows : b->cols;
  if (!p.m || !p.n || !p.k) return refuse(invalid_value, "an empty matrix");
  if (rows_a != p.m || rows_b != p.k || cols_b != p.n || c->rows != p.m || c->cols != p.n) {
    char text[200];
    snprintf(text, sizeof text, "sizes do not fit: op(A) %llux%llu, op(B) %llux%llu, C %llux%llu, D %llux%llu", (unsigned long long)rows_a, (unsigned long long)p.k,
             (unsigned long long)rows_b, (unsigned long long)cols_b, (unsigned long long)c->rows, (unsigned long long)c->cols, (unsigned long long)p.m,
             (unsigned long long)p.n);
    return refuse(invalid_value, text);
  }
  for (const Layout* l : {a, b, c, out}) {
    if (l->order != 0) return refuse(not_supported, "only column-major matrices");
    if (l->ld < int64_t(l->rows)) return refuse(invalid_value, "a leading dimension is less than its matrix's rows");
    if (l->batch != out->batch) return refuse(invalid_value, "batch counts differ");
  }
  p.batch = out->batch;
  if (p.batch > 1 && out->stride < int64_t(out->cols - 1) * out->ld + int64_t(out->rows)) return refuse(invalid_value, "the matrices of D's batch overlap");

  bool plain = d->compute == 68 || d->compute == 69, tf32 = d->compute == 77, wide = d->compute == 70 || d->compute == 71;
  if (a->type != b->type || c->type != out->type) return refuse(not_supported, "A and B, or C and D, differ in type");
  bool types = ((plain || tf32) && d->scale_type == Type::F32 && a->type == Type::F32 && c->type == Type::F32) ||
               (plain && d->scale_type == Type::F32 && a->type == Type::BF16 && (c->type == Type::F32 || c->type == Type::BF16)) ||
               (wide && d->scale_type == Type::F64 && a->type == Type::F64 && c->type == Type::F64);
  if (!types) return refuse(not_supported, "this combination of compute type, scale type and matrix types");
  p.input = a->type;
  p.output = out->type;
  p.single = d->scale_type == Type::F32;

  p.epilogue = d->epilogue;
  switch (p.epilogue) {
  case Epilogue::Default: case Epilogue::Relu: case Epilogue::Bias: case Epilogue::ReluBias: break;
  case Epilogue::ReluAux: case Epilogue::ReluAuxBias: case Epilogue::Drelu: case Epilogue::DreluBgrad: case Epilogue::Bgrada: case Epilogue::Bgradb:
    if (wide) return refuse(not_supported, "this epilogue for float64");
    if (p.batch != 1) return refuse(not_supported, "this epilogue for a batch of matrices");
    break;
  default: return refuse(not_supported, "this epilogue");
  }
  if (p.uses_bias() && d->bias_type != -1 && d->bias_type != out->type) return refuse(not_supported, "a bias of another type than D");
  if (p.uses_aux()) {
    if (d->aux_ld % 128 != 0) return refuse(not_supported, "the leading dimension of the ReLU mask, in bits, is no multiple of 128");
    if (d->aux_ld < int64_t(p.m)) return refuse(invalid_value, "the leading dimension of the ReLU mask is less than D's rows");
    p.aux_ld = d->aux_ld;
  }
  p.a_row = transposed_a ? a->ld : 1, p.a_col = transposed_a ? 1 : a->ld;
  p.b_row = transposed_b ? b->ld : 1, p.b_col = transposed_b ? 1 : b->ld;
  p.ldc = c->ld, p.ldd = out->ld;
  p.stride_a = a->stride, p.stride_b = b->stride, p.stride_c = c->stride, p.stride_d = out->stride;
  return success;
}

// What an algorithm was chosen for; sizes may change.
uint64_t fit(const MatmulDesc& d, const Product& p) {
  return uint64_t(d.compute) | uint64_t(p.input) << 8 | uint64_t(p.output) << 16 | uint64_t(d.trans_a) << 24 | uint64_t(d.trans_b) << 26 | uint64_t(p.epilogue) << 28;
}

unsigned long long bytes_of(const Layout& l, int64_t stride) {
  return (uint64_t(l.batch - 1) * uint64_t(stride) + (l.cols - 1) * uint64_t(l.ld) + l.rows) * size_of(l.type);
}

template <class T> int set(T& field, const void* buffer, size_t size) {
  if (size != sizeof(T)) return invalid_value;
  memcpy(&field, buffer, size);
  return success;
}
template <class T> int destroy(T* object) {
  delete object;
  return object ? success : invalid_value;
}

} // namespace

#define API extern "C" __attribute__((visibility("default"))) int

extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() { return 130000; }
extern "C" __attribute__((visibility("default"))) const char* cublasLtGetStatusName(int status) {
  switch (status) {
  case 0: return "CUBLAS_STATUS_SUCCESS";
  case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
  case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
  case 7: return "CUBLAS_STATUS_INVALID_VALUE";
  case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
  case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
  case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
  case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
  case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
  case 16: return "CUBLAS_STATUS_LICENSE_ERROR";
  default: return "<unknown>";
  }
}
extern "C" __attribute__((visibility("default"))) const char* cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }

API cublasLtCreate(Handle** handle) {
  ENTER();
  if (!handle) return invalid_value;
  *handle = new Handle();
  return success;
}
API cublasLtDestroy(Handle* handle) { return destroy(handle); }
API cublasLtMatmulDescCreate(MatmulDesc** desc, int compute, int scale_type) {
  ENTER();
  if (!desc) return invalid_value;
  *desc = new MatmulDesc();
  (*desc)->compute = compute;
  (*desc)->scale_type = scale_type;
  return success;
}
API cublasLtMatmulDescDestroy(MatmulDesc* desc) { return destroy(desc); }
API cublasLtMatmulDescSetAttribute(MatmulDesc* d, int attribute, const void* buffer, size_t size) {
  ENTER();
  if (!d || !buffer) return invalid_value;
  switch (attribute) {
  case 3: return set(d->trans_a, buffer, size);
  case 4: return set(d->trans_b, buffer, size);
  case 7: return set(d->epilogue, buffer, size);
  case 8: return set(d->bias, buffer, size);
  case 11: return set(d->aux, buffer, size);
  case 12: return set(d->aux_ld, buffer, size);
  case 26: return set(d->bias_type, buffer, size);
  default: return refuse(invalid_value, "an attribute of the product that is not emulated");
  }
}
API cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  ENTER();
  if (!layout) return invalid_value;
  *layout = new Layout();
  (*layout)->type = type;
  (*layout)->rows = rows;
  (*layout)->cols = cols;
  (*layout)->ld = ld;
  return success;
}
API cublasLtMatrixLayoutDestroy(Layout* layout) { return destroy(layout); }
API cublasLtMatrixLayoutSetAttribute(Layout* l, int attribute, const void* buffer, size_t size) {
  ENTER();
  if (!l || !buffer) return invalid_value;
  switch (attribute) {
  case 1: return set(l->order, buffer, size);
  case 2: return set(l->rows, buffer, size);
  case 3: return set(l->cols, buffer, size);
  case 4: return set(l->ld, buffer, size);
  case 5: return set(l->batch, buffer, size);
  case 6: return set(l->stride, buffer, size);
  default: return refuse(invalid_value, "an attribute of a matrix that is not emulated");
  }
}
API cublasLtMatmulPreferenceCreate(Preference** preference) {
  ENTER();
  if (!preference) return invalid_value;
  *preference = new Preference();
  return success;
}
API cublasLtMatmulPreferenceDestroy(Preference* preference) { return destroy(preference); }
API cublasLtMatmulPreferenceSetAttribute(Preference* p, int attribute, const void* buffer, size_t size) {
  ENTER();
  if (!p || !buffer) return invalid_value;
  if (attribute == 1) return set(p->workspace, buffer, size);
  if (attribute >= 5 && attribute <= 8) return set(p->alignment[attribute - 5], buffer, size);
  // The others narrow a choice that the emulator does not have.
  return attribute >= 0 && attribute <= 13 ? success : invalid_value;
}
API cublasLtMatmulAlgoGetHeuristic(Handle* handle, const MatmulDesc* d, const Layout* a, const Layout* b, const Layout* c, const Layout* out, const Preference* preference,
                                   int wanted, HeuristicResult* results, int* found) {
  ENTER();
  if (!handle) return not_initialized;
  if (!preference || !results || !found || wanted <= 0) return invalid_value;
  *found = 0;
  Product p = {};
  if (int status = understand(d, a, b, c, out, p)) return status;
  if (refuses(p.epilogue)) return not_supported;
  for (int i = 0; i < wanted && i < 2; ++i) {
    HeuristicResult r = {};
    r.algo.data[0] = algo_mark;
    r.algo.data[1] = uint64_t(i);
    r.algo.data[2] = fit(*d, p);
    // An algorithm is chosen for pointers aligned as the preference says and may not be used with others.
    for (int x = 0; x < 4; ++x) r.algo.data[3 + x] = preference->alignment[x];
    r.waves = 1;
    results[(*found)++] = r;
  }
  return success;
}
API cublasLtMatmul(Handle* handle, const MatmulDesc* d, const void* alpha, const void* a, const Layout* la, const void* b, const Layout* lb, const void* beta, const void* c,
                   const Layout* lc, void* out, const Layout* lout, const Algo* algo, void* workspace, size_t workspace_size, void* stream) {
  ENTER();
  if (!handle) return not_initialized;
  if (!alpha || !beta || !a || !b || !c || !out) return refuse(invalid_value, "a null pointer");
  if (workspace_size && !workspace) return refuse(invalid_value, "a workspace without an address");
  Product p = {};
  if (int status = understand(d, la, lb, lc, lout, p)) return status;
  p.alpha = p.single ? *static_cast<const float*>(alpha) : *static_cast<const double*>(alpha);
  p.beta = p.single ? *static_cast<const float*>(beta) : *static_cast<const double*>(beta);
  p.a = a, p.b = b, p.c = c, p.d = out;
  p.bias = d->bias, p.aux = static_cast<unsigned char*>(d->aux);
  if (p.uses_bias() && !p.bias) return refuse(invalid_value, "the epilogue needs CUBLASLT_MATMUL_DESC_BIAS_POINTER");
  if (p.uses_aux() && !p.aux) return refuse(invalid_value, "the epilogue needs CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER");
  if (p.uses_aux() && uintptr_t(p.aux) % 16) return refuse(not_supported, "the ReLU mask is not aligned to 16 bytes");
  if (c == out && (lc->ld != lout->ld || p.stride_c != p.stride_d)) return refuse(invalid_value, "in place, C and D must be laid out alike");
  const void* pointers[] = {a, b, c, out};
  const char* names[] = {"A", "B", "C", "D"};
  p.keeps_nan = is_set("PLYWOOD_EMULATOR_RELU_KEEPS_NAN");
  if (algo) {
    if (algo->data[0] != algo_mark || algo->data[2] != fit(*d, p)) return refuse(not_supported, "the algorithm was chosen for another kind of product");
    for (int i = 0; i < 4; ++i) {
      uint64_t alignment = algo->data[3 + i];
      // A strict block starts where its length puts it, so nothing is aligned to more.
      if (alignment > 16 && is_set("PLYWOOD_EMULATOR_STRICT")) alignment = 16;
      if (uintptr_t(pointers[i]) % alignment) {
        char text[160];
        snprintf(text, sizeof text, "%s is at %p, but the algorithm was asked for with an alignment of %llu bytes", names[i], pointers[i], (unsigned long long)algo->data[3 + i]);
        return refuse(not_supported, text);
      }
    }
  }
  for (int i = 0; i < 4; ++i)
    if (uintptr_t(pointers[i]) % size_of(i < 2 ? p.input : p.output)) return refuse(invalid_value, "a pointer is not aligned to its type");
  std::vector<Range> ranges = {{a, bytes_of(*la, p.stride_a), "A"}, {b, bytes_of(*lb, p.stride_b), "B"}, {out, bytes_of(*lout, p.stride_d), "D"}};
  if (p.beta != 0) ranges.push_back({c, bytes_of(*lc, p.stride_c), "C"});
  if (p.uses_bias()) ranges.push_back({p.bias, (p.epilogue == Epilogue::Bgradb ? p.n : p.m) * size_of(p.output), "the bias"});
  if (p.uses_aux()) ranges.push_back({p.aux, (p.n - 1) * uint64_t(p.aux_ld) / 8 + (p.m + 7) / 8, "the ReLU mask"});
  if (workspace_size) ranges.push_back({workspace, workspace_size, "the workspace"});
  int code = plywood_emulator_enqueue(
      stream, name_of(p.epilogue), [](const void* job) { multiply(*static_cast<const Product*>(job)); }, &p, sizeof p, ranges.data(), ranges.size());
  return code ? execution_failed : success;
}
