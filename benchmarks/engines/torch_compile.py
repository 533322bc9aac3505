"""The step of `torch_loop` under `torch.compile`, one model at a time.

One network is compiled; each model begins by setting its first weights and the optimizer's state in place.
"""

import shutil
import time

import torch
from torch import optim

from benchmarks.engines import torch_loop, torch_models
from benchmarks.work import Prepared, Rows, Trained, UnavailableError, Work, first_weights, widths


def prepare(work: Work, rows: Rows) -> Prepared:
    """Compile a step, the optimizer's included."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise UnavailableError("no compiler")
    torch.compiler.reset()
    model = torch_models.network(work, widths(work, rows))
    optimizer = torch_models.optimizer(work, model.parameters(), torch.tensor(work.lrs[0]))
    step = torch.compile(torch_loop.stepper(work, model, optimizer))
    inputs = [torch.from_numpy(fold) for fold in rows.train_inputs]
    labels = [torch.from_numpy(fold) for fold in rows.train_labels]
    begin = time.perf_counter()
    for _ in range(3):  # the optimizer's state is there from the second step on
        step(inputs[0][: work.batch_size], torch_models.targets(work, labels[0][: work.batch_size]))
    compiled = time.perf_counter() - begin

    def train(rows: Rows, seed: int) -> Trained:
        torch.manual_seed(seed)
        seconds, errors = 0.0, {}
        layers = list(first_weights(work, rows, seed))
        for place, (member, fold, lr) in enumerate(zip(work.members, work.folds, work.rates, strict=True)):
            _restart(optimizer, lr)
            torch_models.start(model, (layer[place] for layer in layers))
            targets = torch_models.targets(work, torch.from_numpy(rows.train_labels[fold]))
            seconds += torch_loop.epochs(work, step, torch.from_numpy(rows.train_inputs[fold]), targets)
            errors[member] = torch_loop.error_pct(model, rows, fold)
        return Trained(seconds, errors)

    return Prepared(train, compiled)


@torch.no_grad()
def _restart(optimizer: optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"].fill_(lr)
    for state in optimizer.state.values():
        for number in state.values():
            number.zero_()
