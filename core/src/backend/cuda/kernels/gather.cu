// Rows of a data set, picked by their numbers: bytes, whatever the elements are.

template <class V>
__device__ __forceinline__ void copy_rows(const unsigned long long* rows, size_t count, const char* from, char* to, size_t bytes) {
    const V* x = reinterpret_cast<const V*>(from);
    V* y = reinterpret_cast<V*>(to);
    size_t width = bytes / sizeof(V);
    for (size_t i = thread_of_grid(); i < count * width; i += threads_of_grid()) {
        size_t row = i / width;
        y[i] = x[rows[row] * width + (i - row * width)];
    }
}

/// Row rows[i] of x: […, bytes] becomes row i of y: [count, bytes]. Both begin at multiples of 16 bytes. grid.x any, blocks of 256
/// threads; grid.y = 2: the second line of blocks does the same for x2 and y2, of which a row has bytes2.
extern "C" __global__ void __launch_bounds__(THREADS) gather(
    const unsigned long long* rows, size_t count, const char* x, char* y, size_t bytes, const char* x2, char* y2, size_t bytes2
) {
    if (blockIdx.y == 1) {
        x = x2;
        y = y2;
        bytes = bytes2;
    }
    if (bytes % 16 == 0)
        copy_rows<PackOf<float>>(rows, count, x, y, bytes);
    else if (bytes % 8 == 0)
        copy_rows<unsigned long long>(rows, count, x, y, bytes);
    else if (bytes % 4 == 0)
        copy_rows<unsigned>(rows, count, x, y, bytes);
    else
        copy_rows<char>(rows, count, x, y, bytes);
}
