// Bias and activation: A(x + b), and back.
//
// Before this text: `__device__ REAL act(REAL x)`, `__device__ REAL act_derivative(REAL v)` with v the output or the input of
// the function, and the macro ACT_IDENTITY, 1 if the function gives what it takes.

__device__ __forceinline__ Pack activated(Pack x) {
#pragma unroll
    for (unsigned j = 0; j < WIDTH; j++) x.at[j] = act(x.at[j]);
    return x;
}

__device__ __forceinline__ REAL derived(REAL dy, REAL v) {
    return ACT_IDENTITY ? dy : dy * act_derivative(v);
}

/// [`bias_act`] with the integers of positions in 32 bits if that is enough: a division of those is many times faster.
template <class Index>
__device__ __forceinline__ void bias_act_of(
    REAL* __restrict__ y, const REAL* __restrict__ bias, REAL* __restrict__ saved, size_t n, unsigned channels, unsigned inner
) {
    bool packs = aligned(y) && aligned(saved);
    auto channel = [&](size_t i) { return (unsigned)((Index)i / inner % channels); };
    // A pack lies in one channel, or takes as many channels as it has elements, or any.
    bool same = inner % WIDTH == 0, side_by_side = inner == 1 && channels % WIDTH == 0 && aligned(bias);
    over(
        n, packs,
        [&](size_t i) {
            Pack z = load(y, i);
            if (bias && side_by_side) {
                Pack b = load(bias, channel(i * WIDTH) / WIDTH);
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) z.at[j] += b.at[j];
            } else if (bias && same) {
                REAL b = bias[channel(i * WIDTH)];
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) z.at[j] += b;
            } else if (bias) {
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) z.at[j] += bias[channel(i * WIDTH + j)];
            }
            if (saved) store(saved, i, z);
            store(y, i, activated(z));
        },
        [&](size_t i) {
            REAL z = y[i];
            if (bias) z += bias[channel(i)];
            if (saved) saved[i] = z;
            y[i] = act(z);
        }
    );
}

/// In place: z = y + bias[channel], y = A(z); `saved` keeps z. y, saved: [n / (channels · inner), channels, inner]; bias:
/// [channels]. `bias` and `saved` may be 0. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_act(REAL* y, const REAL* bias, REAL* saved, size_t n, unsigned channels, unsigned inner) {
    if (n <= 0xffffffffu)
        bias_act_of<unsigned>(y, bias, saved, n, channels, inner);
    else
        bias_act_of<size_t>(y, bias, saved, n, channels, inner);
}

/// In place: y = A(y + bias[column]), for an activation that is told by its output; and mask, [rows, row] bits: whether A' is
/// not zero there. y: [rows, columns]; bias: [columns]; row: columns rounded up to 128, in bits; of a row's last word, those
/// past its end are 0. Any 1-D grid of 256 threads; a warp takes 32 packs of a row.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_act_mask(REAL* y, const REAL* bias, unsigned* mask, size_t rows, unsigned columns, unsigned row) {
    constexpr unsigned ACROSS = 32 * WIDTH;
    unsigned lane = threadIdx.x % 32, across = row / ACROSS;
    bool packs = columns % WIDTH == 0 && aligned(y) && aligned(bias);
    for (size_t i = thread_of_grid() / 32; i < rows * across; i += threads_of_grid() / 32) {
        size_t at = i / across;
        unsigned first = (unsigned)(i - at * across) * ACROSS;
        REAL* of_row = y + at * columns;
        unsigned* words = mask + (at * row + first) / 32;
        if (packs) {
            unsigned column = first + lane * WIDTH, bits = 0;
            if (column < columns) {
                Pack z = load(of_row, column / WIDTH), b = load(bias, column / WIDTH);
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) {
                    z.at[j] = act(z.at[j] + b.at[j]);
                    bits |= (unsigned)(act_derivative(z.at[j]) != 0) << (lane * WIDTH % 32 + j);
                }
                store(of_row, column / WIDTH, z);
            }
            for (unsigned step = 1; step < 32 / WIDTH; step *= 2) bits |= __shfl_xor_sync(EVERY_LANE, bits, step);
            if (lane * WIDTH % 32 == 0) words[lane * WIDTH / 32] = bits;
        } else {
            for (unsigned word = 0; word < WIDTH; word++) {
                unsigned column = first + word * 32 + lane;
                REAL z = 0;
                if (column < columns) of_row[column] = z = act(of_row[column] + bias[column]);
                unsigned bits = __ballot_sync(EVERY_LANE, column < columns && act_derivative(z) != 0);
                if (lane == 0) words[word] = bits;
            }
        }
    }
}

/// y = A(x) of n elements. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) act_forward(const REAL* x, REAL* y, size_t n) {
    over(
        n, aligned(x) && aligned(y), [&](size_t i) { store(y, i, activated(load(x, i))); },
        [&](size_t i) { y[i] = act(x[i]); }
    );
}

/// dx = dy · A'(v) of n elements; dx may be dy. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) act_backward(const REAL* dy, const REAL* v, REAL* dx, size_t n) {
    over(
        n, aligned(dy) && aligned(v) && aligned(dx),
        [&](size_t i) {
            Pack d = load(dy, i), of = load(ACT_IDENTITY ? dy : v, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) d.at[j] = derived(d.at[j], of.at[j]);
            store(dx, i, d);
        },
        [&](size_t i) { dx[i] = derived(dy[i], ACT_IDENTITY ? dy[i] : v[i]); }
    );
}

/// Elements that a thread has on the way at once.
#define AHEAD 4

/// dy becomes dy · A'(v) at `at(i)` for i = first, first + stride, … before `end`; their sum.
template <class At>
__device__ __forceinline__ REAL derive_each(REAL* dy, const REAL* v, size_t first, size_t end, size_t stride, At at) {
    REAL sum = 0;
    for (size_t i = first; i < end; i += AHEAD * stride) {
        REAL d[AHEAD], of[AHEAD];
#pragma unroll
        for (unsigned j = 0; j < AHEAD; j++) {
            bool exists = i + j * stride < end;
            size_t place = exists ? at(i + j * stride) : 0;
            d[j] = exists ? dy[place] : (REAL)0;
            of[j] = !ACT_IDENTITY && exists ? v[place] : (REAL)0;
        }
#pragma unroll
        for (unsigned j = 0; j < AHEAD; j++) {
            if (i + j * stride >= end) continue;
            d[j] = derived(d[j], of[j]);
            if (!ACT_IDENTITY) dy[at(i + j * stride)] = d[j];
            sum += d[j];
        }
    }
    return sum;
}

/// One pack likewise.
__device__ __forceinline__ REAL derive_pack(REAL* dy, const REAL* v, size_t i) {
    Pack d = load(dy, i);
    if (!ACT_IDENTITY) {
        Pack of = load(v, i);
#pragma unroll
        for (unsigned j = 0; j < WIDTH; j++) d.at[j] = derived(d.at[j], of.at[j]);
        store(dy, i, d);
    }
    REAL sum = 0;
#pragma unroll
    for (unsigned j = 0; j < WIDTH; j++) sum += d.at[j];
    return sum;
}

/// dy: [outer, channels, inner] becomes dy · A'(v) in place (v is 0 and dy stays if A is the identity), and
/// partial: [parts, channels] the sums of it: row p those of the p-th share of `outer`. `partial` may be 0; with one part it
/// may be the sum itself.
///
/// Blocks of 256 threads; grid.y = parts; grid.x = channels / 32, rounded up, if inner is 1 (a warp takes 32 channels of a
/// row), and otherwise = channels (a block takes a channel).
extern "C" __global__ void __launch_bounds__(THREADS) act_backward_bias(
    REAL* __restrict__ dy, const REAL* __restrict__ v, REAL* __restrict__ partial, size_t outer, unsigned channels, unsigned inner
) {
    size_t begin = outer * blockIdx.y / gridDim.y, end = outer * (blockIdx.y + 1) / gridDim.y;
    if (inner == 1) {
        __shared__ REAL sums[THREADS / 32][33];
        unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        unsigned channel = blockIdx.x * 32 + lane;
        REAL sum = 0;
        if (channel < channels)
            sum = derive_each(dy, v, begin + warp, end, THREADS / 32, [&](size_t row) { return row * channels + channel; });
        sums[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && channel < channels && partial) {
            for (unsigned other = 1; other < THREADS / 32; other++) sum += sums[other][lane];
            partial[blockIdx.y * (size_t)channels + channel] = sum;
        }
        return;
    }
    // The channel's elements one after the other, of all samples of the share: in packs where a sample has whole ones.
    bool packs = inner % WIDTH == 0 && aligned(dy) && aligned(v);
    unsigned run = packs ? inner / WIDTH : inner;
    size_t count = (end - begin) * run;
    auto at = [&](size_t i) {
        size_t sample = count <= 0xffffffffu ? (unsigned)i / run : i / run;
        return ((begin + sample) * channels + blockIdx.x) * run + (i - sample * run);
    };
    REAL sum = 0;
    if (packs)
        for (size_t i = threadIdx.x; i < count; i += THREADS) sum += derive_pack(dy, v, at(i));
    else
        sum = derive_each(dy, v, threadIdx.x, count, THREADS, at);
    sum = fold_block(sum, Add<REAL>());
    if (threadIdx.x == 0 && partial) partial[blockIdx.y * (size_t)channels + blockIdx.x] = sum;
}

/// db: [channels], the sum of partial: [parts, channels] over the parts. Any 1-D grid of 256 threads; a block takes 32
/// channels.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_sum(const REAL* partial, REAL* db, unsigned channels, unsigned parts) {
    sum_parts(partial, db, channels, parts);
}
