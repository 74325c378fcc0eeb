// What a kernel sees: CUDA's words in C++. Like interface.h it includes nothing.
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
// Blocks run one after another, so that one copy of a block's variables is enough. The driver fills them with NaN before a launch.
#define __shared__ static
#define __align__(n) alignas(n)

using size_t = decltype(sizeof(0));
using ptrdiff_t = decltype((char*)0 - (char*)0);
#define NULL 0

using uint3 = emulator::Index;
using dim3 = emulator::Index;

static emulator::Module plywood_module;
static const uint3& threadIdx = plywood_module.thread;
static const uint3& blockIdx = plywood_module.block;
static const dim3& blockDim = plywood_module.block_size;
static const dim3& gridDim = plywood_module.grid;
constexpr int warpSize = 32;

#define PLYWOOD_VECTORS(T, name)                                                                                    \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                                                \
  struct name##3 { T x, y, z; };                                                                                    \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; };                                 \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                                        \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                                \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
PLYWOOD_VECTORS(float, float)
PLYWOOD_VECTORS(double, double)
PLYWOOD_VECTORS(int, int)
PLYWOOD_VECTORS(unsigned char, uchar)
PLYWOOD_VECTORS(unsigned short, ushort)
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- threads that meet
inline void __syncthreads() { plywood_module.barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { plywood_module.exchange(emulator::Exchange::Synchronize, mask, 0, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __trap() { plywood_module.trap("the kernel called __trap()"); }
#define assert(condition) ((condition) ? (void)0 : plywood_module.trap("assertion failed: " #condition))

namespace emulator {
inline int lane() {
  const Module& m = plywood_module;
  return int((m.thread.x + m.block_size.x * (m.thread.y + m.block_size.y * m.thread.z)) % 32);
}
template <class T> T shuffle(unsigned mask, T value, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = plywood_module.exchange(Exchange::Shuffle, mask, bits, source);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}
} // namespace emulator

// A lane outside of its segment of `width` lanes means: its own value.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  int first = emulator::lane() & ~(width - 1);
  return emulator::shuffle(mask, value, first + (source & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  int lane = emulator::lane(), source = lane ^ lanes;
  return emulator::shuffle(mask, value, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  int lane = emulator::lane(), source = lane + int(lanes);
  return emulator::shuffle(mask, value, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32) {
  int lane = emulator::lane(), source = lane - int(lanes);
  return emulator::shuffle(mask, value, source >= (lane & ~(width - 1)) ? source : lane);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return unsigned(plywood_module.exchange(emulator::Exchange::Ballot, mask, predicate != 0, 0));
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

// ---- atomics: only one thread runs at a time
#define PLYWOOD_ATOMIC(name, T, now) \
  inline T name(T* address, T value) { T old = *address; *address = (now); return old; }
#define PLYWOOD_ATOMICS(T)                                  \
  PLYWOOD_ATOMIC(atomicMax, T, old > value ? old : value)   \
  PLYWOOD_ATOMIC(atomicMin, T, old < value ? old : value)   \
  PLYWOOD_ATOMIC(atomicAnd, T, old & value)                 \
  PLYWOOD_ATOMIC(atomicOr, T, old | value)                  \
  PLYWOOD_ATOMIC(atomicXor, T, old ^ value)                 \
  PLYWOOD_ATOMIC(atomicExch, T, value)                      \
  inline T atomicCAS(T* address, T compare, T value) { T old = *address; if (old == compare) *address = value; return old; }
PLYWOOD_ATOMICS(int)
PLYWOOD_ATOMICS(unsigned)
PLYWOOD_ATOMICS(unsigned long long)
PLYWOOD_ATOMIC(atomicAdd, int, int(unsigned(old) + unsigned(value)))
PLYWOOD_ATOMIC(atomicAdd, unsigned, old + value)
PLYWOOD_ATOMIC(atomicAdd, unsigned long long, old + value)
PLYWOOD_ATOMIC(atomicAdd, float, old + value)
PLYWOOD_ATOMIC(atomicAdd, double, old + value)
PLYWOOD_ATOMIC(atomicSub, int, int(unsigned(old) - unsigned(value)))
PLYWOOD_ATOMIC(atomicSub, unsigned, old - value)
PLYWOOD_ATOMIC(atomicExch, float, value)
PLYWOOD_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)

// ---- bits
#define PLYWOOD_BITS(name, To, From)                                                        \
  inline To name(From value) {                                                              \
    To bits;                                                                                \
    __builtin_memcpy(&bits, &value, sizeof(bits));                                          \
    return bits;                                                                            \
  }
PLYWOOD_BITS(__float_as_uint, unsigned, float)
PLYWOOD_BITS(__uint_as_float, float, unsigned)
PLYWOOD_BITS(__float_as_int, int, float)
PLYWOOD_BITS(__int_as_float, float, int)
PLYWOOD_BITS(__double_as_longlong, long long, double)
PLYWOOD_BITS(__longlong_as_double, double, long long)
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(((unsigned long long)a * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcs(const T* address) { return *address; }
template <class T> T __ldcg(const T* address) { return *address; }
template <class T, class U> void __stcs(T* address, U value) { *address = value; }

// ---- mathematics: the C library's functions, under CUDA's overloads
#define PLYWOOD_MATH1(name)                       \
  extern "C" double name(double) noexcept;        \
  extern "C" float name##f(float) noexcept;       \
  inline float name(float x) { return name##f(x); }
#define PLYWOOD_MATH2(name)                                  \
  extern "C" double name(double, double) noexcept;           \
  extern "C" float name##f(float, float) noexcept;           \
  inline float name(float x, float y) { return name##f(x, y); }
PLYWOOD_MATH1(exp) PLYWOOD_MATH1(exp2) PLYWOOD_MATH1(exp10) PLYWOOD_MATH1(expm1)
PLYWOOD_MATH1(log) PLYWOOD_MATH1(log2) PLYWOOD_MATH1(log10) PLYWOOD_MATH1(log1p)
PLYWOOD_MATH1(sqrt) PLYWOOD_MATH1(cbrt)
PLYWOOD_MATH1(sin) PLYWOOD_MATH1(cos) PLYWOOD_MATH1(tan) PLYWOOD_MATH1(asin) PLYWOOD_MATH1(acos) PLYWOOD_MATH1(atan)
PLYWOOD_MATH1(sinh) PLYWOOD_MATH1(cosh) PLYWOOD_MATH1(tanh) PLYWOOD_MATH1(asinh) PLYWOOD_MATH1(acosh) PLYWOOD_MATH1(atanh)
PLYWOOD_MATH1(erf) PLYWOOD_MATH1(erfc) PLYWOOD_MATH1(tgamma) PLYWOOD_MATH1(lgamma)
PLYWOOD_MATH1(floor) PLYWOOD_MATH1(ceil) PLYWOOD_MATH1(trunc) PLYWOOD_MATH1(round) PLYWOOD_MATH1(rint) PLYWOOD_MATH1(fabs)
PLYWOOD_MATH2(pow) PLYWOOD_MATH2(fmax) PLYWOOD_MATH2(fmin) PLYWOOD_MATH2(fmod) PLYWOOD_MATH2(atan2) PLYWOOD_MATH2(hypot)
PLYWOOD_MATH2(copysign)
extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
inline double pow(double x, int n) { return pow(x, double(n)); }
inline float pow(float x, int n) { return powf(x, float(n)); }
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x); *cosine = cosf(x); }
inline void sincos(double x, double* sine, double* cosine) { *sine = sin(x); *cosine = cos(x); }
inline float abs(float x) { return fabsf(x); }
inline double abs(double x) { return fabs(x); }
inline int abs(int x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
#define PLYWOOD_CLASSIFY(T)                                              \
  inline bool isnan(T x) { return __builtin_isnan(x); }                  \
  inline bool isinf(T x) { return __builtin_isinf(x) != 0; }             \
  inline bool isfinite(T x) { return __builtin_isfinite(x); }            \
  inline bool signbit(T x) { return __builtin_signbit(x) != 0; }
PLYWOOD_CLASSIFY(float)
PLYWOOD_CLASSIFY(double)
#define PLYWOOD_MINMAX(T)                              \
  inline T min(T a, T b) { return b < a ? b : a; }     \
  inline T max(T a, T b) { return a < b ? b : a; }
PLYWOOD_MINMAX(int)
PLYWOOD_MINMAX(unsigned)
PLYWOOD_MINMAX(long long)
PLYWOOD_MINMAX(unsigned long long)
inline unsigned min(int a, unsigned b) { return min(unsigned(a), b); }
inline unsigned min(unsigned a, int b) { return min(a, unsigned(b)); }
inline unsigned max(int a, unsigned b) { return max(unsigned(a), b); }
inline unsigned max(unsigned a, int b) { return max(a, unsigned(b)); }
// On a device these are fmin and fmax: what is no number loses.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, float b) { return fmin(a, double(b)); }
inline double min(float a, double b) { return fmin(double(a), b); }
inline double max(double a, float b) { return fmax(a, double(b)); }
inline double max(float a, double b) { return fmax(double(a), b); }
// The fast variants of a device are less exact; here they are the plain functions.
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }
inline int __float2int_rn(float x) { return int(rintf(x)); }
inline int __float2int_rz(float x) { return int(x); }

// ---- how the driver calls a kernel
namespace emulator {
template <unsigned... I> struct Indices {};
template <unsigned N, unsigned... I> struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <unsigned... I> struct UpTo<0, I...> { using type = Indices<I...>; };
template <class T> struct IsPointer { static constexpr bool value = false; };
template <class T> struct IsPointer<T*> { static constexpr bool value = true; };

template <auto Function> struct Entry;
template <class... A, void (*Function)(A...)> struct Entry<Function> {
  static constexpr unsigned count = sizeof...(A);
  static constexpr unsigned sizes[] = {sizeof(A)..., 0};
  static constexpr bool pointers[] = {IsPointer<A>::value..., false};
  template <unsigned... I> static void all(void** parameters, Indices<I...>) {
    while (plywood_module.unstarted) {
      plywood_module.start();
      Function(*static_cast<A*>(parameters[I])...);
      ++plywood_module.ended;
    }
  }
  static void threads(void** parameters) { all(parameters, typename UpTo<sizeof...(A)>::type()); }
};
constexpr unsigned first(unsigned value, unsigned = 0, unsigned = 0) { return value; }
} // namespace emulator
