import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import studies
from studies import api
from studies.data import splits
from studies.data.wrong import unpack
from studies.errors import UserError
from studies.plan import plan
from studies.seeds import seed_for
from studies.show import figures, progress
from studies.spec import spec
from studies.train import engines, fitting, networks, records, runner

NUMBERS = [
    "train_errors",
    "val_errors",
    "test_errors",
    "train_loss",
    "val_loss",
    "test_loss",
    "diverged",
    "stuck",
    "epochs_to_5_pct",
    "wrong",
]


def rows(path, tmp_path, name, **options):
    return studies.run(path, results=tmp_path / name, **options)


def test_rows_have_the_columns_of_the_format(tiny, tmp_path):
    table = rows(tiny(), tmp_path, "r", backend="sequential")
    lead = ["study", "reading", "trial", "config", "label", "hidden", "activation"]
    assert list(table.columns[:7]) == lead
    for column in (
        "optimizer.name",
        "optimizer.lr",
        "repeat",
        "fold",
        "seed",
        "n_train",
        "n_val",
        "n_test",
        *NUMBERS,
        "epochs",
        "status",
    ):
        assert column in table
    assert len(table) == 12
    assert (table["status"] == "ok").all()
    assert table[["n_train", "n_val", "n_test"]].drop_duplicates().to_numpy().tolist() == [[40, 20, 40]]


def test_one_job_and_two_and_any_order_give_the_same_rows(tiny, tmp_path):
    one = rows(tiny(), tmp_path, "one", jobs=1)
    two = rows(tiny(), tmp_path, "two", jobs=2)
    pd.testing.assert_frame_equal(one[["trial", *NUMBERS]], two[["trial", *NUMBERS]], check_exact=True)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("epochs = 3", 'epochs = 3\nbatchnorm = "affine"')],
        [("epochs = 3", "epochs = 3\ndropout = 0.3")],
        [("batch_size = 16", "batch_size = 1")],
        [("epochs = 3", 'epochs = 3\nloss = "mse"\noutputs = "single"')],
    ],
    ids=["plain", "batch norm", "dropout", "batch of one", "one output"],
)
def test_a_trial_alone_has_the_bits_that_it_has_in_a_stack(tiny, changes):
    study = spec.load(str(tiny(*changes)))
    stacks = engines.plan_units(study, plan.trials(study), jobs=1)
    assert {len(stack.trials) for stack in stacks} == {6}
    for stack in stacks:
        together = runner.train_unit(stack)
        for trial, record in zip(stack.trials, together, strict=True):
            (alone,) = runner.train_unit(replace(stack, trials=[trial]))
            assert alone["history"] == record["history"]
            assert alone["trial"] == record["trial"]


def test_all_configurations_share_splits_starts_and_orders(tiny):
    """Pairing: only what the level changes may differ. He and Xavier scale the same draws."""
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', 'init = ["he", "xavier", "normal"]'))))
    settings = [each.settings for each in study.grid.configurations]
    stack = networks.model(settings, features=2, classes=2)
    networks.draw_first_weights(stack, settings, [seed_for(0, "init", 0, 1)] * len(settings))
    by_init = {each["init"]["name"]: stack.layers[0].weight[index] for index, each in enumerate(settings)}
    torch.testing.assert_close(by_init["he"], by_init["normal"] * (2 / 2) ** 0.5)
    torch.testing.assert_close(by_init["xavier"], by_init["normal"] * (2 / 6) ** 0.5)


def test_a_trial_agrees_with_torch_nn_on_the_same_draws(tiny):
    """The whole path, from spec to error counts, against an independent loop in float64."""
    path = tiny(("epochs = 3", 'epochs = 3\ndtype = "float64"\nshuffle = "never"'), ('"relu", "tanh"', '"tanh"'))
    study = spec.load(str(path))
    (stack,) = engines.plan_units(study, plan.trials(study), jobs=1)
    for trial, record in zip(stack.trials, runner.train_unit(stack), strict=True):
        settings = trial.configuration.settings
        ours = networks.model([settings], 2, 2)
        networks.draw_first_weights(ours, [settings], [seed_for(0, "init", trial.repeat, trial.fold)])
        net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
        for theirs, layer in zip((net[0], net[2]), (ours.layers[0], ours.layers[2]), strict=True):
            theirs.weight.data, theirs.bias.data = layer.weight[0].clone(), layer.bias[0, :, 0].clone()
        table = settings["optimizer"]
        rule = torch.optim.SGD if table["name"] == "sgd" else torch.optim.Adam
        optimizer = rule(net.parameters(), lr=table["lr"])
        split = splits.split(study.data, study.validation, study.seed, trial.repeat, trial.fold)
        x, y = torch.from_numpy(split.train.inputs), torch.from_numpy(split.train.labels)
        for _ in range(3):
            for batch in torch.arange(len(y)).split(16):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            for name, rows_of in (("train", split.train), ("val", split.validation), ("test", split.test)):
                output, labels = net(torch.from_numpy(rows_of.inputs)), torch.from_numpy(rows_of.labels)
                assert record[f"{name}_errors"] == (output.argmax(1) != labels).sum()
                assert record[f"{name}_loss"] == pytest.approx(
                    torch.nn.functional.cross_entropy(output, labels).item(), rel=1e-9
                )


def test_a_diverged_trial_stays_as_a_row_and_leaves_the_others_alone(tiny, tmp_path):
    calm = rows(tiny(("epochs = 3", 'epochs = 3\nloss = "mse"\noutput = "linear"')), tmp_path, "calm", jobs=1)
    changes = (
        ('{ name = "adam", lr = 0.01 }', '{ name = "sgd", lr = 1e30 }'),
        ("epochs = 3", 'epochs = 3\nloss = "mse"\noutput = "linear"'),
    )
    wild = rows(tiny(*changes), tmp_path, "wild", jobs=1)
    assert calm["diverged"].sum() == 0
    assert set(wild.loc[wild["diverged"], "optimizer"]) == {"sgd lr=1e+30"}
    assert wild["diverged"].sum() == 6
    kept = [table[table["optimizer"] == "sgd lr=0.1"][["trial", *NUMBERS]].reset_index(drop=True) for table in (calm, wild)]
    pd.testing.assert_frame_equal(*kept, check_exact=True)
    assert wild.loc[wild["diverged"], "test_errors"].notna().all()
    assert (wild["status"] == "ok").all()


CLASSES = {
    "two equal": [50, 50],
    "nearly equal": [52, 48],
    "many rows": [450, 450],
    "three": [35, 35, 30],
    "ten": [20] * 10,
    "rare": [97, 3],
    "one other row": [99, 1],
    "few rows": [3, 2],
    "twenty thousand": [10_050, 9_950],
}


@pytest.mark.parametrize("labels", CLASSES.values(), ids=CLASSES)
def test_stuck_is_not_better_than_the_majority_by_an_exact_test_at_a_thousandth(labels):
    rows, others = sum(labels), sum(labels) - max(labels)
    given = np.repeat(np.arange(len(labels)), labels)
    step = max(1, others // 200)
    for errors in range(1, others + 3, step):
        p = stats.binomtest(min(errors, rows), rows, others / rows, alternative="less").pvalue
        assert records.is_stuck(errors, given) is bool(p > 0.001), errors
    most = int(stats.binom.ppf(0.001, rows, others / rows))
    for errors in range(max(1, most - 2), most + 3):  # where the answer turns
        p = stats.binomtest(errors, rows, others / rows, alternative="less").pvalue
        assert records.is_stuck(errors, given) is bool(p > 0.001), errors


@pytest.mark.parametrize("labels", [*CLASSES.values(), [100], [1]], ids=str)
def test_a_model_without_errors_is_never_stuck_and_one_that_always_guesses_is(labels):
    given = np.repeat(np.arange(len(labels)), labels)
    assert not records.is_stuck(0, given)
    assert records.is_stuck(max(1, sum(labels) - max(labels)), given)


def test_a_model_that_does_not_move_is_stuck(tiny, tmp_path):
    table = rows(tiny(("lr = 0.1", "lr = 1e-12")), tmp_path, "r", jobs=1)
    study = spec.load(str(tiny()))
    for row in table.itertuples():
        labels = splits.split(study.data, study.validation, 0, int(row.repeat), int(row.fold)).train.labels
        p = stats.binomtest(int(row.train_errors), len(labels), 1 - np.bincount(labels).max() / len(labels), "less").pvalue
        assert row.stuck == (p > 0.001)
    assert table.loc[table["optimizer"] == "sgd lr=1e-12", "stuck"].any()


JUDGED = {
    "test": ((), "test"),
    "val": ((("test_samples = 40", "test_samples = 0"),), "val"),
    "train": ((("test_samples = 40", "test_samples = 0"), ("folds = 3", "folds = 0")), "train"),
}


@pytest.mark.parametrize(("changes", "judged"), JUDGED.values(), ids=JUDGED)
def test_a_record_says_which_judged_rows_are_wrong(tiny, changes, judged):
    study = spec.load(str(tiny(("epochs = 3", "epochs = 3\nkeep_predictions = true"), *changes)))
    for stack in engines.plan_units(study, plan.trials(study), jobs=1):
        for record in runner.train_unit(stack):
            bits = np.unpackbits(unpack(record["wrong"]))
            kept = record["predictions"]
            wrong = np.array(kept["truth"]) != np.array(kept["predicted"])
            assert bits.sum() == record[f"{judged}_errors"]
            assert (bits[: record[f"n_{judged}"]] == wrong).all()


def test_epochs_to_5_pct_is_the_first_recorded_epoch_that_low(tiny, tmp_path):
    table = rows(tiny(("epochs = 3", "epochs = 60"), ("lr = 0.01", "lr = 0.05")), tmp_path, "r", jobs=1)
    history = pd.read_csv(tmp_path / "r" / "tiny" / "history.csv")
    reached = history[history["train_errors"] <= 0.05 * 40].groupby("trial")["epoch"].min()
    found = table.set_index("trial")["epochs_to_5_pct"].dropna()
    assert len(found) > 0
    assert found.to_dict() == reached.to_dict()


def test_a_stack_that_raises_becomes_failed_rows_with_the_reason(tiny, tmp_path, monkeypatch):
    made = networks.loss

    def broken(settings, *rest):
        if settings["loss"] == "mae":
            raise RuntimeError("no such luck")
        return made(settings, *rest)

    monkeypatch.setattr(networks, "loss", broken)
    path = tiny(('activation = ["relu", "tanh"]', 'loss = ["mae", "mse"]'))
    table = rows(path, tmp_path, "r", jobs=1)
    assert table["status"].value_counts().to_dict() == {"ok": 6, "failed": 6}
    (reason,) = set(table.loc[table["status"] == "failed", "reason"])
    found = re.fullmatch(r"RuntimeError: no such luck \(see (tracebacks/\w+\.txt)\)", reason)
    assert "in broken\n    raise RuntimeError" in (tmp_path / "r" / "tiny" / found[1]).read_text()
    summary = pd.read_csv(tmp_path / "r" / "tiny" / "summary.csv")
    assert summary["failed"].tolist() == [3, 3, 0, 0]
    monkeypatch.undo()
    again = rows(path, tmp_path, "r", jobs=1)
    assert (again["status"] == "ok").all()


@pytest.mark.parametrize("when", ["made", "trained"])
def test_models_that_raise_take_no_other_of_their_stack_along(tiny, tmp_path, monkeypatch, when):
    made = networks.optimizer

    def broken(stack, settings, *rest):
        if any(each["optimizer"]["lr"] == 0.01 for each in settings):
            if when == "made":
                raise ValueError("one\nbad model")
            monkeypatch.setattr(stack, "accumulate", lambda gradient: gradient.no_such_method())
        return made(stack, settings, *rest)

    path = tiny(("epochs = 3", 'epochs = 3\nengine = "stack"'))
    whole = rows(path, tmp_path, "whole", jobs=1)
    monkeypatch.setattr(networks, "optimizer", broken)
    table = rows(path, tmp_path, "r", jobs=1)
    healthy = whole["optimizer.lr"] != 0.01
    assert (table["status"] == "ok").tolist() == healthy.tolist()
    pd.testing.assert_frame_equal(table.loc[healthy, NUMBERS], whole.loc[healthy, NUMBERS], check_dtype=False)
    reasons = table.loc[~healthy, "reason"]
    assert reasons.str.startswith("ValueError: one bad model" if when == "made" else "AttributeError: ").all()
    for place in reasons.str.extract(r"\(see (.*)\)")[0]:
        assert (tmp_path / "r" / "tiny" / place).read_text().startswith("Traceback (most recent call last):")


def test_a_study_of_which_every_trial_fails_keeps_its_rows(tiny, tmp_path, monkeypatch):
    def broken(_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(networks, "loss", broken)
    path = tiny()
    table = rows(path, tmp_path, "r", jobs=1)
    assert (table["status"] == "failed").all()
    study = spec.load(str(path))
    outcome = figures.draw_study(study, api.tables_of(study, tmp_path / "r"), tmp_path / "f")
    assert outcome["curves"].startswith("not drawn")


def test_threads_and_denormals_are_as_they_were(tiny):
    study = spec.load(str(tiny()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runner.train_unit(engines.plan_units(study, plan.trials(study), jobs=1)[0])
        assert torch.get_num_threads() == 2
        assert (torch.tensor([1e-40]) * 1).item() != 0
    finally:
        torch.set_num_threads(before)


def test_overrides_of_a_study_that_is_read_already_are_refused(tiny, tmp_path):
    with pytest.raises(UserError, match="overrides change a spec while it is read, and 'tiny' was read before"):
        studies.run(spec.load(str(tiny())), overrides=["base.epochs=1"], results=tmp_path / "r")


def test_a_run_in_this_process_is_planned_for_one(tiny, tmp_path, monkeypatch):
    planned, divide = [], engines.plan_units
    monkeypatch.setattr(engines, "plan_units", lambda *given: planned.append(given[2]) or divide(*given))
    monkeypatch.setattr("studies.train.devices.processes", lambda _: 7)
    rows(tiny(), tmp_path, "r", backend="sequential")
    assert planned == [1]
    with pytest.raises(UserError, match="trains in this process alone: jobs = 2 was given; leave it out, or write backend"):
        rows(tiny(), tmp_path, "r", backend="sequential", jobs=2)


READINGS = """
[reading.plain]
primary = true
[reading.deep]
validation = { repeats = 2 }
base = { hidden = [4, 4] }
[[reading.deep.grid]]
activation = ["elu"]
"""


def test_every_reading_of_a_study_is_trained_and_told_apart(tiny, tmp_path):
    path = tiny()
    alone = rows(path, tmp_path, "alone", backend="sequential")
    path.write_text(path.read_text() + READINGS)
    both = rows(path, tmp_path, "both", backend="sequential")
    assert both.groupby("reading", sort=False).size().to_dict() == {"plain": 12, "deep": 6}
    plain = both[both["reading"] == "plain"]
    np.testing.assert_array_equal(plain["train_loss"], alone["train_loss"])
    assert not set(plain["trial"]) & set(alone["trial"])
    assert both.loc[both["reading"] == "deep", "hidden"].unique().tolist() == ["4-4"]
    summary = pd.read_csv(tmp_path / "both" / "tiny" / "summary.csv")
    assert summary["reading"].tolist() == ["plain"] * 4 + ["deep"]
    assert summary["trials"].tolist() == [3] * 4 + [6]
    drawn = figures.draw_study(*_tables(path, tmp_path / "both"), tmp_path / "figures")
    assert {"models", "deep/models"} <= set(drawn)
    assert (tmp_path / "figures" / "deep" / "models.png").exists()


def _tables(path, results):
    study = spec.load(str(path))
    return study, api.tables_of(study, results)


def test_a_limit_on_stacks_changes_no_number(tiny, tmp_path):
    path = tiny()
    many = rows(path, tmp_path, "many", backend="sequential")
    path.write_text("stack = 1\n" + path.read_text())
    study = spec.load(str(path))
    assert {len(stack.trials) for stack in engines.plan_units(study, plan.trials(study), jobs=2)} == {1}
    one = rows(path, tmp_path, "one", backend="sequential")
    pd.testing.assert_frame_equal(one[["trial", *NUMBERS]], many[["trial", *NUMBERS]], check_exact=True)


def test_gradient_norms_and_predictions_are_kept_on_demand(tiny, tmp_path):
    path = tiny(("epochs = 3", "epochs = 3\ngradient_norms = true\nkeep_predictions = true"))
    table = rows(path, tmp_path, "r", backend="sequential").set_index("trial")
    history = pd.read_csv(tmp_path / "r" / "tiny" / "history.csv")
    assert history[["gradient_norm_1", "gradient_norm_2"]].notna().all(axis=None)
    predictions = pd.read_csv(tmp_path / "r" / "tiny" / "predictions.csv")
    grouped = predictions.assign(wrong=predictions["truth"] != predictions["predicted"]).groupby("trial")
    pd.testing.assert_series_equal(
        grouped["wrong"].sum().reindex(table.index), table["test_errors"], check_dtype=False, check_names=False
    )
    np.testing.assert_allclose(grouped["loss"].mean().reindex(table.index), table["test_loss"], rtol=1e-5)
    logits = predictions[["output_0", "output_1"]].to_numpy()
    np.testing.assert_array_equal(logits.argmax(1), predictions["predicted"])
    gradients = pd.read_csv(tmp_path / "r" / "tiny" / "gradients.csv")
    assert gradients.groupby("label").size().tolist() == [4 * 2] * 4


def test_an_observer_sees_every_record_and_changes_nothing(tiny):
    study = spec.load(str(tiny()))
    stack = engines.plan_units(study, plan.trials(study), jobs=1)[0]
    seen = []
    watched = fitting.fit_unit(stack, observe=lambda epoch, model: seen.append((epoch, model.replicas)))
    assert seen == [(epoch, len(stack.trials)) for epoch in range(4)]
    assert torch.equal(watched.model.parameters, fitting.fit_unit(stack).model.parameters)


def test_a_sample_trained_alone_is_verified_to_the_bit_and_a_changed_row_is_named(tiny, tmp_path):
    path = tiny()
    rows(path, tmp_path, "r", backend="sequential")
    study = spec.load(str(path))
    verified, differences = api.verify(study, tmp_path / "r", sample=1000)
    assert verified == 12
    assert differences.empty
    table = tmp_path / "r" / "tiny" / "trials.csv"
    trials = pd.read_csv(table, dtype=str, keep_default_na=False)
    loss = float(trials.loc[5, "test_loss"])
    trials.loc[5, "test_loss"] = repr(float(np.nextafter(loss, 1.0)))
    trials.to_csv(table, index=False)
    (difference,) = api.verify(study, tmp_path / "r", sample=12)[1].to_dict("records")
    assert difference == {
        "trial": trials.loc[5, "trial"],
        "column": "test_loss",
        "in the rows": np.nextafter(loss, 1.0),
        "alone": loss,
    }
    trials["torch"] = "1.0"
    trials.to_csv(table, index=False)
    with pytest.raises(UserError, match=r"equal to the bit within one torch: .* was made with 1.0"):
        api.verify(study, tmp_path / "r", sample=1)
    with pytest.raises(UserError, match="no rows to compare with"):
        api.verify(study, tmp_path / "nowhere", sample=1)


def test_a_run_from_python_shows_how_far_it_is_where_it_is_asked_to(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.001)
    seen = []
    studies.run(tiny(), results=tmp_path / "one", jobs=1, progress=True, received=seen.extend)
    assert re.search(r"of 12 trials, \d+\.\d trials/s", capsys.readouterr().out)
    assert len(seen) == 12
    studies.run(tiny(), results=tmp_path / "other", jobs=1)
    assert capsys.readouterr().out == ""
