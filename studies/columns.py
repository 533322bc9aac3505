"""The columns of `trials.csv`, one row per trained model.

Between `FIRST` and `LAST` stand the settings, a name under the setting's own key and its parameters in dotted form, and the
study's own factors. Errors are counts, losses means per sample; a column is empty where there is no such set of rows.
"""

FIRST = ("study", "reading", "trial", "config", "label")
LAST = (
    *("repeat", "fold", "seed", "n_train", "n_val", "n_test", "train_errors", "val_errors", "test_errors"),
    *("train_loss", "val_loss", "test_loss", "diverged", "stuck", "epochs", "epochs_to_5_pct", "status", "reason"),
    *("stack", "device", "torch", "threads", "numerics", "seconds"),
)
OUTCOMES = (  # what a trial's numbers are: equal to the bit, however it is run
    *("train_errors", "val_errors", "test_errors", "train_loss", "val_loss", "test_loss"),
    *("diverged", "stuck", "epochs_to_5_pct"),
)
MADE_BY = ("device", "torch", "threads", "numerics")  # within which they are
TEXTS = (*FIRST, "status", "reason", "device", "torch")
FLAGS = ("diverged", "stuck")
COUNTS = (
    *("repeat", "fold", "seed", "n_train", "n_val", "n_test", "train_errors", "val_errors", "test_errors"),
    *("epochs_to_5_pct", "stack", "threads", "numerics"),
)
