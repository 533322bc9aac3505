"""The four sentences that a reader should remember, from the tables of one reading, each number with its uncertainty."""

from collections.abc import Mapping

import pandas as pd

from studies.analysis.estimates import ALPHA
from studies.analysis.outcomes import COUNTED, SET_WORDS, judged_on
from studies.data.measures import Measure
from studies.errors import listed
from studies.show.texts import counted, digits_of, format_interval, format_signed, kinds
from studies.spec.sampling import Population
from studies.spec.study import Study


def sentences(study: Study, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The factor that matters most; the best configuration, and how surely; failures; and the population.

    Brackets hold 95% intervals; where the numbers say nothing, the sentence says so.

    `tables` are those of this reading (`tables.of_reading`).
    """
    return [_what_matters(study, tables), _what_is_best(study, tables), _what_fails(study, tables), _for_whom(study)]


def _what_matters(study: Study, tables: Mapping[str, pd.DataFrame]) -> str:
    effects, judged = tables["effects"], f"{SET_WORDS[judged_on(tables['summary'])]} {study.measure.called}"
    if effects.empty:
        return _what_one_factor_does(study, tables["levels"], judged)
    known = effects[effects["order"] > 0].sort_values("share_pct", ascending=False, kind="stable").dropna(subset="share_pct")
    if known.empty:
        return "What matters most: this grid confounds its factors, and no share can be given to any."
    if known["share_p"].isna().all():
        return f"What matters most: one value each cannot tell effects on the mean {judged} from chance."
    ranked = known[known["share_p"] < ALPHA]
    if ranked.empty:
        return f"What matters most: no factor and no pair of factors is shown to change the mean {judged}."
    first, rest = ranked.iloc[0], effects[effects["order"] == 0].iloc[0]
    said = f"What matters most: {first['effect']}, with {_share(first, 'share')} of the variance of the mean {judged}"
    if len(ranked) > 1:
        second = ranked.iloc[1]
        said += f"; then {second['effect']}, {_share(second, 'share')}"
        if not second["share_ci_high_pct"] < first["share_ci_low_pct"]:
            said += ", so that the order of the two is not sure"
    if len(ranked) > 2:
        said += f"; {counted(len(ranked) - 2, 'smaller effect')} {'is' if len(ranked) == 3 else 'are'} shown too"
    unseen = len(known) - len(ranked)
    if unseen:
        said += f"; {counted(unseen, 'other effect')} of {len(known)} {'is' if unseen == 1 else 'are'} not shown"
    if rest["share_pct"] > first["share_pct"]:
        said += f"; more than by any of these is explained by three factors or more together, {rest['share_pct']:.1f}%"
    others = [
        f"{words} it is {top['effect']}, {_share(top, kind)}"
        for kind, words in (
            ("log_share", kinds(study.measure).get("log_share", "")),
            ("working_share", f"among configurations that work and {_better_than_half(study.measure)}"),
        )
        for _, top in known[known[f"{kind}_p"] < ALPHA].nlargest(1, f"{kind}_pct").iterrows()
        if top["effect"] != first["effect"]
    ]
    return "; ".join([said, *others]) + "."


def _what_one_factor_does(study: Study, levels: pd.DataFrame, judged: str) -> str:
    """In place of shares, which one factor alone does not have: its level that is furthest from the baseline."""
    known = levels.dropna(subset="difference") if "difference" in levels else levels.iloc[:0]
    if known.empty:
        return "What matters most: nothing can be said, for the grid has no two configurations to compare."
    if not known["difference"].any():
        return f"What matters most: nothing that was varied; all configurations have the same mean {judged}."
    row = known.loc[known["difference"].abs().idxmax()]
    start, digits = study.grid.baseline[row["factor"]], digits_of(study.measure, known["difference"])
    return (
        f"What matters most: of {row['factor']}, {row['level']} is furthest from the baseline {start}, with "
        f"{format_signed(row['difference'], digits)}{study.measure.points} in mean {judged}"
        f"{_range(row['difference_ci_low'], row['difference_ci_high'], digits)}{_unsure(row['p_adjusted'])}."
    )


def _what_is_best(study: Study, tables: Mapping[str, pd.DataFrame]) -> str:
    summary, comparisons, measure = tables["summary"], tables["comparisons"], study.measure
    judged = judged_on(summary)
    digits = digits_of(measure, summary[f"{judged}_mean"])
    others = comparisons if comparisons.empty else comparisons[comparisons["against"] == "best"]
    if others.empty or summary[f"{judged}_mean"].isna().all():
        return f"The best configuration: nothing can be said, for there are no two with {_an(measure.called)} in every trial."
    best = summary[summary["config"] == others["other"].iloc[0]].iloc[0]
    lacking = int(others["difference"].isna().sum())
    left_out = (
        f" (without {lacking:,} that lack{'s' if lacking == 1 else ''} {_an(measure.called)} of a failed trial)"
        if lacking
        else ""
    )
    said = (
        f"The {_best(measure)} mean {SET_WORDS[judged]} {measure.called} of {len(summary) - lacking:,} configurations"
        f"{left_out} is that of {best['label']}, {best[f'{judged}_mean']:.{digits}f}{_unit(measure)}"
        f"{_range(best[f'{judged}_ci_low'], best[f'{judged}_ci_high'], digits)}, optimistic: selected on the same values"
    )
    if others["p_adjusted"].isna().all():
        return f"{said}; one value each says nothing of chance."
    known = others.dropna(subset="difference")
    if not known["difference"].any():
        return f"{said}; all are equal."
    untested = int(known["p_adjusted"].isna().sum())
    known = known.dropna(subset="p_adjusted")
    alike = known[known["p_adjusted"] >= ALPHA]
    why = "are identical or have no test" if study.table else "only guess, where no interval holds"
    only = f" (without {untested:,} that {why})" if untested else ""
    said += f"; {_shown_worse(len(known) - len(alike), len(known))}{_where(study)}{only}"
    if len(alike):
        said += f" (a difference shows from {alike['visible'].median():.{digits}f}{measure.points} on, in the median)"
    equal = int(known["shown_equal"].sum())
    shown = _are(equal, len(known)) if len(known) > 1 else f"it is{'' if equal else ' not'}"
    if study.margin:
        said += f"; {shown} shown to be within {study.margin:g}{measure.points} of the best"
    start = study.grid.baseline_configuration
    if start is None:
        return f"{said}; the grid has no baseline configuration."
    if start.id == best["config"]:
        return f"{said}; the best is the baseline."
    if start.id not in set(summary["config"]):
        return f"{said}; the baseline, {start.label}, has no rows yet."
    row = others[others["config"] == start.id].iloc[0]
    if pd.isna(row["difference"]):
        return f"{said}; the baseline, {start.label}, lacks {_an(measure.called)} of a failed trial."
    if not row["difference"]:
        return f"{said}; the baseline, {start.label}, is equal."
    between = _range(row["ci_low"], row["ci_high"], digits)
    away = f"{abs(row['difference']):.{digits}f}{measure.points} {'higher' if row['difference'] >= 0 else 'lower'}"
    return f"{said}; that of the baseline, {start.label}, is {away}{between}{_unsure(row['p_adjusted'])}."


def _what_fails(study: Study, tables: Mapping[str, pd.DataFrame]) -> str:
    summary, levels = tables["summary"], tables["levels"]
    trials = int(summary["trials"].sum())
    failures = trials - int(summary["working"].sum())
    if study.table:
        return _what_runs_fail(summary, trials, failures)
    if not failures:
        return f"What fails: none of {counted(trials, 'trial')} diverged, got stuck or failed."
    kinds = ", ".join(f"{count:,} {kind}" for kind in COUNTED if (count := int(summary[kind].sum())))
    hit = (summary["working"] < summary["trials"]).sum()
    said = (
        f"What fails: {failures:,} of {counted(trials, 'trial')}, {100 * failures / trials:.1f}% ({kinds}), in {hit:,} of "
        f"{counted(len(summary), 'configuration')}"
    )
    varying = levels[levels.groupby("factor")["failure_pct"].transform("nunique") > 1] if len(levels) else levels
    worst = varying[varying["failure_pct"] == varying["failure_pct"].max()].to_dict("records") if len(varying) else []
    if worst:
        where = " and with ".join(f"{row['factor']} = {row['level']}" for row in worst)
        low, high = worst[0]["failure_ci_low_pct"], worst[0]["failure_ci_high_pct"]
        over = f", over {study.sampling.over}" if pd.notna(low) else ""
        said += f", most often with {where}, {worst[0]['failure_pct']:.1f}%{_range(low, high, digits=1)}{over}"
    return f"{said}."


def _what_runs_fail(summary: pd.DataFrame, runs: int, failures: int) -> str:
    """Runs of a table that failed: they are in no mean."""
    if not failures:
        return f"What fails: none of {counted(runs, 'run')}."
    hit = summary[summary["failed"] > 0].to_dict("records")
    named = [f"{row['failed']:,} of {row['trials']:,} of {row['label']}" for row in hit]
    return f"What fails: {failures:,} of {counted(runs, 'run')}, which are in no mean: {listed(named)}."


def _best(measure: Measure) -> str:
    """The superlative of the better direction."""
    return "lowest" if measure.better == "lower" else "highest"


def _better_than_half(measure: Measure) -> str:
    """The condition of the configurations that work, in words."""
    return "err less than half of a guess" if measure.of_rows else "are beyond half of the way from a guess to the best"


def _unit(measure: Measure) -> str:
    """The unit behind a value."""
    return measure.unit if measure.unit == "%" else f" {measure.unit}" if measure.unit else ""


def _an(word: str) -> str:
    """A word with its indefinite article."""
    return f"an {word}" if word[0].lower() in "aeiou" or word[:2] in ("RM", "F1", "R2") else f"a {word}"


def _for_whom(study: Study) -> str:
    """The population of all intervals."""
    sampling = study.sampling
    if sampling.alone:
        return "All of this is about these models only: one value of each configuration has no interval."
    return f"All of this holds for {sampling.population}, by {sampling.over}; intervals are those of 95%."


def _where(study: Study) -> str:
    """The population, where a comparison may not be told without it."""
    return " on these rows" if study.sampling.population is Population.NEW_SEEDS else ""


def _shown_worse(worse: int, total: int) -> str:
    """Number of other configurations that are shown to be worse than the best."""
    if total == 1:
        return f"the other configuration is {'' if worse else 'not '}shown to be worse"
    if worse == total:
        return f"{'both' if total == 2 else f'all {total:,}'} other configurations are shown to be worse"
    rest = f"of the {total:,} other configurations, "
    if not worse:
        return f"{rest}none is shown to be worse"
    return f"{rest}{_are(total - worse, total)} not shown to be worse, and {_are(worse, total)}"


def _are(count: int, total: int) -> str:
    """A count with its verb: "none is", "1 is", "3 are", "all are"."""
    if not count:
        return "none is"
    if count == total > 1:
        return "all are"
    return f"{count:,} {'is' if count == 1 else 'are'}"


def _unsure(p: float) -> str:
    return "" if p < ALPHA else ", which may be chance"


def _share(row: pd.Series, kind: str) -> str:
    low, high = row[f"{kind}_ci_low_pct"], row[f"{kind}_ci_high_pct"]
    return f"{row[f'{kind}_pct']:.1f}%{_range(low, high, digits=1)}"


def _range(low: float, high: float, digits: int = 2) -> str:
    """An interval in brackets; nothing where there is none."""
    return "" if pd.isna(low) else f" [{format_interval(low, high, digits)}]"
