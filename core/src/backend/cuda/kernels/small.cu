// A whole training step of a small network: forward, loss, backward and update in one kernel, or, where the samples are shared
// by several blocks, in two. A block takes ROWS samples all the way and keeps what it computes of them in shared memory.
//
// Before this text:
//   NETWORK    the layers, first to last, each a `Linear` or a `Pointwise`
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
