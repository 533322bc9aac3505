// Loops over the features of a batch, rows of samples padded to whole vectors.
#pragma once

#include <cmath>
#include <type_traits>

#include "vectors.h"

// each(at, bytes) for every vector in a row of `step` numbers, at being the place of its first.
template <class T, class Each>
inline void each_vector(int step, Each each) {
    int at = 0;
    for (; at + int(VECTOR_BYTES / sizeof(T)) <= step; at += VECTOR_BYTES / sizeof(T))
        each(at, std::integral_constant<int, VECTOR_BYTES>());
    if constexpr (VECTOR_BYTES > 32)
        for (; at + int(32 / sizeof(T)) <= step; at += 32 / sizeof(T)) each(at, std::integral_constant<int, 32>());
    if constexpr (VECTOR_BYTES > 16)
        for (; at + int(16 / sizeof(T)) <= step; at += 16 / sizeof(T)) each(at, std::integral_constant<int, 16>());
}

template <class V, class T>
inline V& vector_at(T* x) {
    return *reinterpret_cast<V*>(const_cast<std::remove_const_t<T>*>(x));
}

// The sum of term(row), a vector each; four sums at once, since an addition waits for the one before.
template <class V, class Term>
inline V sum_over_rows(int rows, Term term) {
    V sums[4] = {};
    int row = 0;
    for (; row + 4 <= rows; row += 4)
        for (int i = 0; i < 4; ++i) sums[i] += term(row + i);
    for (; row < rows; ++row) sums[0] += term(row);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class V>
inline V square_root(V x) {
    for (size_t lane = 0; lane < sizeof(V) / sizeof(x[0]); ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
}

template <class V>
inline auto sum_of_lanes(V x) {
    auto sum = x[0];
    for (size_t lane = 1; lane < sizeof(V) / sizeof(sum); ++lane) sum += x[lane];
    return sum;
}

// The sum of the products of two rows of `step` numbers.
template <class T>
inline T inner(const T* a, const T* b, int step) {
    T sum = 0;
    each_vector<T>(step, [&](int at, auto bytes) {
        using V = typename Vector<T, decltype(bytes)::value>::type;
        sum += sum_of_lanes<V>(vector_at<V>(a + at) * vector_at<V>(b + at));
    });
    return sum;
}

// The sum of `count` numbers.
template <class T>
inline T sum_of(const T* x, int count) {
    using V = typename Vector<T, VECTOR_BYTES>::type;
    constexpr int LANES = VECTOR_BYTES / sizeof(T);
    T sum = sum_of_lanes<V>(sum_over_rows<V>(count / LANES, [&](int row) { return vector_at<V>(x + row * LANES); }));
    for (int i = count / LANES * LANES; i < count; ++i) sum += x[i];
    return sum;
}

// Rows of samples `(rows, step)` as rows of features `(features, width)`, and back. A few features at a time: the cache holds the
// ends of as many rows.
template <class T>
inline void turn(const T* x, int rows, int features, long step, T* out, long width) {
    constexpr int FEW = 16;
    for (int first = 0; first < features; first += FEW) {
        const int end = first + FEW < features ? first + FEW : features;
        for (int row = 0; row < rows; ++row)
            for (int feature = first; feature < end; ++feature) out[feature * width + row] = x[row * step + feature];
    }
}

template <class T>
inline void turn_back(const T* x, int rows, int features, long width, T* out, long step) {
    for (int row = 0; row < rows; ++row)
        for (int feature = 0; feature < features; ++feature) out[row * step + feature] = x[feature * width + row];
}
