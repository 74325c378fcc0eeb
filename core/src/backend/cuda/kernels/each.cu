// One element after the other: an operation of tensors whose operands are views with strides of their own, so that they
// broadcast, are permuted, or are a part of something.
//
// What is computed is an expression that the program's definitions bring:
//   OUT, X, Y, Z, P    the types of the result, of up to three operands and of two numbers
//   OPERANDS, RANK     how many operands there are, and how many dimensions, at least 1
//   INDEX              an unsigned type for the number of elements
//   VALUE              the element of the result, in x, y and z; v is a variable for it
//   PLACE              where in `out` it goes; nowhere if that is negative
// Beside them there are: i, the number of the element in row-major order; ao, ax, ay and az, the places in `out` and in the
// operands px, py and pz; p and q; the whole numbers n[0] to n[5]; and FAIL(position), which keeps the first position of all at
// which something cannot be computed: `bad`, 0 before, is then its complement.

namespace number {
// Whole numbers wrap around, as Rust's do in a release build.
#define WRAPPING(name, operator)                                                                                                   \
    template <class T> __device__ __forceinline__ T name(T x, T y) {                                                               \
        if constexpr (is_float<T>)                                                                                                 \
            return x operator y;                                                                                                   \
        else                                                                                                                       \
            return (T)((unsigned long long)x operator (unsigned long long)y);                                                      \
    }
WRAPPING(add, +)
WRAPPING(sub, -)
WRAPPING(mul, *)
#undef WRAPPING

template <class T> __device__ __forceinline__ T neg(T x) {
    if constexpr (is_float<T>)
        return -x;
    else
        return (T)(0 - (unsigned long long)x);
}

/// x / y, and whether there is one: not of whole numbers by 0, and not of the smallest by −1.
template <class T> __device__ __forceinline__ bool div(T x, T y, T& z) {
    if constexpr (is_float<T>) {
        z = x / y;
        return true;
    } else {
        z = 0;
        if (y == 0 || ((T)-1 < (T)0 && y == (T)-1 && x < (T)0 && x == neg(x))) return false;
        z = (T)(x / y);
        return true;
    }
}

template <class T> __device__ __forceinline__ T maximum(T x, T y) {
    return x > y || is_nan(x) ? x : y;
}

template <class T> __device__ __forceinline__ T minimum(T x, T y) {
    return x < y || is_nan(x) ? x : y;
}

template <class T> __device__ __forceinline__ bool is_finite(T x) {
    return !is_nan(x - x);
}

template <class T> __device__ __forceinline__ T powi(T x, long long power) {
    T product = 1;
    for (unsigned long long rest = power < 0 ? -power : power; rest > 0; rest /= 2) {
        if (rest % 2 == 1) product *= x;
        x *= x;
    }
    return power < 0 ? 1 / product : product;
}

/// x as another type: whether it exists there. A float becomes a whole number without its fraction.
template <class To, class From> __device__ __forceinline__ bool cast(From x, To& y) {
    if constexpr (Same<To, bool>::YES) {
        y = x != 0;
        return true;
    } else if constexpr (is_float<To>) {
        y = (To)x;
        return true;
    } else if constexpr (is_float<From>) {
        // Both bounds are powers of 2, which every float has.
        constexpr bool SIGNED = (To)-1 < (To)0;
        From half = (From)(1ull << (sizeof(To) * 8 - 1)), whole = trunc(x);
        bool exists = SIGNED ? whole >= -half && whole < half : whole >= 0 && whole < half * 2;
        y = exists ? (To)whole : (To)0;
        return exists;
    } else {
        y = (To)x;
        return (From)y == x && (y < 0) == (x < 0);
    }
}
} // namespace number

/// Elements along an axis: `size` of them, `stride` apart.
namespace lane {
/// How many come before x[k] in an order in which NaN is the largest, and equal ones stay as they are.
template <class T>
__device__ __forceinline__ long long rank(const T* x, long long size, long long stride, long long k, bool descending) {
    T own = x[k * stride];
    long long count = 0;
    for (long long j = 0; j < size; j++) {
        T other = x[j * stride];
        bool less = is_nan(own) ? !is_nan(other) : other < own, more = is_nan(other) ? !is_nan(own) : other > own;
        count += (descending ? more : less) || (j < k && !less && !more);
    }
    return count;
}

/// The product of all but x[k].
template <class T> __device__ __forceinline__ T product_but(const T* x, long long size, long long stride, long long k) {
    T product = 1;
    for (long long j = 0; j < size; j++)
        if (j != k) product *= x[j * stride];
    return product;
}

/// The sum of the elements whose index is k.
template <class T, class L>
__device__ __forceinline__ T
sum_at(const T* x, const L* index, long long size, long long stride, long long index_stride, long long k) {
    T sum = 0;
    for (long long j = 0; j < size; j++)
        if ((long long)index[j * index_stride] == k) sum += x[j * stride];
    return sum;
}
} // namespace lane

/// The first array is the result.
struct Views {
    unsigned long long count;
    long long sizes[6];
    long long strides[4][6];
    long long offsets[4];
    long long n[6];
};

#ifndef PLACE
#define PLACE ao
#endif
#define FAIL(position) atomicMax(bad, ~(unsigned long long)(position))
#define SHARE(equal, other) ((equal) ? (X)0.5 : (other) ? (X)0 : (X)1)
#define ADD(x, y) number::add<X>(x, y)
#define SUB(x, y) number::sub<X>(x, y)
#define MUL(x, y) number::mul<X>(x, y)
#define DIV(x, y) (number::div<X>(x, y, v) ? v : (FAIL(i), v))

/// Any 1-D grid of 256 threads. `out` may be an operand if each element of it is computed from that of the same place.
extern "C" __global__ void __launch_bounds__(THREADS)
    each(OUT* out, const X* px, const Y* py, const Z* pz, P p, P q, Views views, unsigned long long* bad) {
    const long long* n = views.n;
    for (unsigned long long i = thread_of_grid(); i < views.count; i += threads_of_grid()) {
        long long at[4] = {views.offsets[0], views.offsets[1], views.offsets[2], views.offsets[3]};
        INDEX rest = (INDEX)i;
#pragma unroll
        for (int d = RANK - 1; d >= 0; d--) {
            INDEX before = d > 0 ? rest / (INDEX)views.sizes[d] : 0;
            long long along = (long long)(rest - before * (INDEX)views.sizes[d]);
#pragma unroll
            for (int a = 0; a <= OPERANDS; a++) at[a] += along * views.strides[a][d];
            rest = before;
        }
        const long long ao = at[0], ax = at[1], ay = at[2], az = at[3];
#if OPERANDS > 0
        const X x = px[ax];
#endif
#if OPERANDS > 1
        const Y y = py[ay];
#endif
#if OPERANDS > 2
        const Z z = pz[az];
#endif
        OUT v = 0;
        const OUT value = VALUE;
        const long long place = PLACE;
        if (place >= 0) out[place] = value;
    }
}
