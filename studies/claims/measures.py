"""Measures that claims are about: one number for each trained model.

A measure is a column of `trials.csv`, an error in percent, a column of `history.csv` at one epoch (`train_loss@5000`), or one
of those below, which say what they are. Claims name them; nothing else knows how they are computed.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from studies.analysis.outcomes import measured
from studies.columns import SETS
from studies.data import datasets, generators
from studies.errors import UserError, unknown
from studies.spec.measures import MEASURES
from studies.spec.study import Study
from studies.store.rows import Rows


def measure(name: str, study: Study, rows: Rows) -> pd.Series:
    """The measure of every trial that did not fail, by trial.

    Raises UserError where there is no such measure, or the study did not record what it needs.
    """
    trials = measured(rows.trials[rows.trials["status"] == "ok"], MEASURES["error"]).set_index("trial")
    trials = trials.rename(columns={f"{name}_value": f"{name}_pct" for name in SETS})
    column, at, epoch = name.partition("@")
    if at:
        lines = rows.history[rows.history["epoch"] == int(epoch)].set_index("trial")
        if column not in lines or lines.empty:
            raise UserError(f"{study.name} has no {column} at epoch {epoch} in its history.csv")
        return lines[column].reindex(trials.index).astype(float)
    if name in trials:
        return trials[name].astype(float)
    if name not in DERIVED:
        raise UserError(f"{unknown('measure', name, DERIVED)}; or a column of trials.csv")
    return DERIVED[name](study, trials, rows).reindex(trials.index).astype(float)


def learned(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """1 where the model neither diverged nor stayed at chance."""
    return ~(trials["diverged"] | trials["stuck"])


def solved(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """1 where no training row is wrong at the end."""
    return trials["train_errors"] == 0


def epochs_to_0(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """First recorded epoch from which on no training row is wrong; all epochs where there is none."""
    wrong = rows.history[rows.history["train_errors"] > 0].groupby("trial")["epoch"].max()
    epochs = np.sort(rows.history["epoch"].unique())
    following = pd.Series(np.append(epochs[1:], epochs[-1]), index=epochs)
    return wrong.map(following).reindex(trials.index).fillna(epochs[0]).clip(upper=trials["epochs"])


def epochs_or_all(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """First recorded epoch with a training error of 5% or less; all epochs where there is none: then it takes longer."""
    return trials["epochs_to_5_pct"].astype(float).fillna(trials["epochs"].astype(float))


def seconds_to_5_pct(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Seconds of training up to that epoch, as a share of the stack that the model was trained in."""
    return epochs_or_all(study, trials, rows) / trials["epochs"] * trials["seconds"]


def log_seconds(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Natural logarithm of the seconds an epoch took: differences are ratios."""
    return np.log(trials["seconds"] / trials["epochs"])


def spread(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Distance of the error from the median of its configuration (Brown and Forsythe 1974): its mean compares spreads."""
    error = next(trials[f"{name}_pct"] for name in SETS if f"{name}_pct" in trials)
    return (error - error.groupby(trials["config"]).transform("median")).abs()


def fold_sd(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Population sd of the validation error over the folds of the model's own cross-validation, in points."""
    return trials.groupby(["config", "repeat"])["val_pct"].transform(lambda errors: errors.std(ddof=0))


def turn_epoch(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Recorded epoch of the smallest validation loss: beyond it, the model overfits."""
    history = rows.history.dropna(subset="val_loss").reset_index(drop=True)
    return history.loc[history.groupby("trial")["val_loss"].idxmin()].set_index("trial")["epoch"]


def fluctuation(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Mean absolute change of the validation error from one recorded epoch to the next, in points."""
    return _errors_by_epoch(trials, rows, "val").diff().abs().mean()


def late_sd(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Sd of the test error over the recorded epochs of the last eighth of the training, in points."""
    errors = _errors_by_epoch(trials, rows, "test")
    return errors[errors.index > 7 / 8 * errors.index.max()].std()


def _errors_by_epoch(trials: pd.DataFrame, rows: Rows, name: str) -> pd.DataFrame:
    """Error in percent, epochs by trials."""
    errors = rows.history.pivot_table(index="epoch", columns="trial", values=f"{name}_errors", sort=True)
    return 100 * errors / trials[f"n_{name}"].astype(float).reindex(errors.columns)


def gradient_norm(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Norm of the gradient of all weights in the first batch."""
    return _norms(rows.history[rows.history["epoch"] == 0]).pow(2).sum(axis=1).pow(0.5)


def gradient_growth(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Largest recorded norm of the gradient of all weights, over that in the first batch; inf where that was 0."""
    total = _norms(rows.history).pow(2).sum(axis=1).pow(0.5)
    first = total[(rows.history["epoch"] == 0).to_numpy()]
    return total.groupby(level=0).max() / first


def first_gradient(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Decimal logarithm of the first layer's gradient norm in the first batch.

    Compare it between depths: -1 from one depth to another is a gradient that vanishes to a tenth. Before training all networks
    are near chance, so that losses, and the gradients that enter at the output, are alike.
    """
    norms = _norms(rows.history[rows.history["epoch"] == 0])
    return np.log10(norms.iloc[:, 0].clip(lower=1e-30))


def first_over_last(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Decimal logarithm of the first layer's gradient norm over the last layer's, in the first batch.

    Not for ReLU: scaling one layer up and another down leaves such a network as it is, so that the ratio follows from the
    scales of the weights, whatever the depth.
    """
    norms = _norms(rows.history[rows.history["epoch"] == 0])
    last = norms.ffill(axis=1).iloc[:, -1]
    return np.log10((norms.iloc[:, 0] / last).clip(lower=1e-30))


def loss_and_gradient(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Spearman's correlation, over the recorded epochs, of the training loss with the norm of the gradient."""
    lines = rows.history[["trial", "train_loss"]].assign(norm=_norms(rows.history).pow(2).sum(axis=1).to_numpy())
    ranks = lines.groupby("trial").rank().assign(trial=lines["trial"])
    return ranks.groupby("trial")[["train_loss", "norm"]].corr().xs("norm", level=1)["train_loss"]


def _norms(history: pd.DataFrame) -> pd.DataFrame:
    """The gradient norms of each line of the history, by trial: layers from input to output."""
    layers = sorted((name for name in history if name.startswith("gradient_norm_")), key=lambda name: int(name.split("_")[2]))
    if not layers:
        raise UserError("gradient norms are recorded with gradient_norms = true in [base]: the history has none")
    return history.set_index("trial")[layers].astype(float)


def right_loss(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Mean loss of the rows that the model gets right."""
    right = rows.predictions[rows.predictions["truth"] == rows.predictions["predicted"]]
    return right.groupby("trial")["loss"].mean()


def right_share(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Share of the loss that the rows which the model gets right make up, in percent: no unit, so that losses compare."""
    right = rows.predictions["truth"] == rows.predictions["predicted"]
    loss = rows.predictions["loss"]
    return 100 * loss.where(right, 0.0).groupby(rows.predictions["trial"]).sum() / loss.groupby(rows.predictions["trial"]).sum()


def border_distance(study: Study, trials: pd.DataFrame, rows: Rows) -> pd.Series:
    """Distance of the farthest wrong test row from the circle around the disk; 0 where none is wrong."""
    wrong = rows.predictions[rows.predictions["truth"] != rows.predictions["predicted"]]
    farthest = {}
    for trial, lines in wrong.groupby("trial"):
        test = datasets.pools(study.data, study.seed, int(trials.loc[trial, "repeat"])).test
        assert test is not None
        points = test.inputs_of(lines["row"].to_numpy(dtype=int))
        farthest[trial] = np.abs(np.linalg.norm(points - 0.5, axis=1) - generators.RADIUS).max()
    return pd.Series(farthest, dtype=float).reindex(trials.index).fillna(0.0)


TIMES = ("seconds_to_5_pct", "log_seconds")  # one measurement for each stack, whose trials share its seconds
DERIVED: dict[str, Callable[[Study, pd.DataFrame, Rows], pd.Series]] = {
    "learned": learned,
    "solved": solved,
    "epochs_to_0": epochs_to_0,
    "epochs_or_all": epochs_or_all,
    "seconds_to_5_pct": seconds_to_5_pct,
    "log_seconds": log_seconds,
    "spread": spread,
    "fold_sd": fold_sd,
    "turn_epoch": turn_epoch,
    "fluctuation": fluctuation,
    "late_sd": late_sd,
    "gradient_norm": gradient_norm,
    "gradient_growth": gradient_growth,
    "first_gradient": first_gradient,
    "first_over_last": first_over_last,
    "loss_and_gradient": loss_and_gradient,
    "right_loss": right_loss,
    "right_share": right_share,
    "border_distance": border_distance,
}
