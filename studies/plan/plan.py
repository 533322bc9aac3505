"""From a study to its trials: makes their keys, says what these depend on, and finds the trial that a user means."""

from dataclasses import asdict
from typing import Any

from studies.errors import UserError
from studies.plan.units import NUMERICS, Trial
from studies.seeds import digest
from studies.spec.identity import identity
from studies.spec.study import Study


def trials(study: Study) -> list[Trial]:
    """Every trial of a study, by reading, configuration, repeat and fold.

    Raises UserError for a study whose rows come from a table.
    """
    study.require_trainable()
    return [trial for reading in study.readings for trial in _trials(reading)]


def _trials(study: Study) -> list[Trial]:
    shared = digest(_shared(study), 32)
    return [
        Trial(digest([shared, configuration.id, repeat, fold], 16), study.reading, configuration, repeat, fold)
        for configuration in study.grid.configurations
        for repeat in range(study.validation.repeats)
        for fold in range(max(study.validation.folds, 1))
    ]


def _shared(study: Study) -> dict[str, Any]:
    """The values that the numbers of all trials of a reading depend on."""
    return {
        "numerics": NUMERICS,
        "seed": study.seed,
        **({"reading": study.reading} if study.reading else {}),
        **identity("data", asdict(study.data)),
        **identity("validation", asdict(study.validation)),
        **({"components.content": study.parts.content} if study.parts.path else {}),
        **({"engine.content": study.function.content} if study.function.name else {}),
    }


def depends_on(study: Study, trial: Trial) -> dict[str, Any]:
    """All that the numbers of a trial, and so its key, depend on, under dotted names."""
    return {**_shared(study), "repeat": trial.repeat, "fold": trial.fold, **identity("base", trial.configuration.settings)}


def find(study: Study, given: str) -> Trial:
    """The one trial whose key begins so, or the first of the configuration with this label or id.

    Raises UserError where there is none, or several.
    """
    every = trials(study)
    of_one = [trial for trial in every if given in (trial.configuration.label, trial.configuration.id)]
    found = of_one[:1] or [trial for trial in every if trial.key.startswith(given)]
    if len(found) == 1:
        return found[0]
    fits = f"{len(found):,}, {found[0].key} and {found[1].key} among them" if found else "none"
    raise UserError(
        "a trial is given as its key in trials.csv or how only that one begins, as a configuration's label, best or worst: "
        f"{given!r} fits {fits}"
    )
