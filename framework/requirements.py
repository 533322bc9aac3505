"""Conditions on what `fit` and `predict` are given; a ValueError gives the rule, what was given and the remedy."""

from typing import Any

from torch import Tensor

from framework.layers import BatchNorm, Linear
from framework.losses import Loss
from framework.module import Sequential
from framework.optimizers import Optimizer, Several, Stepper


def require_own_layers(model: Sequential) -> None:
    """No later model took layers of this one."""
    for module in model.modules():
        if module.stack is not model.stack:
            raise ValueError(
                f"a layer has its parameters in one model: {module!r} is in a later Sequential too; "
                f"write {module!r} once for each model, or copy.deepcopy(model)"
            )


def require_initialized(model: Sequential) -> None:
    """No replica has the weights of 0 that it was made with."""
    linear = [module for module in model.modules() if isinstance(module, Linear)]
    for replica in range(model.replicas) if linear else ():
        if replica not in model.initialized and not any(module.weight[replica].any() for module in linear):
            raise ValueError(
                "the weights of a model are drawn before it trains or predicts: these are 0; call initialize(model)"
            )


def require_fitting(model: Sequential, loss: Loss, optimizer: Stepper) -> None:
    """Model, loss and optimizer belong together."""
    for given in (model, loss, optimizer):
        if isinstance(given, type):
            raise ValueError(f"fit takes objects: the class {given.__name__} was given; write {given.__name__}(...)")
    if not _offers(model, "forward", "accumulate"):
        raise ValueError(
            f"a model is a framework.Sequential: {_described(model)} was given; write Sequential(Linear(2, 3), ...)"
        )
    if not (_offers(loss, "__call__") and hasattr(loss, "reduction")):
        raise ValueError(
            f"a loss is one of this framework: {_described(loss)} was given; write framework.MSELoss(), "
            "framework.CrossEntropyLoss() and so on, or a subclass of framework.Loss"
        )
    require_own_layers(model)
    for last in [*model.modules()][-1:]:
        loss.require_outputs_of(last)
    for part in optimizer.optimizers if isinstance(optimizer, Several) else [optimizer]:
        if not _offers(part, "step"):
            raise ValueError(
                f"an optimizer is one of this framework: {_described(part)} was given; write framework.SGD(model), "
                "framework.Adam(model) and so on"
            )
        if isinstance(part, Optimizer) and _place(part.parameters) != _place(model.parameters):
            raise ValueError(
                "an optimizer moves the parameters that it was made with: these are another model's; make it with this model"
            )


def require_numbers(epochs: Any, history_every: Any, gradient_norms: bool, shuffle: str) -> None:  # noqa: ANN401
    """Epochs, records and shuffling are possible ones."""
    if not (isinstance(epochs, int) and isinstance(history_every, int) and epochs >= 0 and history_every >= 0):
        raise ValueError(f"epochs and history_every are whole numbers from 0: {epochs} and {history_every} were given")
    if gradient_norms and not epochs:
        raise ValueError("gradients are there after a step: gradient_norms needs epochs of 1 or more, 0 was given")
    if shuffle not in ("epoch", "once", "never"):
        raise ValueError(f"shuffle is epoch, once or never: {shuffle!r} was given")


def require_batches(model: Sequential, samples: int, batch_size: Any) -> None:  # noqa: ANN401
    """The training samples give batches of that size, and none of one sample where there is a batch norm."""
    if not (isinstance(batch_size, int) and 1 <= batch_size <= samples):
        raise ValueError(f"a batch holds between 1 and all {samples} training samples: batch_size={batch_size} was given")
    if samples % batch_size == 1 % batch_size and any(isinstance(module, BatchNorm) for module in model.modules()):
        raise ValueError(
            f"batch norm needs two samples or more in a training batch: batches of {batch_size} leave one of {samples} alone; "
            "choose another batch_size"
        )


def _offers(given: object, *methods: str) -> bool:
    """True for what has these methods, and is not torch's own, whose methods of these names do other things."""
    return not type(given).__module__.startswith("torch.") and all(callable(getattr(given, name, None)) for name in methods)


def _described(given: object) -> str:
    """A wrong argument in the first line that it prints, with where its type is from."""
    return f"{repr(given).partition(chr(10))[0]} of {type(given).__module__}"


def _place(x: Tensor) -> int:
    """The address of the memory that a tensor is a view of."""
    return x.untyped_storage().data_ptr()
