"""`ablation judge`: tables of the kinds that people have, from the command line to numbers and sentences."""

import contextlib
import io
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import studies
from studies.analysis.power import power
from studies.analysis.tables import compute_tables
from studies.data.runs.places import short_names
from studies.judgements import judge
from studies.show import latex
from studies.spec import spec
from studies.store.table_rows import rows_of_table

TABLES = Path(__file__).parents[1] / "tables"
OPTIONS = {
    "03_folds": ("--baseline", "SVM"),
    "08_failures": ("--better", "lower", "--baseline", "exact"),
    "10_semicolons": ("--repeat", "Durchlauf", "--measure", "Genauigkeit", "--better", "higher"),
    "11_methods_as_columns": ("--better", "lower"),
}
ROWS = {  # rows of tables, texts between spaces: variant, mean, runs, failed, difference, then interval, p, adjusted p, test
    "01_seeds_and_datasets": [
        r"full 0\.7746 25 0 baseline",
        r"w/o attention 0\.7540 25 0 -0\.02059 .* < 0\.001 < 0\.001 paired t 5",
        r"w/o pretraining 0\.7259 25 0 -0\.04863 .* < 0\.001 < 0\.001 paired t 5",
        r"w/o augmentation 0\.7769 25 0 \+0\.00234 .* 0\.221 0\.221 paired t 5",
        r"the replicates are 5 data sets, by the mean of each, not their 100 cells",
        r"params_m: full 1\.2, w/o attention 0\.9",
    ],
    "02_full_ran_on_more": [
        r"full 0\.8808 0\.7598 27 0 baseline",
        r"no_memory 0\.8489 0\.8489 9 0 -0\.03196 .* 0\.011 0\.021 paired t 3",
        r"no_gate 0\.8831 0\.8831 9 0 \+0\.00228 .* 0\.137 0\.137 paired t 3",
        r"6 blocks have full only",
    ],
    "03_folds": [
        r"MLP 0\.8442 10 0 \+0\.01595 .* 0\.079 0\.159 Nadeau-Bengio t 10",
        r"Forest 0\.8471 10 0 \+0\.01887 .* 0\.160 0\.160 Nadeau-Bengio t 10",
        r"n_test / n_train of folds is 0\.1111",
    ],
    "04_gridsearchcv": [
        r"param_C 0\.1 0\.9133 10 0 1 -0\.04667",
        r"param_C 1 0\.9600 10 0 best",
        r"param_C 10 0\.9600 10 0 1 \+0\.00000",
        r"param_kernel rbf 0\.9311 15 0 linear -0\.02667 .* 0\.099 0\.298 Nadeau-Bengio t 5",
        r"No variant is a baseline, so each is compared with the best",
    ],
    "05_plus_minus": [
        r"- attention 0\.7810 5 0 -0\.03100 .* 0\.021 0\.041 Welch from summaries, unpaired",
        r"- residual 0\.8060 5 0 -0\.00600 .* 0\.488 0\.488 Welch from summaries, unpaired",
        r"- both 0\.7440 5 0 -0\.06800 .* 0\.005 0\.015 Welch from summaries, unpaired",
    ],
    "06_one_number_each": [
        r"No dropout 90\.10 1 0 -1\.10 no test",
        r"No BN 84\.70 1 0 -6\.50 no test",
        r"No skip 91\.30 1 0 \+0\.10 no test",
        r"nothing tells these differences from chance",
        r"20 one of 0\.7 sd",
        r"Cannot be told from chance: No dropout \(-1\.10 points\)",
    ],
    "07_leave_one_out": [
        r"use_gnn=False 0\.7714 4 0 -0\.02342 .* 0\.005 0\.016 paired t 4",
        r"use_physics_loss=False 0\.7919 4 0 -0\.00290 .* 0\.593 0\.593 paired t 4",
        r"use_prior=False 0\.8039 4 0 \+0\.00905 .* 0\.206 0\.411 paired t 4",
        r"copies of other columns: 'dice'",
        r"4 paired runs show 0\.02 four times in five, and this one would take 91",
    ],
    "08_failures": [
        r"heuristic 165\.6 161\.3 12 0 \+5\.058 .* < 0\.001 < 0\.001 paired t 12",
        r"robust 163\.7 163\.7 12 4 \+3\.210 .* < 0\.001 < 0\.001 paired t 8",
        r"without 4 in which one of both failed: robust failed in 4 of 12 runs",
    ],
    "09_duplicates": [
        r"base 76\.10 1 0 baseline",
        r"cut 76\.80 1 0 \+0\.7000 no test",
        r"mix 77\.00 1 0 \+0\.9000 no test",
        r"6 rows, 3 of them unique: repeated rows are no replication",
    ],
    "10_semicolons": [r"ohne Attention 86\.57 4 0 -1\.255 .* 0\.009 0\.009 paired t 4"],
    "11_methods_as_columns": [
        r"no_graph 0\.5570 20 0 \+0\.02946 .* 0\.104 0\.209 Welch, unpaired 40",
        r"no_3d 0\.5275 20 0 -0\.00004 .* 0\.998 0\.998 Welch, unpaired 40",
        r"is a hint, no proof: --repeat row pairs them",
    ],
    "12_identical": [
        r"no_scale 0\.2500 8 0 \+0\.00000 identical 8",
        r"no_sub 0\.3100 8 0 \+0\.06000 0\.008 0\.008 sign test",
        r"Identical to full in all 8 cells, so there is no p: no_scale",
    ],
}


@pytest.mark.parametrize("name", ROWS)
def test_tables_of_the_answers(call, tmp_path, name):
    done = call("judge", TABLES / f"{name}.csv", *OPTIONS.get(name, ()), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    printed = " ".join(done.stdout.split())
    assert [row for row in ROWS[name] if not re.search(row, printed)] == []


def test_rows_that_the_user_pairs(call, tmp_path):
    path = TABLES / "11_methods_as_columns.csv"
    done = call("judge", path, "--better", "lower", "--repeat", "row", cwd=tmp_path)
    assert re.search(r"no_graph 0\.5570 20 0 \+0\.02946 .* 0\.001 0\.002 paired t 20", " ".join(done.stdout.split()))


WIDE = pd.DataFrame(
    {"v": list("aaabbb"), "seed": [1, 2, 3] * 2}
    | {f"c{column}": [round((column * 7 + row * row) % 11 / 7, 4) for row in range(6)] for column in range(198)}
).to_csv(index=False)
WRONG = {  # content of the file, options, what the one line says
    "an empty file": ("", (), "is empty"),
    "names alone": ("a,b\n", (), "has names and no row"),
    "texts alone": ("v,w\nx,y\nz,q\n", (), "no numeric column that is a measure"),
    "two columns of one name": ("acc,acc,v\n1,2,a\n2,3,b\n", (), "'acc' is there twice"),
    "no text": (b"\x00\x01\xff\xfe", (), "save the table as CSV"),
    "200 columns": (WIDE, (), "may be lower or higher ones"),
    "one variant": ("method,seed,acc\nfull,1,.5\nfull,2,.6\n", (), "one variant"),
    "an unknown column": ("v,seed,acc\nfull,1,.5\nno_x,1,.6\n", ("--variant", "w"), "there is no column 'w'"),
    "an unknown baseline": ("v,seed,acc\nfull,1,.5\nno_x,1,.6\n", ("--baseline", "ful"), "did you mean 'full'"),
    "a share without folds": ("v,seed,acc\nfull,1,.5\nno_x,1,.6\n", ("--test-share", "0.25"), "no column is one of folds"),
    "two rows of one key": ("v,seed,acc\nfull,1,.5\nfull,1,.6\nno_x,1,.6\nno_x,1,.7\n", (), "a key of its own"),
    "ragged rows": ("v,seed,acc\nfull,1,.5\nno_x,1,.6,.7,.8\n", (), "line 3"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_one_clear_line(call, tmp_path, kind):
    content, options, said = WRONG[kind]
    path = tmp_path / "runs.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = call("judge", path, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert done.stderr.startswith("ablation: ")


@pytest.mark.parametrize(("name", "said"), [("", "is a folder"), ("none.csv", "there is no file")])
def test_a_folder_and_a_missing_file(call, tmp_path, name, said):
    done = call("judge", tmp_path / name, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_a_data_frame_is_judged_without_a_file():
    frame = pd.read_csv(TABLES / "07_leave_one_out.csv")
    found = judge(frame, measure="f1", repeat="run_seed")
    assert list(found.variants["variant"]) == list(found.runs.variants)
    assert found.variants["p"].iloc[1:].to_list() == pytest.approx([0.00518256, 0.593402, 0.205708], rel=1e-5)
    assert found.variants["p_adjusted"].iloc[1] == pytest.approx(3 * 0.00518256, rel=1e-5)
    assert set(found.levels["factor"]) == {"use_gnn", "use_physics_loss", "use_prior"}
    assert "use_gnn=False is worse than the baseline" in str(found)


def test_levels_of_a_grid_with_one_run_each_have_differences_and_no_test():
    frame = pd.DataFrame({"lr": [0.1, 0.1, 1, 1], "opt": ["sgd", "adam"] * 2, "acc": [0.5, 0.6, 0.7, 0.9]})
    levels = judge(frame).levels.set_index(["factor", "level"])
    assert levels.loc[("lr", "0.1"), "difference"] == pytest.approx(-0.25)
    assert levels["p"].isna().all()
    assert set(levels["test"]) == {"", "no test"}


# A study of a table.

SPECS = {  # p of a difference in comparisons.csv, not adjusted: variant, reference, difference, p
    "01_seeds_and_datasets": ("w/o attention", "full", -0.020592, 0.000464539),
    "02_full_ran_on_more": ("no_memory", "full", -0.0319556, 0.0105359),
    "03_folds": ("MLP", "SVM", 0.01595, 0.07932),
    "04_gridsearchcv": ("param_C=10, param_kernel=rbf", "param_C=1, param_kernel=linear", -0.0133333, 0.337502),
    "05_plus_minus": ("- attention", "Full model", -0.031, 0.0206233),
    "06_one_number_each": ("No BN", "Full", -6.5, math.nan),
    "07_leave_one_out": ("use_gnn=False", "use_gnn=True, use_physics_loss=True, use_prior=True", -0.023425, 0.00518256),
    "08_failures": ("robust", "exact", 3.21, 2.41944e-08),
    "09_duplicates": ("cut", "base", 0.7, math.nan),
    "10_semicolons": ("ohne Attention", "Basis", -1.255, 0.00870769),
    "11_methods_as_columns": ("no_graph", "ours", 0.0294575, 0.104368),
    "12_identical": ("no_scale", "full", 0.0, math.nan),
}


@pytest.fixture
def made(call, tmp_path):
    """Writes the spec of a table of the answers, and returns the study's name."""

    def init(name, *options):
        done = call("init", "mine", "--from", TABLES / f"{name}.csv", *OPTIONS.get(name, ()), *options, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return "mine.toml"

    return init


@pytest.mark.parametrize("name", SPECS)
def test_a_study_of_a_table_has_the_numbers_of_the_answers(call, made, tmp_path, name):
    path = made(name)
    done = call("tables", path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    variant, other, difference, p = SPECS[name]
    table = pd.read_csv(tmp_path / "results" / "mine" / "comparisons.csv", keep_default_na=False, na_values=[""])
    row = table[(table["label"] == variant) & (table["other_label"] == other)].iloc[0]
    assert row["difference"] == pytest.approx(difference, abs=2e-6)
    assert row["p"] == pytest.approx(p, abs=2e-6, nan_ok=True)
    assert not row["p_adjusted"] < row["p"]


def test_a_table_of_one_shared_data_set_counts_its_runs():
    rows = [("A", name, seed, 0.8 + seed / 100) for name in ("full", "no_x", "no_y") for seed in range(3)]
    rows += [("B", name, seed, 0.6 + seed / 100) for name in ("full", "no_x") for seed in range(3)]
    study = judge(pd.DataFrame(rows, columns=["dataset", "method", "seed", "acc"])).study
    text = latex.of_study(study, compute_tables(study, rows_of_table(study)))
    assert "standard deviation over 3 trials each" in text
    assert "All of this holds for new data sets like this one." in text


def test_a_plan_of_runs_that_do_not_pair_speaks_of_no_paired_differences():
    study = judge(TABLES / "11_methods_as_columns.csv", better="lower").study
    assert not any("paired differences" in line for line in power(study))


def test_more_runs_than_are_thought_of_take_more_than_there_are():
    values = np.random.default_rng(0).normal(size=240_000)
    found = judge(pd.DataFrame({"method": ["full", "no_x"] * 120_000, "acc": values}))
    assert "this one would take more than 240,000" in str(found)


AGREEING = {
    "01_seeds_and_datasets": {},
    "02_full_ran_on_more": {},
    "03_folds": {"baseline": "SVM"},
    "05_plus_minus": {},
    "07_leave_one_out": {},
    "08_failures": {"better": "lower", "baseline": "exact"},
    "11_methods_as_columns": {"better": "lower"},
}


@pytest.mark.parametrize("name", AGREEING)
def test_the_page_adjusts_p_as_the_judgement(name):
    found = judge(TABLES / f"{name}.csv", **AGREEING[name])
    own = found.variants.set_index("variant")["p_adjusted"].rename(index=short_names(found.runs)).dropna()
    table = found.tables()["comparisons"]
    page = table[table["against"] == "baseline"].set_index("label")["p_adjusted"]
    assert len(own) > 1
    assert page[own.index].to_list() == pytest.approx(own.to_list(), abs=6e-7)


def test_the_page_has_the_levels_of_unpaired_runs_as_the_judgement():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(itertools.product(["sgd", "adam"], ["bn", "none"], range(4)), columns=["optimizer", "norm", "no"])
    frame["acc"] = 0.8 + 0.02 * (frame["norm"] == "bn") + 0.01 * rng.standard_normal(len(frame))
    found = judge(frame.drop(columns="no"), baseline="optimizer=sgd, norm=bn")
    own = found.levels.set_index(["factor", "level"])[["difference", "p_adjusted"]].dropna()
    page = found.tables()["levels"].set_index(["factor", "level"])[["difference", "p_adjusted"]]
    assert len(own) == 2
    assert page.loc[own.index].to_numpy() == pytest.approx(own.to_numpy(), abs=6e-7)


DRAWN = {"05_plus_minus": {"ladder", "matrix", "models"}, "07_leave_one_out": {"ladder", "matrix", "models", "effects", "grid"}}


@pytest.mark.parametrize("name", DRAWN)
def test_pages_and_pictures_of_a_table(call, made, tmp_path, name):
    path = made(name)
    done = call("report", path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "results" / "mine" / "report.html").read_text()
    assert "Nothing was trained here" in page
    assert {each.stem for each in (tmp_path / "figures" / "mine").iterdir()} >= DRAWN[name]
    for command, said in {"plan": "nothing trains", "status": "nothing trains"}.items():
        shown = call(command, path, cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert said in shown.stdout


@pytest.mark.parametrize("command", [("run",), ("verify",), ("show", "best"), ("explain", "best"), ("animate",)])
def test_commands_that_train_say_that_nothing_does(call, made, tmp_path, command):
    path = made("07_leave_one_out")
    done = call(command[0], path, *command[1:], cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "its rows come from 07_leave_one_out.csv, so nothing trains" in done.stderr


def test_another_measure_and_another_reference(call, made, tmp_path):
    path = made("07_leave_one_out")
    other = call("tables", path, "--measure", "loss", cwd=tmp_path)
    assert "Configurations by test loss" in other.stdout
    against = call("tables", path, "--against", "use_gnn=False", cwd=tmp_path)
    assert "F1 less that of use_gnn=False" in against.stdout
    missing = call("tables", path, "--measure", "acc", cwd=tmp_path)
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)


def test_a_spec_may_say_less_or_more(tmp_path):
    (tmp_path / "runs.csv").write_text("lr,loss,seed,val_acc\n" + "".join(
        f"{lr},{loss},{seed},{0.5 + 0.1 * (lr == 1) + 0.01 * seed + 0.02 * (loss == 'mse') + 0.001 * lr * seed}\n"
        for lr in (0.1, 1) for loss in ("mse", "mae") for seed in (0, 1, 2)
    ))  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Losses"\nmargin = 0.02\nbaseline = { lr = 0.1, loss = "mse" }\n[table]\npath = "runs.csv"\n'
        'factors = ["loss", "l*r"]\nmeasure = { column = "val_acc", name = "accuracy", better = "higher" }\nrepeat = "seed"\n'
    )
    study = spec.load(str(path))
    assert (study.measure.name, study.margin, study.title) == ("accuracy", 0.02, "Losses")
    assert dict(study.grid.baseline) == {"loss": "mse", "lr": "0.1"}
    assert study.sampling.population == "new values of 'seed', all else as it is"
    assert study.sampling.count == 3


BAD = {  # the section, what the one line says
    "an unknown key": ('path = "runs.csv"\nvariants = "v"', "did you mean 'variant'"),
    "no path": ('variant = "v"', "table.path"),
    "no file": ('path = "none.csv"', "there is no file"),
    "a text for a list": ('path = "runs.csv"\nfactors = "v"', "a list of names of columns"),
    "a direction to ask for": ('path = "runs.csv"', 'in [table]: better = "lower"'),
    "a section that trains": ('path = "runs.csv"\nbetter = "lower"\n[base]\nepochs = 3', "with [table] nothing trains"),
    "an unknown key of a measure": ('path = "runs.csv"\nmeasure = { col = "cost" }', "table.measure"),
}


@pytest.mark.parametrize("kind", BAD)
def test_wrong_sections_are_one_clear_line(call, tmp_path, kind):
    content, said = BAD[kind]
    (tmp_path / "runs.csv").write_text("v,seed,cost\nfull,1,5\nfull,2,6\nno_x,1,6\nno_x,2,8\n")
    (tmp_path / "mine.toml").write_text(f"[table]\n{content}\n")
    done = call("tables", "mine.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_options_about_columns_need_a_table(call, tmp_path):
    done = call("init", "mine", "--better", "lower", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "add --from FILE" in done.stderr
    asked = call("init", "mine", "--from", TABLES / "08_failures.csv", cwd=tmp_path)
    assert "ablation init mine --from" in asked.stderr
    assert "--better lower --baseline" in asked.stderr


def test_notebooks_have_tables_and_pictures(tmp_path):
    found = studies.judge(pd.read_csv(TABLES / "01_seeds_and_datasets.csv"))
    tables = found.tables()
    assert tables["summary"].set_index("label").loc["full", "test_mean"] == pytest.approx(0.774576)
    assert tables["curves"].empty
    drawn = found.figures(tmp_path)
    assert drawn["ladder"] == tmp_path / "ladder.png"
    assert drawn["ladder"].is_file()


def test_examples_of_the_page_print_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code, text in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == text
    names["runs"].to_csv("runs.csv", index=False)
    Path("mine.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL).group(1))
    assert spec.load("mine.toml").measure.name == "accuracy"


def test_two_tables_of_runs_are_compared_in_their_measure(commands, tmp_path):
    seeds = range(8)
    rows = pd.DataFrame(
        [
            {"method": name, "seed": seed, "acc": mean + seed % 3 / 100}
            for seed in seeds
            for name, mean in (("full", 0.9), ("cut", 0.8))
        ]
    )
    rows.to_csv(tmp_path / "runs.csv", index=False)
    assert commands.call("init", "mine", "--from", "runs.csv", cwd=tmp_path).returncode == 0
    for change, folder in ((0.0, "one"), (0.05, "other")):
        less = change + change * (rows["seed"] % 2) / 10
        rows.assign(acc=rows["acc"] - less).to_csv(tmp_path / "runs.csv", index=False)
        assert commands.call("tables", "mine", "--out", folder, cwd=tmp_path).returncode == 0
    worse = commands.call("compare", "one/mine", "other/mine", cwd=tmp_path)
    assert worse.returncode == 1
    assert "the mean acc changes by -0.05" in worse.stdout
    better = commands.call("compare", "other/mine", "one/mine", cwd=tmp_path)
    assert better.returncode == 0
    assert re.search(r"better beyond chance: .*the mean \(1\)", better.stdout)
