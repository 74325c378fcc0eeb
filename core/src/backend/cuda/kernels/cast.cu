// Copies of blocks of numbers: to bf16, filled, added, transposed.

__device__ __forceinline__ unsigned bf16(float x) {
    unsigned bits = __float_as_uint(x);
    // To the nearest, ties to even; a NaN stays one.
    return x == x ? (bits + 0x7fffu + (bits >> 16 & 1)) >> 16 : bits >> 16 | 0x40u;
}

struct alignas(16) Eight {
    unsigned short at[8];
};

/// The bits of the nearest bf16 of each of n elements. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) to_bf16(const float* __restrict__ x, unsigned short* __restrict__ y, size_t n) {
    size_t whole = aligned(x) && aligned(y) ? n / 8 : 0;
    for (size_t i = thread_of_grid(); i < whole; i += threads_of_grid()) {
        float4 low = reinterpret_cast<const float4*>(x)[2 * i], high = reinterpret_cast<const float4*>(x)[2 * i + 1];
        float all[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        Eight eight;
#pragma unroll
        for (unsigned j = 0; j < 8; j++) eight.at[j] = (unsigned short)bf16(all[j]);
        reinterpret_cast<Eight*>(y)[i] = eight;
    }
    for (size_t i = whole * 8 + thread_of_grid(); i < n; i += threads_of_grid()) y[i] = (unsigned short)bf16(x[i]);
}

/// y = value, n times. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) fill(REAL* y, REAL value, size_t n) {
    Pack pack;
    for (unsigned j = 0; j < WIDTH; j++) pack.at[j] = value;
    over(
        n, aligned(y), [&](size_t i) { store(y, i, pack); }, [&](size_t i) { y[i] = value; }
    );
}

/// y += x, n elements. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) add(REAL* y, const REAL* x, size_t n) {
    over(
        n, aligned(y) && aligned(x),
        [&](size_t i) {
            Pack sum = load(y, i), other = load(x, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) sum.at[j] += other.at[j];
            store(y, i, sum);
        },
        [&](size_t i) { y[i] += x[i]; }
    );
}

/// y *= factor, n elements. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) scale(REAL* y, REAL factor, size_t n) {
    over(
        n, aligned(y),
        [&](size_t i) {
            Pack pack = load(y, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) pack.at[j] *= factor;
            store(y, i, pack);
        },
        [&](size_t i) { y[i] *= factor; }
    );
}

/// y: [columns, rows] from x: [rows, columns], `batch` times, one matrix after the other. Any 1-D grid of 256 threads; a block
/// takes 32 × 32 elements at a time.
extern "C" __global__ void __launch_bounds__(THREADS)
    transpose(const REAL* __restrict__ x, REAL* __restrict__ y, size_t batch, unsigned rows, unsigned columns) {
    __shared__ REAL tile[32][33];
    transpose_tiles(x, y, tile, batch, rows, columns);
}
