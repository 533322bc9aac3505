// Optimizers: one loop over all parameters of a model, with their padding, whose gradients are 0.
#pragma once

#include <cmath>
#include <memory>

#include "columns.h"

enum class Rule { sgd, adagrad, rmsprop, adadelta, adam, adamw, adamax };

// As the framework's optimizers name them. What a rule has none of is 0.
struct Hyperparameters {
    double lr, weight_decay, clip, momentum, nesterov, eps, alpha, rho, beta1, beta2;
};

template <class T>
class Optimizer {
public:
    Optimizer(Rule rule, const Hyperparameters& given, size_t size)
        : rule_(rule), lr_(T(given.lr)), weight_decay_(T(given.weight_decay)), clip_(T(given.clip)), momentum_(T(given.momentum)),
          eps_(T(given.eps)), decay1_(T(rule == Rule::adadelta ? given.rho : rule == Rule::rmsprop ? given.alpha : given.beta1)),
          decay2_(T(given.beta2)), nesterov_(given.nesterov != 0), size_(size), work_(size),
          first_(rule == Rule::sgd && momentum_ == 0 ? 0 : size), second_(rule >= Rule::adadelta ? size : 0) {}

    // p <- p - update(g), with g scaled to a norm of at most `clip`, then g <- g + weight_decay p.
    void step(T* p, const T* g, T factor) {
        if (clip_ > 0) {
            T* squares = work_;
            for (size_t i = 0; i < size_; ++i) squares[i] = g[i] * g[i];
            T norm = std::sqrt(sum_of<T>(squares, size_)), shrink = at_most(clip_ / (norm + T(1e-6)), T(1));
            T* clipped = work_;
            for (size_t i = 0; i < size_; ++i) clipped[i] = g[i] * shrink;
            g = clipped;
        }
        if (weight_decay_ > 0 && rule_ != Rule::adamw) {
            T *decayed = work_, decay = weight_decay_;
            for (size_t i = 0; i < size_; ++i) decayed[i] = g[i] + decay * p[i];
            g = decayed;
        }
        const T lr = lr_ * factor;
        T *m = first_, *s = second_;
        switch (rule_) {
            case Rule::sgd: sgd(p, g, m, lr); break;
            case Rule::adagrad: adagrad(p, g, m, lr); break;
            case Rule::rmsprop: rmsprop(p, g, m, lr); break;
            case Rule::adadelta: adadelta(p, g, m, s, lr); break;
            case Rule::adamw: decay(p, lr); [[fallthrough]];
            case Rule::adam: adam(p, g, m, s, lr); break;
            case Rule::adamax: adamax(p, g, m, s, lr); break;
        }
    }

private:
    // v <- momentum v + g; p <- p - lr v; by Nesterov's rule p <- p - lr (g + momentum v).
    void sgd(T* __restrict p, const T* __restrict g, T* __restrict v, T lr) {
        const T momentum = momentum_;
        if (momentum == 0) {
            for (size_t i = 0; i < size_; ++i) p[i] -= lr * g[i];
        } else if (nesterov_) {
            for (size_t i = 0; i < size_; ++i) v[i] = momentum * v[i] + g[i], p[i] -= lr * (g[i] + momentum * v[i]);
        } else {
            for (size_t i = 0; i < size_; ++i) v[i] = momentum * v[i] + g[i], p[i] -= lr * v[i];
        }
    }

    // The square root of the least normal number where x is below it: no padding is divided by 0.
    static T root(T x) { return std::sqrt(at_least(x, std::numeric_limits<T>::min())); }

    // s <- s + g^2; p <- p - lr g / (sqrt(s) + eps).
    void adagrad(T* __restrict p, const T* __restrict g, T* __restrict s, T lr) {
        const T eps = eps_;
        for (size_t i = 0; i < size_; ++i) s[i] += g[i] * g[i], p[i] -= lr * (g[i] / (root(s[i]) + eps));
    }

    // s <- alpha s + (1 - alpha) g^2; p <- p - lr g / (sqrt(s) + eps).
    void rmsprop(T* __restrict p, const T* __restrict g, T* __restrict s, T lr) {
        const T eps = eps_, alpha = decay1_, newest = T(1) - alpha;
        for (size_t i = 0; i < size_; ++i)
            s[i] = alpha * s[i] + newest * g[i] * g[i], p[i] -= lr * (g[i] / (root(s[i]) + eps));
    }

    // s <- rho s + (1 - rho) g^2; d = g sqrt(u + eps) / sqrt(s + eps); u <- rho u + (1 - rho) d^2; p <- p - lr d.
    void adadelta(T* __restrict p, const T* __restrict g, T* __restrict s, T* __restrict u, T lr) {
        const T eps = eps_, rho = decay1_, newest = T(1) - rho;
        for (size_t i = 0; i < size_; ++i) {
            s[i] = rho * s[i] + newest * g[i] * g[i];
            T step = std::sqrt(u[i] + eps) / std::sqrt(s[i] + eps) * g[i];
            u[i] = rho * u[i] + newest * step * step;
            p[i] -= lr * step;
        }
    }

    // m <- b1 m + (1 - b1) g; s <- b2 s + (1 - b2) g^2; p <- p - lr m' / (sqrt(s') + eps), each average divided by 1 - b^t.
    void adam(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict s, T lr) {
        const T eps = eps_, beta1 = decay1_, beta2 = decay2_, newest1 = T(1) - beta1, newest2 = T(1) - beta2;
        power1_ *= beta1, power2_ *= beta2;
        // With c = sqrt(1 - b2^t): m / (sqrt(s) + eps c) c / (1 - b1^t), one division for each parameter.
        const T correction = std::sqrt(T(1) - power2_), scaled_eps = eps * correction, rate = lr * correction / (T(1) - power1_);
        for (size_t i = 0; i < size_; ++i) {
            m[i] = beta1 * m[i] + newest1 * g[i];
            s[i] = beta2 * s[i] + newest2 * g[i] * g[i];
            p[i] -= rate * (m[i] / (root(s[i]) + scaled_eps));
        }
    }

    // p <- p (1 - lr weight_decay).
    void decay(T* p, T lr) {
        const T kept = T(1) - lr * weight_decay_;
        for (size_t i = 0; i < size_; ++i) p[i] *= kept;
    }

    // m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps); p <- p - lr / (1 - b1^t) m / u.
    void adamax(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict u, T lr) {
        const T eps = eps_, beta1 = decay1_, beta2 = decay2_, newest1 = T(1) - beta1;
        power1_ *= beta1;
        const T rate = lr / (T(1) - power1_);
        for (size_t i = 0; i < size_; ++i) {
            m[i] = beta1 * m[i] + newest1 * g[i];
            u[i] = at_least(beta2 * u[i], absolute(g[i]) + eps);
            p[i] -= rate * (m[i] / u[i]);
        }
    }

    Rule rule_;
    T lr_, weight_decay_, clip_, momentum_, eps_, decay1_, decay2_, power1_ = 1, power2_ = 1;
    bool nesterov_;
    size_t size_;
    Numbers<T> work_, first_, second_;
};
