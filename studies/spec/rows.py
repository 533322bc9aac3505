"""The sections `[data]` and `[validation]` of a spec: read, checked, and held against the settings of models."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from studies.data import datasets, generators
from studies.data.types import CLASSIFICATION, REGRESSION, Data, Schema, Table, Validation
from studies.errors import UserError, unknown
from studies.spec.grid import Configuration
from studies.spec.rules import Key, choice, flag, number, require, require_keys, text, whole_number

OF_REGRESSION = {"outputs": "single", "output": "linear", "loss": "mse"}  # settings of the base that follow from the data
FOR_NUMBERS = ("mse", "mae", "huber")
SAMPLES = 10_000_000  # of any set, which lies in memory as a whole
REPEATS = 100_000  # of a study: each is a row for each configuration, and they lie in memory too
DATA: Mapping[str, Key] = {
    "name": Key(choice(*generators.NAMES), "disk", "Data set; `csv` is a file of your own."),
    "samples": Key(
        whole_number(2, SAMPLES),
        0,
        "Rows of the training pool, which folds divide.",
        "1000 for generated data; else all rows that the other sets leave",
    ),
    "validation_samples": Key(whole_number(0, SAMPLES), 0, "Rows of a validation set; with `folds = 0` only."),
    "test_samples": Key(
        whole_number(0, SAMPLES), 0, "Rows of the test set, which no fold contains.", "1000 for generated data; else 0"
    ),
    "normalize": Key(
        choice("none", "feature", "global"),
        "feature",
        "Subtract the mean and divide by the standard deviation of the training rows: of each feature, or of all together.",
    ),
    "noise": Key(number(0, 1, below=True), 0.0, "Share of the training labels that are replaced by another class."),
    "resample": Key(flag, False, "Draw new data for each repeat; generated data only."),
    "path": Key(text, "", "With `csv`: the file, relative to the spec."),
    "target": Key(text, "", "With `csv`: the column of classes, or of numbers."),
    "task": Key(
        choice(CLASSIFICATION, REGRESSION),
        CLASSIFICATION,
        "`regression`: the target is a number. Models have one linear output and the loss `mse`, `mae` or `huber`; targets are "
        "normalised on training rows, and measured in their own unit.",
        "what the data set is for; of a CSV file `classification`",
    ),
}
VALIDATION: Mapping[str, Key] = {
    "folds": Key(whole_number(0), 10, "Folds of cross-validation, from 2; 0: train on the whole pool, once a repeat."),
    "repeats": Key(whole_number(1, REPEATS), 1, "Repeats of everything, with new folds, first weights and orders of batches."),
    "stratified": Key(flag, True, "Give every fold the pool's shares of the classes.", "true; false for generated data"),
}


def read_data(section: object, folder: Path, known: Sequence[Schema], seed: int) -> tuple[Data, Schema]:
    """The `[data]` section with its defaults, and names and counts of the data set that it means."""
    defaults = {key: each.default for key, each in DATA.items()}
    require_keys("data", section, defaults)
    assert isinstance(section, Mapping)
    given = {**defaults, **section}
    require("data.name", given["name"], text)
    if given["name"] not in generators.NAMES:
        raise UserError(f"data.name: {unknown('data set', given['name'], generators.NAMES)}")
    generated = given["name"] in generators.GENERATED
    natural = REGRESSION if given["name"] in generators.NUMERIC else CLASSIFICATION
    given["task"] = section.get("task", natural)
    if given["name"] != "csv" and given["task"] != natural:
        raise UserError(f"data.task: {given['name']} is for {natural}: {given['task']!r} was given; leave it out")
    if given["task"] == REGRESSION and given["noise"]:
        raise UserError(f"data.noise changes classes, and regression has none: {given['noise']} was given; leave it out")
    if generated:
        given = {**given, "samples": section.get("samples", 1000), "test_samples": section.get("test_samples", 1000)}
    for key, each in DATA.items():
        if key in section or key != "samples":
            given[key] = require(f"data.{key}", given[key], each.rule)
    if given["resample"] and not generated:
        raise UserError(
            f"data.resample: only generated data can be drawn anew ({', '.join(generators.GENERATED)}): "
            f"{given['name']!r} is fixed; remove resample"
        )
    described = None
    if given["name"] == "csv":
        for key in ("path", "target"):
            if not given[key]:
                raise UserError(
                    f"data.{key} is needed with name = 'csv': the {'file' if key == 'path' else 'column of classes'}"
                )
        path = (folder / given["path"]).absolute()  # for workers with another working directory
        content = datasets.identify(path)
        same = (each for each in known if (each.content == content if content else each.name == path.name))
        described = next((each for each in same if each.target == given["target"]), None)
        given |= {"path": str(path), "content": described.content if described else content}
    elif given["path"] or given["target"]:
        raise UserError(f"data.path and data.target belong to name = 'csv': name = {given['name']!r} was given")
    data = Data(**given)
    schema = described or datasets.schema(data, seed)
    return data if generated else _fixed(data, schema), schema


def _fixed(data: Data, schema: Schema) -> Data:
    """Data that is not generated, with its number of samples; the pool is what the held-out sets leave."""
    count, classes = sum(schema.counts), len(schema.classes)
    least = max(classes, 2)
    left = count - data.validation_samples - data.test_samples
    if any(0 < size < least for size in (data.validation_samples, data.test_samples)) or left < max(data.samples, least):
        of_classes = f" of {classes} classes" if classes else ""
        raise UserError(
            f"data: {data.name} has {count} rows{of_classes}: samples = {data.samples or 'the rest'}, "
            f"validation_samples = {data.validation_samples} and test_samples = {data.test_samples} do not fit; "
            "give smaller ones, or leave samples out"
        )
    return Data(**{**asdict(data), "samples": data.samples or left})


def read_validation(section: object, data: Data, pool: Table) -> Validation:
    """The `[validation]` section with its defaults, checked against the rows there are."""
    generated = data.name in generators.GENERATED
    strata = not generated and data.task == CLASSIFICATION
    defaults = {**{key: each.default for key, each in VALIDATION.items()}, "stratified": strata}
    require_keys("validation", section, defaults)
    assert isinstance(section, Mapping)
    validation = Validation(**{**defaults, **section})
    for key, each in VALIDATION.items():
        require(f"validation.{key}", getattr(validation, key), each.rule)
    if validation.folds == 1:
        raise UserError("validation.folds is 0 (train on the whole pool) or a whole number from 2: 1 was given")
    if validation.folds > len(pool.labels):
        raise UserError(
            f"validation.folds is at most the number of training samples, {len(pool.labels)}: {validation.folds} was given"
        )
    if validation.stratified and data.task == REGRESSION:
        raise UserError("validation.stratified gives folds the shares of the classes, and regression has none: leave it out")
    smallest = int(np.bincount(pool.labels).min()) if data.task == CLASSIFICATION else 0
    if validation.stratified and validation.folds > smallest:
        raise UserError(
            f"validation.folds is at most the size of the smallest class, {smallest}, where stratified: "
            f"{validation.folds} was given; fewer folds, or stratified = false"
        )
    if validation.folds and data.validation_samples:
        raise UserError("data.validation_samples is for folds = 0: with folds, each fold is the validation set of its trial")
    return validation


def read_repeats(section: object) -> Validation:
    """The `[validation]` section of a study without data: repeats alone."""
    require_keys("validation", section, VALIDATION)
    assert isinstance(section, Mapping)
    for key in section:
        if key != "repeats" and section[key]:
            raise UserError(f"validation.{key} divides rows, and without [data] there are none: write validation.repeats")
    return Validation(0, require("validation.repeats", section.get("repeats", 1), VALIDATION["repeats"].rule), False)


def require_fitting(configuration: Configuration, data: Data, classes: int, sizes: Collection[int]) -> None:
    """Require that a configuration's outputs fit the classes, and its batches the `sizes` of the folds' training rows."""
    settings = configuration.settings
    if data.task == REGRESSION:
        wrong = [key for key in ("outputs", "output") if settings[key] != OF_REGRESSION[key]]
        if wrong:
            raise UserError(f"regression has one linear output: {wrong[0]} = {settings[wrong[0]]!r} was given; leave it out")
    elif settings["outputs"] == "single" and classes > 2:
        raise UserError(f"outputs = 'single' tells two classes apart: {data.name} has {classes}; write outputs = 'classes'")
    batch = settings["batch_size"]
    if batch == "full":
        return
    if batch > min(sizes):
        raise UserError(
            f"batch_size is at most the number of training rows of a fold, {min(sizes)}: {batch} was given "
            '("full" takes all rows)'
        )
    alone = [size for size in sizes if size % batch == 1 or batch == 1]
    if settings["batchnorm"]["name"] != "none" and alone:
        raise UserError(
            f"batch norm needs two rows or more in every batch: batches of {batch} leave one of {alone[0]} training "
            "rows alone; choose another batch_size"
        )
