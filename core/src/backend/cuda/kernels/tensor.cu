// The operations of tensors, for one element type: -DELEMENT=float, double, "signed char", short, int, "long long" or those
// unsigned; bool is an unsigned char of 0 or 1. (-DREAL may be either type; nothing here depends on it.)
//
// Tensors are row-major and lie without gaps. An operation that fails on an element keeps the first position where it does:
// `bad`, 0 before, is then the complement of that position. All kernels take any 1-D grid of 256 threads unless they say
// otherwise.

typedef ELEMENT T;

/// As many booleans as a pack has elements.
struct alignas(WIDTH_OF<T>) Booleans {
    unsigned char at[WIDTH_OF<T>];
};

enum Binary { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, POW, AND, OR, XOR };

/// x / y; of integers whether there is one.
template <class E> __device__ __forceinline__ bool quotient(E x, E y, E& z) {
    if constexpr (is_float<E>) {
        z = x / y;
        return true;
    } else {
        bool overflows = is_signed<E> && y == (E)-1 && x != 0 && x == minus((E)0, x);
        z = 0;
        if (y == 0 || overflows) return false;
        z = (E)(x / y);
        return true;
    }
}

template <class E> __device__ __forceinline__ E power(E x, E y) {
    if constexpr (is_float<E>)
        return pow(x, y);
    else
        return 0;
}

template <class E> __device__ __forceinline__ E bits(int op, E x, E y) {
    if constexpr (is_float<E>)
        return 0;
    else
        return (E)(op == AND ? x & y : op == OR ? x | y : x ^ y);
}

/// N elements at once, so that it is asked once what to do. False if one of them cannot be done.
template <unsigned N, class E> __device__ __forceinline__ bool binary_of(int op, const E* x, const E* y, E* z) {
    bool good = true;
#define EACH(value)                                                                                                                \
    _Pragma("unroll") for (unsigned j = 0; j < N; j++) z[j] = (E)(value);                                                          \
    break
    switch (op) {
        case ADD: EACH(plus(x[j], y[j]));
        case SUB: EACH(minus(x[j], y[j]));
        case MUL: EACH(times(x[j], y[j]));
        case DIV:
#pragma unroll
            for (unsigned j = 0; j < N; j++) good &= quotient(x[j], y[j], z[j]);
            break;
        case MAXIMUM: EACH(x[j] > y[j] || is_nan(x[j]) ? x[j] : y[j]);
        case MINIMUM: EACH(x[j] < y[j] || is_nan(x[j]) ? x[j] : y[j]);
        case POW: EACH(power(x[j], y[j]));
        default: EACH(bits(op, x[j], y[j]));
    }
#undef EACH
    return good;
}

/// One operand as packs: repeated where its distance is 0.
__device__ __forceinline__ PackOf<T> operand(const T* x, size_t stride, size_t i) {
    if (stride == 1) return load(x, i);
    PackOf<T> all;
#pragma unroll
    for (unsigned j = 0; j < WIDTH_OF<T>; j++) all.at[j] = x[0];
    return all;
}

/// z = x op y, of n elements; x and y broadcast as a and b of the nest. Fails where integers do not divide.
extern "C" __global__ void __launch_bounds__(THREADS)
    binary(const T* x, const T* y, T* z, size_t n, int op, Nest nest, unsigned long long* bad) {
    auto one = [&](size_t i, T a, T b) {
        T c;
        if (!binary_of<1>(op, &a, &b, &c)) fail(bad, i);
        z[i] = c;
    };
    if (!is_row(nest)) {
        each_at(nest, n, [&](size_t i, At at) { one(i, x[at.a], y[at.b]); });
        return;
    }
    size_t a = nest.a[0], b = nest.b[0];
    over<T>(
        n, aligned(z) && (a == 0 || aligned(x)) && (b == 0 || aligned(y)),
        [&](size_t i) {
            PackOf<T> xs = operand(x, a, i), ys = operand(y, b, i), zs;
            if (!binary_of<WIDTH_OF<T>>(op, xs.at, ys.at, zs.at))
                for (unsigned j = 0; j < WIDTH_OF<T>; j++) {
                    size_t k = i * WIDTH_OF<T> + j;
                    one(k, x[k * a], y[k * b]);
                }
            store(z, i, zs);
        },
        [&](size_t i) { one(i, x[i * a], y[i * b]); }
    );
}

/// z = x op number, or number op x if `number_first`, of n elements. As `binary`.
extern "C" __global__ void __launch_bounds__(THREADS)
    binary_number(const T* x, T* z, size_t n, int op, T number, int number_first, unsigned long long* bad) {
    auto one = [&](size_t i) {
        T a = x[i], c;
        if (!(number_first ? binary_of<1>(op, &number, &a, &c) : binary_of<1>(op, &a, &number, &c))) fail(bad, i);
        z[i] = c;
    };
    over<T>(
        n, aligned(x) && aligned(z),
        [&](size_t i) {
            PackOf<T> xs = load(x, i), first, second, zs;
#pragma unroll
            for (unsigned j = 0; j < WIDTH_OF<T>; j++) {
                first.at[j] = number_first ? number : xs.at[j];
                second.at[j] = number_first ? xs.at[j] : number;
            }
            if (!binary_of<WIDTH_OF<T>>(op, first.at, second.at, zs.at))
                for (unsigned j = 0; j < WIDTH_OF<T>; j++) one(i * WIDTH_OF<T> + j);
            store(z, i, zs);
        },
        one
    );
}

enum Comparison { EQ, NE, LT, LE, GT, GE };

template <unsigned N> __device__ __forceinline__ void compare_of(int op, const T* x, const T* y, unsigned char* z) {
#define EACH(value)                                                                                                                \
    _Pragma("unroll") for (unsigned j = 0; j < N; j++) z[j] = value;                                                               \
    break
    switch (op) {
        case EQ: EACH(x[j] == y[j]);
        case NE: EACH(x[j] != y[j]);
        case LT: EACH(x[j] < y[j]);
        case LE: EACH(x[j] <= y[j]);
        case GT: EACH(x[j] > y[j]);
        default: EACH(x[j] >= y[j]);
    }
#undef EACH
}

/// z = x op y, 0 or 1, of n elements; x and y broadcast as a and b of the nest.
extern "C" __global__ void __launch_bounds__(THREADS)
    compare(const T* x, const T* y, unsigned char* z, size_t n, int op, Nest nest) {
    if (!is_row(nest)) {
        each_at(nest, n, [&](size_t i, At at) { compare_of<1>(op, x + at.a, y + at.b, z + i); });
        return;
    }
    size_t a = nest.a[0], b = nest.b[0];
    over<T>(
        n, aligned(z) && (a == 0 || aligned(x)) && (b == 0 || aligned(y)),
        [&](size_t i) {
            PackOf<T> xs = operand(x, a, i), ys = operand(y, b, i);
            Booleans zs;
            compare_of<WIDTH_OF<T>>(op, xs.at, ys.at, zs.at);
            reinterpret_cast<Booleans*>(z)[i] = zs;
        },
        [&](size_t i) { compare_of<1>(op, x + i * a, y + i * b, z + i); }
    );
}

/// z = x where the mask is not 0, y elsewhere, of n elements; mask, x and y broadcast as a, b and c of the nest.
extern "C" __global__ void __launch_bounds__(THREADS)
    where_(const unsigned char* mask, const T* x, const T* y, T* z, size_t n, Nest nest) {
    each_at(nest, n, [&](size_t i, At at) { z[i] = mask[at.a] ? x[at.b] : y[at.c]; });
}

enum Unary {
    NEG, NOT, SQUARE, ABS, SIGN, RELU,
    EXP, EXP2, EXPM1, LN, LOG2, LOG10, LOG1P, SQRT, RSQRT, RECIP, FLOOR, CEIL, ROUND, TRUNC, FRAC,
    SIN, COS, TAN, ASIN, ACOS, ATAN, SINH, COSH, TANH, ASINH, ACOSH, ATANH, ERF, SIGMOID, SOFTPLUS
};

template <class E> __device__ __forceinline__ E unary_of_float(int op, E x) {
    if constexpr (is_float<E>) {
        switch (op) {
            case EXP: return exp(x);
            case EXP2: return exp2(x);
            case EXPM1: return expm1(x);
            case LN: return log(x);
            case LOG2: return log2(x);
            case LOG10: return log10(x);
            case LOG1P: return log1p(x);
            case SQRT: return sqrt(x);
            case RSQRT: return 1 / sqrt(x);
            case RECIP: return 1 / x;
            case FLOOR: return floor(x);
            case CEIL: return ceil(x);
            case ROUND: return rint(x);
            case TRUNC: return trunc(x);
            case FRAC: return x - trunc(x);
            case SIN: return sin(x);
            case COS: return cos(x);
            case TAN: return tan(x);
            case ASIN: return asin(x);
            case ACOS: return acos(x);
            case ATAN: return atan(x);
            case SINH: return sinh(x);
            case COSH: return cosh(x);
            case TANH: return tanh(x);
            case ASINH: return asinh(x);
            case ACOSH: return acosh(x);
            case ATANH: return atanh(x);
            case ERF: return erf(x);
            case SIGMOID: return 1 / (1 + exp(-x));
            // Neither overflows for large x nor loses e^−x; a NaN stays one.
            case SOFTPLUS: return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
        }
    }
    return x;
}

template <class E> __device__ __forceinline__ E unary_of(int op, E x) {
    switch (op) {
        case NEG: return negated(x);
        case NOT: return x == 0;
        case SQUARE: return times(x, x);
        case ABS:
            if constexpr (is_float<E>) return fabs(x);
            return is_negative(x) ? negated(x) : x;
        case SIGN: return x > 0 ? (E)1 : is_negative(x) ? (E)-1 : x;
        // Not the larger of x and 0: a NaN must stay one.
        case RELU: return is_negative(x) ? (E)0 : x;
        default: return unary_of_float(op, x);
    }
}

/// y = op(x) of n elements; y may be x. `NOT` is that of bool, and what follows `RELU` in the list is of floats only.
extern "C" __global__ void __launch_bounds__(THREADS) unary(const T* x, T* y, size_t n, int op) {
    over<T>(
        n, aligned(x) && aligned(y),
        [&](size_t i) {
            PackOf<T> xs = load(x, i);
#pragma unroll 1
            for (unsigned j = 0; j < WIDTH_OF<T>; j++) {
                // Every element in turn through the first place: there is one copy of all these functions.
                T first = unary_of(op, xs.at[0]);
#pragma unroll
                for (unsigned k = 0; k + 1 < WIDTH_OF<T>; k++) xs.at[k] = xs.at[k + 1];
                xs.at[WIDTH_OF<T> - 1] = first;
            }
            store(y, i, xs);
        },
        [&](size_t i) { y[i] = unary_of(op, x[i]); }
    );
}

/// y = x to a whole power, of n elements.
extern "C" __global__ void __launch_bounds__(THREADS) powi(const T* x, T* y, size_t n, int power) {
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        T base = x[i], product = 1;
        for (unsigned rest = power < 0 ? 0u - (unsigned)power : (unsigned)power; rest > 0; rest /= 2) {
            if (rest % 2 == 1) product = times(product, base);
            base = times(base, base);
        }
        y[i] = power < 0 ? (T)(1 / product) : product;
    }
}

/// y = x moved into [low, high], of n elements; NaN stays.
extern "C" __global__ void __launch_bounds__(THREADS) clamp(const T* x, T* y, size_t n, T low, T high) {
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        T value = x[i];
        value = value > low || is_nan(value) ? value : low;
        y[i] = value < high || is_nan(value) ? value : high;
    }
}

/// y = whether x is NaN or, if `finite`, whether it is neither NaN nor infinite.
extern "C" __global__ void __launch_bounds__(THREADS) classify(const T* x, unsigned char* y, size_t n, int finite) {
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) y[i] = finite ? !is_nan((T)(x[i] - x[i])) : is_nan(x[i]);
}

/// The types that `cast` makes.
enum Type { BOOL, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 };

/// x as another type: whether it exists there.
template <class From, class To> __device__ __forceinline__ bool converted(From x, To& y) {
    if constexpr (is_float<To>) {
        y = (To)x;
        return true;
    } else if constexpr (is_float<From>) {
        // Both bounds are powers of 2, which every float has.
        From half = (From)(1ull << (sizeof(To) * 8 - 1)), whole = trunc(x);
        bool exists = is_signed<To> ? whole >= -half && whole < half : whole >= 0 && whole < half * 2;
        y = exists ? (To)whole : (To)0;
        return exists;
    } else {
        y = (To)x;
        return (From)y == x && is_negative(y) == is_negative(x);
    }
}

template <class To> __device__ __forceinline__ void cast_to(const T* x, To* y, size_t n, unsigned long long* bad) {
    for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) {
        To value;
        if (!converted(x[i], value)) fail(bad, i);
        y[i] = value;
    }
}

/// y = x as another type, of n elements: floats become integers by truncation. Fails where a number does not exist in the type.
extern "C" __global__ void __launch_bounds__(THREADS) cast(const T* x, void* y, size_t n, int type, unsigned long long* bad) {
    switch (type) {
        case BOOL:
            for (size_t i = thread_of_grid(); i < n; i += threads_of_grid()) ((unsigned char*)y)[i] = x[i] != 0;
            break;
        case F32: cast_to(x, (float*)y, n, bad); break;
        case F64: cast_to(x, (double*)y, n, bad); break;
        case I8: cast_to(x, (signed char*)y, n, bad); break;
        case I16: cast_to(x, (short*)y, n, bad); break;
        case I32: cast_to(x, (int*)y, n, bad); break;
        case I64: cast_to(x, (long long*)y, n, bad); break;
        case U8: cast_to(x, (unsigned char*)y, n, bad); break;
        case U16: cast_to(x, (unsigned short*)y, n, bad); break;
        case U32: cast_to(x, (unsigned*)y, n, bad); break;
        case U64: cast_to(x, (unsigned long long*)y, n, bad); break;
    }
}
