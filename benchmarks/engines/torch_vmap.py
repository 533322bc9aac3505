"""torch.func over a stack of models, as its tutorial on ensembles teaches: functional_call, stack_module_state, vmap, grad.

torch.optim updates the stacked parameters, so that all models have one learning rate. Batch norm keeps no running averages,
as torch.func asks; it is evaluated with the statistics of the test rows.
"""

import copy
import dataclasses
import time

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.engines import torch_models
from benchmarks.work import Prepared, Rows, Trained, Work, first_weights, percent_wrong, widths


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    _train(dataclasses.replace(work, epochs=1), rows, 0)  # what only the first training of a process pays
    return Prepared(lambda rows, seed: _train(work, rows, seed))


def _train(work: Work, rows: Rows, seed: int) -> Trained:
    torch.manual_seed(seed)
    sizes = widths(work, rows)
    layers = list(first_weights(work, rows, seed))
    models = [
        torch_models.start(torch_models.network(work, sizes, running=False), (layer[index] for layer in layers))
        for index in range(len(work.members))
    ]
    base = copy.deepcopy(models[0]).to("meta")
    parameters, buffers = stack_module_state(models)
    optimizer = torch_models.optimizer(work, parameters.values(), sum(work.rates) / len(work.rates))
    loss = torch_models.loss(work)

    def loss_of(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(base, (parameters, buffers), (x,)), y)

    gradients_of = vmap(grad(loss_of))
    inputs = torch.from_numpy(rows.train_inputs[work.folds])
    targets = torch_models.targets(work, torch.from_numpy(rows.train_labels[work.folds]))
    begin = time.perf_counter()
    for _ in range(work.epochs):
        order = torch.randperm(inputs.shape[1])
        for batch in order.split(work.batch_size):
            gradients = gradients_of(parameters, buffers, inputs[:, batch], targets[:, batch])
            for name, parameter in parameters.items():
                parameter.grad = gradients[name]
            optimizer.step()
    seconds = time.perf_counter() - begin
    with torch.no_grad():
        outputs = vmap(lambda *state: functional_call(base, state[:2], state[2:]))(
            parameters, buffers, torch.from_numpy(rows.test_inputs[work.folds])
        )
    labels = outputs.argmax(2).numpy()
    return Trained(
        seconds,
        {
            member: percent_wrong(predicted, rows.test_labels[fold])
            for member, fold, predicted in zip(work.members, work.folds, labels, strict=True)
        },
    )
