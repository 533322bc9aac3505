// Layers: forward and backward over rows of samples. The formulas are the framework's, in which samples are columns.
#pragma once

#include <numeric>
#include <vector>

#include "columns.h"
#include "functions.h"
#include "products.h"
#include "random.h"

// One layer. `step` is the padded number of features that it gives. Gradients of padding are 0, and parameters of padding are 0.
template <class T>
class Layer {
public:
    Layer(int takes, int features) : takes(takes), features(features), step(padded<T>(features)) {}
    virtual ~Layer() = default;

    // Numbers of its parameters with their padding; where they begin; the place of each of the framework's among them.
    virtual size_t size() const { return 0; }
    virtual void bind(T*, T*) {}
    virtual void places(std::vector<size_t>&, size_t) const {}

    // Room for batches of so many rows.
    virtual void reserve(int rows) = 0;

    // y from x, rows of padded features; in training, x stays as it is until the next call of backward.
    virtual T* forward(T* x, int rows, bool train) = 0;

    // dL/dx from dL/dy `(rows, step)`, in either of two buffers; fills the gradients of its parameters.
    virtual T* backward(T* gradient, T* spare, int rows) = 0;

    int takes, features;
    long step;
};

// y = x W^T + b. W^T lies row by row, and is turned for dL/dx = dL/dy W; W lies row by row where outputs are few, so that dL/dW has
// whole vectors of inputs.
template <class T>
class Linear final : public Layer<T> {
public:
    Linear(int inputs, int outputs)
        : Layer<T>(inputs, outputs), input_step_(padded<T>(inputs)),
          is_narrow_(outputs <= FEW && input_step_ > FEW), turned_(is_narrow_ ? inputs * this->step : outputs * input_step_),
          weights_(is_narrow_ ? outputs * input_step_ : inputs * this->step) {}

    size_t size() const override { return weights_ + this->step; }

    void bind(T* parameters, T* gradients) override {
        weight_ = parameters, bias_ = parameters + weights_;
        weight_gradient_ = gradients, bias_gradient_ = gradients + weights_;
    }

    // The framework has W, then b.
    void places(std::vector<size_t>& found, size_t start) const override {
        for (int output = 0; output < this->features; ++output)
            for (int input = 0; input < this->takes; ++input)
                found.push_back(start + (is_narrow_ ? output * input_step_ + input : input * this->step + output));
        for (int output = 0; output < this->features; ++output) found.push_back(start + weights_ + output);
    }

    void reserve(int rows) override { out_ = Numbers<T>(rows * this->step); }

    T* forward(T* x, int rows, bool) override {
        x_ = x;
        const long step = this->step;
        const T* weight = is_narrow_ ? turned() : weight_;
        product<T, false>(rows, this->takes, step, x, input_step_, weight, step, bias_, out_, step);
        return out_;
    }

    T* backward(T* gradient, T* spare, int rows) override {
        accumulate(gradient, rows);
        const long step = this->step;
        if (!is_narrow_ && rows < FEW && step % LANES == 0) {  // turning takes longer
            product_across<T>(rows, step, this->takes, gradient, step, weight_, step, spare, input_step_);
            return spare;
        }
        const T* weight = is_narrow_ ? weight_ : turned();
        product<T, false>(rows, this->features, input_step_, gradient, step, weight, input_step_, nullptr, spare, input_step_);
        return spare;
    }

    // The gradients of its parameters alone: nobody asks for dL/dx of the first layer.
    void accumulate(T* gradient, int rows) {
        const long step = this->step;
        T* into = weight_gradient_;
        if (is_narrow_) {
            product<T, true>(this->features, rows, input_step_, gradient, step, x_, input_step_, nullptr, into, input_step_);
            for (T* row = into; row < into + weights_; row += input_step_)  // the padding of x may be anything
                std::fill(row + this->takes, row + input_step_, T(0));
        } else {
            product<T, true>(this->takes, rows, step, x_, input_step_, gradient, step, nullptr, into, step);
        }
        each_vector<T>(step, [&](int at, auto bytes) {
            using V = typename Vector<T, decltype(bytes)::value>::type;
            store(bias_gradient_ + at, sum_over_rows<V>(rows, [&](int row) { return load<V>(gradient + row * step + at); }));
        });
    }

    // The Euclidean norm of the gradient of the weights.
    double gradient_norm() const {
        double sum = 0;
        for (size_t i = 0; i < weights_; ++i) sum += double(weight_gradient_[i]) * double(weight_gradient_[i]);
        return std::sqrt(sum);
    }

private:
    static constexpr int LANES = VECTOR_BYTES / sizeof(T), FEW = 16 / sizeof(T);

    // The weights the other way round.
    const T* turned() {
        if (is_narrow_)
            turn<T>(weight_, this->features, this->takes, input_step_, turned_, this->step);
        else
            turn<T>(weight_, this->takes, this->features, this->step, turned_, input_step_);
        return turned_;
    }

    long input_step_;
    bool is_narrow_;
    Numbers<T> turned_, out_;
    size_t weights_;
    const T* x_ = nullptr;
    T *weight_ = nullptr, *bias_ = nullptr, *weight_gradient_ = nullptr, *bias_gradient_ = nullptr;
};

// y = f(x) number by number. `Function` has `value(x)`, `slope(x, y)`, and `reads_input`: whether the slope needs x.
template <class T, class Function>
class Elementwise final : public Layer<T> {
public:
    Elementwise(int features, Function function, bool over_input)
        : Layer<T>(features, features), function_(function), in_place_(over_input && !Function::reads_input) {}

    void reserve(int rows) override { out_ = Numbers<T>(in_place_ ? 0 : rows * this->step); }

    T* forward(T* x, int rows, bool) override {
        const Function function = function_;
        const long count = rows * this->step;
        x_ = x, y_ = in_place_ ? x : static_cast<T*>(out_);
        T* y = y_;
#pragma GCC ivdep
        for (long i = 0; i < count; ++i) y[i] = function.value(x[i]);
        return y;
    }

    T* backward(T* gradient, T*, int rows) override {
        const Function function = function_;
        const long count = rows * this->step;
        const T *x = x_, *y = y_;
#pragma GCC ivdep
        for (long i = 0; i < count; ++i) gradient[i] *= function.slope(x[i], y[i]);
        return gradient;
    }

private:
    Function function_;
    bool in_place_;
    Numbers<T> out_;
    T *x_ = nullptr, *y_ = nullptr;
};

// max(x, 0) + a min(x, 0) with one learned slope a.
template <class T>
class PReLU final : public Layer<T> {
public:
    explicit PReLU(int features) : Layer<T>(features, features) {}

    size_t size() const override { return padded<T>(1); }
    void bind(T* parameters, T* gradients) override { slope_ = parameters, slope_gradient_ = gradients; }
    void places(std::vector<size_t>& found, size_t start) const override { found.push_back(start); }
    void reserve(int rows) override { out_ = Numbers<T>(rows * this->step), below_ = Numbers<T>(rows * this->step); }

    T* forward(T* x, int rows, bool) override {
        x_ = x;
        T *out = out_, slope = *slope_;
#pragma GCC ivdep
        for (long i = 0; i < rows * this->step; ++i) out[i] = at_least(x[i], T(0)) + slope * at_most(x[i], T(0));
        return out;
    }

    T* backward(T* gradient, T*, int rows) override {
        T *below = below_, slope = *slope_;
        const T* x = x_;
#pragma GCC ivdep
        for (long i = 0; i < rows * this->step; ++i) {
            below[i] = at_most(x[i], T(0)) * gradient[i];
            gradient[i] *= x[i] > 0 ? T(1) : slope;
        }
        *slope_gradient_ = sum_of(below, rows * this->step);
        return gradient;
    }

private:
    Numbers<T> out_, below_;
    const T* x_ = nullptr;
    T *slope_ = nullptr, *slope_gradient_ = nullptr;
};

// y_i = e^x_i / sum_j e^x_j over the features.
template <class T>
class Softmax final : public Layer<T> {
public:
    explicit Softmax(int features) : Layer<T>(features, features) {}

    void reserve(int rows) override {
        width_ = whole_vectors<T>(rows);
        out_ = Numbers<T>(rows * this->step), y_ = Numbers<T>(width_ * this->features);
        gradient_ = Numbers<T>(width_ * this->features), row_ = Numbers<T>(2 * width_);
    }

    T* forward(T* x, int rows, bool) override {
        turn<T>(x, rows, this->features, this->step, y_, width_);
        softmax(y_, row_, whole_vectors<T>(rows), this->features, width_);
        turn<T>(y_, this->features, rows, width_, out_, this->step);
        return out_;
    }

    T* backward(T* gradient, T*, int rows) override {
        T *y = y_, *turned = gradient_, *row = row_;
        turn<T>(gradient, rows, this->features, this->step, turned, width_);
        const int count = whole_vectors<T>(rows);
        std::memset(row, 0, width_ * sizeof(T));
        for (int feature = 0; feature < this->features; ++feature)
            for (int i = 0; i < count; ++i) row[i] += y[feature * width_ + i] * turned[feature * width_ + i];
        for (int feature = 0; feature < this->features; ++feature)
            for (int i = 0; i < count; ++i)
                turned[feature * width_ + i] = (turned[feature * width_ + i] - row[i]) * y[feature * width_ + i];
        turn<T>(turned, this->features, rows, width_, gradient, this->step);
        return gradient;
    }

    // e^z / sum e^z over rows of features, in place. Two rows of `row` then hold the sums of e^(z - m), and m, the largest z.
    static void softmax(T* z, T* row, int rows, int features, long width) {
        T* largest = row + width;
        std::memcpy(largest, z, rows * sizeof(T));
        for (int feature = 1; feature < features; ++feature)
            for (int i = 0; i < rows; ++i) largest[i] = z[feature * width + i] > largest[i] ? z[feature * width + i] : largest[i];
        for (int feature = 0; feature < features; ++feature)
            for (int i = 0; i < rows; ++i) z[feature * width + i] = exponential(z[feature * width + i] - largest[i]);
        std::memcpy(row, z, rows * sizeof(T));
        for (int feature = 1; feature < features; ++feature)
            for (int i = 0; i < rows; ++i) row[i] += z[feature * width + i];
        for (int feature = 0; feature < features; ++feature)
            for (int i = 0; i < rows; ++i) z[feature * width + i] /= row[i];
    }

private:
    long width_ = 0;
    Numbers<T> out_, y_, gradient_, row_;
};

struct BatchNormOptions {
    bool affine, running, exact, unbiased;
    double eps, momentum;
};

// y = gain (x - mean) / sqrt(variance + eps) + shift, over the samples of the batch.
template <class T>
class BatchNorm final : public Layer<T> {
public:
    BatchNorm(int features, BatchNormOptions options)
        : Layer<T>(features, features), options_(options), ones_(this->step), mean_(this->step), inverse_sd_(this->step),
          running_mean(this->step), running_variance(this->step) {
        for (int feature = 0; feature < features; ++feature) ones_[feature] = running_variance[feature] = 1;
    }

    size_t size() const override { return options_.affine ? 2 * this->step : 0; }

    void bind(T* parameters, T* gradients) override {
        gain_ = parameters, shift_ = parameters + this->step;
        gain_gradient_ = gradients, shift_gradient_ = gradients + this->step;
    }

    void places(std::vector<size_t>& found, size_t start) const override {
        for (int part = 0; part < 2 * options_.affine; ++part)
            for (int feature = 0; feature < this->features; ++feature) found.push_back(start + part * this->step + feature);
    }

    void reserve(int rows) override { out_ = Numbers<T>(rows * this->step); }

    T* forward(T* x, int rows, bool train) override {
        const long step = this->step;
        T* out = out_;
        const bool by_batch = train || !options_.running, remembers = train && options_.running;
        const T eps = options_.eps, momentum = options_.momentum, divisor = T(rows - options_.unbiased);
        each_vector<T>(step, [&](int at, auto bytes) {
            using V = typename Vector<T, decltype(bytes)::value>::type;
            V mean = load<V>(running_mean + at), variance = load<V>(running_variance + at);
            if (by_batch) {
                mean = sum_over_rows<V>(rows, [&](int row) { return load<V>(x + row * step + at); }) / T(rows);
                V squares = sum_over_rows<V>(rows, [&](int row) {
                    V centred = load<V>(x + row * step + at) - mean;
                    return centred * centred;
                });
                if (remembers) {
                    const V old_mean = load<V>(running_mean + at), old_variance = load<V>(running_variance + at);
                    store(running_mean + at, old_mean + momentum * (mean - old_mean));
                    store(running_variance + at, old_variance + momentum * (squares / T(rows - 1) - old_variance));
                }
                variance = squares / divisor;
            }
            V scale = T(1) / square_root<V>(variance + eps), shift = {};
            if (train) x_ = x, store(mean_ + at, mean), store(inverse_sd_ + at, scale);
            if (options_.affine) scale *= load<V>(gain_ + at), shift = load<V>(shift_ + at);
            for (int row = 0; row < rows; ++row)
                store(out + row * step + at, (load<V>(x + row * step + at) - mean) * scale + shift);
        });
        return out;
    }

    // With n samples, u = 1 if unbiased, and z the normalized x:
    // dL/dx = gain / sd (dL/dy - sum(dL/dy) / n - z sum(z dL/dy) / (n - u)).
    T* backward(T* gradient, T*, int rows) override {
        const long step = this->step;
        const T* x = x_;
        each_vector<T>(step, [&](int at, auto bytes) {
            using V = typename Vector<T, decltype(bytes)::value>::type;
            const V mean = load<V>(mean_ + at), inverse_sd = load<V>(inverse_sd_ + at);
            V total = sum_over_rows<V>(rows, [&](int row) { return load<V>(gradient + row * step + at); });
            V along = inverse_sd * sum_over_rows<V>(rows, [&](int row) {
                return load<V>(gradient + row * step + at) * (load<V>(x + row * step + at) - mean);
            });
            V scale = load<V>(ones_ + at);
            if (options_.affine) {
                scale = load<V>(gain_ + at);
                store(shift_gradient_ + at, total), store(gain_gradient_ + at, along);
            }
            if (options_.exact) {
                scale *= inverse_sd, total /= T(rows), along *= inverse_sd / T(rows - options_.unbiased);
                for (int row = 0; row < rows; ++row) {
                    T* here = gradient + row * step + at;
                    store(here, (load<V>(here) - total - (load<V>(x + row * step + at) - mean) * along) * scale);
                }
            } else if (options_.affine) {
                for (int row = 0; row < rows; ++row) {
                    T* here = gradient + row * step + at;
                    store(here, load<V>(here) * scale);
                }
            }
        });
        return gradient;
    }

private:
    BatchNormOptions options_;
    Numbers<T> ones_, mean_, inverse_sd_, out_;
    const T* x_ = nullptr;
    T *gain_ = nullptr, *shift_ = nullptr, *gain_gradient_ = nullptr, *shift_gradient_ = nullptr;

public:
    Numbers<T> running_mean, running_variance;
};

// y = x m / (1 - p) in training, with m = 0 at probability p, else 1.
template <class T>
class Dropout final : public Layer<T> {
public:
    Dropout(int features, double p, uint64_t seed)
        : Layer<T>(features, features), threshold_(std::nearbyint(std::ldexp(p, 32))), scale_(T(1) / (T(1) - T(p))), bits_(seed) {}

    void reserve(int rows) override { out_ = Numbers<T>(rows * this->step), mask_ = Numbers<T>(rows * this->step); }

    T* forward(T* x, int rows, bool train) override {
        if (!train) return x;
        T *mask = mask_, *out = out_;
        const StepBits bits = bits_.next();
        const uint32_t features = this->features, step = this->step, last = threshold_ > 0 ? uint32_t(threshold_ - 1) : 0;
        const T scale = scale_, at_last = threshold_ > 0 ? T(0) : scale;
        for (int row = 0; row < rows; ++row) {
            T* here = mask + row * this->step;
            const uint32_t place = row * features;
#pragma GCC ivdep
            for (uint32_t feature = 0; feature < step; ++feature) here[feature] = bits(place + feature) <= last ? at_last : scale;
        }
#pragma GCC ivdep
        for (long i = 0; i < rows * this->step; ++i) out[i] = x[i] * mask[i];
        return out;
    }

    T* backward(T* gradient, T*, int rows) override {
        const T* mask = mask_;
#pragma GCC ivdep
        for (long i = 0; i < rows * this->step; ++i) gradient[i] *= mask[i];
        return gradient;
    }

private:
    double threshold_;  // 32 random bits below this drop a unit
    T scale_;
    CountedBits bits_;
    Numbers<T> out_, mask_;
};
