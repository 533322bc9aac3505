"""A deep-learning framework by hand: stacks of small networks, from PyTorch tensor operations and `math` alone."""

from framework.activations import ELU, SELU, Identity, LeakyReLU, PReLU, ReLU, Sigmoid, Softmax, Tanh
from framework.decisions import Decision, argmax, decided, encode, rounded, threshold
from framework.initializers import (
    Initializer,
    gaussian,
    he,
    initialize,
    initialize_replica,
    lecun,
    normal,
    uniform,
    xavier,
    zeros,
)
from framework.layers import BatchNorm, Dropout, Linear
from framework.losses import BCELoss, CrossEntropyLoss, Loss, MAELoss, MSELoss
from framework.module import Module, Sequential
from framework.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Optimizer, Part, RMSprop, Several
from framework.schedules import Schedule, constant, cosine, step_decay, triangular
from framework.training import History, Rows, fit, predict

__all__ = [
    "ELU",
    "SELU",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "BCELoss",
    "BatchNorm",
    "CrossEntropyLoss",
    "Decision",
    "Dropout",
    "History",
    "Identity",
    "Initializer",
    "LeakyReLU",
    "Linear",
    "Loss",
    "MAELoss",
    "MSELoss",
    "Module",
    "Optimizer",
    "PReLU",
    "Part",
    "RMSprop",
    "ReLU",
    "Rows",
    "Schedule",
    "Sequential",
    "Several",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "argmax",
    "constant",
    "cosine",
    "decided",
    "encode",
    "fit",
    "gaussian",
    "he",
    "initialize",
    "initialize_replica",
    "lecun",
    "normal",
    "predict",
    "rounded",
    "step_decay",
    "threshold",
    "triangular",
    "uniform",
    "xavier",
    "zeros",
]
