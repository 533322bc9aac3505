"""torch.nn, autograd and torch.optim, one model at a time, as its tutorials teach; batches by index, without a DataLoader."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import joblib
import torch
import torch._dynamo  # torch.optim would import it at the first step, on the clock
from joblib.externals import loky
from torch import Tensor, nn, optim

from benchmarks.engines import torch_models
from benchmarks.work import GridRun, Prepared, Rows, Trained, Work, first_weights, percent_wrong, widths

Step = Callable[[Tensor, Tensor], None]


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    _train(dataclasses.replace(work, epochs=1, members=work.members[:1]), rows, 0)  # what only the first training pays
    return Prepared(lambda rows, seed: _train(work, rows, seed))


def stepper(work: Work, model: nn.Module, optimizer: optim.Optimizer) -> Step:
    """One step of training."""
    loss = torch_models.loss(work)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def epochs(work: Work, step: Step, inputs: Tensor, targets: Tensor) -> float:
    """Train for all epochs; returns the seconds it took."""
    begin = time.perf_counter()
    for _ in range(work.epochs):
        order = torch.randperm(len(inputs))
        for batch in order.split(work.batch_size):
            step(inputs[batch], targets[batch])
    return time.perf_counter() - begin


def error_pct(model: nn.Module, rows: Rows, fold: int) -> float:
    """Test error in percent, with the running averages of batch norm."""
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(rows.test_inputs[fold])).argmax(1).numpy()
    model.train()
    return percent_wrong(predicted, rows.test_labels[fold])


def grid(works: Sequence[Work], rows: Rows, jobs: int, seed: int) -> GridRun:
    """Every model a task for joblib, in as many processes as jobs; twice, to tell what starting the processes costs."""
    loky.get_reusable_executor().shutdown(wait=True)  # so that every run starts its processes itself
    torch.set_num_threads(1)  # as joblib has it in the processes it starts
    tasks = [dataclasses.replace(work, members=(member,)) for work in works for member in work.members]
    seconds = []
    with joblib.parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        for _ in range(2):
            begin = time.perf_counter()
            trained = joblib.Parallel()(joblib.delayed(_train)(task, rows, seed) for task in tasks)
            seconds.append(time.perf_counter() - begin)
    errors = iter(trained)
    merged = [{member: next(errors).error_pct[member] for member in work.members} for work in works]
    return GridRun(seconds[0], max(0.0, seconds[0] - seconds[1]), 0.0, merged)


def _train(work: Work, rows: Rows, seed: int) -> Trained:
    torch.manual_seed(seed)
    seconds, errors = 0.0, {}
    layers = list(first_weights(work, rows, seed))
    for place, (member, fold, lr) in enumerate(zip(work.members, work.folds, work.rates, strict=True)):
        inputs = torch.from_numpy(rows.train_inputs[fold])
        targets = torch_models.targets(work, torch.from_numpy(rows.train_labels[fold]))
        model = torch_models.start(torch_models.network(work, widths(work, rows)), (layer[place] for layer in layers))
        step = stepper(work, model, torch_models.optimizer(work, model.parameters(), lr))
        seconds += epochs(work, step, inputs, targets)
        errors[member] = error_pct(model, rows, fold)
    return Trained(seconds, errors)
