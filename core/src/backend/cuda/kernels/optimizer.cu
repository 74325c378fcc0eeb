// Optimizers: one pass over a block of parameters p: [n], their gradients g: [n] and their moments.
//
// What they are told stands in memory, so that a captured graph takes new settings. Before the pass the kernel of the same name
// that ends in _count, one thread, counts the step. Where `stats` (which may be 0) say that training has stopped, neither
// changes anything.
//
// A gradient is clipped as it is read: times the factor of `clip` (which may be 0: then it is 1), and then to ±limit.

/// What `clip_factor` finds: the norm of the gradients, and what brings it down to the largest that is wanted, at most 1.
struct Clip {
    double factor;
    double norm;
};

/// A gradient as the optimizer takes it. NaN stays.
struct Clipped {
    REAL factor, limit;

    __device__ __forceinline__ Clipped(const Clip* clip, REAL limit) : factor(clip ? (REAL)clip->factor : (REAL)1), limit(limit) {}

    __device__ __forceinline__ REAL operator()(REAL g) const {
        g = factor * g;
        return g > limit ? limit : g < -limit ? -limit : g;
    }
};

/// The sum of g² over the elements of each block, in double. partial: one a block. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    square_sum(const REAL* __restrict__ g, size_t n, double* partial, const Stats* stats) {
    if (stopped(stats)) return;
    double sum = 0;
    over(
        n, aligned(g),
        [&](size_t i) {
            Pack gs = load(g, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) sum += (double)gs.at[j] * (double)gs.at[j];
        },
        [&](size_t i) { sum += (double)g[i] * (double)g[i]; }
    );
    sum = fold_block(sum, Add<double>());
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/// The norm, the root of the sum of partial: [parts], and the factor. If it is no finite number, training stops, and the step does
/// not count: `own` are this rank's statistics, of which `stats` may be a copy; both may be 0. One block of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS)
    clip_factor(const double* partial, unsigned parts, double max_norm, Clip* clip, Stats* stats, Stats* own) {
    if (stopped(stats)) return;
    double sum = 0;
    for (unsigned i = threadIdx.x; i < parts; i += THREADS) sum += partial[i];
    sum = fold_block(sum, Add<double>());
    if (threadIdx.x != 0) return;
    double norm = sqrt(sum), factor = max_norm / (norm + 1e-6);
    clip->norm = norm;
    clip->factor = factor < 1 ? factor : 1;
    if (!stats || !(isnan(norm) || isinf(norm))) return;
    own->loss = norm;
    own->steps -= 1;
    own->diverged = stats->diverged = DIVERGED_BY_NORM;
}

/// Clips g: [n] where it is. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) clip(REAL* g, size_t n, const Clip* clip, REAL limit) {
    Clipped clipped(clip, limit);
    over(
        n, aligned(g),
        [&](size_t i) {
            Pack gs = load(g, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) gs.at[j] = clipped(gs.at[j]);
            store(g, i, gs);
        },
        [&](size_t i) { g[i] = clipped(g[i]); }
    );
}

extern "C" __global__ void sgd_count(Sgd* s, const Stats* stats) {
    if (stopped(stats)) return;
    s->count();
}

/// v: [n] may be 0 where there is no momentum. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) sgd(
    REAL* __restrict__ p, const REAL* __restrict__ g, REAL* __restrict__ v, size_t n, const Sgd* __restrict__ s, const Clip* clip,
    REAL limit, const Stats* stats
) {
    if (stopped(stats)) return;
    Clipped clipped(clip, limit);
    SgdRule step(*s);
    over(
        n, aligned(p) && aligned(g) && aligned(v),
        [&](size_t i) {
            Pack ps = load(p, i), gs = load(g, i);
            if (v) {
                Pack vs = load(v, i);
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], clipped(gs.at[j]), vs.at[j]);
                store(v, i, vs);
            } else {
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], clipped(gs.at[j]));
            }
            store(p, i, ps);
        },
        [&](size_t i) {
            if (v)
                step(p[i], clipped(g[i]), v[i]);
            else
                step(p[i], clipped(g[i]));
        }
    );
}

extern "C" __global__ void adam_count(Adam* s, const Stats* stats) {
    if (stopped(stats)) return;
    s->count();
}

/// m, v: [n]. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) adam(
    REAL* __restrict__ p, const REAL* __restrict__ g, REAL* __restrict__ m, REAL* __restrict__ v, size_t n, const Adam* __restrict__ s,
    const Clip* clip, REAL limit, const Stats* stats
) {
    if (stopped(stats)) return;
    Clipped clipped(clip, limit);
    AdamRule step(*s);
    over(
        n, aligned(p) && aligned(g) && aligned(m) && aligned(v),
        [&](size_t i) {
            Pack ps = load(p, i), gs = load(g, i), ms = load(m, i), vs = load(v, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], clipped(gs.at[j]), ms.at[j], vs.at[j]);
            store(m, i, ms);
            store(v, i, vs);
            store(p, i, ps);
        },
        [&](size_t i) { step(p[i], clipped(g[i]), m[i], v[i]); }
    );
}
