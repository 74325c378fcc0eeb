// Maxima of the places of a window in planes.

struct PoolShape {
    /// The planes of all samples and channels.
    int planes;
    int height, width;
    int out_height, out_width;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int padding_height, padding_width;
    int dilation_height, dilation_width;
};

__device__ __forceinline__ int least(int x, int y) {
    return x < y ? x : y;
}

/// The positions of a window's place that are inside the plane, in one direction: from `first` to before `last`.
struct Inside {
    int first, last;

    __device__ __forceinline__ Inside(int start, int input, int padding, int dilation, int kernel) {
        first = count(padding - start, dilation, kernel);
        last = count(padding + input - start, dilation, kernel);
    }
    static __device__ __forceinline__ int count(int before, int dilation, int kernel) {
        int positions = before <= 0 ? 0 : (before - 1) / dilation + 1;
        return least(positions, kernel);
    }
};

/// y: [planes, out_height, out_width], the largest element of x: [planes, height, width] in each place of the window, and its
/// position in the window, row by row: that of the first if there are several. NaN is larger than any number, and the last of
/// several counts. The border is smaller than any number. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    max_pool_forward(const REAL* __restrict__ x, REAL* __restrict__ y, unsigned char* __restrict__ index, PoolShape s) {
    size_t columns = s.out_width, places = (size_t)s.out_height * columns, n = s.planes * places;
    bool two_by_two = s.kernel_height == 2 && s.kernel_width == 2 && s.stride_height == 2 && s.stride_width == 2 &&
        s.padding_height == 0 && s.padding_width == 0 && s.dilation_height == 1 && s.dilation_width == 1;
    for (size_t at = thread_of_grid(); at < n; at += threads_of_grid()) {
        size_t line = at <= 0xffffffffu ? (unsigned)at / (unsigned)columns : at / columns;
        int j = (int)(at - line * columns);
        size_t plane = line <= 0xffffffffu ? (unsigned)line / (unsigned)s.out_height : line / s.out_height;
        int i = (int)(line - plane * s.out_height);
        const REAL* of = x + plane * s.height * s.width;
        REAL best = minus_infinity();
        int position;
        if (two_by_two) {
            of += (size_t)(2 * i) * s.width + 2 * j;
            REAL window[4] = {of[0], of[1], of[s.width], of[s.width + 1]};
            best = window[0];
            position = 0;
#pragma unroll
            for (int k = 1; k < 4; k++) {
                bool wins = window[k] > best || isnan(window[k]);
                best = wins ? window[k] : best;
                position = wins ? k : position;
            }
        } else {
            Inside rows(i * s.stride_height, s.height, s.padding_height, s.dilation_height, s.kernel_height);
            Inside across(j * s.stride_width, s.width, s.padding_width, s.dilation_width, s.kernel_width);
            position = rows.first * s.kernel_width + across.first;
            for (int row = rows.first; row < rows.last; row++) {
                const REAL* line = of + (size_t)(i * s.stride_height + row * s.dilation_height - s.padding_height) * s.width;
                for (int column = across.first; column < across.last; column++) {
                    REAL value = line[j * s.stride_width + column * s.dilation_width - s.padding_width];
                    if (value > best || isnan(value)) {
                        best = value;
                        position = row * s.kernel_width + column;
                    }
                }
            }
        }
        y[at] = best;
        index[at] = (unsigned char)position;
    }
}

/// dx: [planes, height, width]: each element takes dy of the places whose maximum it is, in their order. Overwritten; 0 where
/// there is none. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    max_pool_backward(const REAL* __restrict__ dy, const unsigned char* __restrict__ index, REAL* __restrict__ dx, PoolShape s) {
    size_t width = s.width, n = (size_t)s.planes * s.height * width, places = (size_t)s.out_height * s.out_width;
    int reach_down = s.dilation_height * (s.kernel_height - 1), reach_across = s.dilation_width * (s.kernel_width - 1);
    for (size_t at = thread_of_grid(); at < n; at += threads_of_grid()) {
        size_t line = at <= 0xffffffffu ? (unsigned)at / (unsigned)width : at / width;
        size_t plane = line <= 0xffffffffu ? (unsigned)line / (unsigned)s.height : line / s.height;
        // From the corner of the border.
        int h = (int)(line - plane * s.height) + s.padding_height, w = (int)(at - line * width) + s.padding_width;
        int i_first = h <= reach_down ? 0 : (h - reach_down - 1) / s.stride_height + 1;
        int j_first = w <= reach_across ? 0 : (w - reach_across - 1) / s.stride_width + 1;
        int i_end = least(h / s.stride_height + 1, s.out_height), j_end = least(w / s.stride_width + 1, s.out_width);
        REAL sum = 0;
        for (int i = i_first; i < i_end; i++) {
            int down = h - i * s.stride_height, row = down / s.dilation_height;
            if (row * s.dilation_height != down) continue;
            for (int j = j_first; j < j_end; j++) {
                int right = w - j * s.stride_width, column = right / s.dilation_width;
                size_t place = plane * places + (size_t)i * s.out_width + j;
                if (column * s.dilation_width == right && index[place] == row * s.kernel_width + column) sum += dy[place];
            }
        }
        dx[at] = sum;
    }
}
