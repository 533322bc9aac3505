"""JAX as its documentation teaches: one model's training with rows (`x @ w`) and its own random key, then jit(vmap(scan))."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.engines import jax_common
from benchmarks.work import Prepared, Rows, Work, first_weights

Layer = Mapping[str, jax.Array]
Moments = Sequence[tuple[jax.Array, jax.Array]]


def prepare(work: Work, rows: Rows) -> Prepared:
    """Trace and compile the whole training."""
    return jax_common.prepare(work, jax.vmap(partial(_train, work)), partial(_arguments, work), rows)


def _arguments(work: Work, seed: int, rows: Rows) -> tuple[Any, ...]:
    """First parameters, learning rates, training and test rows and the random key of each model."""
    weights = first_weights(work, rows, seed)
    layers = [{"w": weight.swapaxes(1, 2), "b": np.zeros(weight.shape[:2], np.float32)} for weight in weights]
    if work.batchnorm == "affine":
        layers[:-1] = [{**layer, "gain": np.ones_like(layer["b"]), "shift": layer["b"]} for layer in layers[:-1]]
    return jax.device_put(
        (
            layers,
            np.asarray(work.rates, np.float32),
            rows.train_inputs[work.folds],
            rows.train_labels[work.folds],
            rows.test_inputs[work.folds],
            rows.test_labels[work.folds],
            jax.random.split(jax.random.key(seed), len(work.members)),
        )
    )


def _forward(work: Work, layers: Sequence[Layer], x: jax.Array, given: Moments) -> tuple[jax.Array, Moments]:
    """Outputs `(samples, classes)`, and batch norm's moments: those of the batch where none are given."""
    moments = []
    for index, layer in enumerate(layers[:-1]):
        x = x @ layer["w"] + layer["b"]
        if work.batchnorm != "none":
            x, used = jax_common.normalised(x, given[index] if given else None, axis=0)
            moments.append(used)
        if work.batchnorm == "affine":
            x = layer["gain"] * x + layer["shift"]
        x = jax_common.ACTIVATIONS[work.activation](x)
    return x @ layers[-1]["w"] + layers[-1]["b"], moments


def _train(
    work: Work,
    layers: Sequence[Layer],
    lr: jax.Array,
    inputs: jax.Array,
    labels: jax.Array,
    test_inputs: jax.Array,
    test_labels: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """One model from its first parameters to its test error in percent."""

    def loss(layers: Sequence[Layer], x: jax.Array, y: jax.Array) -> tuple[jax.Array, Moments]:
        output, moments = _forward(work, layers, x, ())
        return jax_common.loss(work, output, y, axis=1), moments

    def step(carry: Any, batch: jax.Array) -> tuple[Any, None]:  # noqa: ANN401 - a tree
        layers, state, averages = carry
        gradients, moments = jax.grad(loss, has_aux=True)(layers, inputs[batch], labels[batch])
        layers, state = jax_common.update(work.optimizer, layers, gradients, state, lr)
        return (layers, state, jax_common.averaged(averages, moments)), None

    def epoch(carry: Any, key: jax.Array) -> tuple[Any, None]:  # noqa: ANN401 - a tree
        return lax.scan(step, carry, jax.random.permutation(key, len(labels)).reshape(-1, work.batch_size))

    hidden = layers[:-1] if work.batchnorm != "none" else []
    averages = [(jnp.zeros((1, *layer["b"].shape)), jnp.ones((1, *layer["b"].shape))) for layer in hidden]
    start = (layers, jax_common.start(work.optimizer, layers), averages)
    (layers, _, averages), _ = lax.scan(epoch, start, jax.random.split(key, work.epochs))
    output, _ = _forward(work, layers, test_inputs, averages)
    return 100 * (output.argmax(1) != test_labels).mean()
