"""The columns of all files of a study, each with its meaning.

`trials.csv` has one row for each trained model. Between `FIRST` and `LAST` stand the settings, a name under the setting's own
key and its parameters in dotted form, and the study's own factors. Errors are counts, losses means per sample; a column is
empty where there is no such set of rows. In names, <set> is train, val or test, <judged> the set that errors are about.
"""

from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]  # a row by column, and its parts: see `PARTS`

SETS = {
    "test": "test",
    "val": "validation",
    "train": "train",
}  # fields of `Split` by their prefix in columns; the first is judged
_FIRST = {
    "study": "Name of the study.",
    "reading": "Reading of the study; empty where it has one.",
    "trial": "Key of the trial: a hash of all that its numbers depend on.",
    "config": "Id of the configuration: a hash of its settings.",
    "label": "Levels of the configuration, in words.",
}
_SETTINGS = {
    "<setting>": "Each key of `[base]`: see [spec.md](spec.md). Of a component its name; a list joined by `-` or `+`.",
    "<setting>.<parameter>": "Parameter of a component, such as `optimizer.lr`.",
    "<factor>": "Level of a factor that is no key of `[base]`.",
}
_LAST = {
    "repeat": "Number of the repeat, from 0.",
    "fold": "Number of the fold that is left out, from 0.",
    "seed": "Seed of the study.",
    "n_train": "Training rows.",
    "n_val": "Validation rows.",
    "n_test": "Test rows.",
    "train_errors": "Training rows that the model gets wrong, after the last epoch.",
    "val_errors": "Validation rows that the model gets wrong.",
    "test_errors": "Test rows that the model gets wrong.",
    "train_loss": "Mean loss of a training row, after the last epoch.",
    "val_loss": "Mean loss of a validation row.",
    "test_loss": "Mean loss of a test row.",
    "diverged": "True where a parameter or a loss was no finite number.",
    "stuck": "True where training errors are not shown to be fewer than by guessing (exact binomial test, level 0.001); for "
    "regression, where the mean of the training rows would be as near.",
    "epochs": "Epochs that the model trained.",
    "epochs_to_5_pct": "First recorded epoch with a training error of 5% or less; empty where there is none.",
    "status": "`ok`, or `failed` where the model raised an exception or its process died.",
    "reason": "Exception of a failed trial, in a line.",
    "wrong": "Judged rows that the model gets wrong: base64 of one bit a row. Test rows, else validation, else training rows.",
    "trained_by": 'Engine that trained the model: what `engine = "auto"` came to.',
    "stack": "Models that trained together with this one.",
    "device": "Device that trained the model.",
    "cpu": "Instruction sets of the processor that numbers depend on.",
    "torch": "Version of torch.",
    "numpy": "Version of numpy.",
    "threads": "Threads of the process.",
    "numerics": "Version of the numerics: see [CHANGELOG.md](../CHANGELOG.md).",
    "code": "Hash of the code that made the row.",
    "seconds": "Seconds of training, of the stack divided by its models.",
}
_MEASURES = {"<set>_<measure>": "Measure of `measures` on a set of rows; empty where the model has no such value."}
FIRST, LAST = tuple(_FIRST), tuple(_LAST)
OUTCOMES = (  # what a trial's numbers are: equal to the bit, however it is run
    *("train_errors", "val_errors", "test_errors", "train_loss", "val_loss", "test_loss"),
    *("diverged", "stuck", "epochs_to_5_pct", "wrong"),
)
MADE_BY = ("trained_by", "device", "cpu", "torch", "numpy", "threads", "numerics")  # within which they are
NEWER = ("numpy", "wrong", "code", "cpu", "trained_by")  # columns that rows of numerics 5, 8, 9 and 10, and less, lack
TEXTS = (*FIRST, "status", "reason", "wrong", "device", "torch", "numpy", "code", "cpu", "trained_by", "truth", "predicted")
FLAGS = ("diverged", "stuck")
COUNTS = (
    *("repeat", "fold", "seed", "n_train", "n_val", "n_test", "train_errors", "val_errors", "test_errors"),
    *("epochs_to_5_pct", "stack", "threads", "numerics"),
)
PARTS = {"history": "epoch", "predictions": "row"}  # what a record holds beside its row, by column, and the key of its lines
_LINE = {
    "study": "As in `trials.csv`.",
    "reading": "As in `trials.csv`.",
    "trial": "The trial.",
    "config": "Its configuration.",
}
_READING = {"reading": "Reading, where the study has several."}
_CONFIG = {"config": "Id of the configuration.", "label": "Its levels, in words."}
_LEVEL = {"factor": "Factor, or `label` for whole configurations.", "level": "Level of the factor."}
_MEASURE = {"measure": "Measure that all values are of, in its unit: see [spec.md](spec.md)."}
_GROUP = {
    "trials": "Trials of the group.",
    "diverged": "Trials that diverged.",
    "stuck": "Trials that got stuck.",
    "failed": "Trials that failed: they have no value, and enter no mean.",
    "working": "Trials that neither failed, diverged nor got stuck.",
    "failure_pct": "Share of the other trials, in percent.",
    "failure_ci_low_pct": "Lower end of its 95% interval.",
    "failure_ci_high_pct": "Upper end.",
    "<set>_mean": "Mean of the measure over the trials, on a set of rows.",
    "<set>_sd": "Standard deviation (n - 1).",
    "<set>_median": "Median.",
    "<set>_iqm": "Mean of the middle half.",
    "<set>_min": "Lowest value.",
    "<set>_max": "Highest value.",
    "<judged>_ci_low": "Lower end of the 95% interval of the mean: see [statistics.md](statistics.md).",
    "<judged>_ci_high": "Upper end.",
    "<judged>_working_mean": "Mean of the working trials.",
    **_MEASURE,
}
_DIFFERENCE = {
    "difference": "Value of the first less that of the second, paired by repeat, fold and row.",
    "ci_low": "Lower end of its 95% interval; intervals of one table hold together.",
    "ci_high": "Upper end.",
}
_COMPARED = {
    **_CONFIG,
    "other": "Id of the configuration that it is compared with.",
    "other_label": "Levels of that configuration, in words.",
    **_DIFFERENCE,
    "p": "p-value of no difference, of this one test.",
    "p_adjusted": "The same, adjusted for all comparisons of the table.",
    "better": "Probability that the configuration is better by more than the margin.",
    "equal": "Probability that the difference is within the margin.",
    "worse": "Probability that it is worse by more than the margin.",
    "shown_equal": "True where two one-sided tests show the difference to be within the margin.",
    "margin": "Margin of the study.",
    "visible": "Smallest difference that would show: half the width of the interval.",
    "values": "Pairs of values that the difference is the mean of.",
    **_MEASURE,
}
_SHARES = {
    f"{kind}{column}": meaning.format(of)
    for kind, of in {
        "share": "the error",
        "log_share": "the logarithm of the error",
        "working_share": "the error, among configurations that work",
    }.items()
    for column, meaning in {
        "_pct": "Share of the variance between configurations of {}, in percent.",
        "_ci_low_pct": "Lower end of its 95% interval.",
        "_ci_high_pct": "Upper end.",
        "_p": "p-value of no effect, adjusted for all effects.",
    }.items()
}
_EPOCH = {"epoch": "Epochs trained."}
_QUARTILES = {"q25": "lower quartile", "q50": "median", "q75": "upper quartile"}
FILES: Mapping[str, tuple[str, Mapping[str, str]]] = {  # by name, without the ending: what a line is, and the columns
    "trials": ("One line for each trained model.", {**_FIRST, **_SETTINGS, **_LAST, **_MEASURES}),
    "history": (
        "One line for each model and recorded epoch: `history_every`.",
        {
            **_LINE,
            **_EPOCH,
            "<set>_loss": "Mean loss of a row of the set.",
            "<set>_errors": "Rows of the set that the model gets wrong.",
            "gradient_norm_<layer>": "With `gradient_norms`: gradient norm of a linear layer's weights (1: next to the input).",
        },
    ),
    "predictions": (
        "With `keep_predictions`: one line for each model and judged row.",
        {
            **_LINE,
            "row": "Number of the row in its data set; in a CSV file from 1, below the header.",
            "truth": "Class of the row.",
            "predicted": "Class that the model decides on.",
            "loss": "Loss of the row.",
            "output_<class>": "Output of the model for a class.",
            "output": "Output of a model with a single output.",
        },
    ),
    "summary": ("One line for each configuration.", {**_READING, **_CONFIG, "<factor>": "Level of each factor.", **_GROUP}),
    "levels": (
        "One line for each level of each factor, averaged over the rest of the grid.",
        {
            **_READING,
            **_LEVEL,
            **_GROUP,
            "baseline": "True for the level that the others are compared with.",
            "difference": "Mean less that of the baseline level, paired by the rest of the grid.",
            "difference_ci_low": "Lower end of its 95% interval; intervals of the table hold together.",
            "difference_ci_high": "Upper end.",
            "p_adjusted": "p-value of no difference, adjusted for all levels of all factors.",
            "pairs": "Pairs of configurations that differ in this factor alone.",
            "paired_mean": "Mean of this half of the pairs.",
            "paired_baseline": "Mean of the baseline's half.",
        },
    ),
    "effects": (
        "One line for each factor, each pair of factors, and the rest.",
        {
            **_READING,
            "effect": "Factor, or two joined by ` x `.",
            "order": "Factors in it; 0: all higher interactions.",
            **_SHARES,
            "interval": "Population that the intervals hold for.",
            "method": "`exact`, `model fit`, or `confounded` where the grid cannot separate the effect.",
            "working_method": "The same among the configurations that work; also `one level`, `too few`.",
            **_MEASURE,
        },
    ),
    "comparisons": (
        "Every configuration against the best, and against the baseline.",
        {**_READING, "against": "`best` or `baseline`.", **_COMPARED},
    ),
    "pairs": ("The leading configurations and the baseline, each with each.", {**_READING, **_COMPARED}),
    "ladder": (
        "Single changes around the baseline, and around the best configuration.",
        {
            **_READING,
            "kind": "`baseline`, `one at a time` (it with one change), `best`, `leave one out` (it with one factor set back).",
            "factor": "Factor that changed.",
            "level": "Its level.",
            **_CONFIG,
            "<judged>_mean": "Mean of the measure.",
            "change": "Mean less that of the baseline, or, of `leave one out`, of the best.",
            "change_ci_low": "Lower end of its 95% interval.",
            "change_ci_high": "Upper end.",
            "p_adjusted": "p-value of no change, adjusted.",
            "visible": "Smallest change that would show.",
            **_MEASURE,
        },
    ),
    "values": (
        "The independent values behind the mean of each level.",
        {
            **_READING,
            **_LEVEL,
            "repeat": "Repeat.",
            "fold": "Fold, where folds are independent values.",
            "<judged>_value": "Mean of the level there.",
            **_MEASURE,
        },
    ),
    "curves": (
        "Losses and errors by epoch.",
        {
            **_READING,
            **_LEVEL,
            **_EPOCH,
            **{f"<set>_loss_{end}": f"Loss of the set: {words} over trials." for end, words in _QUARTILES.items()},
            **{
                f"<set>_error_{end}": f"Error on the set, in percent: {words} over trials." for end, words in _QUARTILES.items()
            },
        },
    ),
    "budget": (
        "The best of each level within a number of epochs.",
        {
            **_READING,
            **_LEVEL,
            "epoch": "Epochs allowed.",
            "<judged>_value": "Mean of the chosen configuration and epoch.",
            "chosen_on": "Set whose values chose them; where it is the judged set, the value is optimistic.",
            "measure": "`error` or `loss`, which a history has.",
        },
    ),
    "gradients": (
        "With `gradient_norms`: gradient norms by layer and epoch.",
        {
            **_READING,
            **_CONFIG,
            **_EPOCH,
            "layer": "Linear layer; 1: next to the input.",
            **{f"norm_{end}": f"Norm of the gradient: {words} over trials." for end, words in _QUARTILES.items()},
        },
    ),
    "tuned": (
        "With `tune`: one line for each configuration of the factors that are not tuned.",
        {
            **_READING,
            "<factor>": "Level of each factor that is not tuned.",
            "chosen": "Levels of the best validation mean, with the number of repeats that chose them.",
            "test_mean": "Mean on test rows at what was chosen.",
            "test_sd": "Its standard deviation over trials.",
            "test_ci_low": "Lower end of the 95% interval of the mean.",
            "test_ci_high": "Upper end.",
            "usual": "Usual levels: an optimizer's default, else the base's.",
            "untuned_test_mean": "Mean on test rows at the usual levels.",
            "untuned_test_ci_low": "Lower end of its 95% interval.",
            "untuned_test_ci_high": "Upper end.",
            "difference": "Chosen less usual, paired.",
            "difference_ci_low": "Lower end of its 95% interval; intervals of the table hold together.",
            "difference_ci_high": "Upper end.",
            "p_adjusted": "p-value of no difference, adjusted.",
            **_MEASURE,
        },
    ),
    "tuned_pairs": (
        "With `tune`: tuned configurations against the best of them.",
        {
            **_READING,
            "point": "Levels of the factors that are not tuned.",
            "other": "Those of the best.",
            **_DIFFERENCE,
            "p_adjusted": "p-value of no difference, adjusted for all pairs.",
            **_MEASURE,
        },
    ),
}
_OF_PICTURES = (  # names of columns that pictures, pages and records make for themselves
    *(
        "run",
        *PARTS,
        "group",
        "difference",
        "change",
        "sd",
        "configuration",
        "panel",
        "line",
        "moment",
        "levels",
        "value",
        "cost",
    ),
)
_NAMES = {name for _, columns in FILES.values() for name in columns if "<" not in name} | {*_OF_PICTURES}
_ENDINGS = ("_pct", "_loss", "_errors", "_q25", "_q50", "_q75", "_value", " %")
_SUMMARISED = ("mean", "sd", "median", "iqm", "min", "max", "ci_low", "ci_high", "working_mean")
_STATISTICS = {f"{of}_{what}" for of in SETS for what in _SUMMARISED}


def is_taken(name: str) -> bool:
    """True where some table has a column of that name, or may have: no factor is called so."""
    return name in _NAMES or name in _STATISTICS or name.endswith(_ENDINGS) or name.startswith(("gradient_norm_", "output_"))


def is_measure(column: str) -> bool:
    """True for a column `<set>_<measure>` beside those that all rows have."""
    of, underscore, name = column.partition("_")
    return of in SETS and bool(underscore and name) and column not in LAST
