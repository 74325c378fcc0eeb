// Optimizers: one pass over a block of parameters p: [n], their gradients g: [n] and their moments.
//
// What they are told stands in memory, so that a captured graph takes new settings. Before the pass the kernel of the same name
// that ends in _count, one thread, counts the step. Where `stats` (which may be 0) say that training has stopped, neither
// changes anything.

extern "C" __global__ void sgd_count(Sgd* s, const Stats* stats) {
    if (stopped(stats)) return;
    s->count();
}

/// v: [n] may be 0 where there is no momentum. Any 1-D grid of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) sgd(
    REAL* __restrict__ p, const REAL* __restrict__ g, REAL* __restrict__ v, size_t n, const Sgd* __restrict__ s, const Stats* stats
) {
    if (stopped(stats)) return;
    SgdRule step(*s);
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
                for (unsigned j = 0; j < WIDTH; j++) step(ps.at[j], gs.at[j]);
            }
            store(p, i, ps);
        },
        [&](size_t i) {
            if (v)
                step(p[i], g[i], v[i]);
            else
                step(p[i], g[i]);
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
    const Stats* stats
) {
    if (stopped(stats)) return;
    AdamRule step(*s);
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
