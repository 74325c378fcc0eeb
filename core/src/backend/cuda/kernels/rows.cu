// Softmax and its logarithm over rows. x, y, dy, dx: [rows, n], row-major; all computed from x − max x, so that nothing
// overflows. Any 1-D grid of 256 threads; a row of up to 1024 elements takes a warp or, if it is short, a part of one, a
// longer row a block.

template <bool BLOCK> __device__ __forceinline__ void softmax_rows(const REAL* x, REAL* y, size_t rows, unsigned n, bool logarithm) {
    Rows<BLOCK> group(n);
    group.each(rows, n, [&](size_t row, unsigned n) {
        const REAL* of = x + row * n;
        REAL* to = y + row * n;
        REAL max = group.max(of, n), sum = group.sum_exp(of, n, max);
        // In this order: next to a large maximum the logarithm would lose its digits.
        if (logarithm) sum = log(sum);
        for (unsigned i = group.lane; i < n; i += group.lanes) to[i] = logarithm ? of[i] - max - sum : exp(of[i] - max) / sum;
    });
}

/// y = e^x / sum of e^x.
extern "C" __global__ void __launch_bounds__(THREADS) softmax_forward(const REAL* x, REAL* y, size_t rows, unsigned n) {
    n > LONG_ROW ? softmax_rows<true>(x, y, rows, n, false) : softmax_rows<false>(x, y, rows, n, false);
}

/// y = x − ln of the sum of e^x.
extern "C" __global__ void __launch_bounds__(THREADS) log_softmax_forward(const REAL* x, REAL* y, size_t rows, unsigned n) {
    n > LONG_ROW ? softmax_rows<true>(x, y, rows, n, true) : softmax_rows<false>(x, y, rows, n, true);
}

template <bool BLOCK>
__device__ __forceinline__ void softmax_rows_back(const REAL* y, const REAL* dy, REAL* dx, size_t rows, unsigned n, bool logarithm) {
    Rows<BLOCK> group(n);
    group.each(rows, n, [&](size_t row, unsigned n) {
        size_t start = row * n;
        REAL sum = 0;
        for (unsigned i = group.lane; i < n; i += group.lanes) sum += logarithm ? dy[start + i] : y[start + i] * dy[start + i];
        sum = group.fold(sum, Add<REAL>());
        for (unsigned i = group.lane; i < n; i += group.lanes) {
            REAL of = y[start + i], d = dy[start + i];
            dx[start + i] = logarithm ? d - exp(of) * sum : of * (d - sum);
        }
    });
}

/// dx = y · (dy − y · dy summed over the row). dx may be dy.
extern "C" __global__ void __launch_bounds__(THREADS)
    softmax_backward(const REAL* y, const REAL* dy, REAL* dx, size_t rows, unsigned n) {
    n > LONG_ROW ? softmax_rows_back<true>(y, dy, dx, rows, n, false) : softmax_rows_back<false>(y, dy, dx, rows, n, false);
}

/// dx = dy − e^y · (dy summed over the row). dx may be dy.
extern "C" __global__ void __launch_bounds__(THREADS)
    log_softmax_backward(const REAL* y, const REAL* dy, REAL* dx, size_t rows, unsigned n) {
    n > LONG_ROW ? softmax_rows_back<true>(y, dy, dx, rows, n, true) : softmax_rows_back<false>(y, dy, dx, rows, n, true);
}
