import subprocess
import sys
from dataclasses import replace

import pytest

from framework import history
from studies.plan import plan
from studies.plan.units import NUMERICS
from studies.show.plan import describe_plan
from studies.spec import spec
from studies.train import devices, engines, packing
from studies.train.costs import count_units_and_weights


def keys(study):
    return [trial.key for trial in plan.trials(study)]


def test_every_trial_is_planned_once_and_each_stack_has_one_structure():
    study = spec.load("ablation")
    trials = plan.trials(study)
    stacks = engines.plan_units(study, trials, jobs=2)
    assert len({trial.key for trial in trials}) == len(trials) == 8640
    assert sorted(trial.key for stack in stacks for trial in stack.trials) == sorted(trial.key for trial in trials)
    for stack in stacks:
        layers = {
            (*trial.configuration.settings["activation"], trial.configuration.settings["loss"],
             trial.configuration.settings["batchnorm"]["name"])
            for trial in stack.trials
        }  # fmt: skip
        assert len(layers) == 1


def test_stacks_are_as_few_as_their_capacity_allows():
    study = spec.load("ablation")
    stacks = engines.plan_units(study, plan.trials(study), jobs=2)
    # 6 activations x 4 losses x 3 batch norms, each 120 models of any initializer, optimizer and fold, cut in two for the cache
    assert [len(stack.trials) for stack in stacks] == [60] * 144


def test_folds_of_unequal_size_go_to_different_stacks(tiny):
    study = spec.load(str(tiny(("samples = 60", "samples = 61"))))
    stacks = engines.plan_units(study, plan.trials(study), jobs=1)
    counts = {stack.rows for stack in stacks}
    assert counts == {(40, 21, 40), (41, 20, 40)}


def test_a_small_study_gives_every_job_a_stack(tiny):
    study = spec.load(str(tiny(("folds = 3", "folds = 0\nrepeats = 40"), ('activation = ["relu", "tanh"]', 'init = ["he"]'))))
    for jobs in (1, 2, 4):
        assert len(engines.plan_units(study, plan.trials(study), jobs)) >= jobs


def test_update_rules_are_together_in_a_stack():
    study = spec.load("ablation")
    for stack in engines.plan_units(study, plan.trials(study), jobs=2):
        rules = [trial.configuration.settings["optimizer"]["name"] for trial in stack.trials]
        assert rules == sorted(rules)


def test_what_is_compared_within_a_repeat_trains_at_one_time():
    study = spec.load("costs")
    trials = [stack.trials[0] for stack in engines.plan_units(study, plan.trials(study), jobs=2)]
    alike = [trial for trial in trials if trial.configuration.settings["epochs"] == 50]
    assert [trial.repeat for trial in alike] == [repeat for repeat in range(30) for _ in range(3)]
    assert [trial.configuration.label for trial in alike[:3]] == [trial.configuration.label for trial in alike[-3:]]


CHANGES = {
    "seed": ('title = "Tiny"', "seed = 1"),
    "samples": ("samples = 60", "samples = 61"),
    "data set": ('"disk"', '"moons"'),
    "normalisation": ("samples = 60", 'samples = 60\nnormalize = "none"'),
    "folds": ("folds = 3", "folds = 4"),
    "epochs": ("epochs = 3", "epochs = 4"),
    "dtype": ("epochs = 3", 'epochs = 3\ndtype = "float64"'),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_key_changes_with_all_that_the_numbers_depend_on(tiny, change):
    assert not set(keys(spec.load(str(tiny())))) & set(keys(spec.load(str(tiny(change)))))


def test_a_key_does_not_change_with_titles_levels_or_repeats(tiny):
    before = set(keys(spec.load(str(tiny()))))
    assert set(keys(spec.load(str(tiny(('"Tiny"', '"Other"\nquestion = "?"')))))) == before
    assert before < set(keys(spec.load(str(tiny(('"tanh"]', '"tanh", "elu"]'))))))
    assert before < set(keys(spec.load(str(tiny(("folds = 3", "folds = 3\nrepeats = 2"))))))


def test_a_key_changes_with_the_numerics_version(tiny, monkeypatch):
    before = keys(spec.load(str(tiny())))
    monkeypatch.setattr(plan, "NUMERICS", NUMERICS + 1)
    assert not set(before) & set(keys(spec.load(str(tiny()))))


def test_a_csv_file_is_known_by_its_content_not_its_place(tiny, tmp_path):
    def study(folder, rows):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "d.csv").write_text("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(rows)))
        data = f'name = "csv"\npath = "{folder}/d.csv"\ntarget = "y"'
        return spec.load(str(tiny(('name = "disk"\nsamples = 60\ntest_samples = 40', data))))

    assert keys(study("one", 60)) == keys(study("two", 60))
    assert not set(keys(study("one", 60))) & set(keys(study("one", 63)))


def test_parameters_are_counted():
    study = spec.load("ablation")
    # 2-25-25-25-2 with biases
    assert count_units_and_weights(2, 2, study.grid.configurations[0].settings) == (77, 75 + 650 + 650 + 52)


def test_a_full_batch_is_all_training_rows(tiny):
    study = spec.load(str(tiny(("batch_size = 16", 'batch_size = "full"'))))
    assert {unit.batch_size for unit in engines.plan_units(study, plan.trials(study), jobs=1)} == {40}


def test_the_plan_in_words(tiny):
    study = replace(spec.load(str(tiny())), question="Why?")
    text = "\n".join(describe_plan(study, 1, plan.trials(study)))
    for part in ("Why?", "2 levels: relu, tanh", "60 training, 40 test rows", "4 configurations x 3 folds = 12 models"):
        assert part in text


def capacity(tiny, *changes, device="cpu"):
    study = spec.load(str(tiny(*changes)))
    unit = engines.plan_units(study, plan.trials(study), jobs=1)[0]
    return packing.capacity(study, replace(unit, rows=(40, 20, 1_000_000), device=device))


def test_rows_limit_a_stack_where_each_model_is_evaluated_on_all_of_them_at_once(tiny, monkeypatch):
    by_row = capacity(tiny)
    by_the_rows_given = ("epochs = 3", 'epochs = 3\nbatchnorm = { affine = true, evaluate = "batch" }')
    assert capacity(tiny, by_the_rows_given) < by_row / 2
    monkeypatch.setattr(devices, "room", lambda _: (devices.CACHE, devices.EVALUATION))
    assert capacity(tiny, device="cuda") == capacity(tiny, by_the_rows_given)


def test_a_stack_with_batch_norm_is_planned_before_one_without():
    study = spec.load("ablation")
    norms = [
        stack.trials[0].configuration.settings["batchnorm"]["name"] != "none"
        for stack in engines.plan_units(study, plan.trials(study), 2)
    ]
    assert norms == sorted(norms, reverse=True)


SLOW = {"torch", "sklearn", "scipy.stats"}  # a second to import, each


@pytest.mark.parametrize("command", [("plan",), ("status",), ("run", "--dry-run")], ids=["plan", "status", "dry run"])
def test_commands_that_train_nothing_import_nothing_that_takes_a_second(tiny, tmp_path, command):
    data = 'name = "csv"\npath = "d.csv"\ntarget = "y"\ntest_samples = 20'
    path = tiny(('name = "disk"\nsamples = 60\ntest_samples = 40', data))
    (tmp_path / "d.csv").write_text("u,v,y\n" + "".join(f"{place},{place % 7},{'ab'[place % 2]}\n" for place in range(80)))
    code = (
        f"import sys; from studies.cli import main; main(sys.argv[1:], standalone_mode=False); print({SLOW} & {{*sys.modules}})"
    )
    ran = subprocess.run([sys.executable, "-c", code, *command, path], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"
    assert "12" in ran.stdout


def test_rows_are_evaluated_in_blocks_of_the_framework():
    assert packing.BLOCK == history.BLOCK
