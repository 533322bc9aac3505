"""The engine `fused` against the framework, over the components of all tables, in float64; its random numbers and builds."""

import ctypes
import itertools
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import framework as fw
import studies
from framework.streams import derive, generator
from studies import api
from studies.runs import run_all
from studies.spec import spec
from studies.spec.components import ACTIVATIONS, BATCH_NORM, BUILT_IN, DECISIONS, LOSSES, OPTIMIZERS, SCHEDULES
from studies.spec.settings import resolve
from studies.train import networks
from studies.train.engines.fused import builds, library, training

FEATURES, CLASSES, TRAIN, VALIDATION = 3, 4, 25, 11
core = pytest.mark.skipif(not builds.any_built(), reason="the core is not built: no C++ compiler was here at installation")
pytestmark = core

NORMS = [
    "none",
    *(
        {
            "name": "affine" if affine else "simplified",
            **dict(zip(("evaluate", "gradient", "unbiased", "position"), rest, strict=True)),
        }
        for affine, *rest in itertools.product(
            (True, False), ("running", "batch"), ("exact", "straight_through"), (False, True), ("before", "after")
        )
    ),
]
RULES = [
    {"name": "sgd", "momentum": 0.9},
    {"name": "sgd", "lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
    {"name": "sgd", "lr": 0.2},
    # An eps that is no rounding error: batch norm leaves of the gradient of a bias before it nothing but these.
    *({"name": name, "eps": 1e-3, "weight_decay": 0.01} for name in OPTIMIZERS if name != "sgd"),
]
CLIPS = [0.0, 0.5, 0.05]


def _settings(index, activation, loss, outputs):
    """Settings of one model for each rule; what the others do not cross runs through its values with the index."""
    norm = NORMS[index % len(NORMS)]
    schedule = list(SCHEDULES)[index % len(SCHEDULES)]
    shared = {
        "hidden": [5, 9],
        "activation": activation,
        "loss": loss,
        "outputs": outputs,
        "batchnorm": norm,
        "dropout": (0.0, 0.0, 0.3)[index % 3],
        "schedule": schedule,
        "reduction": ("mean", "sum")[index % 2],
        "shuffle": ("epoch", "once", "never")[index % 3],
        "batch_size": (7, "full", 10)[index // 2 % 3],
        "bias_init": "uniform",
        "init": "xavier",
        "epochs": 3,
        "history_every": (1, 0, 3)[index // 3 % 3],
        "gradient_norms": True,
        "dtype": "float64",
    }
    if loss == "bce" and outputs == "classes":
        shared["output"] = ("sigmoid", "softmax")[index % 2]
    scale = 0.1 if shared["reduction"] == "sum" else 1.0  # sums make steps so long that rounding errors grow by themselves
    rules = [{**rule, "lr": scale * rule.get("lr", 0.05)} for rule in RULES]
    return [resolve({**shared, "optimizer": rule, "clip": CLIPS[place % 3]}, "base") for place, rule in enumerate(rules)]


def _rows(samples, seed, outputs, dtype=torch.float64):
    stream = generator(seed)
    inputs = torch.randn(2, samples, FEATURES, generator=stream, dtype=torch.float64).to(dtype)
    return fw.Rows(inputs, torch.randint(0, CLASSES if outputs == "classes" else 2, (2, samples), generator=stream))


def _fit(fit, settings, epochs=None, observe=None, rows=None):
    """A trained stack and its history, by the framework's loop or that of the core."""
    shared = settings[0]
    replicas = len(settings)
    model = networks.model(settings, FEATURES, CLASSES)
    networks.draw_first_weights(model, settings, [5] * replicas)
    train, validation = rows or (_rows(TRAIN, 0, shared["outputs"]), _rows(VALIDATION, 1, shared["outputs"]))
    history = fit(
        model,
        networks.loss(shared),
        networks.optimizer(model, settings),
        train,
        validation,
        epochs=epochs or shared["epochs"],
        batch_size=TRAIN if shared["batch_size"] == "full" else shared["batch_size"],
        shuffle=shared["shuffle"],
        schedule=networks.schedule(shared),
        seeds=[7 + index % 2 for index in range(replicas)],
        sets=[index % 2 for index in range(replicas)],
        decide=DECISIONS[shared["decision"]].make,
        history_every=shared["history_every"],
        gradient_norms=shared["gradient_norms"],
        observe=observe,
    )
    return model, history[0] if isinstance(history, tuple) else history


def _distance(a, b):
    """The largest difference, relative to 1 and to the larger; 0 where both are no numbers, infinite where one is none."""
    a, b = a.double(), b.double()
    far = torch.where(a.isnan() & b.isnan(), 0.0, (a - b).abs() / torch.maximum(a.abs(), b.abs()).clamp(min=1.0))
    return float(far.nan_to_num(torch.inf).max()) if far.numel() else 0.0


CASES = [
    (activation, loss, outputs)
    for activation in ACTIVATIONS
    for loss in LOSSES
    for outputs in ("classes", "single")
    if not (outputs == "single" and LOSSES[loss].several)
]


@pytest.mark.parametrize("steps", ["one", "several"])
@pytest.mark.parametrize(("index", "activation", "loss", "outputs"), [(index, *case) for index, case in enumerate(CASES)])
def test_parameters_and_history_are_the_frameworks(index, activation, loss, outputs, steps):
    settings = _settings(index + 5 * (steps == "one"), activation, loss, outputs)
    epochs = None
    if steps == "one":
        settings, epochs = [{**each, "batch_size": "full"} for each in settings], 1
    (theirs, expected), (ours, found) = (_fit(fit, settings, epochs) for fit in (fw.fit, training.fit))
    assert found.epochs == expected.epochs
    assert _distance(ours.parameters, theirs.parameters) < 1e-10
    for name in ("train", "validation"):
        assert _distance(found.loss[name], expected.loss[name]) < 1e-10
        assert torch.equal(found.errors[name], expected.errors[name])
        assert torch.equal(found.wrong[name], expected.wrong[name])
    assert _distance(found.gradient_norms, expected.gradient_norms) < 1e-10
    assert torch.equal(found.diverged, expected.diverged)
    inputs = torch.randn(9, FEATURES, generator=generator(2), dtype=torch.float64)  # by running moments, where there are
    assert _distance(fw.predict(ours, inputs), fw.predict(theirs, inputs)) < 1e-10


def test_every_component_is_among_the_cases():
    assert {case[0] for case in CASES} == set(ACTIVATIONS)
    assert {case[1] for case in CASES} == set(LOSSES)
    assert {rule["name"] for rule in RULES} == set(OPTIMIZERS)
    assert len(CASES) > len(NORMS)
    assert set(BATCH_NORM.parameters) == {"affine", "evaluate", "gradient", "unbiased", "eps", "momentum"}


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_few_rows_at_a_time_are_the_frameworks(batch_size, activation):
    settings = [
        {**each, "batch_size": batch_size, "batchnorm": resolve({}, "base")["batchnorm"], "epochs": 2}
        for each in _settings(2, activation, "cross_entropy", "classes")
    ]
    (theirs, expected), (ours, found) = (_fit(fit, settings) for fit in (fw.fit, training.fit))
    assert _distance(ours.parameters, theirs.parameters) < 1e-10
    assert _distance(found.loss["validation"], expected.loss["validation"]) < 1e-10


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize("hidden", [[1], [8, 16], [25, 24], [33, 2], [70, 3, 17]], ids=str)
def test_all_widths_are_the_frameworks(hidden, dtype, tolerance):
    settings = [resolve({"hidden": hidden, "batch_size": 11, "epochs": 2, "dtype": dtype, "optimizer": RULES[2]}, "base")]
    kind = getattr(torch, dtype)
    rows = _rows(TRAIN, 0, "classes", kind), _rows(VALIDATION, 1, "classes", kind)
    (theirs, expected), (ours, found) = (_fit(fit, settings, rows=rows) for fit in (fw.fit, training.fit))
    assert _distance(ours.parameters, theirs.parameters) < tolerance
    assert _distance(found.loss["validation"], expected.loss["validation"]) < tolerance


def test_regression_is_the_frameworks():
    settings = [
        resolve(
            {"hidden": [6], "outputs": "single", "output": "linear", "loss": "huber", "dtype": "float64", "optimizer": rule},
            "base",
        )
        for rule in RULES
    ]
    inputs = torch.randn(2, TRAIN, FEATURES, generator=generator(3), dtype=torch.float64)
    rows = fw.Rows(inputs, inputs.sum(2)), fw.Rows(inputs[:, :5], inputs[:, :5].prod(2))
    settings = [{**each, "batch_size": 6, "epochs": 3} for each in settings]
    (theirs, expected), (ours, found) = (_fit(fit, settings, rows=rows) for fit in (fw.fit, training.fit))
    assert _distance(ours.parameters, theirs.parameters) < 1e-10
    assert _distance(found.loss["validation"], expected.loss["validation"]) < 1e-10
    assert not found.errors


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 1000, 70_000])
def test_orders_are_torchs(samples):
    """A linear model of one step a sample with inputs that mark their places: the weights tell the order."""
    seed = 12345
    inputs = torch.arange(1.0, samples + 1, dtype=torch.float64)[None, :, None]
    rows = fw.Rows(inputs, torch.zeros(1, samples, dtype=torch.float64))
    model = fw.Sequential(fw.Linear(1, 1), dtype=torch.float64)
    model.parameters.fill_(1.0)
    model.initialized.add(0)
    options = {"epochs": 2, "batch_size": 1, "shuffle": "epoch", "schedule": fw.constant, "seeds": [seed], "sets": [0]}
    rate = 1e-3 / samples**2
    weights = []
    for fit in (fw.fit, training.fit) if samples <= 1000 else (training.fit,):
        model.parameters.fill_(1.0)
        more = {"decide": fw.threshold, "history_every": 0, "gradient_norms": False, "observe": None}
        fit(model, fw.MSELoss(), fw.Several([fw.SGD(model, lr=rate)]), rows, **options, **more)
        weights.append(model.parameters.clone())
    if samples > 1000:  # the framework takes long: the same steps by hand
        stream = generator(derive(seed, 0))
        weight, bias = 1.0, 1.0
        for _ in range(2):
            for place in torch.randperm(samples, generator=stream).tolist():
                gradient = 2 * (weight * (place + 1) + bias)
                weight, bias = weight - rate * gradient * (place + 1), bias - rate * gradient
        weights.append(torch.tensor([[weight, bias]], dtype=torch.float64))
    assert _distance(*weights) < 1e-13


def _tiny_settings(**changes):
    return resolve({"hidden": [6], "epochs": 5, "history_every": 2, "batch_size": 5, "dropout": 0.2, **changes}, "base")


def test_a_model_has_the_same_bits_alone_and_observed():
    rules = [{"name": "adam", "lr": lr} for lr in (0.1, 0.01, 0.001)]
    settings = [_tiny_settings(optimizer=rule, batchnorm="affine") for rule in rules]
    rows = _rows(TRAIN, 0, "classes", torch.float32), _rows(VALIDATION, 1, "classes", torch.float32)
    together, history = _fit(training.fit, settings, rows=rows)
    seen = []
    observed, _ = _fit(training.fit, settings, observe=seen.append, rows=rows)
    assert torch.equal(observed.parameters, together.parameters)
    assert seen == history.epochs == [0, 2, 4, 5]
    alone, first = _fit(training.fit, settings[:1], rows=rows)
    assert torch.equal(alone.parameters, together.parameters[:1])
    assert torch.equal(first.loss["train"], history.loss["train"][:, :1])


@pytest.mark.parametrize("batchnorm", ["none", "affine"])
def test_a_model_that_diverges_is_marked_and_harms_nobody(batchnorm):
    rules = [{"name": "sgd", "lr": lr} for lr in (0.1, 1e30, 0.1)]
    settings = [
        _tiny_settings(optimizer=rule, activation="relu", loss="mse", output="linear", batchnorm=batchnorm) for rule in rules
    ]
    rows = _rows(TRAIN, 0, "classes", torch.float32), _rows(VALIDATION, 1, "classes", torch.float32)
    together, history = _fit(training.fit, settings, rows=rows)
    assert history.diverged.tolist() == [False, True, False]
    healthy, _ = _fit(training.fit, settings[:1], rows=rows)
    assert torch.equal(healthy.parameters, together.parameters[:1])
    assert int(history.errors["train"][-1, 1]) == int((rows[0].labels[1] != 0).sum())  # judged as one that always says class 0


def test_its_structures_are_those_of_the_core():
    """Sizes of a C structure by the rules of alignment that ctypes follows too; a field that one side lacks changes them."""
    source = (Path(library.__file__).parent / "core" / "fused.cpp").read_text()
    for structure in (library.LayerSpec, library.RowsSpec, library.ModelSpec):
        fields = source.split(f"struct {structure.__name__} {{")[1].split("};")[0]
        found = [re.search(rf"\b{name}\b", fields) for name, _ in structure._fields_]
        assert all(found), structure
        positions = [each.start() for each in found]
        assert positions == sorted(positions), structure
    assert ctypes.sizeof(library.LayerSpec) == 40


BUILDS = {"DEFAULT": "core", "AVX2": "core_avx2", "AVX512": "core_avx512"}


@pytest.mark.parametrize("capability", BUILDS)
def test_builds_agree(capability, monkeypatch):
    able = torch.backends.cpu.get_cpu_capability()
    if list(BUILDS).index(capability) > list(BUILDS).index(able if able in BUILDS else "DEFAULT"):
        pytest.skip(f"this processor has {able} only")
    built = builds.best_build(capability)
    assert built.name.split(".")[0] == BUILDS[capability]
    functions = library.Functions(ctypes.CDLL(str(built)), torch.float64)
    monkeypatch.setattr(training, "functions", lambda _: functions)
    settings = _settings(1, "tanh", "cross_entropy", "classes")
    (theirs, _), (ours, _) = (_fit(fit, settings) for fit in (fw.fit, training.fit))
    assert _distance(ours.parameters, theirs.parameters) < 1e-10


def test_without_a_build_the_framework_trains_and_the_run_says_so_with_the_cure(monkeypatch, tmp_path, tiny):
    study = spec.load(str(tiny()))
    said = []
    monkeypatch.setattr(builds, "_FOLDER", tmp_path)
    (rows,) = run_all([study], jobs=1, results=tmp_path / "results", said=said.append)
    assert set(rows["trained_by"]) == {"stack"}
    assert said == [f"engine fused is not built here: {builds.REMEDY}; another engine trains, several times slower"]
    with pytest.raises(FileNotFoundError, match=r"not built: install a C\+\+ compiler"):
        builds.best_build("AVX2")


def test_both_engines_are_compared_by_the_labels_of_their_configurations(tmp_path, tiny):
    path = tiny()
    folders = [tmp_path / name for name in ("framework", "core")]
    for folder, engine in zip(folders, ("stack", "fused"), strict=True):
        rows = studies.run(path, jobs=1, results=folder, overrides=[f'base.engine="{engine}"'], progress=False)
        assert set(rows["trained_by"]) == {engine}
    changes = api.compare(*(folder / "tiny" for folder in folders))
    assert "12 trials in both, 0 in A only, 0 in B only" in changes.facts
    assert changes.status == 0
    again = studies.run(path, jobs=1, results=folders[1], overrides=["base.epochs=4"], progress=False)
    assert len(again) == 12
    assert api.compare(*(folder / "tiny" for folder in folders)).table is None  # another number of epochs is another study


COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")


def _run_with(built, script, **environment):
    """A script in a process of its own that finds the core at `built` in place of the installed one."""
    begin = textwrap.dedent("""
        import ctypes, sys
        import torch
        import framework as fw
        from studies.train.engines.fused import library, training
        import test_fused as cases
        functions = library.Functions(ctypes.CDLL(sys.argv[1]), torch.float64)
        training.functions = lambda dtype: functions
        torch.set_grad_enabled(False)
        quarter = [cases._settings(index, *case) for index, case in list(enumerate(cases.CASES))[::4]]
    """)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    run = subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(script), str(built)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def _build(compiler, path, *flags):
    source = Path(library.__file__).parent / "core" / "fused.cpp"
    common = ["-std=c++17", "-fPIC", "-shared", "-Wno-psabi"]
    subprocess.run([compiler, *common, *flags, str(source), "-o", str(path)], check=True, capture_output=True)


@pytest.mark.skipif(not COMPILER, reason="no C++ compiler here")
@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path):
    """A core with checks of addresses and undefined behaviour trains every fourth case, and a model that diverges."""
    built = tmp_path / "core.so"
    _build(COMPILER, built, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    # The second, of exceptions, must be there when the first looks for what it replaces.
    names = ("libasan.so", "libstdc++.so")
    libraries = [
        subprocess.run([COMPILER, f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
        for name in names
    ]
    if not all(Path(path).exists() for path in libraries):
        pytest.skip("this compiler has no library of the address sanitizer")
    script = """
        for settings in quarter:
            cases._fit(training.fit, settings)
        hot = cases._tiny_settings(optimizer={"name": "sgd", "lr": 1e300}, activation="relu", dtype="float64")
        _, history = cases._fit(training.fit, [hot])
        print("diverged", history.diverged.tolist())
    """
    told = _run_with(built, script, LD_PRELOAD=" ".join(libraries), ASAN_OPTIONS="detect_leaks=0")
    assert "diverged [True]" in told


@pytest.mark.skipif(not shutil.which("clang++"), reason="no clang++ here")
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="no vectors of 32 bytes here")
@pytest.mark.slow
def test_clang_builds_the_same(tmp_path):
    _build("clang++", tmp_path / "core.so", "-O2", "-march=x86-64-v3", "-ffp-contract=fast")
    script = """
        for settings in quarter:
            ours, theirs = (cases._fit(fit, settings)[0].parameters for fit in (training.fit, fw.fit))
            print(cases._distance(ours, theirs))
    """
    assert max(map(float, _run_with(tmp_path / "core.so", script).split())) < 1e-10


def test_settings_of_every_built_in_component_are_trained_by_it():
    engine = __import__("studies.train.engines.fused", fromlist=["FusedEngine"]).FusedEngine()
    assert not engine.check(_tiny_settings(), "cpu")
    assert "trains on the CPU" in engine.check(_tiny_settings(), "cuda")
    assert set(BUILT_IN) >= {"activation", "loss", "optimizer"}
