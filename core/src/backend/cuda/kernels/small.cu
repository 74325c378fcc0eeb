// A whole training step of a small network: forward, loss, backward and update in one kernel, or, where the samples are shared
// by several blocks, in two. A block takes ROWS samples all the way and keeps what it computes of them in shared memory.
//
// Before this text:
//   NETWORK    the layers, first to last, each a `Linear` or a `Pointwise`; each with an activation, a struct that has `act`,
//              `act_derivative` of the output or the input as FROM_OUTPUT says, and IDENTITY
//   INPUTS     numbers of a sample
//   PARAMS     parameters
//   CRITERION  the loss: `Each` of one of each number, or the `CrossEntropy` of Labels or Soft
//   RULE       the optimizer: Sgd or Adam
//   ROWS       samples of a block, a power of two
//   NEAR       1 if the parameters have room in shared memory, 0 if they are read where they lie
//   ALONE      1 if one block takes the whole batch
//   ROOM       elements of shared memory
//
// Sums have an order that the sizes alone decide.

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

/// Copies with many loads on the way at once.
template <class Load, class Store> __device__ __forceinline__ void bring(unsigned n, Load load, Store store) {
    constexpr unsigned AHEAD = 8;
    for (unsigned start = threadIdx.x; start < n; start += AHEAD * THREADS) {
        decltype(load(0)) held[AHEAD];
#pragma unroll
        for (unsigned j = 0; j < AHEAD; j++)
            if (start + j * THREADS < n) held[j] = load(start + j * THREADS);
#pragma unroll
        for (unsigned j = 0; j < AHEAD; j++)
            if (start + j * THREADS < n) store(start + j * THREADS, held[j]);
    }
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
            REAL sums[COUNT];
#pragma unroll
            for (unsigned j = 0; j < COUNT; j++) sums[j] = 0;
#pragma unroll 4
            for (unsigned r = 0; r < rows; r++) {
                REAL a = k < IN ? x[r * FROM + k] : (REAL)1;
                const REAL* d = dy + r * TO + o;
                if constexpr (COUNT == 1) {
                    sums[0] += d[0] * a;
                } else {
#pragma unroll
                    for (unsigned j = 0; j < COUNT; j += WIDTH) {
                        if (OUT % COUNT != 0 && o + j >= OUT) continue;
                        Pack pack = load(d + j, 0);
#pragma unroll
                        for (unsigned i = 0; i < WIDTH; i++) sums[j + i] += pack.at[i] * a;
                    }
                }
            }
#pragma unroll
            for (unsigned j = 0; j < COUNT; j++) {
                if (OUT % COUNT != 0 && o + j >= OUT) continue;
                learn(k < IN ? AT + (o + j) * IN + k : BIASES + o + j, sums[j]);
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

/// What the blocks are told of the batch, and the loss.
struct Batch {
    const void* target;
    /// All outputs, where whoever looks for a bad one finds them.
    REAL* outputs;
    unsigned batch;
    REAL scale;

    __device__ __forceinline__ unsigned first() const {
        return blockIdx.x * ROWS;
    }
    /// Samples of this block.
    __device__ __forceinline__ unsigned rows() const {
        unsigned left = batch - first();
        return left < ROWS ? left : ROWS;
    }
};

/// The sum of a function of each output and its target.
template <class Loss> struct Each {
    template <unsigned N> static __device__ __forceinline__ Seen of(const Batch& batch, const REAL* y, REAL* dy) {
        Seen seen = {0, 0, INVALID};
        size_t start = (size_t)batch.first() * N, n = (size_t)batch.batch * N;
        const REAL* t = (const REAL*)batch.target + start;
        for (unsigned i = threadIdx.x; i < batch.rows() * N; i += THREADS) {
            unsigned place = i / N * PADDED<N> + i % N;
            see<Loss>(seen, y[place], t[i], start + i, n);
            dy[place] = batch.scale * Loss::derivative(y[place], t[i]);
        }
        return seen;
    }
};

/// Cross-entropy of each row of outputs with its target.
template <class Targets> struct CrossEntropy {
    static __device__ __forceinline__ Labels from(const Labels&, const void* target, size_t first, unsigned) {
        return {(const int*)target + first};
    }
    static __device__ __forceinline__ Soft from(const Soft&, const void* target, size_t first, unsigned classes) {
        return {(const REAL*)target + first * classes};
    }
    template <unsigned N> static __device__ __forceinline__ Seen of(const Batch& batch, const REAL* y, REAL* dy) {
        Rows<false> group(N, 0, 1);
        Targets targets = from(Targets(), batch.target, batch.first(), N);
        Seen seen = cross_entropy_rows(group, y, targets, dy, batch.rows(), N, PADDED<N>, batch.scale, (REAL*)0);
        if (seen.invalid < INVALID) seen.invalid += batch.first();
        return seen;
    }
};

/// The layers from number DEPTH on, whose N inputs stand at AT in shared memory, and the loss behind them. The gradients of
/// outputs stand behind everything else, of two layers that follow each other in two places.
template <unsigned DEPTH, unsigned AT, unsigned N, class... Layers> struct Chain {
    static constexpr unsigned END = AT + ROWS * PADDED<N>, WIDEST = 0;

    template <class Whole, class Learn>
    static __device__ __forceinline__ bool run(const REAL*, REAL* memory, const Batch& batch, Learn& learn) {
        const REAL* y = memory + AT;
        for (unsigned i = threadIdx.x; i < batch.rows() * N; i += THREADS)
            batch.outputs[(size_t)batch.first() * N + i] = y[i / N * PADDED<N> + i % N];
        Seen seen = CRITERION::template of<N>(batch, y, Whole::gradient(memory, DEPTH - 1));
        return learn.begins(seen);
    }
};
template <unsigned DEPTH, unsigned AT, unsigned N, class Layer, class... Others> struct Chain<DEPTH, AT, N, Layer, Others...> {
    static constexpr unsigned SAVED = AT + ROWS * PADDED<N>, Y = SAVED + (Layer::KEEPS ? ROWS * PADDED<Layer::OUT> : 0);
    typedef Chain<DEPTH + 1, Y, Layer::OUT, Others...> After;
    static constexpr unsigned END = After::END, WIDEST = larger(PADDED<Layer::OUT>, After::WIDEST);

    static __device__ __forceinline__ REAL* gradient(REAL* memory, unsigned depth) {
        return memory + END + depth % 2 * ROWS * WIDEST;
    }

    /// Forward, then all that follows, then backward. `learn.begins` says, of what a thread has seen of the loss, whether there is
    /// something to learn; no thread leaves it before all have come there.
    template <class Whole, class Learn>
    static __device__ __forceinline__ bool run(const REAL* params, REAL* memory, const Batch& batch, Learn& learn) {
        Layer::forward(params, memory + AT, memory + SAVED, memory + Y);
        __syncthreads();
        if (!After::template run<Whole>(params, memory, batch, learn)) return false;
        REAL *dy = Whole::gradient(memory, DEPTH), *dx = Whole::gradient(memory, DEPTH + 1);
        // Nobody needs the gradient of the network's input.
        Layer::template backward<(DEPTH > 0)>(params, memory + AT, memory + SAVED, memory + Y, dy, dx, batch.rows(), learn);
        return true;
    }
};

typedef Chain<0, NEAR * PADDED<PARAMS>, INPUTS, NETWORK> Net;
static_assert(Net::END + 2 * ROWS * Net::WIDEST == ROOM, "the room is that of the plan");

extern __shared__ Pack room[];

/// Brings the parameters and the samples, and runs the network.
template <class Learn>
__device__ __forceinline__ bool run(const REAL* params, const REAL* x, const Batch& batch, Learn& learn) {
    REAL* memory = reinterpret_cast<REAL*>(room);
    if constexpr (NEAR) {
        constexpr unsigned PACKS = PARAMS / WIDTH;
        bring(PACKS, [&](unsigned i) { return load(params, i); }, [&](unsigned i, const Pack& pack) { store(memory, i, pack); });
        for (unsigned i = PACKS * WIDTH + threadIdx.x; i < PARAMS; i += THREADS) memory[i] = params[i];
        params = memory;
    }
    x += (size_t)batch.first() * INPUTS;
    REAL* to = memory + NEAR * PADDED<PARAMS>;
    if constexpr (INPUTS % WIDTH == 0)
        bring(
            batch.rows() * (INPUTS / WIDTH), [&](unsigned i) { return load(x, i); },
            [&](unsigned i, const Pack& pack) { store(to, i, pack); }
        );
    else
        bring(
            batch.rows() * INPUTS, [&](unsigned i) { return x[i]; },
            [&](unsigned i, REAL number) { to[i / INPUTS * PADDED<INPUTS> + i % INPUTS] = number; }
        );
    __syncthreads();
    return Net::run<Net>(params, memory, batch, learn);
}

__device__ __forceinline__ void update(const SgdRule& rule, REAL* p, REAL g, REAL* v, REAL*, size_t i) {
    if (v)
        rule(p[i], g, v[i]);
    else
        rule(p[i], g);
}

__device__ __forceinline__ void update(const AdamRule& rule, REAL* p, REAL g, REAL* m, REAL* v, size_t i) {
    rule(p[i], g, m[i], v[i]);
}

template <class Settings> struct RuleOf;
template <> struct RuleOf<Sgd> {
    typedef SgdRule Type;
};
template <> struct RuleOf<Adam> {
    typedef AdamRule Type;
};
typedef RuleOf<RULE>::Type Rule;

/// What a step's loss means for the statistics of all steps.
struct Account {
    double divisor, weight, of;

    /// Keeps it in `stats`, where that is this thread's to do; whether the step goes on.
    __device__ __forceinline__ bool operator()(const Seen& seen, Stats* stats) const {
        Stats own = {};
        keep(&own, seen, divisor, weight, of);
        if (blockIdx.x == 0 && threadIdx.x == 0) keep(stats, seen, divisor, weight, of);
        return !stopped(&own);
    }
};

#if ALONE

/// Updates each parameter as soon as its gradient is known.
struct Learn {
    const RULE& settings;
    REAL *p, *m, *v;
    Account account;
    Stats* stats;
    Rule rule;

    __device__ __forceinline__ bool begins(const Seen& seen) {
        rule = Rule(settings);
        return account(fold_block(seen, Merge()), stats);
    }
    __device__ __forceinline__ void operator()(unsigned i, REAL g) {
        update(rule, p, g, m, v, i);
    }
};

/// A step on `batch` samples x: [batch, INPUTS] with targets as the loss has them; p: [PARAMS], m, v: the moments, as the optimizer
/// has them; y takes the outputs. The loss is the sum of its terms / divisor, `scale` 1 / divisor; the rest as in `loss_finish`. One
/// block.
extern "C" __global__ void __launch_bounds__(THREADS, 1) small_step(
    REAL* p, REAL* m, REAL* v, const REAL* x, const void* target, REAL* y, unsigned batch, REAL scale, double divisor, double weight,
    double of, RULE* settings, Stats* stats
) {
    if (stopped(stats)) return;
    __shared__ RULE counted;
    // While the others bring what is needed first.
    if (threadIdx.x == THREADS - 1) {
        RULE own = *settings;
        own.count();
        counted = own;
    }
    Learn learn = {counted, p, m, v, {divisor, weight, of}, stats, Rule()};
    if (run(p, x, Batch{target, y, batch, scale}, learn) && threadIdx.x == 0) *settings = counted;
}

#else

/// Writes a block's part of each gradient.
struct Learn {
    REAL* gradients;
    double* partial;
    unsigned long long* hits;

    __device__ __forceinline__ bool begins(const Seen& seen) {
        write_block(seen, partial, hits);
        return true;
    }
    __device__ __forceinline__ void operator()(unsigned i, REAL g) {
        gradients[i] = g;
    }
};

/// The first half of a step: gradients: [blocks, PARAMS], and what each block has seen of the loss; `counted` takes the settings
/// as the second half is to use and leave them. The rest as in a step of one block; a block for every ROWS samples.
extern "C" __global__ void __launch_bounds__(THREADS, 1) small_part(
    const REAL* p, const REAL* x, const void* target, REAL* y, unsigned batch, REAL scale, REAL* gradients, double* partial,
    unsigned long long* hits, const RULE* settings, RULE* counted, const Stats* stats
) {
    if (stopped(stats)) return;
    if (blockIdx.x == 0 && threadIdx.x == THREADS - 1) {
        RULE own = *settings;
        own.count();
        *counted = own;
    }
    Learn learn = {gradients + (size_t)blockIdx.x * PARAMS, partial, hits};
    run(p, x, Batch{target, y, batch, scale}, learn);
}

/// The second half: adds up the `parts` of the gradients and updates the parameters. Any 1-D grid.
extern "C" __global__ void __launch_bounds__(THREADS) small_update(
    REAL* p, REAL* m, REAL* v, const REAL* gradients, unsigned parts, const double* partial, const unsigned long long* hits,
    double divisor, double weight, double of, RULE* settings, const RULE* counted, Stats* stats
) {
    if (stopped(stats)) return;
    if (!Account{divisor, weight, of}(seen_by_all(partial, hits, parts), stats)) return;
    Rule rule(*counted);
    for (size_t i = thread_of_grid(); i < PARAMS; i += threads_of_grid()) {
        REAL g = 0;
#pragma unroll 8
        for (unsigned part = 0; part < parts; part++) g += gradients[(size_t)part * PARAMS + i];
        update(rule, p, g, m, v, i);
    }
    if (thread_of_grid() == 0) *settings = *counted;
}

#endif
