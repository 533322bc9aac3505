"""Parts of both forms of JAX: activations, losses, batch norm's statistics, SGD and Adam, and compiling ahead of time."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.work import Prepared, Rows, Trained, Work

Tree = Any
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "sigmoid": jax.nn.sigmoid,
}
EPS, MOMENTUM = 1e-5, 0.1  # of batch norm
BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8


def prepare(
    work: Work,
    train: Callable[..., jax.Array],
    arguments: Callable[[int, Rows], tuple[Tree, ...]],
    rows: Rows,
    warm: bool = True,
) -> Prepared:
    """Trace and compile `train(*arguments)`, which answers the test errors of all members in percent.

    `warm`: run it once, because the first run of a process is slower than all others.
    """

    def run(rows: Rows, seed: int) -> Trained:
        given = jax.block_until_ready(arguments(seed, rows))
        begin = time.perf_counter()
        errors = jax.block_until_ready(compiled(*given))
        return Trained(time.perf_counter() - begin, dict(zip(work.members, errors.tolist(), strict=True)))

    example = arguments(0, rows)
    begin = time.perf_counter()
    compiled = jax.jit(train).lower(*example).compile()
    prepared = Prepared(run, time.perf_counter() - begin)
    if warm:
        run(rows, 0)
    return prepared


def normalised(x: jax.Array, moments: tuple[jax.Array, jax.Array] | None, axis: int) -> tuple[jax.Array, Tree]:
    """x normalised by given moments, or by its own along the axis of samples; and what averages are made of."""
    mean, variance = moments or (x.mean(axis, keepdims=True), x.var(axis, keepdims=True))
    samples = x.shape[axis]
    return (x - mean) * lax.rsqrt(variance + EPS), (mean, variance * samples / (samples - 1))


def averaged(averages: Tree, moments: Tree) -> Tree:
    """Running averages after one more batch."""
    return jax.tree.map(lambda old, new: old + MOMENTUM * (new - old), averages, moments)


def loss(work: Work, output: jax.Array, labels: jax.Array, axis: int) -> jax.Array:
    """The mean over samples of the sum over outputs, which are along the axis."""
    target = jax.nn.one_hot(labels, output.shape[axis], axis=axis)
    if work.loss == "cross_entropy":
        terms = -target * jax.nn.log_softmax(output, axis=axis)
    else:
        terms = (jax.nn.sigmoid(output) - target) ** 2
    return terms.sum(axis).mean()


def start(optimizer: str, parameters: Tree) -> Tree:
    """The optimizer's state before the first step: nothing, or step count and two averages."""
    if optimizer == "sgd":
        return ()
    return jnp.zeros(()), jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters)


def update(optimizer: str, parameters: Tree, gradients: Tree, state: Tree, lr: jax.Array) -> tuple[Tree, Tree]:
    """Parameters and state after one step."""
    if optimizer == "sgd":
        return jax.tree.map(lambda p, g: p - lr * g, parameters, gradients), state
    step, mean, square = state
    step = step + 1
    mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradients)
    square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, gradients)
    rate, root = lr / (1 - BETA1**step), jnp.sqrt(1 - BETA2**step)
    parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + ADAM_EPS), parameters, mean, square)
    return parameters, (step, mean, square)
