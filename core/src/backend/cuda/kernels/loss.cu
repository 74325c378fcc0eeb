// Losses: value and gradient in one pass.
//
// A loss kernel writes, for each of its blocks, the sum of its terms to partial[block] and the number of right predictions to
// hits[block]; `loss_finish` adds them up in their order and keeps the statistics. Any 1-D grid of 256 threads; partial and hits
// have one element a block. `dy` may be 0: then there is no gradient. Where there are `stats` and they say that training has
// stopped, nothing is changed.
//
// A target that is none is no sum: hits[block] is then INVALID + the position of the block's first one, and `loss_finish` makes
// stats->bad_label of the first of all, 1 + its position.
//
// `terms` takes the terms themselves, unreduced; it may be 0.

template <class Loss>
__device__ __forceinline__ void pointwise(
    const REAL* y, const REAL* t, REAL* dy, size_t n, REAL scale, double* partial, unsigned long long* hits, const Stats* stats,
    REAL* terms
) {
    if (stopped(stats)) return;
    Seen seen = {0, 0, INVALID};
    over(
        n, aligned(y) && aligned(t) && aligned(dy) && aligned(terms),
        [&](size_t i) {
            Pack ys = load(y, i), ts = load(t, i), out;
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) out.at[j] = see<Loss>(seen, ys.at[j], ts.at[j], i * WIDTH + j, n);
            if (terms) store(terms, i, out);
            if (dy) {
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) out.at[j] = scale * Loss::derivative(ys.at[j], ts.at[j]);
                store(dy, i, out);
            }
        },
        [&](size_t i) {
            REAL a = y[i], b = t[i], term = see<Loss>(seen, a, b, i, n);
            if (terms) terms[i] = term;
            if (dy) dy[i] = scale * Loss::derivative(a, b);
        }
    );
    write_block(seen, partial, hits);
}

/// Mean squared error of y: [n] and t: [n]; dy = scale · 2 · (y − t). There are no hits: `hits` may be 0.
extern "C" __global__ void __launch_bounds__(THREADS) mse(
    const REAL* y, const REAL* t, REAL* dy, size_t n, REAL scale, double* partial, unsigned long long* hits, const Stats* stats,
    REAL* terms
) {
    pointwise<Mse>(y, t, dy, n, scale, partial, hits, stats, terms);
}

/// Binary cross-entropy of the probabilities y: [n] and t: [n]; a hit is a prediction on its target's side of ½. The position of
/// a prediction outside of [0, 1] is its own, that of such a target n + its own.
extern "C" __global__ void __launch_bounds__(THREADS) bce(
    const REAL* y, const REAL* t, REAL* dy, size_t n, REAL scale, double* partial, unsigned long long* hits, const Stats* stats,
    REAL* terms
) {
    pointwise<Bce>(y, t, dy, n, scale, partial, hits, stats, terms);
}

/// Binary cross-entropy of the logits y: [n] and the probabilities t: [n]; a hit is a logit on its target's side: above 0 where
/// the target is above ½.
extern "C" __global__ void __launch_bounds__(THREADS) bce_logits(
    const REAL* y, const REAL* t, REAL* dy, size_t n, REAL scale, double* partial, unsigned long long* hits, const Stats* stats,
    REAL* terms
) {
    pointwise<BceLogits>(y, t, dy, n, scale, partial, hits, stats, terms);
}

template <class Targets>
__device__ __forceinline__ void cross_entropy_of(
    const REAL* z, Targets targets, REAL* dz, size_t rows, unsigned classes, REAL scale, double* partial, unsigned long long* hits,
    const Stats* stats, REAL* terms
) {
    if (stopped(stats)) return;
    Seen seen = classes > LONG_ROW
        ? cross_entropy_rows(Rows<true>(classes), z, targets, dz, rows, classes, 0, scale, terms)
        : cross_entropy_rows(Rows<false>(classes), z, targets, dz, rows, classes, 0, scale, terms);
    write_block(seen, partial, hits);
}

/// Cross-entropy of the logits z: [rows, classes] with one label a row: −ln softmax(z)[label], dz = scale · (softmax(z) − one-hot).
/// A hit is a row whose largest logit is the label's. The position of a label that is no class is its row's. terms: [rows]. A
/// block takes 256 / min(32, classes rounded up to a power of 2) rows at a time, or one row of more than 1024 classes.
extern "C" __global__ void __launch_bounds__(THREADS) cross_entropy(
    const REAL* z, const int* labels, REAL* dz, size_t rows, unsigned classes, REAL scale, double* partial, unsigned long long* hits,
    const Stats* stats, REAL* terms
) {
    cross_entropy_of(z, Labels{labels}, dz, rows, classes, scale, partial, hits, stats, terms);
}

/// Likewise with probabilities t: [rows, classes]: −sum of t · ln softmax(z), dz = scale · (softmax(z) · sum of t − t). A hit is a
/// row where the largest logit and the largest probability are in the same place.
extern "C" __global__ void __launch_bounds__(THREADS) cross_entropy_soft(
    const REAL* z, const REAL* t, REAL* dz, size_t rows, unsigned classes, REAL scale, double* partial, unsigned long long* hits,
    const Stats* stats, REAL* terms
) {
    cross_entropy_of(z, Soft{t}, dz, rows, classes, scale, partial, hits, stats, terms);
}

/// The loss of a step, sum of partial: [parts] / divisor as a REAL, and what the trainer keeps of it: `weight` is what the loss
/// counts in the sum (the samples of the batch), `of` the number of predictions that hits: [parts] counts the right ones of, or
/// `hits` is 0. One block of 256 threads.
extern "C" __global__ void __launch_bounds__(THREADS) loss_finish(
    const double* partial, unsigned parts, double divisor, double weight, Stats* stats, const unsigned long long* hits, double of
) {
    if (stopped(stats)) return;
    Seen seen = seen_by_all(partial, hits, parts);
    if (threadIdx.x == 0) keep(stats, seen, divisor, weight, of);
}
