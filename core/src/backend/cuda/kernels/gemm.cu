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

/// The part of two matrices that a block multiplies.
struct Matrices {
    static constexpr unsigned LOADS = 64 * DEEP / Small::COUNT;
    const REAL* a;
    const REAL* b;
    const Gemm& s;
    unsigned row, column;
    REAL as[LOADS], bs[LOADS];

    __device__ __forceinline__ void prepare(unsigned) {}

    /// The i-th element of this thread in a tile: its place along k and across. Neighbours in memory are for neighbouring threads.
    static __device__ __forceinline__ void place(unsigned i, bool k_first, unsigned& k, unsigned& at) {
        unsigned place = i * Small::COUNT + threadIdx.x;
        k = k_first ? place % DEEP : place / 64;
        at = k_first ? place / DEEP : place % 64;
    }

    __device__ __forceinline__ void fetch(unsigned step) {
#pragma unroll
        for (unsigned i = 0; i < LOADS; i++) {
            unsigned k, at;
            place(i, s.a_column == 1, k, at);
            k += step * DEEP;
            as[i] = row + at < s.m && k < s.k ? a[(row + at) * s.a_row + k * s.a_column] : (REAL)0;
        }
#pragma unroll
        for (unsigned i = 0; i < LOADS; i++) {
            unsigned k, at;
            place(i, s.b_column != 1, k, at);
            k += step * DEEP;
            bs[i] = column + at < s.n && k < s.k ? b[k * s.b_row + (column + at) * s.b_column] : (REAL)0;
        }
    }

    __device__ __forceinline__ void put(REAL (&to_a)[DEEP][68], REAL (&to_b)[DEEP][68]) {
#pragma unroll
        for (unsigned i = 0; i < LOADS; i++) {
            unsigned k, at;
            place(i, s.a_column == 1, k, at);
            to_a[k][at] = as[i];
            place(i, s.b_column != 1, k, at);
            to_b[k][at] = bs[i];
        }
    }
};

/// c = alpha · a · b + beta · c, for each of the batch; c is not read if beta is 0. Any 1-D grid of 128 threads; a block takes
/// 64 × 64 elements of a result at a time.
extern "C" __global__ void __launch_bounds__(128, 4)
    gemm(const REAL* __restrict__ a, const REAL* __restrict__ b, REAL* __restrict__ c, Gemm s) {
    __shared__ Small::Shared shared;
    unsigned across = (s.n + 63) / 64;
    size_t tiles = (size_t)across * ((s.m + 63) / 64);
    for (size_t block = blockIdx.x; block < tiles * s.batch; block += gridDim.x) {
        size_t matrix = block / tiles;
        unsigned row = (unsigned)(block % tiles / across) * 64, column = (unsigned)(block % tiles % across) * 64;
        Matrices source = {a + matrix * s.a_next, b + matrix * s.b_next, s, row, column, {}, {}};
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
