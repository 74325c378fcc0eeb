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

/// What the blocks are told of the batch.
struct Batch {
    const REAL* x;
    const void* target;
    /// All outputs, where whoever looks for a bad one finds them.
    REAL* outputs;
    unsigned batch;
    REAL scale;

    __device__ __forceinline__ size_t first() const {
        return blockIdx.x * (size_t)ROWS;
    }
    /// Samples of this block.
    __device__ __forceinline__ unsigned rows() const {
        unsigned left = batch - blockIdx.x * ROWS;
        return left < ROWS ? left : ROWS;
    }
};

/// The sum of a function of each output and its target.
template <class Loss> struct Each {
    typedef REAL Target;
    /// Targets of a sample with N outputs.
    template <unsigned N> static constexpr unsigned EACH = N;

    template <unsigned N>
    static __device__ __forceinline__ Seen of(const Batch& batch, const Target* t, const REAL* y, REAL* dy) {
        Seen seen = {0, 0, INVALID};
        for (unsigned i = threadIdx.x; i < batch.rows() * N; i += THREADS) {
            unsigned place = i / N * PADDED<N> + i % N;
            see<Loss>(seen, y[place], t[i], batch.first() * N + i, (size_t)batch.batch * N);
            dy[place] = batch.scale * Loss::derivative(y[place], t[i]);
        }
        return seen;
    }
};

/// What a target of each kind is, and how many a sample with N outputs has.
template <class Targets> struct TargetOf {
    typedef REAL Type;
    template <unsigned N> static constexpr unsigned EACH = N;
};
template <> struct TargetOf<Labels> {
    typedef int Type;
    template <unsigned N> static constexpr unsigned EACH = 1;
};

/// Cross-entropy of each row of outputs with its target.
template <class Targets> struct CrossEntropy {
    typedef typename TargetOf<Targets>::Type Target;
    template <unsigned N> static constexpr unsigned EACH = TargetOf<Targets>::template EACH<N>;

    template <unsigned N>
    static __device__ __forceinline__ Seen of(const Batch& batch, const Target* t, const REAL* y, REAL* dy) {
        Rows<false> group(N, 0, 1);
        Seen seen = cross_entropy_rows(group, y, Targets{t}, dy, batch.rows(), N, PADDED<N> - N, batch.scale, (REAL*)0);
        if (seen.invalid < INVALID) seen.invalid += batch.first();
        return seen;
    }
};

typedef CRITERION::Target Target;

/// The layers from number DEPTH on, whose N inputs stand at AT in shared memory, and the loss behind them. The gradients of
/// outputs stand behind everything else, of two layers that follow each other in two places, and behind them the targets.
template <unsigned DEPTH, unsigned AT, unsigned N, class... Layers> struct Chain {
    static constexpr unsigned END = AT + ROWS * PADDED<N>, WIDEST = 0, LAST = N;

    template <class Whole, class Learn>
    static __device__ __forceinline__ bool run(const REAL*, REAL* memory, const Batch& batch, Learn& learn) {
        const REAL* y = memory + AT;
        for (unsigned i = threadIdx.x; i < batch.rows() * N; i += THREADS)
            batch.outputs[batch.first() * N + i] = y[i / N * PADDED<N> + i % N];
        const Target* targets = reinterpret_cast<const Target*>(memory + Whole::TARGETS);
        return learn.begins(CRITERION::of<N>(batch, targets, y, Whole::gradient(memory, DEPTH - 1)));
    }
};
template <unsigned DEPTH, unsigned AT, unsigned N, class Layer, class... Others> struct Chain<DEPTH, AT, N, Layer, Others...> {
    static constexpr unsigned SAVED = AT + ROWS * PADDED<N>, Y = SAVED + (Layer::KEEPS ? ROWS * PADDED<Layer::OUT> : 0);
    typedef Chain<DEPTH + 1, Y, Layer::OUT, Others...> After;
    static constexpr unsigned END = After::END, WIDEST = larger(PADDED<Layer::OUT>, After::WIDEST), LAST = After::LAST;
    static constexpr unsigned TARGETS = END + 2 * ROWS * WIDEST;

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
constexpr unsigned EACH = CRITERION::EACH<Net::LAST>;
static_assert(Net::TARGETS + ROWS * EACH == ROOM, "the room is that of the plan");

extern __shared__ Pack room[];

/// Brings the parameters, the samples and the targets, and runs the network, unless training has stopped.
template <class Learn>
__device__ __forceinline__ bool run(const REAL* params, const Batch& batch, Learn& learn, bool has_stopped) {
    REAL* memory = reinterpret_cast<REAL*>(room);
    if constexpr (NEAR) {
        constexpr unsigned PACKS = PARAMS / WIDTH;
        bring(PACKS, [&](unsigned i) { return load(params, i); }, [&](unsigned i, const Pack& pack) { store(memory, i, pack); });
        for (unsigned i = PACKS * WIDTH + threadIdx.x; i < PARAMS; i += THREADS) memory[i] = params[i];
    }
    const REAL* x = batch.x + batch.first() * INPUTS;
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
    const Target* targets = reinterpret_cast<const Target*>(batch.target) + batch.first() * EACH;
    Target* to_targets = reinterpret_cast<Target*>(memory + Net::TARGETS);
    for (unsigned i = threadIdx.x; i < batch.rows() * EACH; i += THREADS) to_targets[i] = targets[i];
    // Only now, as all of this is on the way at once.
    learn.counts();
    if (has_stopped) return false;
    __syncthreads();
    return Net::run<Net>(NEAR ? memory : params, memory, batch, learn);
}

/// What a rule needs of a parameter besides its gradient, fetched before that is known.
struct Held {
    REAL p, m, v;
};

/// The parameters and their moments, where they are.
struct State {
    REAL *p, *m, *v;

    __device__ __forceinline__ Held fetch(size_t i) const {
        return {p[i], m ? m[i] : (REAL)0, v ? v[i] : (REAL)0};
    }
    __device__ __forceinline__ void update(const SgdRule& rule, Held held, REAL g, size_t i) const {
        if (m)
            rule(held.p, g, held.m), m[i] = held.m;
        else
            rule(held.p, g);
        p[i] = held.p;
    }
    __device__ __forceinline__ void update(const AdamRule& rule, Held held, REAL g, size_t i) const {
        rule(held.p, g, held.m, held.v);
        m[i] = held.m, v[i] = held.v, p[i] = held.p;
    }
};

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

    /// Keeps it in `stats`, which hold what `before` does; whether the step goes on.
    __device__ __forceinline__ bool operator()(const Seen& seen, Stats before, Stats* stats) const {
        keep(&before, seen, divisor, weight, of);
        if (thread_of_grid() == 0) *stats = before;
        return !stopped(&before);
    }
};

#if ALONE

/// Updates each parameter as soon as its gradient is known.
struct Learn {
    typedef ::Held Held;
    /// The optimizer's settings before the step, and, in shared memory, with the step counted.
    RULE settings, &counted;
    State state;
    Account account;
    Stats before, *stats;
    Rule rule;

    __device__ __forceinline__ void counts() {
        if (threadIdx.x != THREADS - 1) return;
        settings.count();
        counted = settings;
    }
    __device__ __forceinline__ bool begins(const Seen& seen) {
        rule = Rule(counted);
        return account(fold_block(seen, Merge()), before, stats);
    }
    __device__ __forceinline__ Held fetch(unsigned i) const {
        return state.fetch(i);
    }
    __device__ __forceinline__ void operator()(unsigned i, REAL g, const Held& held) {
        state.update(rule, held, g, i);
    }
};

/// A step on `batch` samples x: [batch, INPUTS] with targets as the loss has them; p: [PARAMS], m, v: the moments, as the optimizer
/// has them; y takes the outputs. The loss is the sum of its terms / divisor, `scale` 1 / divisor; the rest as in `loss_finish`. One
/// block.
extern "C" __global__ void __launch_bounds__(THREADS, 1) small_step(
    REAL* p, REAL* m, REAL* v, const REAL* x, const void* target, REAL* y, unsigned batch, REAL scale, double divisor, double weight,
    double of, RULE* settings, Stats* stats
) {
    Stats before = *stats;
    __shared__ RULE counted;
    Learn learn = {*settings, counted, {p, m, v}, {divisor, weight, of}, before, stats, Rule()};
    bool learned = run(p, Batch{x, target, y, batch, scale}, learn, stopped(&before));
    if (learned && threadIdx.x == 0) *settings = counted;
}

#else

/// Writes a block's part of each gradient.
struct Learn {
    struct Held {};
    RULE settings, *counted;
    REAL* gradients;
    double* partial;
    unsigned long long* hits;

    __device__ __forceinline__ void counts() {
        if (blockIdx.x != 0 || threadIdx.x != THREADS - 1) return;
        settings.count();
        *counted = settings;
    }
    __device__ __forceinline__ bool begins(const Seen& seen) {
        write_block(seen, partial, hits);
        return true;
    }
    __device__ __forceinline__ Held fetch(unsigned) const {
        return {};
    }
    __device__ __forceinline__ void operator()(unsigned i, REAL g, Held) {
        gradients[i] = g;
    }
};

/// The first half of a step: gradients: [blocks, PARAMS], and what each block has seen of the loss; `counted` takes the settings
/// as the second half is to use and leave them. The rest as in a step of one block; a block for every ROWS samples.
extern "C" __global__ void __launch_bounds__(THREADS, 1) small_part(
    const REAL* p, const REAL* x, const void* target, REAL* y, unsigned batch, REAL scale, REAL* gradients, double* partial,
    unsigned long long* hits, const RULE* settings, RULE* counted, const Stats* stats
) {
    bool has_stopped = stopped(stats);
    Learn learn = {*settings, counted, gradients + (size_t)blockIdx.x * PARAMS, partial, hits};
    run(p, Batch{x, target, y, batch, scale}, learn, has_stopped);
}

/// The second half: adds up the `parts` of the gradients and updates the parameters. Any 1-D grid.
extern "C" __global__ void __launch_bounds__(THREADS) small_update(
    REAL* p, REAL* m, REAL* v, const REAL* gradients, unsigned parts, const double* partial, const unsigned long long* hits,
    double divisor, double weight, double of, RULE* settings, const RULE* counted, Stats* stats
) {
    // The first thread may have written what another block reads here: that says the same of whether to go on.
    Stats before = *stats;
    if (stopped(&before)) return;
    if (!Account{divisor, weight, of}(seen_by_all(partial, hits, parts), before, stats)) return;
    Rule rule(*counted);
    State state = {p, m, v};
    for (size_t i = thread_of_grid(); i < PARAMS; i += threads_of_grid()) {
        Held held = state.fetch(i);
        REAL g = 0;
#pragma unroll 8
        for (unsigned part = 0; part < parts; part++) g += gradients[(size_t)part * PARAMS + i];
        state.update(rule, held, g, i);
    }
    if (thread_of_grid() == 0) *settings = *counted;
}

#endif
