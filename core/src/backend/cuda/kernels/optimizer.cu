// Optimizers: one pass over a block of parameters p: [n], their gradients g: [n] and their moments.
//
// What they are told stands in memory, so that a captured graph takes new settings. Before the pass the kernel of the same name
// that ends in _count, one thread, counts the step. Where `stats` (which may be 0) say that training has stopped, neither
// changes anything.
//
// A gradient is clipped as it is read: times the factor of `clip` (which may be 0: then it is 1), and then to ±limit.

struct Sgd {
    double lr;
    double momentum;
    double dampening;
    double weight_decay;
    /// 1 for Nesterov's.
    unsigned long long nesterov;
    /// The steps so far; not 0 if there is a velocity.
    unsigned long long steps;
    /// Of the gradient, what enters the velocity: `sgd_count` writes it.
    double fresh;
};

struct Adam {
    double lr;
    double beta1;
    double beta2;
    double eps;
    double weight_decay;
    /// The steps so far.
    unsigned long long steps;
    /// lr / (1 − beta1^steps) and 1 / √(1 − beta2^steps): `adam_count` writes them.
    double length;
    double root;
};

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

/// A moment, but zero where it is below the smallest normal number: the moments of a gradient that stays zero would never
/// leave the subnormal numbers.
__device__ __forceinline__ REAL normal(REAL moment) {
    const REAL least = sizeof(REAL) == 4 ? (REAL)1.1754943508222875e-38 : (REAL)2.2250738585072014e-308;
    return fabs(moment) < least ? (REAL)0 : moment;
}

extern "C" __global__ void sgd_count(Sgd* s, const Stats* stats) {
    if (stopped(stats)) return;
    s->fresh = s->steps == 0 ? 1.0 : 1.0 - s->dampening;
    s->steps += 1;
}

/// g ← g + weight_decay · p; v ← momentum · v + fresh · g; p ← p − lr · v, or p − lr · (g + momentum · v) with Nesterov. v: [n]
/// may be 0 where there is no momentum. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) sgd(
    REAL* __restrict__ p, const REAL* __restrict__ g, REAL* __restrict__ v, size_t n, const Sgd* __restrict__ s, const Clip* clip,
    REAL limit, const Stats* stats
) {
    if (stopped(stats)) return;
    Clipped clipped(clip, limit);
    REAL lr = (REAL)s->lr, momentum = (REAL)s->momentum, decay = (REAL)s->weight_decay, fresh = (REAL)s->fresh;
    bool nesterov = s->nesterov != 0;
    auto step = [&](REAL& p, REAL g, REAL& v) {
        g = clipped(g) + decay * p;
        v = normal(momentum * v + fresh * g);
        p = p - lr * (nesterov ? g + momentum * v : v);
    };
    auto plain = [&](REAL& p, REAL g) { p = p - lr * (clipped(g) + decay * p); };
    over(
        n, aligned(p) && aligned(g) && aligned(v),
        [&](size_t i) {
            Pack ps = load(p, i), gs = load(g, i);
            if (v) {
                Pack vs = load(v, i);
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], gs.at[j], vs.at[j]);
                store(v, i, vs);
            } else {
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) plain(ps.at[j], gs.at[j]);
            }
            store(p, i, ps);
        },
        [&](size_t i) {
            if (v)
                step(p[i], g[i], v[i]);
            else
                plain(p[i], g[i]);
        }
    );
}

extern "C" __global__ void adam_count(Adam* s, const Stats* stats) {
    if (stopped(stats)) return;
    s->steps += 1;
    s->length = s->lr / (1.0 - pow(s->beta1, (double)s->steps));
    s->root = 1.0 / sqrt(1.0 - pow(s->beta2, (double)s->steps));
}

/// g ← g + weight_decay · p; m ← beta1 · m + (1 − beta1) · g; v ← beta2 · v + (1 − beta2) · g²; p ← p − length · m / (√v · root +
/// eps). m, v: [n]. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) adam(
    REAL* __restrict__ p, const REAL* __restrict__ g, REAL* __restrict__ m, REAL* __restrict__ v, size_t n, const Adam* __restrict__ s,
    const Clip* clip, REAL limit, const Stats* stats
) {
    if (stopped(stats)) return;
    Clipped clipped(clip, limit);
    REAL b1 = (REAL)s->beta1, b2 = (REAL)s->beta2, c1 = (REAL)(1.0 - s->beta1), c2 = (REAL)(1.0 - s->beta2);
    REAL eps = (REAL)s->eps, decay = (REAL)s->weight_decay, length = (REAL)s->length, root = (REAL)s->root;
    auto step = [&](REAL& p, REAL g, REAL& m, REAL& v) {
        g = clipped(g) + decay * p;
        m = normal(b1 * m + c1 * g);
        v = normal(b2 * v + c2 * g * g);
        p = p - length * m / (sqrt(v) * root + eps);
    };
    over(
        n, aligned(p) && aligned(g) && aligned(m) && aligned(v),
        [&](size_t i) {
            Pack ps = load(p, i), gs = load(g, i), ms = load(m, i), vs = load(v, i);
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], gs.at[j], ms.at[j], vs.at[j]);
            store(m, i, ms);
            store(v, i, vs);
            store(p, i, ps);
        },
        [&](size_t i) { step(p[i], g[i], m[i], v[i]); }
    );
}
