// What optimizers are told, as it stands in memory, and what they do to one parameter.

struct Sgd {
    double lr;
    double momentum;
    double dampening;
    double weight_decay;
    /// 1 for Nesterov's.
    unsigned long long nesterov;
    /// The steps so far; not 0 if there is a velocity.
    unsigned long long steps;
    /// Of the gradient, what enters the velocity: `count` finds it.
    double fresh;

    __device__ __forceinline__ void count() {
        fresh = steps == 0 ? 1.0 : 1.0 - dampening;
        steps += 1;
    }
};

/// xⁿ, for factors below 1: many times shorter than `pow`, and one thread does it while all others wait.
__device__ __forceinline__ double raised(double x, unsigned long long n) {
    double power = 1;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) power *= x;
    return power;
}

struct Adam {
    double lr;
    double beta1;
    double beta2;
    double eps;
    double weight_decay;
    /// 1 where the weight decay is no part of the gradient.
    unsigned long long decoupled;
    /// The steps so far.
    unsigned long long steps;
    /// lr / (1 − beta1^steps), 1 / √(1 − beta2^steps), and what of a parameter stays: `count` finds them.
    double length;
    double root;
    double kept;

    __device__ __forceinline__ void count() {
        steps += 1;
        length = lr / (1.0 - raised(beta1, steps));
        root = 1.0 / sqrt(1.0 - raised(beta2, steps));
        kept = decoupled ? 1.0 - lr * weight_decay : 1.0;
    }
};

/// A moment, but zero where it is below the smallest normal number: the moments of a gradient that stays zero would never
/// leave the subnormal numbers.
__device__ __forceinline__ REAL normal(REAL moment) {
    const REAL least = sizeof(REAL) == 4 ? (REAL)1.1754943508222875e-38 : (REAL)2.2250738585072014e-308;
    return fabs(moment) < least ? (REAL)0 : moment;
}

/// g ← g + weight_decay · p; v ← momentum · v + fresh · g; p ← p − lr · v, or p − lr · (g + momentum · v) with Nesterov.
struct SgdRule {
    REAL lr, momentum, decay, fresh;
    bool nesterov;

    SgdRule() = default;
    __device__ __forceinline__ explicit SgdRule(const Sgd& s)
        : lr((REAL)s.lr), momentum((REAL)s.momentum), decay((REAL)s.weight_decay), fresh((REAL)s.fresh), nesterov(s.nesterov != 0) {}

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& v) const {
        g = g + decay * p;
        v = normal(momentum * v + fresh * g);
        p = p - lr * (nesterov ? g + momentum * v : v);
    }
    /// Without momentum.
    __device__ __forceinline__ void operator()(REAL& p, REAL g) const {
        p = p - lr * (g + decay * p);
    }
};

/// g ← g + weight_decay · p, unless it is decoupled; m ← beta1 · m + (1 − beta1) · g; v ← beta2 · v + (1 − beta2) · g²;
/// p ← kept · p − length · m / (√v · root + eps).
struct AdamRule {
    REAL b1, b2, c1, c2, eps, decay, kept, length, root;

    AdamRule() = default;
    __device__ __forceinline__ explicit AdamRule(const Adam& s)
        : b1((REAL)s.beta1), b2((REAL)s.beta2), c1((REAL)(1.0 - s.beta1)), c2((REAL)(1.0 - s.beta2)), eps((REAL)s.eps),
          decay(s.decoupled ? (REAL)0 : (REAL)s.weight_decay), kept((REAL)s.kept), length((REAL)s.length), root((REAL)s.root) {}

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& m, REAL& v) const {
        g = g + decay * p;
        m = normal(b1 * m + c1 * g);
        v = normal(b2 * v + c2 * g * g);
        p = kept * p - length * m / (sqrt(v) * root + eps);
    }
};
