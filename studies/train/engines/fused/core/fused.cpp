// One model that trains, and the C functions by which Python drives it. See library.py for the same structures.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "activations.h"
#include "layers.h"
#include "losses.h"
#include "optimizers.h"
#include "random.h"

extern "C" {

// One layer. `kind` is of LayerKind; `a` and `b` are the numbers of an activation, or p of dropout, or eps and momentum.
struct LayerSpec {
    int32_t kind, takes, features, flags;
    double a, b;
    uint64_t seed;
};

// Rows of samples: inputs `(samples, features)`, and labels or, where these are null, targets.
struct RowsSpec {
    const void* inputs;
    const int32_t* labels;
    const void* targets;
    int64_t samples;
};

// Where a run writes: `count` records after these epochs, each of all sets of rows: losses, numbers of wrong rows, and norms of
// gradients, or null; which rows are wrong at the last record, null for a set without labels.
struct RecordsSpec {
    const int64_t* epochs;
    const RowsSpec* sets;
    double* losses;
    int64_t* errors;
    double* norms;
    uint8_t* const* wrong;
    int64_t count, set_count;
};

struct ModelSpec {
    const LayerSpec* layers;
    int32_t layer_count, loss, loss_is_mean, rule, decision, shuffle;
    double loss_parameter;
    Hyperparameters hyperparameters;
    int64_t batch_size, most_rows;  // of an evaluation
    uint64_t order_seed;
    RowsSpec train;
};
}

namespace {

enum class LayerKind {
    linear, batch_norm, dropout, identity, relu, leaky_relu, prelu, elu, selu, gelu, silu, mish, softplus, hardtanh, tanh,
    sigmoid, softmax
};
enum class Decision { argmax, threshold, rounded };
enum class Shuffle { epoch, once, never };

template <class T>
std::unique_ptr<Layer<T>> made(const LayerSpec& spec, bool over_input) {
    auto elementwise = [&](auto function) -> std::unique_ptr<Layer<T>> {
        return std::make_unique<Elementwise<T, decltype(function)>>(spec.features, function, over_input);
    };
    const T a = T(spec.a), b = T(spec.b);
    switch (LayerKind(spec.kind)) {
        case LayerKind::linear: return std::make_unique<Linear<T>>(spec.takes, spec.features);
        case LayerKind::batch_norm: {
            BatchNormOptions options = {bool(spec.flags & 1), bool(spec.flags & 2), bool(spec.flags & 4), bool(spec.flags & 8),
                                        spec.a, spec.b};
            return std::make_unique<BatchNorm<T>>(spec.features, options);
        }
        case LayerKind::dropout: return std::make_unique<Dropout<T>>(spec.features, spec.a, spec.seed);
        case LayerKind::identity: return elementwise(Identity<T>());
        case LayerKind::relu: return elementwise(ReLU<T>());
        case LayerKind::leaky_relu: return elementwise(LeakyReLU<T>{a});
        case LayerKind::prelu: return std::make_unique<PReLU<T>>(spec.features);
        case LayerKind::elu: return elementwise(ELU<T>{a, T(1)});
        case LayerKind::selu: return elementwise(ELU<T>{a, b});
        case LayerKind::gelu: return elementwise(GELU<T>());
        case LayerKind::silu: return elementwise(SiLU<T>());
        case LayerKind::mish: return elementwise(Mish<T>());
        case LayerKind::softplus: return elementwise(Softplus<T>{a});
        case LayerKind::hardtanh: return elementwise(Hardtanh<T>{a, b});
        case LayerKind::tanh: return elementwise(Tanh<T>());
        case LayerKind::sigmoid: return elementwise(Sigmoid<T>());
        default: return std::make_unique<Softmax<T>>(spec.features);
    }
}

template <class T>
class Model {
public:
    Model(const ModelSpec& spec, const T* parameters)
        : spec_(spec), orders_(spec.order_seed), order_(spec.train.samples),
          loss_(LossKind(spec.loss), spec.loss_parameter, spec.loss_is_mean, spec.layers[spec.layer_count - 1].features) {
        size_t size = 0;
        bool over_input = false;
        long widest = 0;
        for (int index = 0; index < spec.layer_count; ++index) {
            const LayerSpec& each = spec.layers[index];
            layers_.push_back(made<T>(each, over_input));
            // These need their output no more once the next layer has read it.
            over_input = LayerKind(each.kind) == LayerKind::linear || LayerKind(each.kind) == LayerKind::batch_norm;
            Layer<T>& layer = *layers_.back();
            layer.reserve(spec.most_rows);
            layer.places(places_, size);
            size += layer.size();
            widest = std::max({widest, layer.step, long(padded<T>(each.takes))});
            if (auto* linear = dynamic_cast<Linear<T>*>(&layer)) linear_.push_back(linear);
            if (auto* norm = dynamic_cast<BatchNorm<T>*>(&layer)) norms_.push_back(norm);
        }
        parameters_ = Numbers<T>(size), gradients_ = Numbers<T>(size);
        size = 0;
        for (auto& layer : layers_) layer->bind(parameters_ + size, gradients_ + size), size += layer->size();
        for (size_t index = 0; index < places_.size(); ++index) parameters_[places_[index]] = parameters[index];
        optimizer_ = std::make_unique<Optimizer<T>>(Rule(spec.rule), spec.hyperparameters, size);
        loss_.reserve(spec.most_rows);
        features_ = spec.layers[0].takes;
        batch_ = Numbers<T>(spec.most_rows * padded<T>(features_));
        const size_t room = spec.most_rows * widest + VECTOR_BYTES / sizeof(T);  // as products write it
        gradient_ = Numbers<T>(room), other_gradient_ = Numbers<T>(room);
        std::iota(order_.begin(), order_.end(), 0);
        if (Shuffle(spec.shuffle) == Shuffle::once) orders_.draw(order_);
    }

    // Train up to each of some epochs in turn, at the factors on the learning rate of all epochs, and record there: loss and wrong
    // rows of all sets, and norms of gradients. Returns whether all losses and parameters stayed finite.
    bool run(const double* factors, const RecordsSpec& records) {
        bool finite = true;
        for (int64_t record = 0; record < records.count; ++record) {
            double* norms = records.norms ? records.norms + record * linear_.size() : nullptr;
            for (; epoch_ < records.epochs[record]; ++epoch_) finite = train(T(factors[epoch_])) && finite;
            if (epoch_ == 0) first_norms_ = norms;
            if (epoch_ > 0 && norms) write_norms(norms);
            for (int64_t set = 0; set < records.set_count; ++set) {
                const int64_t place = record * records.set_count + set;
                uint8_t* wrong = records.wrong[set];
                records.losses[place] = evaluate(records.sets[set], wrong);
                records.errors[place] = wrong ? std::count(wrong, wrong + records.sets[set].samples, 1) : 0;
            }
        }
        return finite;
    }

    void read(T* parameters, T* moments) const {
        for (size_t index = 0; index < places_.size(); ++index) parameters[index] = parameters_[places_[index]];
        for (const BatchNorm<T>* norm : norms_)
            for (const Numbers<T>* each : {&norm->running_mean, &norm->running_variance})
                for (int feature = 0; feature < norm->features; ++feature) *moments++ = (*each)[feature];
    }

private:
    // An epoch; whether its losses and the parameters after it are finite.
    bool train(T factor) {
        const int64_t samples = spec_.train.samples;
        if (Shuffle(spec_.shuffle) == Shuffle::epoch) orders_.draw(order_);
        T total = 0;
        for (int64_t start = 0; start < samples; start += spec_.batch_size) {
            total += step(order_.data() + start, int(std::min(spec_.batch_size, samples - start)), factor);
            if (first_norms_) write_norms(first_norms_), first_norms_ = nullptr;
        }
        int is_finite = total * 0 == 0;  // 0 times what is not finite is not 0
        const T* p = parameters_;
        for (size_t i = 0; i < parameters_.size(); ++i) is_finite &= p[i] * 0 == 0;
        return is_finite;
    }

    // Norms of the last batch's gradients of the weights of all linear layers.
    void write_norms(double* norms) const {
        for (Linear<T>* layer : linear_) *norms++ = layer->gradient_norm();
    }

    // The mean loss of rows, and which of them are wrong. Of a model that normalizes by the batch, `most_rows` hold them all.
    double evaluate(const RowsSpec& given, uint8_t* wrong) {
        double total = 0;
        const Layer<T>& last = *layers_.back();
        for (int64_t start = 0; start < given.samples; start += spec_.most_rows) {
            int rows = int(std::min(spec_.most_rows, given.samples - start));
            const T* output = forward(given, rows, [&](int row) { return start + row; }, false);
            total += loss_.evaluate(output, last.step, rows);
            for (int row = 0; wrong && row < rows; ++row)
                wrong[start + row] = decided(output + row * last.step, last.features) != given.labels[start + row];
        }
        return total / given.samples;
    }

    // One step on the samples at these places; the loss before it.
    T step(const int32_t* places, int rows, T factor) {
        const T* output = forward(spec_.train, rows, [&](int row) { return long(places[row]); }, true);
        const long step = layers_.back()->step;
        T *gradient = gradient_, *other = other_gradient_;
        std::memset(gradient, 0, rows * step * sizeof(T));
        T value = loss_(output, step, rows, gradient);
        for (size_t index = layers_.size(); --index > 0;) {
            T* passed = layers_[index]->backward(gradient, other, rows);
            if (passed == other) std::swap(gradient, other);
        }
        linear_.front()->accumulate(gradient, rows);  // a model begins with one
        optimizer_->step(parameters_, gradients_, factor);
        return value;
    }

    // Outputs of some of the rows given, with their targets in the loss.
    template <class Place>
    T* forward(const RowsSpec& given, int rows, Place place, bool train) {
        const T *inputs = static_cast<const T*>(given.inputs), *targets = static_cast<const T*>(given.targets);
        const long step = padded<T>(features_);
        T* x = batch_;
        auto copy = [&](auto features) {
            for (int row = 0; row < rows; ++row)
                for (int feature = 0; feature < features; ++feature) x[row * step + feature] = inputs[place(row) * features + feature];
        };
        if (features_ == 2)
            copy(std::integral_constant<int, 2>());  // of most studies: no inner loop
        else
            copy(features_);
        if (given.labels)
            loss_.set_labels(rows, [&](int row) { return given.labels[place(row)]; });
        else
            loss_.set_targets(rows, [&](int row) { return targets[place(row)]; });
        for (auto& layer : layers_) x = layer->forward(x, rows, train);
        return x;
    }

    // The label of outputs: class 0 where one is not finite.
    T decided(const T* output, int outputs) const {
        T check = 0;
        for (int i = 0; i < outputs; ++i) check += output[i] * 0;
        if (check != 0) return 0;
        switch (Decision(spec_.decision)) {
            case Decision::threshold: return output[0] > T(0.5);
            case Decision::rounded: return std::nearbyint(output[0]);
            default: {
                int best = 0;
                for (int i = 1; i < outputs; ++i)
                    if (output[i] > output[best]) best = i;
                return T(best);
            }
        }
    }

    ModelSpec spec_;
    Orders orders_;
    std::vector<int32_t> order_;
    Loss<T> loss_;
    std::vector<std::unique_ptr<Layer<T>>> layers_;
    std::vector<Linear<T>*> linear_;
    std::vector<BatchNorm<T>*> norms_;
    std::vector<size_t> places_;  // of the framework's parameters among the padded ones
    Numbers<T> parameters_, gradients_, batch_, gradient_, other_gradient_;
    std::unique_ptr<Optimizer<T>> optimizer_;
    int features_ = 0;
    int64_t epoch_ = 0;
    double* first_norms_ = nullptr;  // where those of the first batch are still to be written
};

}  // namespace

#define FUSED_FUNCTIONS(T, NAME)                                                                                       \
    void* fused_new_##NAME(const ModelSpec* spec, const void* parameters) {                                            \
        try {                                                                                                          \
            return new Model<T>(*spec, static_cast<const T*>(parameters));                                             \
        } catch (const std::bad_alloc&) {                                                                              \
            return nullptr;                                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    int32_t fused_run_##NAME(void* model, const double* factors, const RecordsSpec* records) {                         \
        return static_cast<Model<T>*>(model)->run(factors, *records);                                                  \
    }                                                                                                                  \
    void fused_read_##NAME(void* model, void* parameters, void* moments) {                                             \
        static_cast<Model<T>*>(model)->read(static_cast<T*>(parameters), static_cast<T*>(moments));                    \
    }                                                                                                                  \
    void fused_free_##NAME(void* model) { delete static_cast<Model<T>*>(model); }

#pragma GCC visibility push(default)  // all else stays inside, where calls are direct
extern "C" {
FUSED_FUNCTIONS(float, float)
FUSED_FUNCTIONS(double, double)
}
#pragma GCC visibility pop
