"""Generated specs and CSV files: each gives a result, or one line that says what is wrong, and status 2."""

import copy
import itertools
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studies.cli import main
from studies.spec.settings import DEFAULTS

SPEC = {
    "title": "Generated",
    "data": {"name": "disk", "samples": 30, "test_samples": 10},
    "validation": {"folds": 2},
    "base": {"hidden": [3], "batch_size": 5, "epochs": 1, "history_every": 1},
    "grid": [{"activation": ["relu", "tanh"]}],
}
PATHS = (
    *((key,) for key in ("title", "question", "seed", "design", "stack", "data", "validation", "base", "grid", "exclude")),
    *(("data", key) for key in ("name", "samples", "validation_samples", "test_samples", "normalize")),
    *(("data", key) for key in ("noise", "resample", "path", "target")),
    *(("validation", key) for key in ("folds", "repeats", "stratified")),
    *(("base", key) for key in DEFAULTS),
    *(("grid", 0, key) for key in ("loss", "optimizer", "init", "optimizer.lr", "batchnorm", "batchnorm.eps", "mine", "fold")),
    ("reading", "one", "base"),
    ("reading", "one", "primary"),
    ("reading", "../one", "primary"),
    ("exclude", 0, "activation"),
)  # fmt: skip
LIKELY = st.sampled_from(
    ["disk", "moons", "xor", "iris", "digits", "csv", "relu", "prelu", "he", "adam", "adadelta", "mse", "bce", "cross_entropy",
     "single", "softmax", "sigmoid", "affine", "none", "full", "never", "float64", "one_at_a_time", "global", "../x", "",
     "auto", "torch_nn", "step", "cosine", {"name": "sgd", "lr": 0.1}, {"name": "normal", "sd": 1e30}, {"label": "a"}]
)  # fmt: skip
SCALARS = (
    st.booleans()
    | st.integers(-2, 12)
    | st.sampled_from([10**9, 2**31, 2**63, 10**30, 1e-320, 1e30, 1e308])
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | LIKELY
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
CELLS = st.sampled_from(["0", "1", "a", "b", "1.5", "-3e2", "1e400", "nan", "", " ", '"', "x,y", "é", "\x00", "9" * 30])


def toml(value):
    """A value in TOML's notation, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def document(spec):
    return "".join(f"{key} = {toml(value)}\n" for key, value in spec.items())


def changed(changes):
    """The small spec after some values are set, wherever there is a place for them."""
    spec = copy.deepcopy(SPEC)
    for path, value in changes:
        table = spec
        for step, following in itertools.pairwise(path):
            if isinstance(table, dict):
                table = table.setdefault(step, [{}] if following == 0 else {})
            elif isinstance(table, list) and table:
                table = table[0]
        if isinstance(table, dict):
            table[path[-1]] = value
    return spec


def check(content, folder, *commands):
    """Each command ends well, or with one line and status 2."""
    path = folder / "s.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    for command in commands:
        options = ["--results", str(folder / "results"), "--backend", "sequential"] if command == "run" else []
        called = CliRunner().invoke(main, [command, str(path), *options])
        if called.exit_code == 2:
            assert called.exception is None or isinstance(called.exception, SystemExit)
            assert called.stderr.startswith("ablation: s.toml: ")
            assert called.stderr.count("\n") == 1, called.stderr
            assert not (folder / "results").exists()
            return
        assert called.exit_code == 0, called.output + repr(called.exception)


CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3)


def examples(count):
    """So many, the same ones every time."""
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def small(spec):
    """True where training takes no time: numbers may be as large as they like in a plan."""
    text = json.dumps(spec)
    return not any(len(number) > 2 for number in "".join(c if c.isdigit() else " " for c in text).split())


@examples(150)
@given(CHANGES)
def test_generated_specs_are_planned_or_told_what_is_wrong(changes):
    with TemporaryDirectory() as folder:
        check(document(changed(changes)), Path(folder), "plan")


@examples(40)
@given(CHANGES.map(changed).filter(small))
def test_generated_specs_are_trained_or_told_what_is_wrong(spec):
    with TemporaryDirectory() as folder:
        check(document(spec), Path(folder), "plan", "run")


@examples(60)
@given(st.binary(max_size=60) | st.text(max_size=60) | st.sampled_from(["a = " + "[" * 5000, f"seed = {'9' * 5000}"]))
def test_any_file_is_a_spec_or_told_what_is_wrong(content):
    with TemporaryDirectory() as folder:
        check(content, Path(folder), "plan")


@examples(80)
@given(
    st.binary(max_size=80)
    | st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=12).map(
        lambda rows: "\n".join(["a,b,y", *(",".join(row) for row in rows)]).encode()
    )
    | st.lists(st.tuples(st.floats(width=32), st.integers(0, 3)), max_size=30).map(
        lambda rows: "\n".join(["a,y", *(f"{x},{y}" for x, y in rows)]).encode()
    ),
)
def test_generated_csv_files_are_trained_or_told_what_is_wrong(content):
    spec = {**SPEC, "data": {"name": "csv", "path": "d.csv", "target": "y"}, "base": {**SPEC["base"], "batch_size": 1}}
    with TemporaryDirectory() as folder:
        (Path(folder) / "d.csv").write_bytes(content)
        check(document(spec), Path(folder), "plan", "run")


PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to("d.csv"),
    "a compressed file": lambda path: path.write_bytes(b"\x1f\x8b\x08\x00"),
}


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_what_is_no_csv_file_is_told(tmp_path, make):
    make(tmp_path / "d.csv")
    check(document({**SPEC, "data": {"name": "csv", "path": "d.csv", "target": "y"}}), tmp_path, "plan")


NAMES = ("..toml", "...toml", ". .toml", "-x.toml", "a\nb.toml", "a\\b.toml", "~.toml", "a:b.toml", "x" * 120 + ".toml")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_folders_is_refused(tmp_path, name):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / name).write_text(document(SPEC))
    called = CliRunner().invoke(main, ["run", str(tmp_path / "specs" / name), "--results", str(tmp_path / "results")])
    assert called.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["specs"]


@pytest.mark.parametrize("given", ["specs/../specs/s.toml", "specs/link.toml"])
def test_results_stay_in_the_folder_of_the_name(tmp_path, given):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "s.toml").write_text(document(SPEC))
    (tmp_path / "specs" / "link.toml").symlink_to("s.toml")
    called = CliRunner().invoke(main, ["run", str(tmp_path / given), "--results", str(tmp_path / "results"), "-j", "1"])
    assert called.exit_code == 0, called.output
    assert {path.name for path in tmp_path.iterdir()} == {"specs", "results"}
    assert [path.name for path in (tmp_path / "results").iterdir()] == [Path(given).stem]


def test_a_file_that_links_elsewhere_is_replaced_and_what_it_leads_to_is_left(tmp_path):
    (tmp_path / "s.toml").write_text(document(SPEC))
    (tmp_path / "results" / "s").mkdir(parents=True)
    (tmp_path / "mine.md").write_text("mine")
    (tmp_path / "results" / "s" / "tables.md").symlink_to(tmp_path / "mine.md")
    called = CliRunner().invoke(main, ["run", str(tmp_path / "s.toml"), "--results", str(tmp_path / "results"), "-j", "1"])
    assert called.exit_code == 0, called.output
    assert (tmp_path / "mine.md").read_text() == "mine"
    assert (tmp_path / "results" / "s" / "tables.md").read_text().startswith("# Generated")
