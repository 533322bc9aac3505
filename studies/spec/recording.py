"""Recording: what a row holds beside its numbers, which a study may ask for or not.

`history_every`, `gradient_norms` and `keep_predictions` change no number of a trial. So a row that holds more than a study asks
for is used, and a row that holds less is trained again. Arguments are numbers, or arrays of one number for each row.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

SETTINGS = ("history_every", "gradient_norms", "keep_predictions")
FAST_PCT = 5.0  # training error in percent, of `epochs_to_5_pct`


def covers(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """True where a row made with the recording settings `there` holds all that the settings `asked` record."""
    every, wanted = there["history_every"], asked["history_every"]
    lines = (wanted == 0) | ((every > 0) & (wanted % np.maximum(every, 1) == 0))
    return (
        lines & (asked["gradient_norms"] <= there["gradient_norms"]) & (asked["keep_predictions"] <= there["keep_predictions"])
    )


def is_recorded(epoch: Any, epochs: Any, every: Any) -> Any:  # noqa: ANN401
    """True where a history recorded every so many epochs has a line of this epoch; the last has one always."""
    return (epoch == epochs) | ((every > 0) & (epoch % np.maximum(every, 1) == 0))


def first_fast_epoch(epochs: Iterable[int], errors: Iterable[int], rows: int) -> int | None:
    """First recorded epoch with a training error of `FAST_PCT` percent or less; None where there is none."""
    return next((epoch for epoch, wrong in zip(epochs, errors, strict=True) if 100 * wrong <= FAST_PCT * rows), None)
