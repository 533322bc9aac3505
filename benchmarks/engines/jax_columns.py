"""JAX in its best form: features first (`w @ x`), learning rates as arguments, one permutation for all models of the stack.

One compilation then serves every model of a structure.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.engines import jax_common
from benchmarks.work import GridRun, Prepared, Rows, Work, first_weights, steps

Layer = Mapping[str, jax.Array]
Moments = Sequence[tuple[jax.Array, jax.Array]]


def prepare(work: Work, rows: Rows, warm: bool = True) -> Prepared:
    """Trace and compile the whole training."""
    train = jax.vmap(partial(_train, work), (0, 0, 0, 0, 0, 0, None))
    return jax_common.prepare(work, train, partial(_arguments, work), rows, warm)


def grid(works: Sequence[Work], rows: Rows, jobs: int, seed: int) -> GridRun:  # noqa: ARG001 - it is one process
    """Structure after structure, each compiled and trained as one stack."""
    jax.clear_caches()
    begin, compiling, errors = time.perf_counter(), 0.0, []
    for work in works:
        prepared = prepare(work, rows, warm=False)
        compiling += prepared.compile_seconds
        errors.append(prepared.train(rows, seed).error_pct)
    return GridRun(time.perf_counter() - begin, 0.0, compiling, errors)


def _arguments(work: Work, seed: int, rows: Rows) -> tuple[Any, ...]:
    """First parameters, learning rates, training and test rows of each model, and the shared order of batches."""
    layers = [{"w": weight, "b": np.zeros((*weight.shape[:2], 1), np.float32)} for weight in first_weights(work, rows, seed)]
    if work.batchnorm == "affine":
        layers[:-1] = [{**layer, "gain": np.ones_like(layer["b"]), "shift": layer["b"]} for layer in layers[:-1]]
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(rows.train_labels.shape[1]) for _ in range(work.epochs)])
    return jax.device_put(
        (
            layers,
            np.asarray(work.rates, np.float32),
            rows.train_inputs[work.folds].swapaxes(1, 2),
            rows.train_labels[work.folds],
            rows.test_inputs[work.folds].swapaxes(1, 2),
            rows.test_labels[work.folds],
            order.reshape(steps(work, rows), work.batch_size),
        )
    )


def _forward(work: Work, layers: Sequence[Layer], x: jax.Array, given: Moments) -> tuple[jax.Array, Moments]:
    """Outputs `(classes, samples)`, and batch norm's moments: those of the batch where none are given."""
    moments = []
    for index, layer in enumerate(layers[:-1]):
        x = layer["w"] @ x + layer["b"]
        if work.batchnorm != "none":
            x, used = jax_common.normalised(x, given[index] if given else None, axis=1)
            moments.append(used)
        if work.batchnorm == "affine":
            x = layer["gain"] * x + layer["shift"]
        x = jax_common.ACTIVATIONS[work.activation](x)
    return layers[-1]["w"] @ x + layers[-1]["b"], moments


def _train(
    work: Work,
    layers: Sequence[Layer],
    lr: jax.Array,
    inputs: jax.Array,
    labels: jax.Array,
    test_inputs: jax.Array,
    test_labels: jax.Array,
    order: jax.Array,
) -> jax.Array:
    """One model from its first parameters to its test error in percent."""

    def loss(layers: Sequence[Layer], batch: jax.Array) -> tuple[jax.Array, Moments]:
        output, moments = _forward(work, layers, inputs[:, batch], ())
        return jax_common.loss(work, output, labels[batch], axis=0), moments

    def step(carry: Any, batch: jax.Array) -> tuple[Any, None]:  # noqa: ANN401 - a tree
        layers, state, averages = carry
        gradients, moments = jax.grad(loss, has_aux=True)(layers, batch)
        layers, state = jax_common.update(work.optimizer, layers, gradients, state, lr)
        return (layers, state, jax_common.averaged(averages, moments)), None

    hidden = layers[:-1] if work.batchnorm != "none" else []
    averages = [(jnp.zeros_like(layer["b"]), jnp.ones_like(layer["b"])) for layer in hidden]
    start = (layers, jax_common.start(work.optimizer, layers), averages)
    (layers, _, averages), _ = lax.scan(step, start, order)
    output, _ = _forward(work, layers, test_inputs, averages)
    return 100 * (output.argmax(0) != test_labels).mean()
