"""The three sentences that a reader should remember, from the tables of one reading, each number with its uncertainty."""

from collections.abc import Mapping

import pandas as pd

from studies.analysis import COUNTED, SET_WORDS, judged_on
from studies.inference import LEVEL, wilson
from studies.spec import Study
from studies.texts import interval, signed

SURE = 1 - LEVEL  # the probability from which on two configurations are called equal


def sentences(study: Study, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What matters most; which configuration is best, and how surely; what fails, how often and where.

    Brackets hold 95% intervals; where the numbers say nothing, the sentence says so.

    `tables` are those of this reading (`tables.of_reading`).
    """
    return [_what_matters(study, tables), _what_is_best(study, tables), _what_fails(tables)]


def _what_matters(study: Study, tables: Mapping[str, pd.DataFrame]) -> str:
    effects, judged = tables["effects"], SET_WORDS[judged_on(tables["summary"])]
    if effects.empty:
        return _what_one_factor_does(study, tables["levels"], judged)
    ranked = effects[effects["order"] > 0].sort_values("share_pct", ascending=False, kind="stable").dropna(subset="share_pct")
    if ranked.empty:
        return "What matters most: this grid confounds its factors, and no share can be given to any."
    first, rest = ranked.iloc[0], effects[effects["order"] == 0].iloc[0]
    said = f"What matters most: {first['effect']}, with {_share(first, 'share')} of the variance of the mean {judged} error"
    if study.sampling.alone:
        said += ", which one value each cannot tell from chance"
    elif not first["share_ci_low_pct"] > 0:
        said += ", which may be chance"
    if len(ranked) > 1:
        second = ranked.iloc[1]
        said += f"; then {second['effect']}, {_share(second, 'share')}"
        if second["share_ci_high_pct"] > first["share_ci_low_pct"]:
            said += ", so that the order of the two is not sure"
    if rest["share_pct"] > first["share_pct"]:
        said += f"; more than both comes of three factors or more together, or of noise, {_share(rest, 'share')}"
    others = [
        f"{words} it is {top['effect']}, {_share(top, kind)}"
        for kind, words in (
            ("rank_share", "by rank"),
            ("working_share", "among configurations that work and err less than half of a guess"),
        )
        for _, top in ranked.dropna(subset=f"{kind}_pct").nlargest(1, f"{kind}_pct").iterrows()
        if top["effect"] != first["effect"]
    ]
    p = pd.concat([tables["levels"]["holm_p"], tables["comparisons"]["holm_p"]]).dropna()
    if len(p) and p.min() >= LEVEL:
        others.append("but no level and no configuration differs by more than chance, and shares of chance are no effects")
    return "; ".join([said, *others]) + "."


def _what_one_factor_does(study: Study, levels: pd.DataFrame, judged: str) -> str:
    """In place of shares, which one factor alone does not have: its level that is furthest from the baseline."""
    known = levels.dropna(subset="difference_pct") if "difference_pct" in levels else levels.iloc[:0]
    if known.empty:
        return "What matters most: nothing can be said, for the grid has no two configurations to compare."
    if not known["difference_pct"].any():
        return f"What matters most: nothing that was varied; all configurations have the same mean {judged} error."
    row = known.loc[known["difference_pct"].abs().idxmax()]
    sure = "" if row["holm_p"] < LEVEL else ", which may be chance"
    start = study.grid.baseline[row["factor"]]
    return (
        f"What matters most: of {row['factor']}, {row['level']} is furthest from the baseline {start}, with "
        f"{signed(row['difference_pct'])} points in mean {judged} error"
        f"{_range(row['difference_ci_low_pct'], row['difference_ci_high_pct'])}{sure}."
    )


def _what_is_best(study: Study, tables: Mapping[str, pd.DataFrame]) -> str:
    summary, comparisons = tables["summary"], tables["comparisons"]
    judged = judged_on(summary)
    if comparisons.empty or summary[f"{judged}_mean_pct"].isna().all():
        return "The best configuration: nothing can be said, for there are no two with an error in every trial."
    others = comparisons[comparisons["against"] == "best"]
    best = summary[summary["config"] == others["other"].iloc[0]].iloc[0]
    lacking = int(others["difference_pct"].isna().sum())
    left_out = f" (without the {lacking:,} that a failed trial leaves without a mean to compare)" if lacking else ""
    interval = _range(best[f"{judged}_ci_low_pct"], best[f"{judged}_ci_high_pct"])
    said = (
        f"The best of {len(summary) - lacking:,} configurations{left_out} is {best['label']}, with "
        f"{best[f'{judged}_mean_pct']:.2f}% {SET_WORDS[judged]} error{interval}, flattered by having been chosen on it"
    )
    if others["p"].isna().all():
        return f"{said}; one value each says nothing of chance."
    alike, equal = (others["holm_p"] >= LEVEL).sum(), (others["equal"] >= SURE).sum()
    said += (
        f"; of the {len(others) - lacking:,} others, {alike:,} cannot be told from it (Holm p of {LEVEL:g} or more), "
        f"and {equal:,} are within {study.margin:g} points of it with a probability of {SURE:.0%} or more"
    )
    start = study.grid.baseline_configuration
    if start is None:
        return f"{said}; the grid has no baseline configuration."
    if start.id == best["config"]:
        return f"{said}; it is the baseline."
    row = others[others["config"] == start.id].iloc[0]
    if not row["difference_pct"]:
        return f"{said}; the baseline, {start.label}, errs as much."
    sure = "" if row["holm_p"] < LEVEL else ", which may be chance"
    interval = _range(row["ci_low_pct"], row["ci_high_pct"])
    return f"{said}; the baseline, {start.label}, errs {_more(row['difference_pct'])}{interval}{sure}."


def _what_fails(tables: Mapping[str, pd.DataFrame]) -> str:
    summary, levels = tables["summary"], tables["levels"]
    trials = int(summary["trials"].sum())
    failures = trials - int(summary["working"].sum())
    low, high = (100 * float(share) for share in wilson(failures, trials))
    if not failures:
        return f"What fails: none of {trials:,} trials diverged, got stuck or failed; so the rate is below {high:.2g}%."
    kinds = ", ".join(f"{count:,} {kind}" for kind in COUNTED if (count := int(summary[kind].sum())))
    hit = (summary["working"] < summary["trials"]).sum()
    said = (
        f"What fails: {failures:,} of {trials:,} trials, {100 * failures / trials:.1f}%{_range(low, high, digits=1)} "
        f"({kinds}), in {hit:,} of {len(summary):,} configurations"
    )
    varying = levels[levels.groupby("factor")["failure_pct"].transform("nunique") > 1] if len(levels) else levels
    worst = varying[varying["failure_pct"] == varying["failure_pct"].max()].to_dict("records") if len(varying) else []
    if worst:
        where = " and with ".join(f"{row['factor']} = {row['level']}" for row in worst)
        low, high = worst[0]["failure_ci_low_pct"], worst[0]["failure_ci_high_pct"]
        said += f", most often with {where}, {worst[0]['failure_pct']:.1f}%{_range(low, high, digits=1)}"
    return f"{said}; the intervals take trials for independent."


def _share(row: pd.Series, kind: str) -> str:
    low, high = row[f"{kind}_ci_low_pct"], row[f"{kind}_ci_high_pct"]
    return f"{row[f'{kind}_pct']:.1f}%{_range(low, high, digits=1)}"


def _more(points: float) -> str:
    return f"{abs(points):.2f} points {'more' if points >= 0 else 'less'}"


def _range(low: float, high: float, digits: int = 2) -> str:
    """An interval in brackets; nothing where there is none."""
    return "" if pd.isna(low) else f" [{interval(low, high, digits)}]"
