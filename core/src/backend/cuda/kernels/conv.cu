// Convolution of images and its gradients, as products of matrices whose second operand is gathered from the images as it is
// needed: x: [batch, in, height, width], w: [out, in, kernel height, kernel width], y: [batch, out, out height, out width].

struct ConvShape {
    int batch, in_channels, height, width;
    int out_channels, out_height, out_width;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int padding_height, padding_width;
    int dilation_height, dilation_width;
};

/// A position that is in no image.
#define OUTSIDE (-(1 << 29))

/// Where a term of the sums reads: `down` and `right` of the pixel it is for, `offset` elements on; and its weight.
struct alignas(16) Tap {
    int offset, down, right, weight;
};

/// A place in three nested loops, the innermost over columns, that moves on by DEEP without a division.
struct Place {
    int outer, row, column;
    int rows, columns;
    int outer_step, row_step, column_step;

    __device__ __forceinline__ Place(int rows, int columns, unsigned number) : rows(rows), columns(columns) {
        unsigned area = rows * columns;
        outer = row = column = outer_step = row_step = column_step = 0;
        if (area == 0) return;
        outer = number / area;
        row = number % area / columns;
        column = number % columns;
        outer_step = DEEP / area;
        row_step = DEEP % area / columns;
        column_step = DEEP % columns;
    }
    __device__ __forceinline__ void step() {
        column += column_step;
        row += row_step;
        outer += outer_step;
        if (column >= columns) column -= columns, row++;
        if (row >= rows) row -= rows, outer++;
    }
};

/// The output: a pixel reads the input from the corner of its place of the kernel.
struct Forward {
    const ConvShape& s;
    __device__ __forceinline__ explicit Forward(const ConvShape& s) : s(s) {}

    __device__ __forceinline__ int rows() const { return s.out_channels; }
    __device__ __forceinline__ int terms() const { return s.in_channels * s.kernel_height * s.kernel_width; }
    __device__ __forceinline__ int weights_of_row() const { return terms(); }
    __device__ __forceinline__ int height() const { return s.height; }
    __device__ __forceinline__ int width() const { return s.width; }
    __device__ __forceinline__ int channels() const { return s.in_channels; }
    __device__ __forceinline__ int pixels_down() const { return s.out_height; }
    __device__ __forceinline__ int pixels_across() const { return s.out_width; }
    __device__ __forceinline__ int down(int i) const { return i * s.stride_height - s.padding_height; }
    __device__ __forceinline__ int right(int j) const { return j * s.stride_width - s.padding_width; }
    /// The terms in their order: over channels, rows and columns of the kernel.
    __device__ __forceinline__ Place term(unsigned number) const { return Place(s.kernel_height, s.kernel_width, number); }
    __device__ __forceinline__ Tap tap(const Place& at) const {
        int down = at.row * s.dilation_height, right = at.column * s.dilation_width;
        int weight = (at.outer * s.kernel_height + at.row) * s.kernel_width + at.column;
        return {(at.outer * s.height + down) * s.width + right, down, right, weight};
    }
    /// Where a pixel is written, in a plane of `plane()` elements.
    __device__ __forceinline__ size_t plane() const { return (size_t)s.out_height * s.out_width; }
    __device__ __forceinline__ unsigned place(unsigned i, unsigned j) const { return i * s.out_width + j; }
    /// Whether neighbouring pixels are written side by side.
    __device__ __forceinline__ bool dense() const { return true; }
};

/// One direction of the gradient of the input: of the pixels u · stride + first, which a kernel's positions `start`, `start + step`,
/// … reach, `count` of them, from output u + shift(position).
struct Reach {
    int first, pixels, start, step, count, stride, padding, dilation;

    __device__ __forceinline__ Reach(int first, int input, int kernel, int stride, int padding, int dilation)
        : first(first), stride(stride), padding(padding), dilation(dilation) {
        pixels = first < input ? (input - first - 1) / stride + 1 : 0;
        start = 0;
        while (start < kernel && start < stride && (first + padding - start * dilation) % stride != 0) start++;
        step = 1;
        while (step * dilation % stride != 0) step++;
        count = start < kernel && (first + padding - start * dilation) % stride == 0 ? (kernel - start - 1) / step + 1 : 0;
    }
    __device__ __forceinline__ int position(int i) const { return start + i * step; }
    /// Exact: the difference is a multiple of the stride.
    __device__ __forceinline__ int shift(int position) const { return (first + padding - position * dilation) / stride; }
};

/// The gradient of the input, of the pixels whose rows and columns leave the same remainder of the stride as (a, b): those read
/// the same taps, each at whole outputs.
struct Backward {
    const ConvShape& s;
    Reach across_rows, across_columns;
    __device__ __forceinline__ Backward(const ConvShape& s, int a, int b)
        : s(s), across_rows(a, s.height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height),
          across_columns(b, s.width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width) {}

    __device__ __forceinline__ int rows() const { return s.in_channels; }
    __device__ __forceinline__ int terms() const { return s.out_channels * across_rows.count * across_columns.count; }
    __device__ __forceinline__ int weights_of_row() const { return s.kernel_height * s.kernel_width; }
    __device__ __forceinline__ int height() const { return s.out_height; }
    __device__ __forceinline__ int width() const { return s.out_width; }
    __device__ __forceinline__ int channels() const { return s.out_channels; }
    __device__ __forceinline__ int pixels_down() const { return across_rows.pixels; }
    __device__ __forceinline__ int pixels_across() const { return across_columns.pixels; }
    __device__ __forceinline__ int down(int i) const { return i; }
    __device__ __forceinline__ int right(int j) const { return j; }
    __device__ __forceinline__ Place term(unsigned number) const { return Place(across_rows.count, across_columns.count, number); }
    __device__ __forceinline__ Tap tap(const Place& at) const {
        int i = across_rows.position(at.row), j = across_columns.position(at.column);
        int down = across_rows.shift(i), right = across_columns.shift(j);
        int weight = (at.outer * s.in_channels * s.kernel_height + i) * s.kernel_width + j;
        return {(at.outer * s.out_height + down) * s.out_width + right, down, right, weight};
    }
    __device__ __forceinline__ size_t plane() const { return (size_t)s.height * s.width; }
    __device__ __forceinline__ unsigned place(unsigned i, unsigned j) const {
        return (i * s.stride_height + across_rows.first) * s.width + j * s.stride_width + across_columns.first;
    }
    __device__ __forceinline__ bool dense() const { return s.stride_height == 1 && s.stride_width == 1; }
};

/// The pixel of a number: its sample, row and column.
struct Pixel {
    unsigned sample, i, j;

    __device__ __forceinline__ Pixel(unsigned number, unsigned down, unsigned across) {
        unsigned line = number / across;
        j = number - line * across;
        sample = line / down;
        i = line - sample * down;
    }
};

/// Weights and gathered pixels of a tile.
template <class T, class Direction> struct Gather {
    static constexpr unsigned OF_WEIGHTS = T::ROWS * DEEP / T::COUNT, OF_PIXELS = T::COLUMNS * DEEP / T::COUNT;
    static_assert(T::COUNT % T::COLUMNS == 0 && T::COUNT % DEEP == 0, "a thread has one pixel and one term");

    const Direction& direction;
    Tap (*table)[DEEP];
    Place term;
    const REAL* w;
    const REAL* source;
    unsigned rows;
    int height, width, down, right;
    REAL ws[OF_WEIGHTS], pixels[OF_PIXELS];

    __device__ __forceinline__ Gather(
        const Direction& direction, Tap (*table)[DEEP], const REAL* source_of_all, const REAL* weights, unsigned row, unsigned pixel,
        unsigned count
    )
        : direction(direction), table(table), term(direction.term(threadIdx.x % DEEP)), height(direction.height()),
          width(direction.width()) {
        unsigned of_row = threadIdx.x / DEEP;
        rows = direction.rows() - row > of_row ? direction.rows() - row - of_row : 0;
        w = weights + (size_t)(row + of_row) * direction.weights_of_row();
        unsigned number = pixel + threadIdx.x % T::COLUMNS;
        source = source_of_all;
        down = right = OUTSIDE;
        if (number < count) {
            Pixel at(number, direction.pixels_down(), direction.pixels_across());
            down = direction.down(at.i);
            right = direction.right(at.j);
            source += at.sample * ((size_t)direction.channels() * height * width) + ((long long)down * width + right);
        }
    }

    __device__ __forceinline__ void prepare(unsigned step) {
        if (threadIdx.x >= DEEP) return;
        table[step % 2][threadIdx.x] = term.outer < direction.channels() ? direction.tap(term) : Tap{0, OUTSIDE, OUTSIDE, -1};
        term.step();
    }

    __device__ __forceinline__ void fetch(unsigned step) {
        const Tap* taps = table[step % 2];
        int weight = taps[threadIdx.x % DEEP].weight;
        const REAL* from = w + weight;
        size_t next = (size_t)(T::COUNT / DEEP) * direction.weights_of_row();
#pragma unroll
        for (unsigned i = 0; i < OF_WEIGHTS; i++) {
            ws[i] = weight >= 0 && i * (T::COUNT / DEEP) < rows ? *from : (REAL)0;
            from += next;
        }
#pragma unroll
        for (unsigned i = 0; i < OF_PIXELS; i++) {
            Tap tap = taps[i * (T::COUNT / T::COLUMNS) + threadIdx.x / T::COLUMNS];
            bool inside = (unsigned)(down + tap.down) < (unsigned)height && (unsigned)(right + tap.right) < (unsigned)width;
            pixels[i] = inside ? source[tap.offset] : (REAL)0;
        }
    }

    __device__ __forceinline__ void put(REAL (&a)[DEEP][T::ROWS + 4], REAL (&b)[DEEP][T::COLUMNS + 4]) {
#pragma unroll
        for (unsigned i = 0; i < OF_WEIGHTS; i++)
            a[threadIdx.x % DEEP][i * (T::COUNT / DEEP) + threadIdx.x / DEEP] = ws[i];
#pragma unroll
        for (unsigned i = 0; i < OF_PIXELS; i++)
            b[i * (T::COUNT / T::COLUMNS) + threadIdx.x / T::COLUMNS][threadIdx.x % T::COLUMNS] = pixels[i];
    }
};

template <unsigned M, unsigned N, unsigned RM, unsigned RN, class Direction>
__device__ __forceinline__ void correlate(const Direction& direction, const REAL* source, const REAL* w, REAL* y, int batch) {
    typedef Tile<M, N, RM, RN> T;
    __shared__ typename T::Shared shared;
    __shared__ Tap table[2][DEEP];
    unsigned down = direction.pixels_down(), across = direction.pixels_across(), count = batch * down * across;
    unsigned row = blockIdx.y * M, pixel = blockIdx.x * N, rows = direction.rows();
    if (pixel >= count) return;
    Gather<T, Direction> gather(direction, table, source, w, row, pixel, count);
    T tile;
    tile.run(gather, shared, (direction.terms() + DEEP - 1) / DEEP);
    size_t plane = direction.plane();
    // Four neighbours are in one image, and begin where 16 bytes do.
    bool packs = direction.dense() && sizeof(REAL) == 4 && plane % 4 == 0 && aligned(y);
#pragma unroll
    for (unsigned j = 0; j < RN; j += 4) {
        unsigned first = pixel + T::column(j);
#pragma unroll
        for (unsigned k = 0; k < 4; k++) {
            unsigned number = first + k;
            if (number >= count || (packs && k > 0)) break;
            Pixel at(number, down, across);
            REAL* to = y + (at.sample * (size_t)rows + row) * plane + direction.place(at.i, at.j);
#pragma unroll
            for (unsigned i = 0; i < RM; i++) {
                if (row + T::row(i) >= rows) break;
                REAL* here = to + T::row(i) * plane;
                if (packs)
                    *reinterpret_cast<Quad*>(here) = Quad{tile.c[i][j], tile.c[i][j + 1], tile.c[i][j + 2], tile.c[i][j + 3]};
                else
                    *here = tile.c[i][j + k];
            }
        }
    }
}

/// y = x ∗ w. Blocks of 128 threads; grid.x = the pixels of the output, of all samples, / 64, grid.y = out_channels / 64, both
/// rounded up. The pixels of all samples and the elements of a sample are fewer than 2^31.
extern "C" __global__ void __launch_bounds__(128, 4) conv_forward(
    const REAL* __restrict__ x, const REAL* __restrict__ w, REAL* __restrict__ y, ConvShape s
) {
    correlate<64, 64, 8, 4>(Forward(s), x, w, y, s.batch);
}

/// `conv_forward` for few channels: grid.x = pixels / 128, grid.y = out_channels / 32.
extern "C" __global__ void __launch_bounds__(128, 4) conv_forward_32(
    const REAL* __restrict__ x, const REAL* __restrict__ w, REAL* __restrict__ y, ConvShape s
) {
    correlate<32, 128, 8, 4>(Forward(s), x, w, y, s.batch);
}

/// `conv_forward` for very few channels: grid.x = pixels / 128, grid.y = out_channels / 16.
extern "C" __global__ void __launch_bounds__(128, 4) conv_forward_16(
    const REAL* __restrict__ x, const REAL* __restrict__ w, REAL* __restrict__ y, ConvShape s
) {
    correlate<16, 128, 4, 4>(Forward(s), x, w, y, s.batch);
}

/// dx from dy, overwritten. Blocks of 128 threads; grid.z = stride_height · stride_width: the pixels of the input by what their
/// row and column leave when divided by the strides; grid.x = batch · ceil(height / stride_height) · ceil(width / stride_width)
/// / 64, grid.y = in_channels / 64, both rounded up.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_data(
    const REAL* __restrict__ dy, const REAL* __restrict__ w, REAL* __restrict__ dx, ConvShape s
) {
    Backward direction(s, blockIdx.z / s.stride_width, blockIdx.z % s.stride_width);
    correlate<64, 64, 8, 4>(direction, dy, w, dx, s.batch);
}

/// `conv_backward_data` for few channels: grid.x by 128, grid.y = in_channels / 32.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_data_32(
    const REAL* __restrict__ dy, const REAL* __restrict__ w, REAL* __restrict__ dx, ConvShape s
) {
    Backward direction(s, blockIdx.z / s.stride_width, blockIdx.z % s.stride_width);
    correlate<32, 128, 8, 4>(direction, dy, w, dx, s.batch);
}

/// `conv_backward_data` for very few channels: grid.x by 128, grid.y = in_channels / 16.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_data_16(
    const REAL* __restrict__ dy, const REAL* __restrict__ w, REAL* __restrict__ dx, ConvShape s
) {
    Backward direction(s, blockIdx.z / s.stride_width, blockIdx.z % s.stride_width);
    correlate<16, 128, 4, 4>(direction, dy, w, dx, s.batch);
}

/// The gradient of the weights: a term is a pixel of the output, its first operand dy and its second what x has under the tap.
template <class T> struct Weigh {
    static constexpr unsigned OF_ROWS = T::ROWS * DEEP / T::COUNT, OF_TAPS = T::COLUMNS * DEEP / T::COUNT;

    const ConvShape& s;
    const Tap* table;
    const REAL* x;
    const REAL* dy;
    unsigned rows, left;
    Place pixel;
    REAL dys[OF_ROWS], xs[OF_TAPS];

    __device__ __forceinline__ void prepare(unsigned) {}

    __device__ __forceinline__ void fetch(unsigned step) {
        unsigned plane = s.out_height * s.out_width;
        bool exists = step * DEEP < left;
        const REAL* d = dy + pixel.outer * ((size_t)s.out_channels * plane) + (pixel.row * s.out_width + pixel.column);
        size_t next = (size_t)(T::COUNT / DEEP) * plane;
#pragma unroll
        for (unsigned i = 0; i < OF_ROWS; i++) {
            dys[i] = exists && i * (T::COUNT / DEEP) < rows ? *d : (REAL)0;
            d += next;
        }
        int down = exists ? pixel.row * s.stride_height - s.padding_height : OUTSIDE;
        int right = pixel.column * s.stride_width - s.padding_width;
        const REAL* from = x + pixel.outer * ((size_t)s.in_channels * s.height * s.width) + ((long long)down * s.width + right);
#pragma unroll
        for (unsigned i = 0; i < OF_TAPS; i++) {
            Tap tap = table[i * (T::COUNT / DEEP) + threadIdx.x / DEEP];
            bool inside = (unsigned)(down + tap.down) < (unsigned)s.height && (unsigned)(right + tap.right) < (unsigned)s.width;
            xs[i] = inside ? from[tap.offset] : (REAL)0;
        }
        pixel.step();
    }

    __device__ __forceinline__ void put(REAL (&a)[DEEP][T::ROWS + 4], REAL (&b)[DEEP][T::COLUMNS + 4]) {
#pragma unroll
        for (unsigned i = 0; i < OF_ROWS; i++)
            a[threadIdx.x % DEEP][i * (T::COUNT / DEEP) + threadIdx.x / DEEP] = dys[i];
#pragma unroll
        for (unsigned i = 0; i < OF_TAPS; i++)
            b[threadIdx.x % DEEP][i * (T::COUNT / DEEP) + threadIdx.x / DEEP] = xs[i];
    }
};

template <unsigned M, unsigned N, unsigned RM, unsigned RN, unsigned SPLIT>
__device__ __forceinline__ void weigh(const REAL* dy, const REAL* x, REAL* partial, const ConvShape& s) {
    typedef Tile<M, N, RM, RN, SPLIT> T;
    __shared__ typename T::Shared shared;
    __shared__ Tap table[N];
    unsigned row = blockIdx.y * M, column = blockIdx.x * N, rows = s.out_channels;
    Forward forward(s);
    unsigned columns = forward.terms();
    for (unsigned i = threadIdx.x; i < N; i += T::COUNT)
        table[i] = column + i < columns ? forward.tap(forward.term(column + i)) : Tap{0, OUTSIDE, OUTSIDE, -1};
    unsigned pixels = s.batch * s.out_height * s.out_width;
    unsigned begin = (unsigned)((size_t)pixels * blockIdx.z / gridDim.z);
    unsigned end = (unsigned)((size_t)pixels * (blockIdx.z + 1) / gridDim.z);
    unsigned of_row = row + threadIdx.x / DEEP, first = begin + threadIdx.x % DEEP;
    Weigh<T> source = {
        s, table, x, dy + (size_t)of_row * s.out_height * s.out_width, of_row < rows ? rows - of_row : 0,
        first < end ? end - first : 0, Place(s.out_height, s.out_width, first), {}, {}
    };
    T tile;
    tile.run(source, shared, (end - begin + DEEP - 1) / DEEP);
    if (!T::has_result()) return;
    REAL* to = partial + (size_t)blockIdx.z * rows * columns;
#pragma unroll
    for (unsigned i = 0; i < RM; i++)
#pragma unroll
        for (unsigned j = 0; j < RN; j++) {
            unsigned y = row + T::row(i), k = column + T::column(j);
            if (y < rows && k < columns) to[(size_t)y * columns + k] = tile.c[i][j];
        }
}

/// partial: [parts, weights], the gradient of the weights of each share of the pixels of the output, of all samples; with one part
/// it may be dw itself. Blocks of 128 threads; grid.x = in_channels · kernel_height · kernel_width / 64, grid.y = out_channels /
/// 64, both rounded up, grid.z = parts. The pixels of all samples are fewer than 2^31.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_weight(
    const REAL* __restrict__ dy, const REAL* __restrict__ x, REAL* __restrict__ partial, ConvShape s
) {
    weigh<64, 64, 8, 4, 1>(dy, x, partial, s);
}

/// `conv_backward_weight` for few weights: grid.x and grid.y by 32.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_weight_32(
    const REAL* __restrict__ dy, const REAL* __restrict__ x, REAL* __restrict__ partial, ConvShape s
) {
    weigh<32, 32, 4, 4, 2>(dy, x, partial, s);
}

/// `conv_backward_weight` for very few weights: grid.x and grid.y by 16.
extern "C" __global__ void __launch_bounds__(128, 4) conv_backward_weight_16(
    const REAL* __restrict__ dy, const REAL* __restrict__ x, REAL* __restrict__ partial, ConvShape s
) {
    weigh<16, 16, 4, 4, 8>(dy, x, partial, s);
}

/// dw: [n], the sum of partial: [parts, n] over the parts. Any 1-D grid of 256 threads; a block takes 32 elements at a time.
extern "C" __global__ void __launch_bounds__(THREADS) conv_sum(const REAL* partial, REAL* dw, size_t n, unsigned parts) {
    sum_parts(partial, dw, n, parts);
}
