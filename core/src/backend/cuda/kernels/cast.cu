// Numbers as bf16.

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
