"""One HTML page of a study: the answer, the tables and pictures it stands on, what fails, and how it was made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from studies.analysis.estimates import ALPHA
from studies.analysis.outcomes import COUNTED, SET_WORDS, judged_on
from studies.analysis.tables import Tables, of_reading
from studies.data.runs.remarks import describe
from studies.show import html, texts, verdict_texts
from studies.show.figures import PICTURES
from studies.show.figures.style import over
from studies.show.sentences import sentences
from studies.show.tables import explained
from studies.show.texts import counted
from studies.spec.study import Study

Pictures = Mapping[str, Path | str]  # by name: where each is, or why there is none
Section = tuple[str, str, Sequence[str]]  # id, title, parts

PLACES = {  # the pictures of each section
    "matters": ("effects", "interactions"),
    "levels": ("levels",),
    "changes": ("ladder",),
    "configurations": ("grid", "models", "seeds"),
    "comparisons": ("matrix",),
    "training": ("budget", "curves", "compared", "learning", "gradients", "schedules", "activations"),
    "data": ("data", "points"),
}


def compose(
    study: Study, tables: Tables, pictures: Pictures, manifest: Mapping[str, Any] | None, verdicts: pd.DataFrame
) -> str:
    """The page of a study from its tables and pictures, its manifest if there is one, and the verdicts on what it answers."""
    own = of_reading(tables, study)
    if own["summary"].empty:
        none = f"The primary reading, {study.reading}, has no rows yet: train them by `{study.command('run')}`."
        answer: list[Section] = [("answer", "The answer", [html.paragraph(none)])]
        intervals: list[Section] = []
        facts: list[str] = []
    else:
        answer = [("answer", "The answer", [html.bullets(sentences(study, own), large=True)]), *_sections(study, own, pictures)]
        about = html.bullets(_about_intervals(study, own))
        intervals = [("intervals", "What the intervals say, and what they leave out", [about])]
        facts = list(_facts(study, own["summary"]))
    sections = [
        *answer,
        *_verdicts(verdicts),
        *_readings(study, tables, pictures),
        *intervals,
        ("made", "How it was made", list(_reading_of(study, pictures) if study.table else _provenance(manifest, pictures))),
    ]
    shown = [section for section in sections if section[2]]
    top = html.heading(study.title, facts)
    body = "".join(html.section(*section) for section in shown)
    return html.document(study.title, top + html.contents([section[:2] for section in shown]) + body)


def _facts(study: Study, summary: pd.DataFrame) -> Iterator[str]:
    """The question, its source, and how large the study is."""
    if study.question:
        yield study.question
    if study.source:
        yield f"Source: {study.source}"
    if study.reading:
        yield f"Reading of the source: {study.reading}, which was declared primary before anything was trained."
    trained = counted(int(summary["trials"].sum()), "run" if study.table else "trained model")
    yield f"{counted(len(summary), 'configuration')}, {over(study)} each: {trained}."
    yield f"Data: {study.described_data}."


def _sections(study: Study, tables: Tables, pictures: Pictures) -> Iterator[Section]:
    """Tables of one reading, each with its pictures."""
    summary, factors = tables["summary"], list(study.grid.levels)

    def of_section(name: str) -> list[str]:
        return list(_pictures(PLACES[name], pictures))

    shown = explained(study, tables)
    if "effects" in shown:  # words to the left, numbers to the right
        texts_of = shown["effects"].table
        shown["effects"] = shown["effects"]._replace(table=texts_of[[*texts_of.columns[[0, -1]], *texts_of.columns[1:-1]]])
    if "ladder" in shown:  # lines can be sorted, so that each needs its kind
        kinds = tables["ladder"]["kind"].to_numpy()
        shown["ladder"] = shown["ladder"]._replace(table=shown["ladder"].table.assign(kind=kinds))
    if study.table:
        shown = {name: each._replace(table=texts.of_runs(each.table)) for name, each in shown.items()}
    known = {name: html.table(*each) for name, each in shown.items()}

    def table(name: str) -> list[str]:
        return [known[name]] if name in known else []

    yield "matters", "What matters", of_section("matters") + table("effects")
    yield "levels", "Level by level", of_section("levels") + table("levels")
    yield "changes", "One change at a time", of_section("changes") + table("ladder")
    yield "tuned", "Tuned", table("tuned") + table("tuned_pairs")
    yield "configurations", "Every configuration", [*of_section("configurations"), _configurations(study, summary)]
    compared = [_compared(study, part, summary) for _, part in _groups(tables["comparisons"], "against")]
    yield "comparisons", "Configurations compared", of_section("comparisons") + compared
    yield "failures", "What failed", _failures(study, summary, tables["levels"], factors or ["label"])
    yield "training", "Training", of_section("training")
    yield "data", "Data", of_section("data")


def _pictures(names: Sequence[str], pictures: Pictures, folder: str = "") -> Iterator[str]:
    """The pictures of these names that were drawn."""
    for name in names:
        path = pictures.get(f"{folder}{name}")
        if isinstance(path, Path):
            shows = PICTURES[name].shows
            yield html.picture(path.read_bytes(), f"Picture {name}: {shows}", shows)


def _configurations(study: Study, summary: pd.DataFrame) -> str:
    """The table of all configurations, the best first."""
    judged, measure = judged_on(summary), study.measure
    factors = list(study.grid.levels)
    order = texts.best_first(summary, f"{judged}_mean", measure)
    title = f"All configurations by {SET_WORDS[judged]} {measure.title}"
    note = f"{study.sampling.words}; working: without trials that diverged, got stuck or failed"
    table = texts.every_configuration(order, factors, measure)
    if study.table:
        table, note = texts.of_runs(table), study.sampling.words
    return html.table(title, table, max(1, len(factors)), note)


def _groups(table: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of a table by a column, in the order of the table; none of an empty one."""
    if not table.empty:
        yield from ((str(name), part) for name, part in table.groupby(column, sort=False))


def _compared(study: Study, part: pd.DataFrame, summary: pd.DataFrame) -> str:
    """All configurations against one."""
    named = summary.set_index("config").loc[part["config"], list(study.grid.levels) or ["label"]]
    title = f"Every other configuration less the {part['against'].iloc[0]}, {part['other_label'].iloc[0]}"
    measure = study.measure
    note = (
        f"{SET_WORDS[judged_on(summary)]} {measure.change}, and the probability that it is better, equal within "
        f"{study.margin:g}{measure.points}, or worse; {study.sampling.words}{texts.visible(part['visible'], measure)}"
    )
    return html.table(title, texts.comparisons(part, named, measure), len(named.columns), note)


def _failures(study: Study, summary: pd.DataFrame, levels: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Configurations and levels that failed, with their counts; a sentence where none did."""
    hit = summary[summary["working"] < summary["trials"]]
    trials, failed = int(summary["trials"].sum()), int((summary["trials"] - summary["working"]).sum())
    if study.table:
        texts_of = f"{failed:,} of {trials:,} runs failed: they are counted, and in no mean."
        table = [html.table("Configurations with failed runs", texts.of_runs(texts.failures(hit, factors)), left=len(factors))]
        return [html.paragraph(texts_of), *(table if failed else [])]
    kinds = ", ".join(f"{int(summary[kind].sum()):,} {kind}" for kind in COUNTED)
    meaning = (
        f"{failed:,} of {trials:,} trials did not work: {kinds}. Diverged: a loss or weight was not finite. Stuck: on its "
        "training rows the model is not better than always guessing the most frequent class, by an exact binomial test at "
        "0.1%. Failed: the program ended with an error. One can be both diverged and stuck; both keep their error and are part "
        "of every mean. Intervals of shares are over folds or repeats, since trials of one fold fail together."
    )
    parts = [html.paragraph(meaning)]
    if failed and not levels.empty:
        parts.append(html.table("By level, over the rest of the grid", texts.failures(levels, ["factor", "level"]), left=2))
    if failed:
        title = f"The {counted(len(hit), 'configuration')} in which any model did not work"
        parts.append(html.table(title, texts.failures(hit, factors), left=len(factors)))
    return parts


def _verdicts(verdicts: pd.DataFrame) -> Iterator[Section]:
    """Verdicts of the study on the claims of its source."""
    if len(verdicts):
        shown = verdict_texts.texts(verdicts)[["claim", "verdict", "reason", "published", "ours", "rounds"]]
        note = "mean ± sd, and the 95% interval of the mean"
        yield "verdicts", "The claims of the source", [html.table("What our trials say to each claim", shown, 3, note)]


def _readings(study: Study, tables: Tables, pictures: Pictures) -> Iterator[Section]:
    """The readings beside the primary one: they explore, and carry no verdict."""
    for other in study.others:
        summary = of_reading(tables, other)["summary"]
        if len(summary):
            drawn = list(_pictures(tuple(PICTURES), pictures, f"{other.reading}/"))
            yield f"reading-{other.reading}", f"Another reading: {other.reading}", [*drawn, _configurations(other, summary)]


def _about_intervals(study: Study, tables: Tables) -> Iterator[str]:
    """The population of the intervals, how they are made, and what they leave out."""
    summary, sampling = tables["summary"], study.sampling
    judged = judged_on(summary)
    if sampling.alone:
        yield "Each configuration has one value, and one value has no interval: add folds or repeats."
        return
    yield f"Population: {sampling.population}. Of 100 studies of this design, about 95 have an interval with the truth in it."
    if sampling.fresh:
        means = f", each the mean of its {sampling.folds} folds" if sampling.folds else ""
        yield f"Intervals are t intervals over {sampling.repeats} repeats{means}: each draws new data, weights and batches."
    elif sampling.left_out:
        yield (
            f"Intervals are over {sampling.over} of one data set. Each fold trains on rows that judge others, so values are "
            "not independent, and intervals are longer for it (Nadeau and Bengio 2003). Configurations that mostly got stuck "
            "have none: a model that guesses errs more on the fold that it left out than on new rows."
        )
    elif study.table:
        told = "test rows by training rows" if sampling.overlap else ""
        longer = f" They are longer for the overlap of folds, {told} {sampling.overlap:.3g} (Nadeau and Bengio 2003)."
        yield f"Intervals are t intervals over {sampling.over}.{longer if told else ''}"
    elif sampling.shared_rows:
        yield (
            f"All models are judged on the same {sampling.rows:,} rows, which may be easy or hard ones: intervals contain the "
            f"spread over these rows, and that over {sampling.over}. What another training pool would do, this design does not "
            "show."
        )
    elif not sampling.rows:
        yield f"Intervals are over {sampling.over}, each a run of the function with another seed."
    else:
        yield (
            f"Intervals are over {sampling.over} on the rows there are: they say what other first weights and batches would "
            "do, and nothing of other rows."
        )
    if sampling.widen:
        yield f"A wider population takes another design: {sampling.widen}."
    if study.table:
        yield from _about_pairs(study)
        return
    if judged != "test":
        yield f"There is no test set: the {study.measure.called} is that of {SET_WORDS[judged]} rows."
    if len(summary) > 1:
        yield (
            f"The best configuration has the best of {len(summary):,} means, selected on the same values. The best of many is "
            "good by luck as well: trained again, it would likely be a little worse."
        )
        yield (
            "All configurations share splits, draws of first weights and order of batches, and differences are between such "
            "pairs: what they share cancels, so a difference is surer than the intervals of its two means suggest."
        )
        yield (
            "The interval of a mean holds for itself. Intervals of differences hold together, and adjusted p allows for all "
            "of them: those of configurations for all pairs, so that a pair has one answer in every table, those of levels for "
            f"all levels. An adjusted p is below {ALPHA:g} exactly where its interval leaves out 0."
        )


def _about_pairs(study: Study) -> Iterator[str]:
    """The way in which differences of a table's runs are made, and adjusted."""
    assert study.table is not None
    if study.table.runs.paired:
        yield "Differences are between runs of one cell, which pair: what they share cancels. A failed run has none."
    else:
        yield "Nothing says that runs pair, so differences are Welch's, unpaired."
    yield (
        "p is adjusted by Holm's rule. Intervals of differences hold together by Bonferroni's: stricter at the edge. "
        "Families are the pairs with the baseline (with the best, where there is none), all other pairs that tables show, and "
        "the levels, so that a pair has one answer in every table. Differences that are all 0 are identical, and have no p."
    )


def _reading_of(study: Study, pictures: Pictures) -> Iterator[str]:
    """The file of a study's rows, what its columns were taken for, and why."""
    assert study.table is not None
    yield html.paragraph(f"Rows: {study.described_data}; the file's hash is {study.data.content}. Nothing was trained here.")
    yield html.bullets(describe(study.table.runs))
    reasons = [f"Picture {name}: {reason}." for name, reason in pictures.items() if isinstance(reason, str)]
    if reasons:
        yield html.bullets(reasons)


def _provenance(manifest: Mapping[str, Any] | None, pictures: Pictures) -> Iterator[str]:
    """Versions, machine, commit and time of every run, and the study as it was resolved."""
    reasons = [f"Picture {name}: {reason}." for name, reason in pictures.items() if isinstance(reason, str)]
    if reasons:
        yield html.bullets(reasons)
    if manifest is None:
        yield html.paragraph("There is no manifest.json beside the tables: what made them is not known.")
        return
    runs = manifest["runs"]
    if runs:
        seconds = sum(run.get("seconds", 0) for run in runs)  # an interrupted run did not get to say
        yield html.paragraph(f"{counted(len(runs), 'run')}, {seconds:,.0f} seconds of wall time in all.")
        facts = {key: [_fact(run.get(key)) for run in runs] for key in dict.fromkeys(key for run in runs for key in run)}
        table = pd.DataFrame.from_dict(facts, orient="index", columns=[f"run {place}" for place in range(1, len(runs) + 1)])
        yield html.table("What each run was made with", table.reset_index(names="what"), left=1 + len(runs))
    yield html.folded("The study as it was resolved", json.dumps(manifest["identity"], indent=1, ensure_ascii=False))


def _fact(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)
