// A product of matrices of any size and layout, for what cuBLASLt does not take.

struct Gemm {
    /// c: m × n, the sums over k.
    unsigned m, n, k;
    unsigned batch;
    /// The distances of rows and columns: 1 and the leading dimension in the other order where an operand is transposed.
    size_t a_row, a_column, b_row, b_column, c_row;
    /// The distances of the batch's matrices.
    size_t a_next, b_next, c_next;
    REAL alpha, beta;
};

typedef Tile<64, 64, 8, 4> Small;

/// What a thread loads of an operand: a place along k and across, and then places of equal distance. Neighbours in memory are
/// for neighbouring threads.
struct Operand {
    static constexpr unsigned LOADS = 64 * DEEP / Small::COUNT;
    const REAL* from;
    /// From one place to the next, and from one step to the next.
    size_t next, ahead;
    unsigned k, at, k_next, at_next;
    unsigned terms, size;
    REAL values[LOADS];

    /// Of `size` places across that begin at `matrix`, each `of_place` from the one before, and `terms` along k, each `of_term`.
    __device__ __forceinline__ Operand(const REAL* matrix, size_t of_place, size_t of_term, unsigned size, unsigned terms)
        : terms(terms), size(size) {
        bool k_first = of_term == 1;
        k = k_first ? threadIdx.x % DEEP : threadIdx.x / 64;
        at = k_first ? threadIdx.x / DEEP : threadIdx.x % 64;
        k_next = k_first ? 0 : Small::COUNT / 64;
        at_next = k_first ? Small::COUNT / DEEP : 0;
        from = matrix + at * of_place + k * of_term;
        next = k_first ? at_next * of_place : k_next * of_term;
        ahead = DEEP * of_term;
    }

    __device__ __forceinline__ void fetch(unsigned step) {
        const REAL* place = from;
#pragma unroll
        for (unsigned i = 0; i < LOADS; i++) {
            values[i] = at + i * at_next < size && step * DEEP + k + i * k_next < terms ? *place : (REAL)0;
            place += next;
        }
        from += ahead;
    }

    __device__ __forceinline__ void put(REAL (&to)[DEEP][68]) {
#pragma unroll
        for (unsigned i = 0; i < LOADS; i++) to[k + i * k_next][at + i * at_next] = values[i];
    }
};

struct Operands {
    Operand a, b;

    __device__ __forceinline__ void prepare(unsigned) {}

    __device__ __forceinline__ void fetch(unsigned step) {
        a.fetch(step);
        b.fetch(step);
    }

    __device__ __forceinline__ void put(REAL (&to_a)[DEEP][68], REAL (&to_b)[DEEP][68]) {
        a.put(to_a);
        b.put(to_b);
    }
};

/// c = alpha · a · b + beta · c, for each of the batch; c is not read if beta is 0. Any 1-D grid of 128 threads; a block takes
/// 64 × 64 elements of a result at a time.
extern "C" __global__ void __launch_bounds__(128, 3)
    gemm(const REAL* __restrict__ a, const REAL* __restrict__ b, REAL* __restrict__ c, Gemm s) {
    __shared__ Small::Shared shared;
    unsigned across = (s.n + 63) / 64;
    size_t tiles = (size_t)across * ((s.m + 63) / 64);
    for (size_t block = blockIdx.x; block < tiles * s.batch; block += gridDim.x) {
        size_t matrix = block / tiles;
        unsigned row = (unsigned)(block % tiles / across) * 64, column = (unsigned)(block % tiles % across) * 64;
        Operands source = {
            Operand(a + matrix * s.a_next + row * s.a_row, s.a_row, s.a_column, s.m - row, s.k),
            Operand(b + matrix * s.b_next + column * s.b_column, s.b_column, s.b_row, s.n - column, s.k)
        };
        Small tile;
        tile.run(source, shared, (s.k + DEEP - 1) / DEEP);
        REAL* to = c + matrix * s.c_next;
#pragma unroll
        for (unsigned i = 0; i < 8; i++)
#pragma unroll
            for (unsigned j = 0; j < 4; j++) {
                unsigned y = row + Small::row(i), x = column + Small::column(j);
                if (y >= s.m || x >= s.n) continue;
                REAL* at = &to[y * s.c_row + x];
                *at = s.alpha * tile.c[i][j] + (s.beta == 0 ? (REAL)0 : s.beta * *at);
            }
    }
}
