// Loops over the features of a batch, rows of samples padded to whole vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

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
constexpr int lanes_of = sizeof(V) / sizeof(std::declval<V>()[0]);

template <class V>
inline V square_root(V x) {
    for (int lane = 0; lane < lanes_of<V>; ++lane) x[lane] = std::sqrt(x[lane]);
    return x;
}

// Each lane of a, or of b where the lane's number has the bit HALF, and its neighbour across that bit.
template <int HALF, class V, int... LANE>
inline V folded(V a, V b, std::integer_sequence<int, LANE...>) {
    constexpr int LANES = sizeof...(LANE);
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (LANE & HALF ? LANE + LANES : LANE)...) +
           __builtin_shufflevector(a, b, ((LANE & HALF ? LANE + LANES : LANE) ^ HALF)...);
#else
    using Places = decltype(a == b);
    return __builtin_shuffle(a, b, Places{(LANE & HALF ? LANE + LANES : LANE)...}) +
           __builtin_shuffle(a, b, Places{((LANE & HALF ? LANE + LANES : LANE) ^ HALF)...});
#endif
}

// Lane i is the sum of all lanes of x[i]; x, of as many vectors as a vector has lanes, is used up.
template <class V, int HALF = lanes_of<V> / 2>
inline V sums_of_lanes(V* x) {
    if constexpr (HALF == 0) {
        return x[0];
    } else {
#pragma GCC unroll 16
        for (int i = 0; i < HALF; ++i) x[i] = folded<HALF>(x[i], x[i + HALF], std::make_integer_sequence<int, lanes_of<V>>());
        return sums_of_lanes<V, HALF / 2>(x);
    }
}

template <class V, int HALF = lanes_of<V> / 2>
inline auto sum_of_lanes(V x) {
    if constexpr (HALF == 0)
        return x[0];
    else
        return sum_of_lanes<V, HALF / 2>(folded<HALF>(x, x, std::make_integer_sequence<int, lanes_of<V>>()));
}

// The sum of `count` numbers.
template <class T>
inline T sum_of(const T* x, int count) {
    using V = typename Vector<T, VECTOR_BYTES>::type;
    constexpr int LANES = VECTOR_BYTES / sizeof(T);
    T sum = sum_of_lanes<V>(sum_over_rows<V>(count / LANES, [&](int row) { return load<V>(x + row * LANES); }));
    for (int i = count / LANES * LANES; i < count; ++i) sum += x[i];
    return sum;
}

// The transpose: x `(rows, columns)`, `x_step` numbers from row to row, to `(columns, rows)`. Squares pass through registers,
// of which a function that had this inside would leave too few.
template <class T>
__attribute__((noinline)) void turn(const T* __restrict x, int rows, int columns, long x_step, T* __restrict out, long out_step) {
    constexpr int SIDE = 4;
    const int whole_rows = rows / SIDE * SIDE, whole_columns = columns / SIDE * SIDE;
    for (int row = 0; row < whole_rows; row += SIDE)
        for (int column = 0; column < whole_columns; column += SIDE) {
            T square[SIDE][SIDE];
#pragma GCC unroll 4
            for (int i = 0; i < SIDE; ++i) std::copy_n(x + (row + i) * x_step + column, SIDE, square[i]);
#pragma GCC unroll 4
            for (int j = 0; j < SIDE; ++j)
#pragma GCC unroll 4
                for (int i = 0; i < SIDE; ++i) out[(column + j) * out_step + row + i] = square[i][j];
        }
    for (int column = whole_columns; column < columns; ++column)
        for (int row = 0; row < rows; ++row) out[column * out_step + row] = x[row * x_step + column];
    for (int row = whole_rows; row < rows; ++row)
        for (int column = 0; column < whole_columns; ++column) out[column * out_step + row] = x[row * x_step + column];
}
