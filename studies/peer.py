"""torch.nn, autograd and torch.optim in the framework's place: same loop, splits, first weights and batches."""

from typing import Any

import framework as fw
from studies.settings import Settings


def of(stack: fw.Sequential, settings: Settings) -> Any:  # noqa: ANN401
    """Model, loss and optimizer of torch for an initialized stack of one model."""
    raise NotImplementedError
