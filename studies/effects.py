"""How much of the difference between configurations each factor explains, alone and together with another."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import lapack, solve_triangular

from studies.analysis import cells, in_percent, levels_of
from studies.inference import Sampling, estimate_rows

Numbers = NDArray[np.float64]
Effect = tuple[int, ...]  # the factors in it, by their number

REST = "all higher interactions"
EXACT, FITTED, CONFOUNDED = "exact", "model fit", "confounded"
TOO_FEW, ONE_LEVEL = "too few", "one level"
_SMALL = 1e-10  # of a sum of squares of dummies, which is near 1 a configuration: a direction that none varies in


def effects(trials: pd.DataFrame, factors: Sequence[str], sampling: Sampling, guess_pct: float) -> pd.DataFrame:
    """The share of the variance between configurations, in percent, of each factor, of each pair of factors, and of the rest.

    One row for each: `effect`, its `order` (1, 2; 0: the rest), three shares with 95% intervals, `interval` (what these are
    over), `method` and `working_method`. `share` is of the mean error, `rank_share` of its rank, `working_share` of the mean
    error among the configurations that work, so that a cell at 50% error does not drown the rest: no trial of theirs failed,
    diverged or got stuck, and they err less than half of `guess_pct`, the error of always guessing the majority.

    * "exact": on a full grid a main effect is the variance of the marginal means, an interaction what the means of pairs add.
    * "model fit": elsewhere, least squares on factors and pairs; a share is what the model loses without the effect, beside
      all effects that do not contain it (sums of squares of type II). Equal to the exact one on a full grid; elsewhere the
      shares need not sum to 100.
    * "confounded": this grid cannot tell the effect from the others, and it has no share. "one level", "too few": where it
      works, a factor has one level left, or there are fewer than two configurations.

    A configuration that lacks a value is left out. Empty for fewer than two factors of several levels, and where all
    errors are equal.

    Intervals: see `interval`.
    """
    values = cells(trials, sampling).dropna()
    grid = levels_of(trials, factors).loc[values.index]
    named = [factor for factor in factors if len(grid[factor].unique()) > 1]
    if len(named) < 2 or not np.ptp(_means(values.to_numpy())[:, 0]):
        return pd.DataFrame()
    working = in_percent(trials).groupby("config")["working"].all()[values.index] & (values.mean(axis=1) < guess_pct / 2)
    sets = _effects(len(named))
    table = pd.DataFrame(
        {
            "effect": [*(" x ".join(named[index] for index in effect) for effect in sets), REST],
            "order": [*map(len, sets), 0],
        }
    )
    parts = {
        "share": (values, _same),
        "rank_share": (values, _ranks),
        "working_share": (values[working.to_numpy()], _same),
    }
    methods = {}
    for kind, (part, scale) in parts.items():
        found, methods[kind] = shares(scale(_means(part.to_numpy())), codes_of(grid.loc[part.index, named]))
        for column, numbers in zip(("", "_ci_low", "_ci_high"), (found[:, 0], *interval(found, sampling.overlap)), strict=True):
            table[f"{kind}{column}_pct"] = numbers
    return table.round(9).assign(
        interval=sampling.words if len(values.columns) > 1 else "one value: no interval",
        method=methods["share"],
        working_method=methods["working_share"],
    )


def shares(values: Numbers, codes: NDArray[np.int64]) -> tuple[Numbers, list[str]]:
    """The shares in percent of `values (configurations, n)`, column by column, and how each was found.

    `codes (configurations, factors)` number the levels from 0. Returns `(effects, n)`: factors, pairs, the rest; NaN where an
    effect is confounded or of one level, or nothing varies.
    """
    sets = _effects(codes.shape[1])
    if len(values) < 2:
        return np.full((len(sets) + 1, values.shape[1]), np.nan), [TOO_FEW] * (len(sets) + 1)
    own, total, methods = (_exact if is_full(codes) else _fitted)(values - values.mean(0), codes)
    for place, effect in enumerate(sets):
        if not codes[:, effect].any(0).all():
            own[place], methods[place] = np.nan, ONE_LEVEL
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 100 * np.maximum(own, 0) / total, np.nan), methods


def codes_of(levels: pd.DataFrame) -> NDArray[np.int64]:
    """The levels of each factor, a column of it, as numbers from 0: `(configurations, factors)`."""
    return np.column_stack([pd.factorize(levels[factor])[0] for factor in levels])


def is_full(codes: NDArray[np.int64]) -> bool:
    """Whether every combination of levels is there once."""
    return bool(len(codes) == np.prod(codes.max(0) + 1) == len(np.unique(codes, axis=0)))


def columns_of(codes: NDArray[np.int64]) -> dict[Effect, Numbers]:
    """The columns of each effect in a design matrix: of a factor one for each level but the first, of a pair their products."""
    dummies = [np.eye(size)[column][:, 1:] for column, size in zip(codes.T, codes.max(0) + 1, strict=True)]
    return {
        effect: dummies[effect[0]]
        if len(effect) == 1
        else np.einsum("ci,cj->cij", *(dummies[index] for index in effect)).reshape(len(codes), -1)
        for effect in _effects(len(dummies))
    }


def _effects(factors: int) -> list[Effect]:
    """Every factor, then every pair."""
    return [effect for order in (1, 2) for effect in itertools.combinations(range(factors), order)]


def _exact(centred: Numbers, codes: NDArray[np.int64]) -> tuple[Numbers, Numbers, list[str]]:
    """Sums of squares of each effect and in all, from marginal means."""
    axes = tuple(range(codes.shape[1]))
    cube = centred[np.lexsort(codes.T[::-1])].reshape(*(codes.max(0) + 1), -1)
    found: dict[Effect, Numbers] = {}
    for effect in _effects(len(axes)):
        means = cube.mean(tuple(axis for axis in axes if axis not in effect))
        variance = (means**2).mean(tuple(range(len(effect))))
        found[effect] = variance - sum(found[part,] for part in effect if len(effect) > 1)
    own, total = np.array(list(found.values())), (centred**2).mean(0)
    return np.vstack([own, total - own.sum(0)]), total, [EXACT] * (len(own) + 1)


def _fitted(centred: Numbers, codes: NDArray[np.int64]) -> tuple[Numbers, Numbers, list[str]]:
    """The same by least squares: what the model of factors and pairs loses without an effect (type II)."""
    columns = columns_of(codes)
    sets = list(columns)
    design = np.hstack(list(columns.values()))
    design = design - design.mean(0)
    owner = np.repeat(range(len(sets)), [part.shape[1] for part in columns.values()])
    squares, products = design.T @ design, design.T @ centred

    def fit(model: Sequence[Effect]) -> tuple[Numbers, int]:
        """The sum of squares that a model explains, by column, and its degrees of freedom."""
        chosen = np.isin(owner, [sets.index(effect) for effect in model])
        if not chosen.any():
            return np.zeros(centred.shape[1]), 0
        factor, pivots, rank, _ = lapack.dpstrf(squares[np.ix_(chosen, chosen)], tol=_SMALL * len(codes), lower=1)
        kept = products[chosen][pivots[:rank] - 1]
        return (solve_triangular(factor[:rank, :rank], kept, lower=True) ** 2).sum(0), int(rank)

    total = (centred**2).sum(0)
    own, methods = [], []
    for effect in sets:
        others = [each for each in sets if not set(effect) <= set(each)]
        within = [each for each in sets if set(each) < set(effect)]
        (more, freedom), (less, without) = fit([*others, effect]), fit(others)
        alone = fit([*within, effect])[1] - fit(within)[1]
        separable = freedom - without == alone > 0
        own.append(more - less if separable else np.full_like(total, np.nan))
        methods.append(FITTED if separable else CONFOUNDED)
    explained, freedom = fit(sets)
    left = len(codes) - 1 > freedom
    own.append(total - explained if left else np.full_like(total, np.nan))
    return np.array(own), total, [*methods, FITTED if left else CONFOUNDED]


def _means(values: Numbers) -> Numbers:
    """The mean of `values (configurations, n)` over all n, then, if there are several, without each in turn: `(..., 1 + n)`."""
    total, count = values.sum(1, keepdims=True), values.shape[1]
    means = np.hstack([total / count, (total - values) / (count - 1)]) if count > 1 else total
    return means.round(9)  # equal errors are equal means, in whatever order they were added


def _same(values: Numbers) -> Numbers:
    return values


def _ranks(values: Numbers) -> Numbers:
    return stats.rankdata(values, axis=0)


def interval(found: Numbers, overlap: float) -> tuple[Numbers, Numbers]:
    """The 95% interval of each share in `found (effects, 1 + n)`: of the means over all n values, then without each in turn.

    A share of means contains their noise, which looks like interaction. So the jackknife (Efron 1979): the pseudo-values
    n s - (n - 1) s_(-i) have the noise's share taken out of their mean, and their spread is that of the share. Where training
    sets overlap, noise is larger than the spread shows: bias and variance alike are multiplied by 1 + n `overlap` (Nadeau and
    Bengio). Clipped to 0 and 100, and widened to hold the share itself. NaN for fewer than two values.

    Simulated coverage of the true share, 4 x 3 x 3 grids, 10 folds or 6 x 5: 90% to 100% while noise is below the effects;
    centred on the share itself, or from one share per fold, 0% to 80% for effects that are 0. A factor that explains all
    is covered less, and where the noise of one value is thrice all effects, no interval holds.
    """
    share, without = found[:, 0], found[:, 1:]
    count = without.shape[1]
    if count < 2:
        return np.full_like(share, np.nan), np.full_like(share, np.nan)
    jackknifed = estimate_rows(count * share[:, None] - (count - 1) * without, overlap)
    half = jackknifed.ci_high - jackknifed.mean
    centre = share + (1 + count * overlap) * (jackknifed.mean - share)
    return np.minimum(share, np.clip(centre - half, 0, 100)), np.maximum(share, np.clip(centre + half, 0, 100))
