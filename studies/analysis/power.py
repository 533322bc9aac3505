"""Power of a design before anything trains: which effects it separates, how small a difference shows, how many repeats.

An effect is separable where its columns of the design matrix are no combination of those of the effects beside it: for a
factor all other factors and the pairs without it, for a pair all factors and all other pairs. These models are hierarchical, so
how levels are coded makes no difference. A full factorial grid separates everything.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from studies.analysis.comparisons import best_of
from studies.analysis.effects import Effect, codes_of, columns_of, is_full
from studies.analysis.estimates import MOST, Numbers, least_count, resolvable
from studies.analysis.scores import Scores
from studies.spec.study import Study

Named = tuple[str, ...]  # an effect: a factor, or a pair of them
_RANK = 1e-9  # an eigenvalue of the normalised Gram matrix that is smaller is 0
_LISTED = 4  # effects that a line names
DISAGREE = 0.05  # share of the judged rows on which two configurations are taken to differ, where no rows tell


def unseparated(points: pd.DataFrame) -> dict[Named, int]:
    """The factors and pairs that a design does not separate, each with the number of its degrees of freedom that are left.

    `points` has one row for each configuration and a column of levels for each factor. A factor of one level has no effect.
    """
    factors = _varied(points)
    if not factors or is_full(codes_of(points[factors])):
        return {}
    columns = columns_of(codes_of(points[factors]))
    mains, pairs = ({effect: part for effect, part in columns.items() if len(effect) == size} for size in (1, 2))
    left = _freedom(columns, list(pairs))
    for effect in mains:
        others = {pair: part for pair, part in pairs.items() if effect[0] not in pair}
        left |= _freedom({**mains, **others}, [effect])
    return {
        tuple(factors[index] for index in effect): left[effect] for effect in columns if left[effect] < columns[effect].shape[1]
    }


def _varied(points: pd.DataFrame) -> list[str]:
    """The factors with more than one level."""
    return [factor for factor in points if len(points[factor].unique()) > 1]


def _freedom(model: Mapping[Effect, Numbers], asked: Sequence[Effect]) -> dict[Effect, int]:
    """The degrees of freedom that each effect adds to the rest of the model: its columns, less the rank of its null directions.

    A direction in which the columns of the whole model cancel is one that the data leave open.
    """
    rows = len(next(iter(model.values())))
    columns = np.concatenate([np.ones((rows, 1)), *model.values()], axis=1)
    norms = np.sqrt((columns**2).sum(0))
    columns = columns / np.where(norms > 0, norms, 1)
    values, vectors = np.linalg.eigh(columns.T @ columns)
    null = vectors[:, values < _RANK * max(1.0, values[-1])]
    ends = np.cumsum([1, *(each.shape[1] for each in model.values())])
    place = {effect: slice(start, end) for effect, start, end in zip(model, ends[:-1], ends[1:], strict=True)}
    rank = {effect: int(np.linalg.matrix_rank(null[place[effect]], tol=1e-6)) if null.size else 0 for effect in asked}
    return {effect: model[effect].shape[1] - rank[effect] for effect in asked}


def separation(study: Study) -> list[str]:
    """Effects that the grid of one reading separates, in a line or two."""
    points = pd.DataFrame([each.levels for each in study.grid.configurations], columns=list(study.grid.levels))
    varied = _varied(points)
    if len(varied) < 2:
        return []
    open_ = unseparated(points)
    pairs = list(itertools.combinations(varied, 2))
    lost = {size: [effect for effect in open_ if len(effect) == size] for size in (1, 2)}
    kept = [
        "every factor" if not lost[1] else f"{len(varied) - len(lost[1])} of {len(varied)} factors",
        "every pair of factors" if not lost[2] else f"{len(pairs) - len(lost[2])} of {len(pairs)} pairs",
    ]
    lines = [f"separates      {' and '.join(kept)}"]
    if open_:
        named = [_why(effect, open_[effect], points) for effect in (*lost[1], *lost[2])]
        more = f"; and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
        lines.append(f"does not       {'; '.join(named[:_LISTED])}{more}")
    return lines


def _why(effect: Named, freedom: int, points: pd.DataFrame) -> str:
    """An effect that is not separated, and what is missing for it."""
    name, part = " x ".join(effect), " in part" if freedom else ""
    if len(effect) == 1:
        tied = [factor for factor in _varied(points) if factor != effect[0] and _together(points[effect[0]], points[factor])]
        return f"{name}{part} (changes together with {tied[0] if tied else 'other factors and their pairs'})"
    combinations = math.prod(points[factor].nunique() for factor in effect)
    empty = combinations - len(points.drop_duplicates(list(effect)))
    return f"{name}{part} ({f'{empty} of {combinations} cells empty' if empty else 'mixed with other pairs'})"


def _together(one: pd.Series, other: pd.Series) -> bool:
    """True where two factors take fewer directions together than each would alone."""
    columns = columns_of(codes_of(pd.DataFrame({"one": one, "other": other})))
    return _freedom({effect: columns[effect] for effect in ((0,), (1,))}, [(0,)])[0,] < one.nunique() - 1


class Spread(NamedTuple):
    """Sd of the paired differences between two configurations: over trials, and over judged rows of their means."""

    trials: float
    rows: float


def spread(scores: Scores) -> Spread:
    """The typical spread of the differences: the median over pairs with the best; NaN where there are too few values."""
    best = best_of(scores)
    others = np.flatnonzero(scores.configs != best)
    if best is None or not len(others) or scores.by_place.shape[1] < 2:
        return Spread(math.nan, math.nan)
    contrasts = scores.pairs(others, np.full(len(others), scores.configs.get_loc(best)))
    rows = float(np.median(contrasts.by_row.std(1, ddof=1))) if contrasts.by_row.size else 0.0
    return Spread(float(np.nanmedian(contrasts.by_place.std(1, ddof=1))), rows)


def power(study: Study, spread: Spread | None = None, difference: float | None = None, source: str = "given") -> list[str]:
    """The population of the intervals, the difference between two configurations that shows, and the repeats it takes.

    `spread` is that of the paired differences, from this `source`; between two trials of equal fold, or, where repeats draw new
    data, between two means over folds. Without it, the difference is told in units of its sd. Where it lacks the sd over rows,
    the two are taken to differ on `DISAGREE` of them.
    """
    sampling = study.sampling
    lines = [f"speaks of      {sampling.population}"]
    if sampling.widen:
        lines.append(f"wider          {sampling.widen}")
    if study.table and not study.table.runs.paired:  # runs of each variant, whose spreads differ
        return lines
    if sampling.count < 2:
        return [*lines, "resolves       nothing: one value of each configuration is no more than chance; add folds or repeats"]
    known = spread is not None
    found = spread or Spread(1.0, 0.0)
    rows = ""
    row_error = 0.0
    if sampling.shared_rows and known:
        sd = found.rows if math.isfinite(found.rows) else 100 * math.sqrt(DISAGREE)
        row_error = sd / math.sqrt(sampling.rows)
        assumed = "" if math.isfinite(found.rows) else f", if the two differ on {DISAGREE:.0%} of the rows"
        rows = f"; {row_error:.2g} of its standard error are the {sampling.rows:,} rows{assumed}"
    unit = (study.measure.points.strip() or f"in {study.measure.called}") if known else "sd of their paired differences"
    told = f" (sd of paired differences: {found.trials:.3g}, {source}{rows})" if known else ""

    def resolved(repeats: int) -> float:
        count = repeats * (sampling.count // sampling.repeats)
        return resolvable(found.trials, count, sampling.overlap, row_error) if count > 1 else math.inf

    lines.append(f"resolves       {resolved(sampling.repeats):.2g} {unit} between two configurations, four times in five{told}")
    if difference is not None:
        stated = f"{difference:g}{study.measure.points if known else ' sd'}"
        repeats = least_count(resolved, difference, least=1)
        if repeats:
            lines.append(f"needs          repeats = {repeats} to show {stated}")
        elif row_error and resolvable(0.0, MOST, 0.0, row_error) > difference:
            enough = math.ceil(sampling.rows * (resolvable(0.0, MOST, 0.0, row_error) / difference) ** 2)
            lines.append(f"needs          more than {enough:,} rows to judge by to show {stated}: no repeats do on these")
        else:
            lines.append(
                f"needs          new data for each repeat (data.resample): no repeats on one data set show {stated}, "
                "since its folds overlap too much"
            )
    return lines
