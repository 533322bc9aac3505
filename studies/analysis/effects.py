"""Shares of the variance between configurations that each factor and each pair of factors explain."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, Moments, Numbers, crossed, holm
from studies.analysis.outcomes import levels_of, measured
from studies.analysis.scores import Scores

Effect = tuple[int, ...]  # the factors in it, by their number

REST = "all higher interactions"
EXACT, FITTED, CONFOUNDED = "exact", "model fit", "confounded"
TOO_FEW, ONE_LEVEL = "too few", "one level"
KINDS = ("share", "log_share", "working_share")  # of the measure, of its logarithm, among configurations that work
WORKING = 12  # configurations at least, with two levels or more of two factors, for shares among those that work
_ROUNDING = 1e-15  # points squared: sums of squares below are of rounding
_SMALL = 1e-10  # of a sum of squares of dummies, which is near 1 a configuration: a direction that none varies in


class Shares(NamedTuple):
    """Shares of the variance by effect, factors and pairs first, then the rest: in percent, with intervals, p, and methods."""

    share: Numbers
    ci_low: Numbers
    ci_high: Numbers
    p: Numbers
    methods: list[str]


def measure_effects(trials: pd.DataFrame, factors: Sequence[str], scores: Scores, guess: float = math.nan) -> pd.DataFrame:
    """The share of the variance between configurations, in percent, of each factor, of each pair of factors, and of the rest.

    One row for each: `effect`, its `order` (1, 2; 0: the rest), three shares, each with `ci_low`, `ci_high` and `p`, `interval`
    (the population of these), `method` and `working_method`. `share` is of the mean of the measure, `log_share` of the
    logarithm of its distance from the best value there can be, where ratios count, `working_share` of the mean among the
    configurations that work, so that a cell at 50% error does not drown the rest: no trial of theirs failed, diverged or got
    stuck, and they are more than half of the way from `guess`, the value of always guessing, to the best there can be. A
    measure without a best value has no logarithm, one without a guess no configurations that are known to work.

    * "exact": on a full grid a main effect is the variance of the marginal means, an interaction what the means of pairs add.
    * "model fit": elsewhere, least squares on factors and pairs; a share is what the model loses without the effect, with all
      effects that do not contain it in the model (sums of squares of type II). Equal to the exact one on a full grid; elsewhere
      the shares need not sum to 100.
    * "confounded": this grid cannot tell the effect from the others, and it has no share. "one level", "too few": where it
      works, a factor has one level left, or there are too few configurations (`WORKING`).

    A configuration that lacks a value is left out. Empty for fewer than two factors of several levels, and where all errors are
    equal. Statistics: see `shares`.
    """
    scores = scores.take(scores.complete)
    grid = levels_of(trials, factors).loc[scores.configs]
    named = [factor for factor in factors if len(grid[factor].unique()) > 1]
    if len(named) < 2 or not np.ptp(scores.means):
        return pd.DataFrame()
    far = np.abs(scores.means - scores.measure.perfect)
    with np.errstate(invalid="ignore"):
        good = far < abs(guess - scores.measure.perfect) / 2
    working = measured(trials, scores.measure).groupby("config")["working"].all()[scores.configs].to_numpy() & good
    sets = effects_of(len(named))
    table = pd.DataFrame(
        {
            "effect": [*(" x ".join(named[index] for index in effect) for effect in sets), REST],
            "order": [*map(len, sets), 0],
        }
    )
    methods = {}
    for kind in KINDS:
        part = scores.take(working) if kind == "working_share" else scores
        codes = codes_of(grid.loc[part.configs, named])
        enough = kind != "working_share" or (len(part.configs) >= WORKING and (codes.max(0) > 0).sum() >= 2)
        enough &= kind != "log_share" or bool((far > 0).any() and np.isfinite(far).all())
        found = shares(part, codes, logarithm=kind == "log_share") if enough else _nothing(len(sets) + 1)
        methods[kind] = found.methods
        columns = {"": found.share, "_ci_low": found.ci_low, "_ci_high": found.ci_high}
        for column, numbers in columns.items():
            table[f"{kind}{column}_pct"] = numbers
        table[f"{kind}_p"] = found.p
    return table.round(9).assign(
        interval=scores.sampling.words, method=methods["share"], working_method=methods["working_share"]
    )


def _nothing(count: int) -> Shares:
    blank = np.full(count, np.nan)
    return Shares(blank, blank, blank, blank, [TOO_FEW] * count)


def shares(scores: Scores, codes: NDArray[np.int64], logarithm: bool = False) -> Shares:
    """The shares of the variance of the mean errors of configurations, or of their logarithms.

    `codes (configurations, factors)` number the levels from 0.

    * A share is bias-corrected, as omega squared is: of each sum of squares, and of the whole, what chance adds to it is taken
      away, and what is left below 0 is 0.
    * `p`: the sum of squares over that variance is an F statistic with Box's degrees of freedom (the ANOVA-type statistic of
      Brunner, Dette and Munk 1997), since variances differ between configurations; adjusted by Holm's rule over all effects.
    * Intervals hold together for all effects (Bonferroni): the delta method for a ratio of sums of squares, plus the variance
      2 tr V^2 that a sum of squares has without any effect. One that 5% tests leave at 0 contains 0. There is none where the
      test finds an effect and the interval would contain 0, where chance makes half of the whole, or for one value each.

    The rest has neither interval nor p: it is whatever is left, the interactions of three factors and more among it.
    """
    sets = effects_of(codes.shape[1])
    bases, everything, methods = _bases(codes)
    means, slope = scores.means, np.ones(len(codes))
    if logarithm:
        far = np.abs(means - scores.measure.perfect)
        # Half a row, or the smallest there is: no error at all has no logarithm.
        shift = 50 / scores.sampling.rows if scores.measure.of_rows else far[far > 0].min() / 2 if (far == 0).any() else 0.0
        means, slope = np.log(far + shift), scores.measure.sign / (far + shift)
    centred = means - means.mean()
    squares = np.array([((basis @ means) ** 2).sum() for basis in (*bases, everything)])
    whole = (centred**2).sum()
    chance = _chance([*bases, everything], scores, slope)
    noise = np.array([each.trace for each in chance.parts])
    own, rest, total = squares[:-1] - noise[:-1], (whole - squares[-1]) - (chance.whole - noise[-1]), whole - chance.whole
    blank = np.array([method in (CONFOUNDED, ONE_LEVEL) for method in methods])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 100 * np.clip(np.append(own, rest) / total, 0, 1) if total > 0 else np.full(len(sets) + 1, np.nan)
    share[blank] = np.nan
    p = np.full(len(sets) + 1, np.nan)
    low, high = p.copy(), p.copy()
    if scores.by_place.shape[1] > 1 and np.isfinite(noise).all():
        tests = zip(chance.parts[:-1], squares[:-1], blank[:-1], strict=True)
        p[:-1] = [np.nan if empty else part.p(square) for part, square, empty in tests]
        p = holm(p)
        if whole > 2 * chance.whole > 0:
            low[:-1], high[:-1] = _ends(share[:-1], total, centred, slope, bases, chance.parts, scores)
            low[:-1] = np.where(p[:-1] < ALPHA, low[:-1], 0.0)
            low[blank] = high[blank] = np.nan
            unfit = (p < ALPHA) & (low <= 0)
            low[unfit] = high[unfit] = np.nan
    return Shares(share, low, high, p, methods)


def sums_of_squares(means: Numbers, codes: NDArray[np.int64]) -> Numbers:
    """The sum of squares of each effect in `means (configurations,)`."""
    return np.array([((basis @ means) ** 2).sum() for basis in _bases(codes)[0]])


class _Part(NamedTuple):
    """The covariance of the contrasts of one effect: its trace, that of its square, and degrees of freedom of the trace."""

    trace: float
    square: float
    freedom: float

    def p(self, found: float) -> float:
        """The probability of so large a sum of squares by chance."""
        if not self.trace > _ROUNDING:
            return 1.0 if found <= _ROUNDING else math.nan
        return distributions.f_sf(found / self.trace, self.trace**2 / self.square, self.freedom)


class _Chance(NamedTuple):
    """Addition of chance to sums of squares: by effect, and to the whole."""

    parts: list[_Part]
    whole: float


def _chance(bases: Sequence[Numbers], scores: Scores, slope: Numbers) -> _Chance:
    """The covariance of each effect's contrasts by chance, and the sum of the variances of all means about their mean."""
    count, number = scores.by_place.shape[1], scores.row_means.shape[1]
    overlap = scores.sampling.overlap
    weights = np.vstack([*bases, np.full((1, len(slope)), 1 / math.sqrt(len(slope)))]) * slope
    contrasts = scores.contrast(weights)
    if count < 2:
        return _Chance([_Part(0.0, 0.0, 1.0)] * len(bases), 0.0)  # not known, and nothing is taken away
    parts = []
    start = 0
    variances = _variances(contrasts.by_place, contrasts.by_row, contrasts.square, count, overlap)
    for basis in bases:
        own = slice(start, start + len(basis))
        start += len(basis)
        if not len(basis):
            parts.append(_Part(0.0, 0.0, 1.0))
            continue
        of_places = np.atleast_2d(np.cov(contrasts.by_place[own])) * (1 / count + overlap)
        places = _trace_of_square(of_places, count - 1)
        rows, cross = 0.0, 0.0
        if number > 1:
            of_rows = np.atleast_2d(np.cov(contrasts.by_row[own])) / number
            rows, cross = _trace_of_square(of_rows, number - 1), float((of_places * of_rows).sum())
        trace = float(variances[own].sum())
        spread = places / (count - 1) + (rows / (number - 1) if number > 1 else 0.0)
        parts.append(_Part(trace, max(places + 2 * cross + rows, trace**2 / len(basis)), trace**2 / spread if spread else 1.0))
    every = replace(scores, guessing=np.zeros(len(slope), dtype=bool)).estimate_each()
    single = np.asarray(every.error) ** 2 * slope**2
    return _Chance(parts, float(single.sum() - variances[-1]))


def _variances(values: Numbers, rows: Numbers, square: Numbers, count: int, overlap: float) -> Numbers:
    """The variance of the mean of each row of `values (m, places)`, by `estimates.crossed`."""
    row_sd = rows.std(1, ddof=1) if rows.shape[1] > 1 else np.zeros(len(values))
    found = crossed(Moments(values.mean(1), values.std(1, ddof=1), count, rows.shape[1], row_sd, square), overlap)
    return np.asarray(found.error) ** 2


def _trace_of_square(covariance: Numbers, freedom: int) -> float:
    """tr(V^2) from an estimate of V with so many degrees of freedom, without its bias (Srivastava 2005), within its bounds."""
    trace, square = float(np.trace(covariance)), float((covariance**2).sum())
    if freedom > 1:
        square = freedom**2 / ((freedom - 1) * (freedom + 2)) * (square - trace**2 / freedom)
    return min(max(square, trace**2 / len(covariance)), trace**2)


def _ends(
    share: Numbers,
    total: float,
    centred: Numbers,
    slope: Numbers,
    bases: Sequence[Numbers],
    parts: Sequence[_Part],
    scores: Scores,
) -> tuple[Numbers, Numbers]:
    """The ends of the intervals of shares in percent, by the delta method: d share = 2 (P_e m - share m)' dm / total."""
    gradients = [
        2 * (basis.T @ (basis @ centred) - np.nan_to_num(each) / 100 * centred) / total
        for basis, each in zip(bases, share, strict=True)
    ]
    found = replace(scores, guessing=np.zeros(len(slope), dtype=bool)).contrast(np.array(gradients) * slope).estimate()
    square = np.array([part.square for part in parts[: len(share)]])
    error = np.sqrt(np.nan_to_num(found.error) ** 2 + 2 * square / total**2)
    freedom = np.where(np.isfinite(found.freedom), found.freedom, scores.by_place.shape[1] - 1)
    half = 100 * distributions.t_ppf(1 - ALPHA / 2 / max(1, np.isfinite(share).sum()), freedom) * error
    return np.clip(share - half, 0, 100), np.clip(share + half, 0, 100)


def _bases(codes: NDArray[np.int64]) -> tuple[list[Numbers], Numbers, list[str]]:
    """Orthonormal contrasts `(freedom, configurations)` of each effect and of all together, and how each was found."""
    sets = effects_of(codes.shape[1])
    if is_full(codes):
        bases = _full_bases(codes)
        methods = [EXACT if codes[:, effect].any(0).all() else ONE_LEVEL for effect in sets]
        return bases, np.vstack(bases), [*methods, EXACT]
    columns = columns_of(codes)
    ones = np.ones((len(codes), 1))
    bases, methods = [], []
    for effect in sets:
        within = [columns[each] for each in sets if set(each) < set(effect)]
        others = [columns[each] for each in sets if not set(effect) <= set(each)]
        alone = len(_orthonormal(columns[effect], np.hstack([ones, *within])))
        basis = _orthonormal(columns[effect], np.hstack([ones, *others]))
        method = FITTED if len(basis) == alone > 0 else CONFOUNDED
        bases.append(basis)
        methods.append(method if codes[:, effect].any(0).all() else ONE_LEVEL)
    everything = _orthonormal(np.hstack(list(columns.values())), ones)
    return bases, everything, [*methods, FITTED if len(codes) - 1 > len(everything) else CONFOUNDED]


def _full_bases(codes: NDArray[np.int64]) -> list[Numbers]:
    """The contrasts of each effect of a full grid: products of those of its factors, which are orthogonal there."""
    sizes = codes.max(0) + 1
    alone = [scipy.linalg.helmert(size).T[column] for column, size in zip(codes.T, sizes, strict=True)]
    bases = []
    for effect in effects_of(len(sizes)):
        product = np.ones((len(codes), 1))
        for index in effect:
            product = np.einsum("ci,cj->cij", product, alone[index]).reshape(len(codes), -1)
        bases.append(product.T * math.sqrt(math.prod(sizes[list(effect)].tolist()) / len(codes)))
    return bases


def _orthonormal(columns: Numbers, others: Numbers) -> Numbers:
    """An orthonormal basis, in rows, of what `columns` add to the space of `others`."""
    known = _span(others)
    return _span(columns - known @ (known.T @ columns)).T


def _span(columns: Numbers) -> Numbers:
    """An orthonormal basis, in columns, of the space of `columns`, dummies or what is left of them."""
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > _SMALL * len(columns)
    return columns @ vectors[:, kept] / np.sqrt(values[kept])


def codes_of(levels: pd.DataFrame) -> NDArray[np.int64]:
    """The levels of each factor, a column of it, as numbers from 0: `(configurations, factors)`."""
    return np.column_stack([pd.factorize(levels[factor])[0] for factor in levels])


def is_full(codes: NDArray[np.int64]) -> bool:
    """True where every combination of levels is there once."""
    return bool(len(codes) == np.prod(codes.max(0) + 1) == len(np.unique(codes, axis=0)))


def columns_of(codes: NDArray[np.int64]) -> Mapping[Effect, Numbers]:
    """The columns of each effect in a design matrix: of a factor one for each level but the first, of a pair their products."""
    dummies = [np.eye(size)[column][:, 1:] for column, size in zip(codes.T, codes.max(0) + 1, strict=True)]
    return {
        effect: dummies[effect[0]]
        if len(effect) == 1
        else np.einsum("ci,cj->cij", *(dummies[index] for index in effect)).reshape(len(codes), -1)
        for effect in effects_of(len(dummies))
    }


def effects_of(factors: int) -> list[Effect]:
    """Every factor, then every pair."""
    return [effect for order in (1, 2) for effect in itertools.combinations(range(factors), order)]
