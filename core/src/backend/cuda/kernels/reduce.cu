// Reductions of a tensor along an axis, and running sums, for one element type: -DELEMENT as in tensor.cu. x: [outer, size, inner],
// what becomes of it [outer, inner].

typedef ELEMENT T;

template <bool FLOAT, class E> struct WiderOf {
    typedef double Type;
};
template <class E> struct WiderOf<false, E> {
    typedef E Type;
};
/// What sums are added up in: double for floats.
typedef WiderOf<is_float<T>, T>::Type Wider;

template <class E> __device__ __forceinline__ bool is_finite(E x) {
    return !is_nan((E)(x - x));
}

/// The share of [outer, size, inner] that a block folds along the axis. Its threads lie along the axis where its elements are
/// side by side, and otherwise as 32 places across by 8 along, or more by fewer if the axis is short.
struct Fold {
    size_t columns, size, inner;
    /// The block's part of the axis.
    size_t begin, end;
    unsigned along, k, place, stride;

    __device__ __forceinline__ Fold(size_t outer, size_t size, size_t inner, unsigned parts, unsigned part)
        : columns(outer * inner), size(size), inner(inner), begin(size * part / parts), end(size * (part + 1) / parts) {
        along = inner == 1 ? THREADS : THREADS / 32;
        while (along > 1 && along / 2 >= (size + parts - 1) / parts) along /= 2;
        unsigned across = THREADS / along;
        k = inner == 1 ? threadIdx.x % along : threadIdx.x / across;
        place = inner == 1 ? threadIdx.x / along : threadIdx.x % across;
        stride = inner == 1 ? 1 : across;
    }

    /// `emit(column, state)` for each column, with `add(state, element, k)` of all its elements and `merge(state, state)`.
    template <class State, class E, class Add, class Merge, class Emit>
    __device__ __forceinline__ void each(const E* x, State none, Add add, Merge merge, Emit emit) const {
        __shared__ State states[THREADS];
        unsigned across = THREADS / along;
        for (size_t first = blockIdx.x * (size_t)across; first < columns; first += gridDim.x * (size_t)across) {
            size_t column = first + place;
            State state = none;
            if (column < columns) {
                size_t sample = column / inner;
                const E* from = x + sample * size * inner + (column - sample * inner);
#pragma unroll 4
                for (size_t i = begin + k; i < end; i += along) state = add(state, from[i * inner], column, i);
            }
            states[threadIdx.x] = state;
            __syncthreads();
            for (unsigned step = along / 2; step > 0; step /= 2) {
                if (k < step) states[threadIdx.x] = merge(states[threadIdx.x], states[threadIdx.x + step * stride]);
                __syncthreads();
            }
            if (k == 0 && column < columns) emit(column, states[threadIdx.x]);
            __syncthreads();
        }
    }
};

enum Sum { SUM, PROD, MEAN, VAR, VAR_POPULATION, STD, STD_POPULATION, NORM, LOGSUMEXP };

template <class E> __device__ __forceinline__ Wider term(int op, E x, E about) {
    if constexpr (is_float<E>) {
        switch (op) {
            case SUM:
            case PROD:
            case MEAN: return x;
            // Nothing to scale by: the result is what it is about.
            case NORM: return about == 0 || !is_finite(about) ? 0 : (Wider)(x / about) * (Wider)(x / about);
            case LOGSUMEXP: return is_finite(about) ? exp(x - about) : 0;
            default: return ((Wider)x - (Wider)about) * ((Wider)x - (Wider)about);
        }
    }
    return (Wider)x;
}

template <class E> __device__ __forceinline__ E finish(int op, Wider sum, E about, size_t size) {
    if constexpr (is_float<E>) {
        double n = (double)size;
        switch (op) {
            case MEAN:
            case VAR_POPULATION: return (E)(sum / n);
            case STD_POPULATION: return (E)sqrt(sum / n);
            // 0 / 0 of one element, and NaN of none.
            case VAR: return (E)(size == 0 ? sum / n : sum / (n - 1));
            case STD: return (E)sqrt(size == 0 ? sum / n : sum / (n - 1));
            case NORM: return about == 0 || !is_finite(about) ? about : about * (E)sqrt((double)sum);
            case LOGSUMEXP: return is_finite(about) ? about + (E)log((double)sum) : about;
        }
    }
    return (E)sum;
}

/// y: [outer, inner], sums and what is made of sums. `about`: [outer, inner] is what the elements are compared with: the mean
/// for variances, the largest absolute value for NORM, the largest element for LOGSUMEXP, and otherwise 0.
///
/// Blocks of 256 threads; grid.x any; grid.y = parts that the axis is cut into. With more than one, y is not written, but
/// partial: [parts, outer · inner], and `sum_finish` makes y of it.
extern "C" __global__ void __launch_bounds__(THREADS)
    sum(const T* x, const T* about, T* y, Wider* partial, size_t outer, size_t size, size_t inner, int op) {
    Fold fold(outer, size, inner, gridDim.y, blockIdx.y);
    auto merge = [&](Wider a, Wider b) { return op == PROD ? times(a, b) : plus(a, b); };
    fold.each(
        x, (Wider)(op == PROD),
        [&](Wider sum, T x, size_t column, size_t) { return merge(sum, term(op, x, about ? about[column] : (T)0)); }, merge,
        [&](size_t column, Wider sum) {
            if (gridDim.y > 1)
                partial[blockIdx.y * fold.columns + column] = sum;
            else
                y[column] = finish(op, sum, about ? about[column] : (T)0, size);
        }
    );
}

/// y: [columns], of partial: [parts, columns] that `sum` has written for an axis of this size. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    sum_finish(const Wider* partial, const T* about, T* y, size_t columns, unsigned parts, size_t size, int op) {
    Fold fold(1, parts, columns, 1, 0);
    auto merge = [&](Wider a, Wider b) { return op == PROD ? times(a, b) : plus(a, b); };
    fold.each(
        partial, (Wider)(op == PROD), [&](Wider sum, Wider x, size_t, size_t) { return merge(sum, x); }, merge,
        [&](size_t column, Wider sum) { y[column] = finish(op, sum, about ? about[column] : (T)0, size); }
    );
}

enum Extreme { MAX, MIN, ARGMAX, ARGMIN, MAX_ABS };

/// An element and its position along the axis.
struct Found {
    T value;
    unsigned long long at;
};

#define NOWHERE (~0ull)

/// The first of all: NaN before any number, then the largest or smallest, then the position.
__device__ __forceinline__ Found before(int op, Found x, Found y) {
    if (x.at == NOWHERE || y.at == NOWHERE) return x.at == NOWHERE ? y : x;
    if (is_nan(x.value) != is_nan(y.value)) return is_nan(x.value) ? x : y;
    if (is_nan(x.value) || x.value == y.value) return x.at < y.at ? x : y;
    return (op == MIN || op == ARGMIN ? x.value < y.value : x.value > y.value) ? x : y;
}

/// What is found of no elements: the largest absolute value 0, the largest value −∞.
template <class E> __device__ __forceinline__ Found nothing(int op) {
    E value = 0;
    if constexpr (is_float<E>) {
        if (op == MAX) value = (E)-__uint_as_float(0x7f800000u);
    }
    return {value, NOWHERE};
}

__device__ __forceinline__ void write_found(int op, Found found, void* y, size_t column) {
    if (op == ARGMAX || op == ARGMIN)
        ((long long*)y)[column] = (long long)found.at;
    else
        ((T*)y)[column] = found.value;
}

/// y: [outer, inner], the largest or smallest elements, or as `long long` where they are: the first of equal ones, or of the
/// first NaN. Grid and parts as `sum`; partial: [parts, outer · inner] of 16 bytes each, and `extreme_finish` makes y of it.
extern "C" __global__ void __launch_bounds__(THREADS)
    extreme(const T* x, void* y, Found* partial, size_t outer, size_t size, size_t inner, int op) {
    Fold fold(outer, size, inner, gridDim.y, blockIdx.y);
    auto merge = [&](Found a, Found b) { return before(op, a, b); };
    fold.each(
        x, nothing<T>(op),
        [&](Found found, T x, size_t, size_t i) {
            return merge(found, Found{op == MAX_ABS && is_negative(x) ? negated(x) : x, i});
        },
        merge,
        [&](size_t column, Found found) {
            if (gridDim.y > 1)
                partial[blockIdx.y * fold.columns + column] = found;
            else
                write_found(op, found, y, column);
        }
    );
}

/// y: [columns], of partial: [parts, columns] that `extreme` has written. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    extreme_finish(const Found* partial, void* y, size_t columns, unsigned parts, int op) {
    Fold fold(1, parts, columns, 1, 0);
    auto merge = [&](Found a, Found b) { return before(op, a, b); };
    fold.each(
        partial, nothing<T>(op), [&](Found found, Found x, size_t, size_t) { return merge(found, x); }, merge,
        [&](size_t column, Found found) { write_found(op, found, y, column); }
    );
}

/// Elements of a row that a thread adds up by itself.
#define RUN 4

/// y: [outer, size, inner], running sums along the axis. Any 1-D grid of 256 threads; a block takes a row where the axis is long
/// and inner is 1, and otherwise a thread takes a lane.
extern "C" __global__ void __launch_bounds__(THREADS) cumsum(const T* x, T* y, size_t outer, size_t size, size_t inner) {
    __shared__ Wider sums[2][THREADS];
    if (inner > 1 || size < 64) {
        for (size_t column = thread_of_grid(); column < outer * inner; column += threads_of_grid()) {
            size_t sample = column / inner, start = sample * size * inner + (column - sample * inner);
            Wider sum = 0;
            for (size_t i = 0; i < size; i++) {
                sum = plus(sum, (Wider)x[start + i * inner]);
                y[start + i * inner] = (T)sum;
            }
        }
        return;
    }
    for (size_t row = blockIdx.x; row < outer; row += gridDim.x) {
        Wider before = 0;
        for (size_t start = 0; start < size; start += THREADS * RUN) {
            size_t first = row * size + start + threadIdx.x * RUN;
            unsigned count = 0;
            Wider own[RUN], sum = 0;
#pragma unroll
            for (unsigned j = 0; j < RUN; j++) {
                bool exists = start + threadIdx.x * RUN + j < size;
                sum = plus(sum, exists ? (Wider)x[first + j] : (Wider)0);
                own[j] = sum;
                count += exists;
            }
            sums[0][threadIdx.x] = sum;
            __syncthreads();
            unsigned from = 0;
            for (unsigned step = 1; step < THREADS; step *= 2) {
                Wider earlier = threadIdx.x >= step ? sums[from][threadIdx.x - step] : (Wider)0;
                sums[1 - from][threadIdx.x] = plus(sums[from][threadIdx.x], earlier);
                from = 1 - from;
                __syncthreads();
            }
            Wider offset = threadIdx.x > 0 ? plus(before, sums[from][threadIdx.x - 1]) : before;
#pragma unroll
            for (unsigned j = 0; j < RUN; j++)
                if (j < count) y[first + j] = (T)plus(offset, own[j]);
            before = plus(before, sums[from][THREADS - 1]);
            __syncthreads();
        }
    }
}
