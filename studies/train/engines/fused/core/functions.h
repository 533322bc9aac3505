// Elementary functions without branches or calls, so that a loop over them becomes vectors. x that is no number stays none.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

template <class T>
struct Bits;

template <>
struct Bits<float> {
    using type = int32_t;
    static constexpr int fraction = 23, bias = 127;
};

template <>
struct Bits<double> {
    using type = int64_t;
    static constexpr int fraction = 52, bias = 1023;
};

template <class To, class From>
inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

// Limits that let a NaN through.
template <class T>
inline T at_least(T x, T low) {
    return x < low ? low : x;
}

template <class T>
inline T at_most(T x, T high) {
    return x > high ? high : x;
}

template <class T>
inline T absolute(T x) {
    return x < 0 ? -x : x;
}

// Horner's rule, from the coefficient of the highest power of x to the constant.
template <class T>
inline T polynomial(T, T p) {
    return p;
}

template <class T, class... Rest>
inline T polynomial(T x, T p, T next, Rest... rest) {
    return polynomial(x, p * x + next, rest...);
}

// e^x for x up to 88, or 709 in double; below -86, where a float has no digits left, what it is there.
// x = n ln 2 + r; e^r = 1 + r + r^2 p(r), with the coefficients of Cephes' expf, and in double those of Taylor's series.
template <class T>
inline T exponential(T x) {
    using B = Bits<T>;
    constexpr bool is_float = sizeof(T) == 4;
    constexpr T rounder = is_float ? T(12582912) : T(6755399441055744);  // 1.5 2^fraction: what is added to it becomes whole
    x = at_least(x, is_float ? T(-86) : T(-707));
    T shifted = x * T(1.44269504088896340736) + rounder, n = shifted - rounder;
    T r = x - n * (is_float ? T(0.693359375) : T(6.93147180369123816490e-01));
    r -= n * (is_float ? T(-2.12194440e-4) : T(1.90821492927058770002e-10));
    T p;
    if constexpr (is_float)
        p = polynomial(r, T(1.9875691500e-4), T(1.3981999507e-3), T(8.3334519073e-3), T(4.1665795894e-2), T(1.6666665459e-1),
                       T(5.0000001201e-1));
    else
        p = polynomial(r, T(1.0 / 6227020800), T(1.0 / 479001600), T(1.0 / 39916800), T(1.0 / 3628800), T(1.0 / 362880),
                       T(1.0 / 40320), T(1.0 / 5040), T(1.0 / 720), T(1.0 / 120), T(1.0 / 24), T(1.0 / 6), T(1.0 / 2));
    T power = p * (r * r) + r + T(1);
    using U = std::make_unsigned_t<typename B::type>;
    // The last bits of `shifted` are n.
    U exponent = (same_bits<U>(shifted) - same_bits<U>(rounder) + U(B::bias)) << B::fraction;
    return power * same_bits<T>(exponent);
}

// log x: x = 2^n m with m between 1 / sqrt(2) and sqrt(2), log m = 2 artanh s with s = (m - 1) / (m + 1), as in fdlibm.
template <class T>
inline T logarithm(T x) {
    using B = Bits<T>;
    using I = typename B::type;
    using U = std::make_unsigned_t<I>;
    constexpr bool is_float = sizeof(T) == 4;
    U bits = same_bits<U>(x), half = same_bits<U>(T(0.70710678118654752440));
    I n = I(bits - half) >> B::fraction;
    T m = same_bits<T>(bits - (U(n) << B::fraction)), f = m - T(1), s = f / (T(2) + f), z = s * s, p;
    if constexpr (is_float)
        p = polynomial(z, T(0.24279078841), T(0.28498786688), T(0.40000972152), T(0.66666662693));
    else
        p = polynomial(z, T(1.479819860511658591e-01), T(1.531383769920937332e-01), T(1.818357216161805012e-01),
                       T(2.222219843214978396e-01), T(2.857142874366239149e-01), T(3.999999999940941908e-01),
                       T(6.666666666666735130e-01));
    T square = f * f * T(0.5);
    T value = T(n) * T(0.69314718055994530942) + (f - (square - s * (square + p * z)));
    value = x < std::numeric_limits<T>::min() ? -std::numeric_limits<T>::infinity() : value;
    return x < std::numeric_limits<T>::infinity() ? value : x;  // and NaN for NaN
}

// log(1 + x) for x >= -1, exact to the last digits where x is small: log(w) x / (w - 1) with w = 1 + x, rounded (Goldberg 1991).
template <class T>
inline T logarithm_of_1_and(T x) {
    T w = T(1) + x, rest = w - T(1);
    T value = logarithm(w) * (x / (rest == 0 ? T(1) : rest));
    return rest == 0 ? x : value;
}

template <class T>
inline T sigmoid(T x) {
    return T(1) / (T(1) + exponential(at_most(-x, T(sizeof(T) == 4 ? 88 : 709))));
}

// In double, tanh x = sign(x) (1 - e) / (1 + e) with e = e^(-2 |x|). In float x p(x^2) / q(x^2), fitted to a relative error of
// 6e-9 up to |x| = 7.9, where a float's tanh is 1.
template <class T>
inline T hyperbolic_tangent(T x) {
    if constexpr (sizeof(T) == 4) {
        x = at_most(at_least(x, T(-7.9)), T(7.9));
        T z = x * x;
        T p = polynomial(z, T(1.5427797833559428e-08), T(2.202313209485649e-05), T(0.0035789855700122646),
                         T(0.1345061524297282), T(0.9999999943519235));
        T q = polynomial(z, T(8.598712737586925e-07), T(0.00034236397293550564), T(0.02619221372696196), T(0.4678394324375934),
                         T(1));
        return x * p / q;
    } else {
        T e = exponential(T(-2) * absolute(x)), y = (T(1) - e) / (T(1) + e);
        return x < 0 ? -y : y;
    }
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which never overflows.
template <class T>
inline T softplus(T x) {
    return at_least(x, T(0)) + logarithm_of_1_and(exponential(-absolute(x)));
}

// erf x by Cody's rational functions (1969): of x^2 below 15/32, above that 1 - e^(-x^2) times one of |x|.
template <class T>
inline T error_function(T x) {
    T size = absolute(x), z = x * x;
    T p = polynomial(z, T(1.85777706184603153e-1), T(3.16112374387056560e0), T(1.13864154151050156e2),
                     T(3.77485237685302021e2), T(3.20937758913846947e3));
    T q = polynomial(z, T(1), T(2.36012909523441209e1), T(2.44024637934444173e2), T(1.28261652607737228e3),
                     T(2.84423683343917062e3));
    T small = x * p / q;
    T y = at_most(size, T(10));
    T u = polynomial(y, T(2.15311535474403846e-8), T(5.64188496988670089e-1), T(8.88314979438837594e0),
                     T(6.61191906371416295e1), T(2.98635138197400131e2), T(8.81952221241769090e2), T(1.71204761263407058e3),
                     T(2.05107837782607147e3), T(1.23033935479799725e3));
    T v = polynomial(y, T(1), T(1.57449261107098347e1), T(1.17693950891312499e2), T(5.37181101862009858e2),
                     T(1.62138957456669019e3), T(3.29079923573345963e3), T(4.36261909014324716e3), T(3.43936767414372164e3),
                     T(1.23033935480374942e3));
    T large = T(1) - exponential(-y * y) * u / v;
    return size < T(0.46875) ? small : x < 0 ? -large : large;
}
