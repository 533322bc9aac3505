"""The columns of `trials.csv`, one row per trained model.

Between `FIRST` and `LAST` stand the settings, a name under the setting's own key and its parameters in dotted form, and the
study's own factors. Errors are counts, losses means per sample; a column is empty where there is no such set of rows. `wrong`
holds the judged rows that the model gets wrong (see `wrong.pack`): test rows, else validation rows, else training rows.
"""

from typing import Any

Record = dict[str, Any]  # a row by column, and its parts: see `PARTS`

SETS = {
    "test": "test",
    "val": "validation",
    "train": "train",
}  # fields of `Split` by their prefix in columns; the first is judged
FIRST = ("study", "reading", "trial", "config", "label")
LAST = (
    *("repeat", "fold", "seed", "n_train", "n_val", "n_test", "train_errors", "val_errors", "test_errors"),
    *("train_loss", "val_loss", "test_loss", "diverged", "stuck", "epochs", "epochs_to_5_pct", "status", "reason", "wrong"),
    *("stack", "device", "cpu", "torch", "numpy", "threads", "numerics", "code", "seconds"),
)
OUTCOMES = (  # what a trial's numbers are: equal to the bit, however it is run
    *("train_errors", "val_errors", "test_errors", "train_loss", "val_loss", "test_loss"),
    *("diverged", "stuck", "epochs_to_5_pct", "wrong"),
)
MADE_BY = ("device", "cpu", "torch", "numpy", "threads", "numerics")  # within which they are
NEWER = ("numpy", "wrong", "code", "cpu")  # columns that rows of numerics 5, 8 and 9, and less, lack
TEXTS = (*FIRST, "status", "reason", "wrong", "device", "torch", "numpy", "code", "cpu", "truth", "predicted")
FLAGS = ("diverged", "stuck")
COUNTS = (
    *("repeat", "fold", "seed", "n_train", "n_val", "n_test", "train_errors", "val_errors", "test_errors"),
    *("epochs_to_5_pct", "stack", "threads", "numerics"),
)
PARTS = {"history": "epoch", "predictions": "row"}  # what a record holds beside its row, by column, and the key of its lines
_TABLES = (  # names of columns in tables made from the rows, and of the parts of a record
    *("run", *PARTS, *PARTS.values(), "truth", "predicted", "layer", "group", "point", "factor", "level", "levels", "value"),
    *("values", "trials", "failed", "working", "baseline", "chosen", "chosen_on", "usual", "order", "effect", "kind"),
    *("method", "working_method", "interval", "p", "p_adjusted", "share_p", "log_share_p", "working_share_p", "shown_equal"),
    *("better", "equal", "worse", "against", "other", "other_label"),
    *("difference", "change", "sd", "configuration", "pairs", "panel", "line", "moment", "pct"),
)
_ENDINGS = ("_pct", "_loss", "_errors", "_q25", "_q50", "_q75", " %")


def is_taken(name: str) -> bool:
    """Whether a column of that name is in some table already, and none is to be named after a factor."""
    return name in (*FIRST, *LAST, *_TABLES) or name.endswith(_ENDINGS) or name.startswith(("gradient_norm_", "output_"))
