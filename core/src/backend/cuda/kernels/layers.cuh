// The layers of small networks. A block keeps ROWS samples in shared memory, a row of numbers each; all of its threads take part.
//
// Before this text: ROWS, a power of two; NEAR and ALONE as in `small.cu`. An activation is a struct that has `act`,
// `act_derivative` of the output or the input as FROM_OUTPUT says, and IDENTITY.

/// Elements from the beginning of a row to that of the next, so that each begins where a pack may. What is between two rows has
/// no meaning; no more have the rows of samples that do not exist.
template <unsigned N> constexpr unsigned PADDED = (N + WIDTH - 1) / WIDTH * WIDTH;

constexpr __device__ unsigned larger(unsigned a, unsigned b) {
    return a > b ? a : b;
}

/// The largest power of two that is at most n and at most `most`.
constexpr __device__ unsigned power(unsigned n, unsigned most) {
    unsigned power = 1;
    while (power * 2 <= n && power * 2 <= most) power *= 2;
    return power;
}

/// How many rows a thread takes at once: at most eight, and so few that every thread has some where `columns` threads share a row.
constexpr __device__ unsigned rows_at_once(unsigned columns) {
    unsigned rows = power(ROWS, 8);
    while (rows > 1 && columns * (ROWS / rows) < THREADS) rows /= 2;
    return rows;
}

/// Adds up N sums over LANES lanes, side by side: a lane ends with N / LANES of the sums, or with one if there are more lanes, in
/// sums[0], sums[1], …; the number of its first.
template <unsigned N, unsigned LANES, unsigned M> __device__ __forceinline__ unsigned share_out(REAL (&sums)[M], unsigned lane) {
    if constexpr (LANES == 1) {
        return 0;
    } else if constexpr (N == 1) {
        sums[0] += across(sums[0], LANES / 2);
        return share_out<1, LANES / 2>(sums, lane);
    } else {
        bool upper = (lane & (LANES / 2)) != 0;
#pragma unroll
        for (unsigned j = 0; j < N / 2; j++) {
            REAL mine = upper ? sums[j + N / 2] : sums[j], other = upper ? sums[j] : sums[j + N / 2];
            sums[j] = mine + across(other, LANES / 2);
        }
        return (upper ? N / 2 : 0) + share_out<N / 2, LANES / 2>(sums, lane);
    }
}

/// y = A(x · Wᵀ + b): OUT × IN weights from the parameter AT on, and OUT biases behind them.
template <class Act, unsigned IN, unsigned N, bool BIAS, unsigned AT> struct Linear {
    static constexpr unsigned OUT = N, FROM = PADDED<IN>, TO = PADDED<OUT>, BIASES = AT + OUT * IN;
    /// Whether the activation's input is kept.
    static constexpr bool KEEPS = !Act::FROM_OUTPUT;

    static __device__ __forceinline__ void forward(const REAL* params, const REAL* x, REAL* saved, REAL* y) {
        // Lanes side by side share an output: they read side by side.
        constexpr bool PACKS = IN % WIDTH == 0 && AT % WIDTH == 0;
        constexpr unsigned TERMS = PACKS ? IN / WIDTH : IN, LANES = power(TERMS, 32), TURNS = (TERMS + LANES - 1) / LANES;
        constexpr unsigned TILE = rows_at_once(OUT * LANES), TASKS = OUT * (ROWS / TILE);
        constexpr unsigned OWN = TILE > LANES ? TILE / LANES : 1, EQUAL = LANES > TILE ? LANES / TILE : 1;
        unsigned lane = threadIdx.x % LANES;
        // All lanes of a warp stay together.
        for (unsigned first = threadIdx.x / 32 * (32 / LANES); first < TASKS; first += THREADS / LANES) {
            unsigned task = first + threadIdx.x % 32 / LANES;
            bool exists = task < TASKS;
            unsigned o = exists ? task % OUT : 0, row = exists ? task / OUT * TILE : 0;
            const REAL *w = params + AT + o * IN, *from = x + row * FROM;
            REAL sums[TILE];
#pragma unroll
            for (unsigned r = 0; r < TILE; r++) sums[r] = 0;
#pragma unroll 8
            for (unsigned turn = 0; turn < TURNS; turn++) {
                unsigned k = turn * LANES + lane;
                if (TERMS % LANES != 0 && k >= TERMS) continue;
                if constexpr (PACKS) {
                    Pack a = load(w, k);
#pragma unroll
                    for (unsigned r = 0; r < TILE; r++) {
                        Pack b = load(from + r * FROM, k);
#pragma unroll
                        for (unsigned j = 0; j < WIDTH; j++) sums[r] += a.at[j] * b.at[j];
                    }
                } else {
                    REAL a = w[k];
#pragma unroll
                    for (unsigned r = 0; r < TILE; r++) sums[r] += a * from[r * FROM + k];
                }
            }
            unsigned own = row + share_out<TILE, LANES>(sums, lane);
            if (!exists || lane % EQUAL != 0) continue;
            REAL bias = 0;
            if constexpr (BIAS) bias = params[BIASES + o];
#pragma unroll
            for (unsigned j = 0; j < OWN; j++) {
                REAL z = sums[j] + bias;
                if constexpr (KEEPS) saved[(own + j) * TO + o] = z;
                y[(own + j) * TO + o] = Act().act(z);
            }
        }
    }

    /// From dy the gradients of the parameters, for `learn`, and dx if it is wanted; dy is used up.
    template <bool DX, class Learn>
    static __device__ __forceinline__ void backward(
        const REAL* params, const REAL* x, const REAL* saved, const REAL* y, REAL* dy, REAL* dx, unsigned rows, Learn& learn
    ) {
        if constexpr (!Act::IDENTITY) {
            const REAL* v = KEEPS ? saved : y;
            for (unsigned i = threadIdx.x; i < rows * OUT; i += THREADS) {
                unsigned place = i / OUT * TO + i % OUT;
                dy[place] = dy[place] * Act().act_derivative(v[place]);
            }
            __syncthreads();
        }
        if constexpr (DX) {
            back(params + AT, dy, dx);
            // The update changes the weights.
            if (ALONE && !NEAR) __syncthreads();
        }
        // Few outputs at once where the threads would not have enough to do.
        constexpr unsigned MANY = (IN + BIAS) * (OUT / (2 * WIDTH)) >= THREADS ? 2 * WIDTH : (IN + BIAS) * (OUT / WIDTH) >= THREADS ? WIDTH : 1;
        weights<MANY>(x, dy, rows, learn);
        if constexpr (DX) __syncthreads();
    }

    /// dx = dy · W.
    static __device__ __forceinline__ void back(const REAL* w, const REAL* dy, REAL* dx) {
        constexpr unsigned TILE = rows_at_once(IN);
        for (unsigned task = threadIdx.x; task < IN * (ROWS / TILE); task += THREADS) {
            unsigned k = task % IN, row = task / IN * TILE;
            REAL sums[TILE];
#pragma unroll
            for (unsigned r = 0; r < TILE; r++) sums[r] = 0;
#pragma unroll 4
            for (unsigned o = 0; o < OUT; o += WIDTH) {
                Pack d[TILE];
#pragma unroll
                for (unsigned r = 0; r < TILE; r++) d[r] = load(dy + (row + r) * TO + o, 0);
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) {
                    if (OUT % WIDTH != 0 && o + j >= OUT) continue;
                    REAL a = w[(o + j) * IN + k];
#pragma unroll
                    for (unsigned r = 0; r < TILE; r++) sums[r] += d[r].at[j] * a;
                }
            }
#pragma unroll
            for (unsigned r = 0; r < TILE; r++) dx[(row + r) * FROM + k] = sums[r];
        }
    }

    /// dW = dyᵀ · x and db, the sum of dy, as the weights of one more input that is 1; COUNT outputs at once.
    template <unsigned COUNT, class Learn>
    static __device__ __forceinline__ void weights(const REAL* x, const REAL* dy, unsigned rows, Learn& learn) {
        constexpr unsigned COLUMNS = IN + BIAS, TURNS = (OUT + COUNT - 1) / COUNT;
        for (unsigned task = threadIdx.x; task < COLUMNS * TURNS; task += THREADS) {
            unsigned k = task % COLUMNS, o = task / COLUMNS * COUNT;
            auto number = [&](unsigned j) { return k < IN ? AT + (o + j) * IN + k : BIASES + o + j; };
            auto exists = [&](unsigned j) { return OUT % COUNT == 0 || o + j < OUT; };
            REAL sums[COUNT];
            typename Learn::Held held[COUNT];
#pragma unroll
            for (unsigned j = 0; j < COUNT; j++) {
                sums[j] = 0;
                if (exists(j)) held[j] = learn.fetch(number(j));
            }
#pragma unroll 4
            for (unsigned r = 0; r < rows; r++) {
                REAL a = k < IN ? x[r * FROM + k] : (REAL)1;
                const REAL* d = dy + r * TO + o;
                if constexpr (COUNT == 1) {
                    sums[0] += d[0] * a;
                } else {
#pragma unroll
                    for (unsigned j = 0; j < COUNT; j += WIDTH) {
                        if (!exists(j)) continue;
                        Pack pack = load(d + j, 0);
#pragma unroll
                        for (unsigned i = 0; i < WIDTH; i++) sums[j + i] += pack.at[i] * a;
                    }
                }
            }
#pragma unroll
            for (unsigned j = 0; j < COUNT; j++) {
                if (exists(j)) learn(number(j), sums[j], held[j]);
            }
        }
    }
};

/// y = A(x) of N numbers.
template <class Act, unsigned N> struct Pointwise {
    static constexpr unsigned OUT = N, TO = PADDED<N>;
    static constexpr bool KEEPS = false;

    static __device__ __forceinline__ void forward(const REAL*, const REAL* x, REAL*, REAL* y) {
        for (unsigned i = threadIdx.x; i < ROWS * N; i += THREADS) {
            unsigned place = i / N * TO + i % N;
            y[place] = Act().act(x[place]);
        }
    }

    template <bool DX, class Learn>
    static __device__ __forceinline__ void backward(
        const REAL*, const REAL* x, const REAL*, const REAL* y, REAL* dy, REAL* dx, unsigned rows, Learn&
    ) {
        if constexpr (DX) {
            const REAL* v = Act::FROM_OUTPUT ? y : x;
            for (unsigned i = threadIdx.x; i < rows * N; i += THREADS) {
                unsigned place = i / N * TO + i % N;
                dx[place] = Act::IDENTITY ? dy[place] : dy[place] * Act().act_derivative(v[place]);
            }
            __syncthreads();
        }
    }
};
