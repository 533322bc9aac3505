"""A newcomer's parts."""

import math

import torch

import framework as fw


class Swish(fw.Activation):
    """y = x s(beta x)."""

    def __init__(self, beta=1.0):
        self.beta = beta

    def function(self, x):
        return x * torch.sigmoid(self.beta * x)

    def derivative(self, x, y):
        s = torch.sigmoid(self.beta * x)
        return s + self.beta * y * (1 - s)


class FocalLoss(fw.Loss):
    """-(1 - p)^gamma log p of the true class, of probabilities."""

    def __init__(self, gamma=2.0, reduction="mean"):
        super().__init__(reduction)
        self.gamma = gamma

    def terms(self, output, target):
        p = output.clamp(1e-7, 1 - 1e-7)
        term = -target * (1 - p) ** self.gamma * p.log()
        return term, target * (1 - p) ** (self.gamma - 1) * (self.gamma * p.log() - (1 - p) / p)


class Sign(fw.Optimizer):
    """p <- p - lr sign(g)."""

    def __init__(self, model, lr=0.01, clip=0.0):
        super().__init__(model, lr, clip=clip)

    def _update(self, gradient, lr):
        self.parameters.sub_(lr * gradient.sign())


def small(shape, fan_in, fan_out, generator, gain=0.5):  # noqa: ARG001
    return gain / math.sqrt(fan_in) * torch.randn(shape, generator=generator, dtype=torch.float64)


def halving(epoch, every=2):
    return 0.5 ** (epoch // every)
