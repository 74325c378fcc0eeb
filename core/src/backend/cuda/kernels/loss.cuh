// What losses are made of: their terms, derivatives and counts, and what the trainer keeps of them.
//
// A target that is none is no sum: hits[block] is then INVALID + the position of the block's first one.

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

/// One element, which is the i-th of n; its term.
template <class Loss> __device__ __forceinline__ REAL see(Seen& seen, REAL y, REAL t, size_t i, size_t n) {
    REAL term = Loss::term(y, t);
    seen.sum += (double)term;
    seen.hits += Loss::hit(y, t);
    if (Loss::PROBABILITIES) {
        // All predictions come before all targets.
        if (!is_probability(y)) seen.invalid = earlier(seen.invalid, i);
        if (!is_probability(t)) seen.invalid = earlier(seen.invalid, n + i);
    }
    return term;
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

/// Between two rows of z and dz are `gap` elements.
template <bool BLOCK, class Targets>
__device__ __forceinline__ Seen cross_entropy_rows(
    const Rows<BLOCK>& group, const REAL* z, Targets targets, REAL* dz, size_t rows, unsigned classes, unsigned gap, REAL scale,
    REAL* terms
) {
    Seen seen = {0, 0, INVALID};
    group.each(rows, classes, [&](size_t row, unsigned n) {
        const REAL* of = z + row * (n + gap);
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
            dz[row * (n + gap) + c] = scale * (exp(of[c] - max - log_sum) * total - targets.of(row, n, c));
    });
    return seen;
}

/// What all blocks have seen, from partial: [parts] and hits: [parts]; `hits` may be 0.
__device__ __forceinline__ Seen seen_by_all(const double* partial, const unsigned long long* hits, unsigned parts) {
    Seen seen = {0, 0, INVALID};
    for (unsigned i = threadIdx.x; i < parts; i += THREADS) {
        seen.sum += partial[i];
        unsigned long long count = hits ? hits[i] : 0;
        if (count >= INVALID)
            seen.invalid = earlier(seen.invalid, count - INVALID);
        else
            seen.hits += count;
    }
    return fold_block(seen, Merge());
}

/// Keeps the loss of a step, the sum of its terms / divisor as a REAL: it counts `weight` in the sum (the samples of the batch),
/// and the hits are out of `of`. A target that is none, or a loss that is no finite number, stops training.
__device__ __forceinline__ void keep(Stats* stats, const Seen& seen, double divisor, double weight, double of) {
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
