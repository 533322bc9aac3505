"""A deep-learning framework by hand: stacks of small networks, from PyTorch tensor operations and `math` alone."""

from framework.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Hardtanh,
    Identity,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from framework.checks import ModuleError, check_initializer, check_loss, check_module
from framework.decisions import Decision, argmax, decided, encode, rounded, threshold
from framework.history import History
from framework.initializers import (
    Initializer,
    gaussian,
    he,
    he_uniform,
    initialize,
    initialize_replica,
    lecun,
    normal,
    orthogonal,
    uniform,
    xavier,
    xavier_uniform,
    zeros,
)
from framework.layers import BatchNorm, Dropout, Linear
from framework.losses import BCELoss, CrossEntropyLoss, HingeLoss, HuberLoss, Loss, MAELoss, MSELoss
from framework.module import Module, Sequential
from framework.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Optimizer, Part, RMSprop, Several
from framework.rows import Rows
from framework.schedules import Schedule, constant, cosine, exponential, step_decay, triangular, warmup
from framework.training import fit, predict

__all__ = [
    "ELU", "GELU", "SELU", "SGD", "Activation", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "BCELoss",
    "BatchNorm", "CrossEntropyLoss", "Decision", "Dropout", "Hardtanh", "HingeLoss", "History", "HuberLoss", "Identity",
    "Initializer", "LeakyReLU", "Linear", "Loss", "MAELoss", "MSELoss", "Mish", "Module", "ModuleError", "Optimizer",
    "PReLU", "Part", "RMSprop", "ReLU", "Rows", "Schedule", "Sequential", "Several", "SiLU", "Sigmoid", "Softmax",
    "Softplus", "Tanh", "argmax", "check_initializer", "check_loss", "check_module", "constant", "cosine", "decided",
    "encode", "exponential", "fit", "gaussian", "he", "he_uniform", "initialize", "initialize_replica", "lecun",
    "normal", "orthogonal", "predict", "rounded", "step_decay", "threshold", "triangular", "uniform", "warmup",
    "xavier", "xavier_uniform", "zeros",
]  # fmt: skip
