"""The protocol of engines, with one that no module of the suite knows."""

import ast
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import studies
from studies import api
from studies.data.wrong import pack_rows
from studies.errors import UserError
from studies.plan import plan
from studies.spec import settings, spec
from studies.spec.engines import AUTO, ENGINES
from studies.spec.rules import choice
from studies.train import code, engines
from studies.train.engines import Trained

ROOT = Path(studies.__file__).parent
SETS = {"train": "train", "validation": "val", "test": "test"}


class Guessing:  # an engine takes all arguments, and this one needs few
    """An engine whose models always say class 0."""

    def check(self, settings, device):  # noqa: ARG002
        return "guessing has no layers to make wider: write hidden = []" if settings["hidden"] else ""

    def units(self, study, trials, jobs, device):
        source = engines.load_engine("stack").units(study, trials, jobs, device)
        return [unit.of_trials([trial]) for unit in source for trial in unit.trials]

    def cost(self, unit):  # noqa: ARG002
        return 1.0

    def train(self, unit, observe=None):  # noqa: ARG002
        (split,) = unit.with_rows().splits
        outcome = {"status": "ok", "diverged": False, "stuck": True, "seconds": 0.0, "history": {"epoch": [0]}}
        for name, short in SETS.items():
            wrong = getattr(split, name).labels != 0
            outcome |= {f"n_{short}": len(wrong), f"{short}_errors": int(wrong.sum()), f"{short}_loss": 1.0}
        return [Trained({**outcome, "wrong": pack_rows(split.test.labels != 0)}, None)]


@pytest.fixture
def guessing(monkeypatch):
    """The engine under a name in the table."""
    monkeypatch.setitem(ENGINES, "guessing", f"{__name__}:Guessing")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Guessing.__module__])
    monkeypatch.setitem(settings._SIMPLE, "engine", choice(AUTO, *ENGINES))
    yield
    engines.load_engine.cache_clear()


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_the_parts_of_the_protocol(name):
    engine = engines.load_engine(name)
    for part in ("check", "units", "cost", "train"):
        theirs, ours = (inspect.signature(getattr(each, part)).parameters for each in (type(engine), engines.Engine))
        assert list(theirs) == list(ours), part


@pytest.mark.usefixtures("guessing")
def test_a_new_engine_is_a_row_of_the_table(tiny, tmp_path):
    path = tiny(("hidden = [4]", "hidden = []"), ('activation = ["relu", "tanh"]', 'engine = ["stack", "guessing"]'))
    rows = studies.run(path, backend="sequential", results=tmp_path)
    assert (rows["status"] == "ok").all()
    guessed = rows[rows["engine"] == "guessing"]
    assert len(guessed) == len(rows) / 2
    assert set(guessed["stack"]) == {1}
    assert len(set(guessed["test_errors"])) == 1
    assert api.verify(spec.load(str(path)), tmp_path, sample=100)[1].empty


@pytest.mark.usefixtures("guessing")
def test_settings_that_an_engine_cannot_train_are_refused_with_the_point_of_the_grid(tiny, tmp_path):
    path = tiny(('activation = ["relu", "tanh"]', 'engine = ["stack", "guessing"]'))
    with pytest.raises(UserError, match=r"^tiny.toml: base with engine = guessing, .*: guessing has no layers to make wider"):
        studies.run(path, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_no_other_module_names_an_engine_or_asks_which_it_is():
    for path in ROOT.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if path.parent.name != "engines" and path != ROOT / "spec" / "engines.py":
            assert "torch_nn" not in source, path
            compared = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)]
            assert not [node for node in compared if "'engine'" in ast.unparse(node)], path


MAKE_NO_NUMBERS = {  # modules that a process needs to train, or to know which engine does
    *("columns", "errors", "plan", "spec", "data", "train", "spec.engines", "spec.grid", "spec.identity"),
    *("spec.keys", "spec.rules"),
    *("train.code", "train.costs", "train.devices", "train.memory", "train.worker"),
}


def test_the_hash_of_the_code_is_of_all_modules_that_train(tiny):
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', 'engine = ["stack", "torch_nn"]'))))
    units = [pickle.dumps(unit.with_rows()) for unit in engines.plan_units(study, plan.trials(study), jobs=1)]
    script = f"""
import pickle, sys
from studies.train.worker import attempt
for unit in {units[:1] + units[-1:]!r}:
    assert attempt(pickle.loads(unit))[0]["status"] == "ok"
print(*(name.removeprefix("studies.") for name in sys.modules if name.startswith("studies.")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    needed = {name for name in done.stdout.split() if not name.startswith("train.engines")}
    assert needed - {name.replace("/", ".") for name in code._MAKERS} <= MAKE_NO_NUMBERS


def test_files_of_one_name_are_told_apart(monkeypatch, tmp_path):
    for folder in ("framework", "studies/train/engines"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "same.py").write_text(f"x = {len(folder)}")
    monkeypatch.setattr(code, "_STUDIES", tmp_path / "studies")
    monkeypatch.setattr(code, "_MAKERS", ())
    before = code.code.__wrapped__()
    for folder in ("framework", "studies/train/engines"):
        path = tmp_path / folder / "same.py"
        content = path.read_text()
        path.write_text("x = 0")
        assert code.code.__wrapped__() != before, folder
        path.write_text(content)
    assert code.code.__wrapped__() == before
