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

#define INVALID (1ull << 63)

/// What a thread, and then a block, has seen.
struct Seen {
    double sum;
    unsigned long long hits;
    /// The position of the first target that is none.
    unsigned long long invalid;
};

__device__ __forceinline__ Seen across(Seen seen, unsigned step) {
    return {across(seen.sum, step), across(seen.hits, step), across(seen.invalid, step)};
}

__device__ __forceinline__ unsigned long long earlier(unsigned long long x, unsigned long long y) {
    return y < x ? y : x;
}

struct Merge {
    __device__ __forceinline__ Seen operator()(Seen x, Seen y) const {
        return {x.sum + y.sum, x.hits + y.hits, earlier(x.invalid, y.invalid)};
    }
};

__device__ __forceinline__ void write_block(Seen seen, double* partial, unsigned long long* hits) {
    seen = fold_block(seen, Merge());
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = seen.sum;
        if (hits) hits[blockIdx.x] = seen.invalid < INVALID ? INVALID + seen.invalid : seen.hits;
    }
}

/// (y − t)².
struct Mse {
    static __device__ __forceinline__ REAL term(REAL y, REAL t) {
        return (y - t) * (y - t);
    }
    static __device__ __forceinline__ REAL derivative(REAL y, REAL t) {
        return (REAL)2 * (y - t);
    }
    static __device__ __forceinline__ bool hit(REAL, REAL) {
        return false;
    }
    static constexpr bool PROBABILITIES = false;
};

/// −(t · ln p + (1 − t) · ln(1 − p)), the logarithms at least −100.
struct Bce {
    static __device__ __forceinline__ REAL term(REAL p, REAL t) {
        REAL yes = fmax(log(p), (REAL)-100), no = fmax(log1p(-p), (REAL)-100);
        return (t - 1) * no - t * yes;
    }
    static __device__ __forceinline__ REAL derivative(REAL p, REAL t) {
        return (p - t) / fmax(p * (1 - p), (REAL)1e-12);
    }
    static __device__ __forceinline__ bool hit(REAL p, REAL t) {
        return (p > (REAL)0.5) == (t > (REAL)0.5);
    }
    static constexpr bool PROBABILITIES = true;
};

/// (1 − t) · z + max(−z, 0) + ln(1 + e^−|z|).
struct BceLogits {
    static __device__ __forceinline__ REAL term(REAL z, REAL t) {
        return (1 - t) * z + fmax(-z, (REAL)0) + log1p(exp(-fabs(z)));
    }
    static __device__ __forceinline__ REAL derivative(REAL z, REAL t) {
        return 1 / (1 + exp(-z)) - t;
    }
    static __device__ __forceinline__ bool hit(REAL z, REAL t) {
        return (z > 0) == (t > (REAL)0.5);
    }
    static constexpr bool PROBABILITIES = false;
};

__device__ __forceinline__ bool is_probability(REAL p) {
    return p >= 0 && p <= 1;
}

template <class Loss>
__device__ __forceinline__ void pointwise(
    const REAL* y, const REAL* t, REAL* dy, size_t n, REAL scale, double* partial, unsigned long long* hits, const Stats* stats,
    REAL* terms
) {
    if (stopped(stats)) return;
    Seen seen = {0, 0, INVALID};
    auto element = [&](REAL y, REAL t, size_t i) {
        REAL term = Loss::term(y, t);
        seen.sum += (double)term;
        seen.hits += Loss::hit(y, t);
        if (Loss::PROBABILITIES) {
            // All predictions come before all targets.
            if (!is_probability(y)) seen.invalid = earlier(seen.invalid, i);
            if (!is_probability(t)) seen.invalid = earlier(seen.invalid, n + i);
        }
        return term;
    };
    over(
        n, aligned(y) && aligned(t) && aligned(dy) && aligned(terms),
        [&](size_t i) {
            Pack ys = load(y, i), ts = load(t, i), out;
#pragma unroll
            for (unsigned j = 0; j < WIDTH; j++) out.at[j] = element(ys.at[j], ts.at[j], i * WIDTH + j);
            if (terms) store(terms, i, out);
            if (dy) {
#pragma unroll
                for (unsigned j = 0; j < WIDTH; j++) out.at[j] = scale * Loss::derivative(ys.at[j], ts.at[j]);
                store(dy, i, out);
            }
        },
        [&](size_t i) {
            REAL a = y[i], b = t[i], term = element(a, b, i);
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

/// An element of a row and its position, none at first.
struct Place {
    REAL value;
    unsigned at;
};

__device__ __forceinline__ Place across(Place place, unsigned step) {
    return {across(place.value, step), across(place.at, step)};
}

/// The larger, and of equal ones the first; of NaNs, which are larger than any number, the first.
struct Best {
    __device__ __forceinline__ Place operator()(Place x, Place y) const {
        if (x.at == NOWHERE || y.at == NOWHERE) return x.at == NOWHERE ? y : x;
        bool nan_x = isnan(x.value), nan_y = isnan(y.value);
        if (nan_x != nan_y) return nan_x ? x : y;
        bool equal = nan_x || x.value == y.value;
        return (equal ? x.at < y.at : x.value > y.value) ? x : y;
    }
    static constexpr unsigned NOWHERE = 0xffffffffu;
};

/// The largest element of a row.
template <bool BLOCK> __device__ __forceinline__ Place argmax(const Rows<BLOCK>& group, const REAL* x, unsigned n) {
    Place best = {minus_infinity(), Best::NOWHERE};
    for (unsigned i = group.lane; i < n; i += group.lanes) best = Best()(best, Place{x[i], i});
    return group.fold(best, Best());
}

/// One label a row: `of(row, c)` is 1 where c is the label and 0 elsewhere.
struct Labels {
    const int* labels;

    __device__ __forceinline__ REAL of(size_t row, unsigned, unsigned c) const {
        return labels[row] == (int)c ? 1 : 0;
    }
    __device__ __forceinline__ bool valid(size_t row, unsigned classes) const {
        return labels[row] >= 0 && (unsigned)labels[row] < classes;
    }
    template <bool BLOCK>
    __device__ __forceinline__ unsigned best(const Rows<BLOCK>&, size_t row, unsigned classes) const {
        return classes > 0 ? (unsigned)labels[row] : 0;
    }
};

/// Probabilities of each class.
struct Soft {
    const REAL* t;

    __device__ __forceinline__ REAL of(size_t row, unsigned classes, unsigned c) const {
        return t[row * classes + c];
    }
    __device__ __forceinline__ bool valid(size_t, unsigned) const {
        return true;
    }
    template <bool BLOCK>
    __device__ __forceinline__ unsigned best(const Rows<BLOCK>& group, size_t row, unsigned classes) const {
        return argmax(group, t + row * classes, classes).at;
    }
};

template <bool BLOCK, class Targets>
__device__ __forceinline__ Seen cross_entropy_rows(
    const REAL* z, Targets targets, REAL* dz, size_t rows, unsigned classes, REAL scale, REAL* terms
) {
    Rows<BLOCK> group(classes);
    Seen seen = {0, 0, INVALID};
    group.each(rows, classes, [&](size_t row, unsigned n) {
        const REAL* of = z + row * n;
        // NaN if there is one: then so is all of the row.
        Place best = argmax(group, of, n);
        REAL max = best.value, log_sum = log(group.sum_exp(of, n, max));
        REAL loss = 0, total = 0;
        for (unsigned c = group.lane; c < n; c += group.lanes) {
            REAL t = targets.of(row, n, c);
            total += t;
            // A class of probability 0 costs nothing, even where its logarithm is −∞.
            if (t != 0) loss -= t * (of[c] - max - log_sum);
        }
        loss = group.fold(loss, Add<REAL>());
        total = group.fold(total, Add<REAL>());
        unsigned right = targets.best(group, row, n);
        if (group.lane == 0 && row < rows) {
            seen.sum += (double)loss;
            if (!targets.valid(row, classes)) seen.invalid = earlier(seen.invalid, row);
            seen.hits += n > 0 && best.at == right;
            if (terms) terms[row] = loss;
        }
        if (!dz) return;
        for (unsigned c = group.lane; c < n; c += group.lanes)
            dz[row * n + c] = scale * (exp(of[c] - max - log_sum) * total - targets.of(row, n, c));
    });
    return seen;
}

template <class Targets>
__device__ __forceinline__ void cross_entropy_of(
    const REAL* z, Targets targets, REAL* dz, size_t rows, unsigned classes, REAL scale, double* partial, unsigned long long* hits,
    const Stats* stats, REAL* terms
) {
    if (stopped(stats)) return;
    Seen seen = classes > LONG_ROW ? cross_entropy_rows<true>(z, targets, dz, rows, classes, scale, terms)
                                   : cross_entropy_rows<false>(z, targets, dz, rows, classes, scale, terms);
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
    Seen seen = {0, 0, INVALID};
    for (unsigned i = threadIdx.x; i < parts; i += THREADS) {
        seen.sum += partial[i];
        unsigned long long count = hits ? hits[i] : 0;
        if (count >= INVALID)
            seen.invalid = earlier(seen.invalid, count - INVALID);
        else
            seen.hits += count;
    }
    seen = fold_block(seen, Merge());
    if (threadIdx.x != 0) return;
    if (seen.invalid < INVALID) {
        stats->bad_label = 1 + (long long)seen.invalid;
        return;
    }
    double loss = (double)(REAL)(seen.sum / divisor);
    stats->loss = loss;
    if (isnan(loss) || isinf(loss)) {
        stats->diverged = 1;
        return;
    }
    stats->sum += loss * weight;
    stats->samples += weight;
    stats->correct += seen.hits;
    stats->of += (unsigned long long)of;
    stats->steps += 1;
}
