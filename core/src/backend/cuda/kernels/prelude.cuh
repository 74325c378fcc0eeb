// What every kernel file begins with. No headers: NVRTC has none.
//
// Compiled with -DREAL=float or -DREAL=double. All grids are as large as the launcher likes: kernels pass over their work in
// strides of the grid, unless their comment says that a grid's direction has a meaning. Sums have an order that depends on the
// sizes and the grid alone.

#ifndef THREADS
#define THREADS 256
#endif
#define EVERY_LANE 0xffffffffu

struct Stats {
    double loss;
    double sum;
    double samples;
    unsigned long long correct;
    unsigned long long of;
    unsigned long long diverged;
    unsigned long long steps;
    long long bad_label;
};

/// `diverged`, where it is not the loss but the norm of gradients to be clipped that is no finite number: `loss` is that norm then.
#define DIVERGED_BY_NORM 2

/// Whether training has stopped: then nothing is changed any more.
__device__ __forceinline__ bool stopped(const Stats* stats) {
    return stats && (stats->diverged != 0 || stats->bad_label != 0);
}

/// Elements that one load of 16 bytes moves.
template <class V> constexpr unsigned WIDTH_OF = 16 / sizeof(V);
template <class V> struct alignas(16) PackOf {
    V at[WIDTH_OF<V>];
};

#define WIDTH WIDTH_OF<REAL>
typedef PackOf<REAL> Pack;

template <class V> __device__ __forceinline__ bool aligned(const V* pointer) {
    return (reinterpret_cast<size_t>(pointer) & 15) == 0;
}

template <class V> __device__ __forceinline__ PackOf<V> load(const V* x, size_t pack) {
    return reinterpret_cast<const PackOf<V>*>(x)[pack];
}

template <class V> __device__ __forceinline__ void store(V* x, size_t pack, const PackOf<V>& value) {
    reinterpret_cast<PackOf<V>*>(x)[pack] = value;
}

__device__ __forceinline__ size_t thread_of_grid() {
    return blockIdx.x * (size_t)blockDim.x + threadIdx.x;
}

__device__ __forceinline__ size_t threads_of_grid() {
    return gridDim.x * (size_t)blockDim.x;
}

/// `whole(i)` for each pack i of n elements if they can be accessed in packs, and `each(i)` for each element that remains.
template <class V = REAL, class Whole, class Each>
__device__ __forceinline__ void over(size_t n, bool packs, Whole whole, Each each) {
    size_t count = packs ? n / WIDTH_OF<V> : 0;
    for (size_t i = thread_of_grid(); i < count; i += threads_of_grid()) whole(i);
    for (size_t i = count * WIDTH_OF<V> + thread_of_grid(); i < n; i += threads_of_grid()) each(i);
}

template <class A, class B> struct Same {
    static constexpr bool YES = false;
};
template <class A> struct Same<A, A> {
    static constexpr bool YES = true;
};
template <class V> constexpr bool is_float = Same<V, float>::YES || Same<V, double>::YES;

/// Only NaN differs from itself.
template <class V> __device__ __forceinline__ bool is_nan(V x) {
    return x != x;
}

template <class V> constexpr bool is_signed = is_float<V>;
template <> constexpr bool is_signed<signed char> = true;
template <> constexpr bool is_signed<short> = true;
template <> constexpr bool is_signed<int> = true;
template <> constexpr bool is_signed<long long> = true;

template <bool WIDE_INTEGER> struct UnsignedOf {
    typedef unsigned Type;
};
template <> struct UnsignedOf<true> {
    typedef unsigned long long Type;
};
/// What numbers are computed in: integers without a sign, as what does not fit wraps around.
template <class V, bool FLOAT = is_float<V>> struct Ring {
    typedef V Type;
};
template <class V> struct Ring<V, false> {
    typedef typename UnsignedOf<sizeof(V) == 8>::Type Type;
};

template <class V> __device__ __forceinline__ V plus(V x, V y) {
    typedef typename Ring<V>::Type R;
    return (V)((R)x + (R)y);
}

template <class V> __device__ __forceinline__ V times(V x, V y) {
    typedef typename Ring<V>::Type R;
    return (V)((R)x * (R)y);
}

template <class V> __device__ __forceinline__ V negated(V x) {
    typedef typename Ring<V>::Type R;
    return (V)-(R)x;
}

template <class V> __device__ __forceinline__ bool is_negative(V x) {
    if constexpr (is_signed<V>)
        return x < 0;
    else
        return false;
}

template <class V> struct Add {
    __device__ __forceinline__ V operator()(V x, V y) const {
        return x + y;
    }
};

/// The larger; NaN loses.
struct Larger {
    __device__ __forceinline__ REAL operator()(REAL x, REAL y) const {
        return y > x ? y : x;
    }
};

/// What the lane whose number differs by the bits of `step` has; structs say what that is by a function of their own.
template <class V> __device__ __forceinline__ V across(V value, unsigned step) {
    return __shfl_xor_sync(EVERY_LANE, value, step);
}

/// All values of a group of lanes as one: lanes 2^n, side by side. Every thread of the warp must be here.
template <class V, class F> __device__ __forceinline__ V fold_lanes(V value, unsigned lanes, F f) {
    for (unsigned step = lanes / 2; step > 0; step /= 2) value = f(value, across(value, step));
    return value;
}

/// All values of a block as one.
template <class V, class F> __device__ __forceinline__ V fold_block(V value, F f) {
    __shared__ V of_warps[THREADS / 32];
    value = fold_lanes(value, 32, f);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    value = fold_lanes(of_warps[threadIdx.x % (THREADS / 32)], THREADS / 32, f);
    __syncthreads();
    return value;
}

__device__ __forceinline__ REAL minus_infinity() {
    return -__uint_as_float(0x7f800000u);
}

/// Rows longer than this take a block each.
#define LONG_ROW 1024

/// The threads of a block of 256 as they share rows of n elements: up to LONG_ROW elements 32 lanes or, where a row is
/// shorter, fewer take a row; above it the whole block.
template <bool BLOCK> struct Rows {
    unsigned lane, lanes;
    /// The first row of this group of lanes, and the distance to its next.
    size_t first, stride;

    __device__ __forceinline__ explicit Rows(unsigned n) : Rows(n, blockIdx.x, gridDim.x) {}
    /// Of the blocks that share the rows, one.
    __device__ __forceinline__ Rows(unsigned n, size_t block, size_t blocks) {
        lanes = BLOCK ? THREADS : 32;
        if (!BLOCK)
            while (lanes > 1 && lanes / 2 >= n) lanes /= 2;
        lane = threadIdx.x % lanes;
        first = block * (THREADS / lanes) + threadIdx.x / lanes;
        stride = blocks * (THREADS / lanes);
    }

    /// `f(row)` for each row; past the last one with n = 0 elements, as all lanes of a warp stay together.
    template <class F> __device__ __forceinline__ void each(size_t rows, unsigned n, F f) const {
        size_t ahead = threadIdx.x / lanes;
        for (size_t row = first; row - ahead < rows; row += stride) f(row, row < rows ? n : 0);
    }

    template <class V, class F> __device__ __forceinline__ V fold(V value, F f) const {
        if constexpr (BLOCK)
            return fold_block(value, f);
        else
            return fold_lanes(value, lanes, f);
    }

    __device__ __forceinline__ REAL max(const REAL* x, unsigned n) const {
        REAL max = minus_infinity();
        for (unsigned i = lane; i < n; i += lanes) max = Larger()(max, x[i]);
        return fold(max, Larger());
    }

    __device__ __forceinline__ REAL sum_exp(const REAL* x, unsigned n, REAL max) const {
        REAL sum = 0;
        for (unsigned i = lane; i < n; i += lanes) sum += exp(x[i] - max);
        return fold(sum, Add<REAL>());
    }
};

/// y[i] = sum of x[part][i] over the parts, in an order that their number alone decides. Blocks of 256 threads, each 32
/// elements at a time.
__device__ __forceinline__ void sum_parts(const REAL* __restrict__ x, REAL* __restrict__ y, size_t n, unsigned parts) {
    __shared__ REAL sums[THREADS / 32][33];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (size_t start = blockIdx.x * (size_t)32; start < n; start += gridDim.x * (size_t)32) {
        size_t i = start + lane;
        REAL sum = 0;
        if (i < n) {
#pragma unroll 4
            for (unsigned part = warp; part < parts; part += THREADS / 32) sum += x[part * n + i];
        }
        sums[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && i < n) {
            for (unsigned other = 1; other < THREADS / 32; other++) sum += sums[other][lane];
            y[i] = sum;
        }
        __syncthreads();
    }
}

/// How much of a product's sums stands in shared memory at once.
constexpr unsigned DEEP = 64 / sizeof(REAL);

struct alignas(16) Quad {
    REAL at[4];
};

/// A product of matrices, M × N of its elements a block, RM × RN a thread: c = sum over k of a[k][row] · b[k][column].
///
/// A thread's rows are quads, M / (RM / 4) apart, and its columns likewise: so the threads of a warp read other banks of the
/// shared memory. If SPLIT is more than 1, so many groups of threads each take a share of k, for tiles that are too small for
/// a block.
template <unsigned M, unsigned N, unsigned RM, unsigned RN, unsigned SPLIT = 1> struct Tile {
    static constexpr unsigned ROWS = M, COLUMNS = N, ACROSS = N / RN, GROUP = M / RM * ACROSS, COUNT = GROUP * SPLIT;

    struct Shared {
        alignas(16) REAL a[2][DEEP][M + 4];
        alignas(16) REAL b[2][DEEP][N + 4];
    };

    REAL c[RM][RN];

    static __device__ __forceinline__ unsigned row(unsigned i) {
        return i / 4 * (M / (RM / 4)) + threadIdx.x % GROUP / ACROSS * 4 + i % 4;
    }
    static __device__ __forceinline__ unsigned column(unsigned j) {
        return j / 4 * (N / (RN / 4)) + threadIdx.x % ACROSS * 4 + j % 4;
    }
    /// Whether this thread's sums are the whole.
    static __device__ __forceinline__ bool has_result() {
        return threadIdx.x < GROUP;
    }

    __device__ __forceinline__ void multiply(const Shared& s, unsigned buffer) {
        unsigned first = SPLIT == 1 ? 0 : threadIdx.x / GROUP * (DEEP / SPLIT);
#pragma unroll
        for (unsigned k = 0; k < DEEP / SPLIT; k++) {
            Quad a[RM / 4], b[RN / 4];
#pragma unroll
            for (unsigned i = 0; i < RM; i += 4) a[i / 4] = *reinterpret_cast<const Quad*>(&s.a[buffer][first + k][row(i)]);
#pragma unroll
            for (unsigned j = 0; j < RN; j += 4) b[j / 4] = *reinterpret_cast<const Quad*>(&s.b[buffer][first + k][column(j)]);
#pragma unroll
            for (unsigned i = 0; i < RM; i++)
#pragma unroll
                for (unsigned j = 0; j < RN; j++) c[i][j] += a[i / 4].at[i % 4] * b[j / 4].at[j % 4];
        }
    }

    /// The sums over `steps` times DEEP terms. A source has `prepare(step)`, done one step before `fetch(step)`, which loads from
    /// global memory, and `put(a, b)`, which writes what was loaded to shared memory.
    template <class Source> __device__ __forceinline__ void run(Source& source, Shared& s, unsigned steps) {
#pragma unroll
        for (unsigned i = 0; i < RM; i++)
#pragma unroll
            for (unsigned j = 0; j < RN; j++) c[i][j] = 0;
        if (steps == 0) return;
        source.prepare(0);
        __syncthreads();
        source.fetch(0);
        source.prepare(1);
        source.put(s.a[0], s.b[0]);
        __syncthreads();
        for (unsigned step = 0; step < steps; step++) {
            bool more = step + 1 < steps;
            if (more) source.fetch(step + 1);
            source.prepare(step + 2);
            multiply(s, step % 2);
            if (more) source.put(s.a[(step + 1) % 2], s.b[(step + 1) % 2]);
            __syncthreads();
        }
        if constexpr (SPLIT > 1) gather();
    }

    /// Adds the groups' sums to the first group's.
    __device__ __forceinline__ void gather() {
        __shared__ REAL sums[SPLIT][M][N];
#pragma unroll
        for (unsigned i = 0; i < RM; i++)
#pragma unroll
            for (unsigned j = 0; j < RN; j++) sums[threadIdx.x / GROUP][row(i)][column(j)] = c[i][j];
        __syncthreads();
        if (has_result())
            for (unsigned group = 1; group < SPLIT; group++)
#pragma unroll
                for (unsigned i = 0; i < RM; i++)
#pragma unroll
                    for (unsigned j = 0; j < RN; j++) c[i][j] += sums[group][row(i)][column(j)];
        __syncthreads();
    }
};
