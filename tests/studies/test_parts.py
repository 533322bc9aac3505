"""A user's own components: read without being executed, trained in other processes, part of the key."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import framework as fw
import studies
from studies.errors import UserError
from studies.plan import plan
from studies.show.figures import functions
from studies.spec import parts, spec
from studies.spec.components import make
from studies.spec.settings import resolve
from studies.train import engines

OWN = Path(__file__).with_name("my_parts.py")
BASE = ("[base]", '[components]\npath = "my_parts.py"\n[base]')
ACTIVATIONS = ('activation = ["relu", "tanh"]', 'activation = ["tanh", "swish", { name = "swish", beta = 2 }]')
NUMBERS = ["train_errors", "val_errors", "test_errors", "train_loss", "val_loss", "test_loss"]


@pytest.fixture
def own(tiny, tmp_path):
    """Writes the tiny study with the newcomer's parts, after replacing text, and returns its path."""

    def write(*replacements):
        shutil.copy(OWN, tmp_path)
        return tiny(BASE, *replacements)

    return write


def write_parts(tmp_path, content):
    (tmp_path / "my_parts.py").write_text(content)


@pytest.mark.parametrize("name", ["swish", "focal_loss", "small"])
def test_the_parts_pass_the_checks_of_the_framework(name):
    known = parts.read_parts(OWN)
    known.load()
    components = known.known()
    if name == "swish":
        fw.check_module(make(components["activation"], {"name": "swish", "beta": 1.5}))
    elif name == "focal_loss":
        fw.check_loss(make(components["loss"], name, {"reduction": "mean"}))
    else:
        fw.check_initializer(make(components["init"], {"name": "small", "gain": 0.2}))


def test_every_kind_of_part_trains_in_worker_processes(own, tmp_path):
    changes = """activation = ["tanh", "swish"]
loss = [{ name = "focal_loss", gamma = 1.0 }, "mse"]
init = ["xavier", "small"]
schedule = ["constant", { name = "halving", every = 1 }]
optimizer = ["sgd", { name = "sign", lr = 0.02 }]"""
    path = own(
        ('activation = ["relu", "tanh"]\n', changes + "\n"),
        ('optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', ""),
        ("folds = 3", "folds = 2"),
        ("epochs = 3", 'epochs = 2\noutput = "sigmoid"\nloss = "mse"'),
    )
    rows = {jobs: studies.run(path, results=tmp_path / str(jobs), jobs=jobs).set_index("trial").sort_index() for jobs in (1, 2)}
    assert (rows[1]["status"] == "ok").all(), rows[1]["reason"].dropna().unique()
    pd.testing.assert_frame_equal(rows[1][NUMBERS], rows[2][NUMBERS], check_exact=True)
    by_activation = rows[1].groupby("activation")["train_loss"].mean()
    assert by_activation["tanh"] != by_activation["swish"]


def test_models_with_a_users_code_train_alone_and_others_in_stacks(own):
    study = spec.load(str(own(ACTIVATIONS)))
    sizes = {
        (unit.settings["activation"] == ["tanh"], len(unit.trials))
        for unit in engines.plan_units(study, plan.trials(study), jobs=1)
    }
    assert sizes == {(True, 6), (False, 1)}


def test_the_content_of_the_file_is_part_of_every_key_of_its_study_alone(own, tiny, tmp_path):
    study = spec.load(str(own(ACTIVATIONS)))
    keys = {trial.key for trial in plan.trials(study)}
    assert keys == {trial.key for trial in plan.trials(spec.load(str(own(ACTIVATIONS))))}
    write_parts(tmp_path, OWN.read_text().replace("beta=1.0", "beta=1.5"))
    changed = spec.load(str(tmp_path / "tiny.toml"))
    assert not keys & {trial.key for trial in plan.trials(changed)}
    assert plan.depends_on(study, plan.trials(study)[0])["components.content"] == study.parts.content
    plain = spec.load(str(tiny()))
    assert not any("components" in name for name in plan.depends_on(plain, plan.trials(plain)[0]))


def test_reading_planning_and_drawing_execute_nothing(own, tmp_path):
    path = own(ACTIVATIONS)
    studies.run(path, results=tmp_path / "r", jobs=1)
    write_parts(tmp_path, 'raise RuntimeError("executed")\n' + OWN.read_text())
    source = f"""
import sys
from studies import api
from studies.plan import plan
from studies.show import plan as plan_texts
from studies.spec import spec
from studies.spec.parts import Parts
Parts.load = None
study = spec.load({str(path)!r})
plan_texts.describe_plan(study, 1, plan.trials(study))
"""
    subprocess.run([sys.executable, "-c", source], check=True)
    study = spec.load(str(path))
    assert list(functions._activations(study)) == ["tanh"]
    rows = studies.run(path, results=tmp_path / "broken", jobs=1)
    assert rows["reason"].str.startswith("RuntimeError: executed").all()


def test_parameters_of_a_part_are_factors(own):
    study = spec.load(str(own(('activation = ["relu", "tanh"]', 'activation = ["swish"]\n"activation.beta" = [1, 2.5]'))))
    assert {tuple(map(str, each.settings["activation"])) for each in study.grid.configurations} == {
        ("swish",),
        ("{'name': 'swish', 'beta': 2.5}",),
    }
    assert {each.columns["activation.beta"] for each in study.grid.configurations} == {"1", "2.5"}


WRONG = {  # content of the file, the message
    "no python": ("def f(:\n", "my_parts.py:1: not valid Python: invalid syntax"),
    "nothing": ("x = 1\n", "my_parts.py defines no component"),
    "no default": (
        "import framework as fw\nclass A(fw.Module):\n    def __init__(self, beta): ...\n",
        "my_parts.py:3: A takes `beta` without a default",
    ),
    "a default that is none": (
        "import framework as fw\nclass A(fw.Module):\n    def __init__(self, beta=[1]): ...\n",
        "my_parts.py:3: the default of `beta` of A is a finite number, true or false, or a text",
    ),
    "a computed default": (
        "import framework as fw\nclass A(fw.Module):\n    def __init__(self, beta=1 / 3): ...\n",
        "my_parts.py:3: the default of `beta` of A is a finite number, true or false, or a text, written out: 1 / 3 was given",
    ),
    "a built-in name": ("from framework import Module\nclass Tanh(Module): ...\n", "my_parts.py:2: 'tanh' is built in"),
    "twice": ("from framework import Module\nclass A(Module): ...\nclass A(Module): ...\n", "'a' is there twice"),
    "of torch": (
        "from torch import nn\nclass A(nn.Module): ...\n",
        "my_parts.py:2: A is a class of torch.nn.Module: a component is a subclass of framework.Module",
    ),
    "an optimizer without a rate": (
        "import framework as fw\nclass A(fw.Optimizer):\n    def __init__(self, model): ...\n",
        "my_parts.py:2: A takes no `lr`",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_part_that_cannot_be_one_is_refused_in_one_line(content, message, own, tmp_path):
    path = own()
    write_parts(tmp_path, content)
    with pytest.raises(UserError) as told:
        spec.load(str(path))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_said(own, tmp_path):
    path = own()
    (tmp_path / "my_parts.py").unlink()
    with pytest.raises(UserError, match=r"tiny.toml: components.path: '.*my_parts.py' cannot be read: No such file"):
        spec.load(str(path))


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ('"swich"', "there is no activation 'swich'; did you mean 'swish'?"),
        ('{ name = "swish", bta = 2 }', "there is no key 'bta'; did you mean 'beta'?"),
        ('{ name = "swish", beta = "x" }', "activation.beta is a number: 'x' was given"),
    ],
)
def test_a_wrong_name_or_parameter_of_a_part_is_refused(level, message, own):
    with pytest.raises(UserError) as told:
        spec.load(str(own(('activation = ["relu", "tanh"]', f"activation = [{level}]"))))
    assert message in str(told.value)


def test_torch_nn_has_no_equal_of_a_part(own):
    with pytest.raises(UserError, match=r"torch.nn has no equal of 'swish', which is your own; write engine = 'auto'"):
        engines.require_trainable(spec.load(str(own(ACTIVATIONS, ("epochs = 3", 'epochs = 3\nengine = "torch_nn"')))))


def test_an_optimizer_that_takes_no_clip_is_not_given_one(own, tmp_path):
    source = OWN.read_text().replace(", clip=0.0", "").replace(", clip=clip", "")
    path = own(('{ name = "adam", lr = 0.01 }', '{ name = "sign", lr = 0.01 }'))
    write_parts(tmp_path, source)
    assert (studies.run(path, results=tmp_path / "r", jobs=1)["status"] == "ok").all()
    with pytest.raises(UserError, match="the optimizer 'sign' takes no clip"):
        spec.load(str(path), ["base.clip=1.0"])


NAMES = {"Swish": "swish", "HardSwish": "hard_swish", "FocalLoss": "focal_loss", "GELU2": "gelu2", "MyReLU": "my_re_lu"}


@pytest.mark.parametrize(("name", "level"), NAMES.items())
def test_levels_are_names_in_snake_case(name, level):
    assert parts.snake_case(name) == level


@pytest.mark.parametrize(("given", "kept"), [(2, 2), (2.0, 2), (2.5, 2.5)])
def test_a_whole_default_keeps_whole_numbers_whole(given, kept):
    known = parts.read_parts(OWN).known()
    schedule = resolve({"schedule": {"name": "halving", "every": given}}, "base", known)["schedule"]
    assert schedule == {"name": "halving", "every": kept}
    assert type(schedule["every"]) is type(kept)


def test_the_page_about_components_works_as_it_stands(tiny, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "components.md").read_text()
    section, code, checks = (block.partition("\n")[2] for block in page.split("```")[1::2])
    write_parts(tmp_path, code)
    exec(code + checks, {})
    head, _, grid = section.partition("\n[[grid]]\n")
    levels = 'activation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'
    path = tiny(("[base]", f"{head}\n[base]"), (levels, grid), ("folds = 3", "folds = 2"), ("hidden = [4]", "hidden = [4, 3]"))
    path.write_text(path.read_text() + '\n[[exclude]]\nloss = "cross_entropy"\n')
    rows = studies.run(path, results=tmp_path / "r", jobs=1)
    assert (rows["status"] == "ok").all()
    assert set(rows["activation"]) == {"relu", "swish", "swish beta=2"}


INHERITED = """
import framework as fw
class Softer(fw.Softplus): ...
class Cross(fw.CrossEntropyLoss): ...
class Adam2(fw.Adam): ...
class Descent(fw.SGD):
    def __init__(this, stack, lr=0.2, **options):
        super().__init__(stack, lr)
class Swift(Softer):
    def __init__(self, beta=3.0):
        super().__init__(beta)
"""


def test_a_part_inherits_the_parameters_and_outputs_of_a_built_in_one(own, tmp_path):
    path = own(
        ("epochs = 3", 'epochs = 1\nloss = "cross"'),
        ('"relu", "tanh"', '"softer", "swift"'),
        ('"adam"', '"adam2"'),
        ('"sgd"', '"descent"'),
    )
    write_parts(tmp_path, INHERITED)
    study = spec.load(str(path))
    known = study.parts.known()
    assert known["activation"]["softer"].defaults == {"beta": 1.0}
    assert known["activation"]["swift"].defaults == {"beta": 3.0}
    assert known["optimizer"]["descent"].defaults == {"lr": 0.2}
    assert known["optimizer"]["adam2"].defaults["beta2"] == 0.999
    assert {each.settings["output"] for each in study.grid.configurations} == {"linear"}
    assert (studies.run(path, results=tmp_path / "r", jobs=1)["status"] == "ok").all()
