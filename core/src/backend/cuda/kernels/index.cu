// What moves the elements of tensors, and makes those that follow a rule, for one element type: as tensor.cu says.

typedef ELEMENT T;

/// n elements from x to y, both with the distances of the nest: a of x and b of y.
extern "C" __global__ void __launch_bounds__(THREADS) copy(const T* x, T* y, size_t n, Nest nest) {
    if (!is_row(nest) || nest.a[0] != 1 || nest.b[0] != 1) {
        each_at(nest, n, [&](size_t, At at) { y[at.b] = x[at.a]; });
        return;
    }
    over<T>(
        n, aligned(x) && aligned(y), [&](size_t i) { store(y, i, load(x, i)); },
        [&](size_t i) { y[i] = x[i]; }
    );
}

/// y: [columns, rows] from x: [rows, columns], `batch` times, one matrix after the other; a block takes 32 × 32 elements at a time.
extern "C" __global__ void __launch_bounds__(THREADS) transpose(const T* x, T* y, size_t batch, unsigned rows, unsigned columns) {
    __shared__ T tile[32][33];
    transpose_tiles(x, y, tile, batch, rows, columns);
}

/// y = value, n times.
extern "C" __global__ void __launch_bounds__(THREADS) fill(T* y, T value, size_t n) {
    PackOf<T> all;
#pragma unroll
    for (unsigned j = 0; j < WIDTH_OF<T>; j++) all.at[j] = value;
    over<T>(
        n, aligned(y), [&](size_t i) { store(y, i, all); }, [&](size_t i) { y[i] = value; }
    );
}

/// 0, 1, 2, … n numbers, which must exist in the type.
extern "C" __global__ void __launch_bounds__(THREADS) arange(T* y, size_t n) {
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) y[i] = (T)i;
}

/// n numbers at equal distances from `start` to `end`, both included. Of floats.
extern "C" __global__ void __launch_bounds__(THREADS) linspace(T* y, size_t n, T start, T end) {
    T last = (T)(n > 2 ? n - 1 : 1), step = (T)((end - start) / last);
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        // From the closer end, so that both ends are exact.
        T at = (T)i;
        y[i] = at + at <= last ? (T)(start + step * at) : (T)(end - step * (last - at));
    }
}

/// The identity: [n, n].
extern "C" __global__ void __launch_bounds__(THREADS) eye(T* y, size_t n) {
    for (size_t i = thread_of_grid(); i < n * n; i += threads_of_grid()) y[i] = i % (n + 1) == 0;
}

/// y: [rows, classes], 1 at each row's label and 0 elsewhere. Fails on labels that are no class.
extern "C" __global__ void __launch_bounds__(THREADS)
    one_hot(const long long* labels, T* y, size_t rows, size_t classes, unsigned long long* bad) {
    for (size_t i = thread_of_grid(); i < rows * classes; i += threads_of_grid()) {
        size_t row = i / classes, label = (size_t)labels[row];
        if (label >= classes) fail(bad, row);
        y[i] = i - row * classes == label;
    }
}

/// y: [before, n, after] from x: [before, size, after], the positions that `indices`: [n] lists. Fails on indices outside.
extern "C" __global__ void __launch_bounds__(THREADS) index_select(
    const T* x, const long long* indices, T* y, size_t before, size_t size, size_t after, size_t n, unsigned long long* bad
) {
    for (size_t i = thread_of_grid(); i < before * n * after; i += threads_of_grid()) {
        size_t line = i / after, k = line % n, index = (size_t)indices[k];
        if (index >= size)
            fail(bad, k);
        else
            y[i] = x[(line / n * size + index) * after + (i - line * after)];
    }
}

/// y = x at the index along an axis of `size` positions that are `stride` apart, for each of the n places of `indices`; the nest
/// has the sizes of the indices, and a is the distances in x, 0 along the axis. Fails on indices outside.
extern "C" __global__ void __launch_bounds__(THREADS) gather(
    const T* x, const long long* indices, T* y, size_t n, size_t size, size_t stride, Nest nest, unsigned long long* bad
) {
    each_at(nest, n, [&](size_t i, At at) {
        size_t index = (size_t)indices[i];
        if (index >= size)
            fail(bad, i);
        else
            y[i] = x[at.a + index * stride];
    });
}
