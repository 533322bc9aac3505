// Activations as functions of `layers.h`: value and slope, number by number. The formulas are the framework's.
#pragma once

#include "functions.h"

template <class T>
struct Identity {
    static constexpr bool reads_input = false;
    T value(T x) const { return x; }
    T slope(T, T) const { return 1; }
};

template <class T>
struct LeakyReLU {
    static constexpr bool reads_input = false;
    T below;
    T value(T x) const { return x < 0 ? below * x : x; }
    T slope(T, T y) const { return y > 0 ? T(1) : below; }
};

template <class T>
struct ReLU {
    static constexpr bool reads_input = false;
    T value(T x) const { return at_least(x, T(0)); }
    T slope(T, T y) const { return y > 0 ? T(1) : T(0); }
};

// scale (max(x, 0) + alpha (e^min(x, 0) - 1)): SELU, and ELU with a scale of 1.
template <class T>
struct ELU {
    static constexpr bool reads_input = false;
    T alpha, scale;
    T value(T x) const {
        T below = at_most(x, T(0)), raised = exponential(below) - T(1);
        return scale * (at_least(x, T(0)) + alpha * (raised < below ? below : raised));  // e^x - 1 is nowhere below x
    }
    T slope(T, T y) const { return y > 0 ? scale : y + scale * alpha; }
};

template <class T>
struct GELU {
    static constexpr bool reads_input = true;
    static T phi(T x) { return T(0.5) * (T(1) + error_function(x * T(0.70710678118654752440))); }
    T value(T x) const { return x * phi(x); }
    T slope(T x, T) const { return phi(x) + x * exponential(T(-0.5) * x * x) * T(0.39894228040143267794); }
};

template <class T>
struct SiLU {
    static constexpr bool reads_input = true;
    T value(T x) const { return x * sigmoid(x); }
    T slope(T x, T) const {
        T share = sigmoid(x);
        return share * (T(1) + x * (T(1) - share));
    }
};

template <class T>
struct Mish {
    static constexpr bool reads_input = true;
    T value(T x) const { return x * hyperbolic_tangent(softplus(x)); }
    T slope(T x, T) const {
        T t = hyperbolic_tangent(softplus(x));
        return t + x * (T(1) - t * t) * sigmoid(x);
    }
};

template <class T>
struct Softplus {
    static constexpr bool reads_input = true;
    T beta;
    T value(T x) const { return softplus(beta * x) / beta; }
    T slope(T x, T) const { return sigmoid(beta * x); }
};

template <class T>
struct Hardtanh {
    static constexpr bool reads_input = false;
    T low, high;
    T value(T x) const { return at_most(at_least(x, low), high); }
    T slope(T, T y) const { return y > low && y < high ? T(1) : T(0); }
};

template <class T>
struct Tanh {
    static constexpr bool reads_input = false;
    T value(T x) const { return hyperbolic_tangent(x); }
    T slope(T, T y) const { return T(1) - y * y; }
};

template <class T>
struct Sigmoid {
    static constexpr bool reads_input = false;
    T value(T x) const { return sigmoid(x); }
    T slope(T, T y) const { return y * (T(1) - y); }
};
