// Losses: the value over a batch, and its gradient. Outputs and targets lie turned, a row of samples for each output.
#pragma once

#include <cstdint>
#include <vector>

#include "columns.h"
#include "functions.h"
#include "layers.h"

// Of `(outputs, width)` outputs z, of which `rows` samples count, and targets t: writes the terms over z, and the derivatives
// to g. `row` is room for two rows.
template <class T>
using Terms = void (*)(T* z, const T* t, T* g, T* row, int rows, int outputs, long width, T parameter);

// One term for each output: `Function(y, t, parameter, &term)` returns the derivative.
template <class T, class Function>
void elementwise_terms(T* z, const T* t, T* g, T*, int rows, int outputs, long width, T parameter) {
    const Function function;
    for (int output = 0; output < outputs; ++output) {
#pragma GCC ivdep
        for (int i = 0; i < rows; ++i) {
            T term;
            g[output * width + i] = function(z[output * width + i], t[output * width + i], parameter, term);
            z[output * width + i] = term;
        }
    }
}

struct SquaredError {
    template <class T>
    T operator()(T y, T t, T, T& term) const {
        T difference = y - t;
        term = difference * difference;
        return T(2) * difference;
    }
};

struct AbsoluteError {
    template <class T>
    T operator()(T y, T t, T, T& term) const {
        T difference = y - t;
        term = absolute(difference);
        return difference > 0 ? T(1) : difference < 0 ? T(-1) : difference;  // 0, or no number
    }
};

struct Huber {
    template <class T>
    T operator()(T y, T t, T delta, T& term) const {
        T difference = y - t, size = absolute(difference), least = at_most(size, delta);
        term = least * (size - T(0.5) * least);
        return at_most(at_least(difference, -delta), delta);
    }
};

struct BinaryCrossEntropy {
    template <class T>
    T operator()(T y, T t, T, T& term) const {
        T of_0 = at_least(logarithm_of_1_and(-y), T(-100)), of_1 = at_least(logarithm(y), T(-100));
        term = -(t * of_1 + (T(1) - t) * of_0);
        return (y - t) / at_least((T(1) - y) * y, T(1e-12));
    }
};

template <class T>
void cross_entropy_terms(T* z, const T* t, T* g, T* row, int rows, int outputs, long width, T) {
    const T* largest = row + width;
    std::memcpy(g, z, outputs * width * sizeof(T));
    Softmax<T>::softmax(g, row, rows, outputs, width);
    for (int i = 0; i < rows; ++i) row[i] = logarithm(row[i]);
    for (int output = 0; output < outputs; ++output) {
#pragma GCC ivdep
        for (int i = 0; i < rows; ++i) {
            const long at = output * width + i;
            T below = at_least(z[at] - largest[i], -std::numeric_limits<T>::max());
            z[at] = (row[i] - below) * t[at];
            g[at] -= t[at];
        }
    }
}

template <class T>
void hinge_terms(T* z, const T* t, T* g, T* row, int rows, int outputs, long width, T margin) {
    T* raised = row + width;  // the number of outputs within the margin
    std::memset(row, 0, 2 * width * sizeof(T));
    for (int output = 0; output < outputs; ++output)
        for (int i = 0; i < rows; ++i) row[i] += z[output * width + i] * t[output * width + i];
    for (int output = 0; output < outputs; ++output)
        for (int i = 0; i < rows; ++i) {
            const long at = output * width + i;
            T term = at_least(z[at] - row[i] + margin, T(0)) * (T(1) - t[at]);  // the class itself has no term
            z[at] = term, g[at] = term > 0 ? T(1) : T(0);
            raised[i] += g[at];
        }
    for (int output = 0; output < outputs; ++output)
        for (int i = 0; i < rows; ++i) g[output * width + i] -= t[output * width + i] * raised[i];
}

enum class LossKind { squared, absolute, huber, hinge, binary_cross_entropy, cross_entropy };

template <class T>
Terms<T> terms_of(LossKind kind) {
    switch (kind) {
        case LossKind::squared: return elementwise_terms<T, SquaredError>;
        case LossKind::absolute: return elementwise_terms<T, AbsoluteError>;
        case LossKind::huber: return elementwise_terms<T, Huber>;
        case LossKind::hinge: return hinge_terms<T>;
        case LossKind::binary_cross_entropy: return elementwise_terms<T, BinaryCrossEntropy>;
        default: return cross_entropy_terms<T>;
    }
}

// A loss with its room.
template <class T>
class Loss {
public:
    Loss(LossKind kind, double parameter, bool mean, int outputs)
        : terms_(terms_of<T>(kind)), parameter_(T(parameter)), mean_(mean), outputs_(outputs) {}

    void reserve(int rows) {
        width_ = whole_vectors<T>(rows);
        labels_.resize(rows);
        targets_ = Numbers<T>(outputs_ * width_), outputs_turned_ = Numbers<T>(outputs_ * width_);
        gradient_ = Numbers<T>(outputs_ * width_), row_ = Numbers<T>(2 * width_);
    }

    // Targets of samples: 1 for the output of its class, else 0; a single output stands for class 1. Or the numbers themselves.
    template <class Label>
    void set_labels(int rows, Label label) {
        for (int row = 0; row < rows; ++row) labels_[row] = label(row);
        for (int output = 0; output < outputs_; ++output) {
            T* target = targets_ + output * width_;
            const int32_t own = output + (outputs_ == 1);
            for (int row = 0; row < rows; ++row) target[row] = labels_[row] == own ? T(1) : T(0);
        }
    }
    template <class Target>
    void set_targets(int rows, Target target) {
        for (int row = 0; row < rows; ++row) targets_[row] = target(row);
    }

    // The sum of all terms. Outputs are `(rows, step)`.
    T evaluate(const T* output, long step, int rows) {
        turn<T>(output, rows, outputs_, step, outputs_turned_, width_);
        terms_(outputs_turned_, targets_, gradient_, row_, whole_vectors<T>(rows), outputs_, width_, parameter_);
        T sum = 0;
        for (int each = 0; each < outputs_; ++each) sum += sum_of(outputs_turned_ + each * width_, rows);
        return sum;
    }

    // The loss of a batch, and its gradient `(rows, step)`, 0 in the padding, which is 0 already.
    T operator()(const T* output, long step, int rows, T* gradient) {
        T sum = evaluate(output, step, rows), factor = mean_ ? T(1) / T(rows) : T(1);
        T* turned = gradient_;
        for (long i = 0; i < outputs_ * width_; ++i) turned[i] *= factor;
        turn<T>(turned, outputs_, rows, width_, gradient, step);
        return mean_ ? sum / T(rows) : sum;
    }

private:
    Terms<T> terms_;
    T parameter_;
    bool mean_;
    int outputs_;
    long width_ = 0;
    std::vector<int32_t> labels_;
    Numbers<T> targets_, outputs_turned_, gradient_, row_;
};
