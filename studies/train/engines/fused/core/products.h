// Products of matrices. The one for many rows sums outer products: its sums stay in registers, and none ends across a vector.
#pragma once

#include "columns.h"

// ROWS rows and VECTORS vectors of c = start + a b. a is read number by number, b and c vector by vector.
template <class T, int BYTES, int ROWS, int VECTORS, bool A_TRANSPOSED>
inline void product_block(int inner, const T* a, long a_step, const T* b, long b_step, const T* start, T* c, long c_step) {
    using V = typename Vector<T, BYTES>::type;
    constexpr int LANES = Vector<T, BYTES>::lanes;
    V sum[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int v = 0; v < VECTORS; ++v) {
        V first = start ? load<V>(start + v * LANES) : V{};
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) sum[r][v] = first;
    }
    for (int k = 0; k < inner; ++k) {
        V row[VECTORS];
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) row[v] = load<V>(b + v * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            T factor = A_TRANSPOSED ? a[r] : a[r * a_step];
#pragma GCC unroll 16
            for (int v = 0; v < VECTORS; ++v) sum[r][v] += factor * row[v];
        }
        a += A_TRANSPOSED ? a_step : 1;
        b += b_step;
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) store(c + r * c_step + v * LANES, sum[r][v]);
}

// Most rows whose sums leave registers for a row of b and a number of a.
constexpr int most_rows(int vectors) {
    int rows = (REGISTERS == 32 ? 24 : 12) / vectors;
    return rows < 12 ? rows : 12;
}

// VECTORS vectors of all rows of c, in blocks of nearly equal numbers of rows.
template <class T, int BYTES, int VECTORS, bool A_TRANSPOSED, int ROWS = most_rows(VECTORS)>
inline void product_rows(int rows, int inner, const T* a, long a_step, const T* b, long b_step, const T* start, T* c, long c_step,
                         int blocks) {
    // Of the rows left, this many blocks take ROWS each; the others take fewer.
    int fewer = rows / blocks, more = rows % blocks;
    if constexpr (ROWS > 1) {
        int here = fewer == ROWS ? blocks - more : fewer + 1 == ROWS ? more : 0;
        for (int block = 0; block < here; ++block) {
            product_block<T, BYTES, ROWS, VECTORS, A_TRANSPOSED>(inner, a, a_step, b, b_step, start, c, c_step);
            a += A_TRANSPOSED ? ROWS : ROWS * a_step;
            c += ROWS * c_step;
        }
        if (blocks > here)
            product_rows<T, BYTES, VECTORS, A_TRANSPOSED, ROWS - 1>(rows - here * ROWS, inner, a, a_step, b, b_step, start, c,
                                                                    c_step, blocks - here);
    } else {
        for (int row = 0; row < rows; ++row) {
            product_block<T, BYTES, 1, VECTORS, A_TRANSPOSED>(inner, a, a_step, b, b_step, start, c, c_step);
            a += A_TRANSPOSED ? 1 : a_step;
            c += c_step;
        }
    }
}

// c = start + a b, or start + a^T b: `rows` x `inner` times `inner` x `columns`, a padded number. Matrices are row-major with
// `*_step` numbers from row to row. `start` is one row for all, or null for 0.
template <class T, bool A_TRANSPOSED>
void product(int rows, int inner, int columns, const T* a, long a_step, const T* b, long b_step, const T* start, T* c,
             long c_step) {
    auto panel = [&](auto bytes, auto vectors) {
        constexpr int BYTES = decltype(bytes)::value, VECTORS = decltype(vectors)::value, MOST = most_rows(VECTORS);
        product_rows<T, BYTES, VECTORS, A_TRANSPOSED>(rows, inner, a, a_step, b, b_step, start, c, c_step,
                                                      (rows + MOST - 1) / MOST);
        constexpr int done = BYTES / sizeof(T) * VECTORS;
        b += done, c += done, start += start ? done : 0, columns -= done;
    };
    using std::integral_constant;
    constexpr int LANES = VECTOR_BYTES / sizeof(T);
    while (columns >= 2 * LANES && columns / LANES != 3)
        panel(integral_constant<int, VECTOR_BYTES>(), integral_constant<int, 2>());
    if (columns >= 3 * LANES) panel(integral_constant<int, VECTOR_BYTES>(), integral_constant<int, 3>());
    if (columns >= LANES) panel(integral_constant<int, VECTOR_BYTES>(), integral_constant<int, 1>());
    if constexpr (VECTOR_BYTES > 32)
        if (columns >= int(32 / sizeof(T))) panel(integral_constant<int, 32>(), integral_constant<int, 1>());
    if constexpr (VECTOR_BYTES > 16)
        if (columns >= int(16 / sizeof(T))) panel(integral_constant<int, 16>(), integral_constant<int, 1>());
}

// c = a b^T, by sums across vectors: `inner` is a multiple of a vector's numbers, and c has room for a vector beyond its end. For few
// rows of a, where turning b takes longer.
template <class T>
void product_across(int rows, int inner, int columns, const T* a, long a_step, const T* b, long b_step, T* c, long c_step) {
    using V = typename Vector<T, VECTOR_BYTES>::type;
    constexpr int LANES = VECTOR_BYTES / sizeof(T);
    for (int row = 0; row < rows; ++row, a += a_step, c += c_step)
        for (int column = 0; column < columns; column += LANES) {
            V sums[LANES] = {};
            for (int k = 0; k < inner; k += LANES)
#pragma GCC unroll 16
                for (int i = 0; i < LANES; ++i)
                    if (column + i < columns) sums[i] += load<V>(a + k) * load<V>(b + (column + i) * b_step + k);
            store(c + column, sums_of_lanes<V>(sums));
        }
}
