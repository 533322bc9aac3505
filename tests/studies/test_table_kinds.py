"""Kinds of tables that people have: layouts, cells, encodings, exports of other tools, and what is refused in one line."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from studies.analysis import run_comparisons
from studies.data.runs.given import Given
from studies.data.runs.remarks import describe
from studies.data.runs.runs import read_runs, runs_from_frame
from studies.errors import UserError


def lines(header, *rows):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def crossed(header, *levels, digits=3):
    """All combinations of levels, and a random number for each further column of the header."""
    rng = np.random.default_rng(0)
    more = header.count(",") + 1 - sum(len(level[0]) if isinstance(level[0], tuple) else 1 for level in levels)
    index = [sum((each if isinstance(each, tuple) else (each,) for each in row), ()) for row in itertools.product(*levels)]
    return lines(header, *((*row, *rng.random(more).round(digits)) for row in index))


TWO, SEEDS, SETS = ("full", "w/o x"), (0, 1, 2), ("a", "b", "c")


KINDS = {  # text, options; measure and direction, factors, block, replicate, baseline
    "an index without name": (",method,acc\n0,full,0.9\n1,no_x,0.8\n", {}, ("acc", "higher"), "method", "", "", "full"),
    "a name without a name": (",acc,loss\nfull,0.9,0.1\nno_x,0.8,0.2\n", {}, ("acc", "higher"), "column 1", "", "", "full"),
    "a column per seed": (
        "v,seed_1,seed_2\nFull,0.9,0.91\nw/o A,0.8,0.82\n", {"better": "higher"}, ("value", "higher"), "v", "", "seed", "Full",
    ),
    "a column per seed of a measure": (
        "v,acc_seed1,acc_seed2,mean,std\nFull,0.9,0.92,0.91,0.0141\nw/o A,0.8,0.82,0.81,0.0141\n",
        {}, ("acc", "higher"), "v", "", "seed", "Full",
    ),
    "numbers of columns are seeds": (
        "v,0,1\nFull,0.9,0.91\nw/o A,0.8,0.82\n", {"better": "higher"}, ("value", "higher"), "v", "", "seed", "Full",
    ),
    "counted columns": (
        "v,acc_1,acc_2,acc_3\nFull,.9,.91,.8\nw/o A,.8,.82,.8\n", {}, ("acc", "higher"), "v", "", "run", "Full",
    ),
    "top 1 and top 5": ("v,acc_1,acc_5\nFull,.9,.91\nw/o A,.8,.82\n", {}, ("acc_1", "higher"), "v", "", "", "Full"),
    "a column per data set with its average": (
        "Method,P,Q,Avg.\nOurs,95.0,77.0,86.0\nOurs w/o mixup,94.0,75.0,84.5\n",
        {"better": "higher"}, ("value", "higher"), "Method", "dataset", "", "Ours",
    ),
    "a column per known data set": (
        "Method,CIFAR-10,SVHN\nOurs,95.1 ± 0.2,97.0±0.3\nw/o mixup,94.0±0.1,96.0 ± 0.4\n",
        {"better": "higher"}, ("value", "higher"), "Method", "dataset", "", "Ours",
    ),
    "columns by measure and data set": (
        crossed("method,alpha_acc,beta_acc,alpha_f1,beta_f1", TWO), {}, ("acc", "higher"), "method", "dataset", "", "full",
    ),
    "columns that an option calls data sets": (
        crossed("method,clean_acc,noisy_acc", TWO), {"block": "columns"}, ("acc", "higher"), "method", "dataset", "", "full",
    ),
    "one measure on three sets of rows": (
        crossed("method,train_acc,val_acc,test_acc", TWO), {}, ("test_acc", "higher"), "method", "", "", "full",
    ),
    "methods as columns, with a key": (
        crossed("dataset,ours,no_graph", SETS), {"better": "lower"}, ("value", "lower"), "method", "dataset", "", "ours",
    ),
    "methods as columns, by fold": (
        crossed("fold,svm,mlp", SEEDS),
        {"better": "lower", "baseline": "svm", "test_share": 0.5}, ("value", "lower"), "method", "", "fold", "svm",
    ),
    "a component that nothing lacks": (
        "component_removed,seed,acc\n,1,.9\n,2,.91\ngate,1,.8\ngate,2,.82\n",
        {}, ("acc", "higher"), "component_removed", "", "seed", "(none)",
    ),
    "flags of what is removed": (
        crossed("no_bn,no_skip,seed,acc", ((0, 0), (1, 0), (0, 1)), SEEDS),
        {}, ("acc", "higher"), "no_bn,no_skip", "", "seed", "no_bn=0, no_skip=0",
    ),
    "flags of one part at a time": (
        crossed("has_a,has_b,seed,acc", ((0, 0), (1, 0), (0, 1)), SEEDS),
        {}, ("acc", "higher"), "has_a,has_b", "", "seed", "has_a=0, has_b=0",
    ),
    "check marks": (
        "Attention,Aug,F1\n✓,✓,.9\n✗,✓,.8\n✓,✗,.85\n", {}, ("F1", "higher"), "Attention,Aug", "", "", "Attention=✓, Aug=✓",
    ),
    "names and flags": (
        crossed("ablation,use_a,use_b,seed,acc", (("full", True, True), ("no_a", False, True), ("no_b", True, False)), SEEDS),
        {}, ("acc", "higher"), "ablation", "", "seed", "full",
    ),
    "repeated cross-validation": (
        crossed("model,repeat,fold,n_train,n_test,auc", ("base", "plus"), SEEDS, SEEDS, (80,), (20,)),
        {}, ("auc", "higher"), "model", "", "repeat, fold", "base",
    ),
    "a number that tells rows apart": (
        crossed("model,lr,seed,acc", ("base", "big"), (0.1, 0.01), SEEDS), {}, ("acc", "higher"), "model,lr", "", "seed", "",
    ),
    "numbers alone": (crossed("lambda,seed,acc", (0, 0.1, 1), SEEDS), {}, ("acc", "higher"), "lambda", "", "seed", ""),
    "a size of data sets": (
        crossed("dataset,n_samples,method,acc", (("a", 10), ("b", 20), ("c", 30)), TWO),
        {}, ("acc", "higher"), "method", "dataset", "", "full",
    ),
    "a row per measure": (
        crossed("variant,seed,metric,value", TWO, SEEDS, ("acc", "loss")), {}, ("acc", "higher"), "variant", "", "seed", "full",
    ),
    "rows of test and training data": (
        crossed("name,split,acc", TWO, ("train", "test")), {}, ("acc", "higher"), "name", "", "", "full",
    ),
    "no column pairs": (crossed("method,acc", TWO * 4), {}, ("acc", "higher"), "method", "", "", "full"),
    "other seeds for each": (
        "variant,seed,acc\nfull,1,.9\nfull,2,.91\nno_x,3,.8\nno_x,4,.83\n", {}, ("acc", "higher"), "variant", "", "", "full",
    ),
    "a standard error": (
        "method,acc,sem,n\nfull,0.9,0.01,5\nno_x,0.8,0.01,5\n", {}, ("acc", "higher"), "method", "", "", "full",
    ),
    "right and wrong answers": (
        crossed("method,item,correct", TWO, SEEDS, digits=0), {}, ("correct", "higher"), "method", "", "item", "full",
    ),
    "a comment above the names": (
        "# by me\nmethod,acc\nfull,0.9\nw/o x,0.8\n", {}, ("acc", "higher"), "method", "", "", "full",
    ),
    "a separator that is said": ("sep=;\nmethod;acc\nfull;0,9\nw/o x;0,8\n", {}, ("acc", "higher"), "method", "", "", "full"),
    "empty lines and a comma too many": (
        "\nmethod,acc,\n\nfull,0.9,\nw/o x,0.8,\n", {}, ("acc", "higher"), "method", "", "", "full",
    ),
    "equal columns of one name": (
        "method,acc,acc\nfull,0.9,0.9\nw/o x,0.8,0.8\n", {}, ("acc", "higher"), "method", "", "", "full",
    ),
    "items by seed": (
        crossed("method,item,seed,acc", TWO, SETS, SEEDS), {}, ("acc", "higher"), "method", "item", "seed", "full",
    ),
    "data sets with their average": (
        "method,easy_acc,hard_acc,avg_acc\nfull,.9,.7,.8\nw/o x,.8,.6,.7\n",
        {}, ("acc", "higher"), "method", "dataset", "", "full",
    ),
    "a random search": (crossed("lr,dropout,val_acc", tuple((each / 97, each % 7 / 7) for each in range(1, 30))), {},
        ("val_acc", "higher"), "lr,dropout", "", "", ""),
    "all runs failed": ("v,seed,loss\nbase,1,inf\nbase,2,nan\ncut,1,OOM\ncut,2,FAIL\n",
        {}, ("loss", "lower"), "v", "", "seed", "base"),
    "columns that an option calls variants": (
        lines("dataset,ours,no_x", (0.5, 0.6, 0.7), (0.4, 0.3, 0.2)),
        {"variant": "columns", "better": "lower"}, ("value", "lower"), "method", "dataset", "", "ours",
    ),
    "changes": ("v,F1,ΔF1,rel (%)\nFull,.9,0,0\n-A,.8,-.1,-11\n", {}, ("F1", "higher"), "v", "", "", "Full"),
    "options for all": (
        crossed("a,b,c,d", TWO, SEEDS, SETS),
        {"factors": ("a",), "repeat": "b", "block": "c", "measure": "d", "name": "gain", "better": "higher",
        "baseline": "w/o x"},
        ("gain", "higher"), "a", "c", "b", "w/o x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_tables(table, kind):
    text, options, measure, factors, block, replicate, reference = KINDS[kind]
    runs = table(text, **options)
    found = (runs.measure.name, runs.measure.better), ",".join(runs.factors), runs.block, runs.replicate, runs.reference
    assert found == (measure, factors, block, replicate, reference)
    assert all(describe(runs))


def values_of(runs):
    return runs.table["value"].to_list()


CELLS = {  # cells of a column "acc" of two variants, and their values
    "percent": ("90.1%", "85.2 %", [90.1, 85.2]),
    "percent beside shares": ("90.1%", "0.85", [0.901, 0.85]),
    "bold": ("**91.2**", "90.1", [91.2, 90.1]),
    "LaTeX": ("$91.2 \\pm 0.3$", "\\textbf{90.1} ± 0.2", [91.2, 90.1]),
    "plus minus": ("91.2 +- 0.3", "90.1+/-0.2", [91.2, 90.1]),
    "brackets": ("91.2 (0.3)", "90.1 (0.4)", [91.2, 90.1]),
    "changes in brackets": ("91.2", "90.1 (-1.1)", [91.2, 90.1]),
    "a comma": ('"0,9"', '"0,81"', [0.9, 0.81]),
    "thousands": ('"1,234"', '"1,334,555.5"', [1234, 1334555.5]),
    "a minus sign": ("\N{MINUS SIGN}0.5", "1e-3", [-0.5, 0.001]),
    **{
        mark: ("0.9", mark, [0.9, math.nan])
        for mark in ("OOM", "FAIL", "failed", "inf", "-inf", "NaN", "-", "", "N/A", "diverged")
    },
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells(table, kind):
    one, other, expected = CELLS[kind]
    runs = table(f"method,acc,loss\nfull,{one},1\nw/o x,{other},2\n", n=5 if "0.3" in one else None)
    assert values_of(runs) == pytest.approx(expected, nan_ok=True)


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_encodings_and_ends_of_lines(table, encoding, end):
    runs = table(end.join(["Größe;acc", "voll;0,9", "ohne Ä;0,8 "]), encoding)
    assert (runs.variants, values_of(runs)) == (("voll", "ohne Ä"), [0.9, 0.8])


REFUSED = {  # text, options, what the line has
    "nothing": ("", {}, "is empty"),
    "names alone": ("a,b\n", {}, "no row"),
    "one row": ("method,acc\nfull,0.9\n", {}, "rows of two variants"),
    "no number": ("method,note\nfull,good\nno_x,bad\n", {}, "no numeric column"),
    "no variant": ("seed,acc\n1,.9\n2,.8\n3,.7\n", {}, "--variant COLUMN"),
    "no names": ("full,0.9\nno_x,0.8\n", {}, "line of names above"),
    "ragged rows": ("method,acc\nfull,0.9\nno_x,0.8,3\nno_y\n", {}, "line 3 has 3, line 4 has 1"),
    "two columns of one name": ("method,acc,acc\nfull,0.9,0.8\nno_x,0.8,0.7\n", {}, "'acc' is there twice"),
    "a workbook": (b"PK\x03\x04\x00", {}, "save the table as CSV"),
    "bytes": (b"a,b\n\x00,1\n", {}, "save the table as CSV"),
    "an open quote": ('variant,acc\n"full,91.2\nno_x,90.1\n', {}, "line 3"),
    "no n": ("config,acc_mean,acc_std\nfull,0.9,0.01\nno_bn,0.85,0.02\n", {}, "--n 5"),
    "no share": (crossed("model,fold,auc", ("base", "plus"), SEEDS), {}, "--test-share 0.25"),
    "two names of a baseline": ("config,acc\nfull,0.9\nbaseline,0.8\nno_bn,0.85\n", {}, "--baseline full"),
    "two questions": (crossed("model,cost", ("p", "q")), {"unit": "s"}, "runs.csv --unit s --better lower --baseline p"),
    "a key twice": (
        "v,seed,acc\nfull,1,.9\nfull,1,.91\nfull,2,.9\nno_x,1,.8\nno_x,2,.7\n", {}, "2 rows differ at variant 'full', seed 1",
    ),
    "a constant seed": ("v,seed,acc\nfull,1,.9\nfull,1,.91\nno_x,1,.8\nno_x,1,.7\n", {}, "seed (the same in every row)"),
    "shares and percent": ("v,seed,acc\nfull,1,91.2\nfull,2,90.3\nno_x,1,.91\nno_x,2,.902\n", {}, "a measure has one unit"),
    "one variant": (crossed("v,method,seed,acc", ("x",), ("full",), SEEDS), {}, "has one variant"),
    "steps of a curve": (crossed("v,epoch,acc", TWO, SEEDS), {}, "rows for steps of 'epoch'"),
    "no such column": (crossed("v,seed,acc", TWO, SEEDS), {"measure": "accc"}, "did you mean 'acc'?"),
    "no such factor": (crossed("v,seed,acc", TWO, SEEDS), {"factors": ("p*",)}, "--factor"),
    "no such baseline": (crossed("v,seed,acc", TWO, SEEDS), {"baseline": "ful"}, "did you mean 'full'?"),
    "no such direction": (crossed("v,seed,acc", TWO, SEEDS), {"better": "up"}, "allowed: lower, higher"),
    "a measure of texts": (
        "v,note,acc\nfull,a,1\nno_x,b,2\n", {"measure": "note"}, "'note' has texts, 'a' in row 1 below the header, and 1 more;"
    ),
    "a cell that is no number": (
        "v,seed,size\nfull,1,2.5\nfull,2,2\nno_x,1,oops\nno_x,2,3\n", {},
        "'size' is one of numbers but for 'oops' in row 3 below the header; name one: --measure COLUMN",
    ),
    "n without a spread": (crossed("v,seed,acc", TWO, SEEDS), {"n": 5}, "--sd COLUMN"),
    "n of one": ("v,acc\nfull,1 ± 1\nno_x,2 ± 1\n", {"n": 1}, "from 2"),
    "a share without folds": (crossed("v,acc", TWO), {"test_share": 0.2}, "--fold COLUMN"),
    "rows that are no pairs": (crossed("v,acc", TWO), {"repeat": "row"}, "--variant columns"),
    "columns that are no variants": (crossed("v,acc", TWO), {"variant": "columns"}, "fewer than two"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(table, kind):
    text, options, words = REFUSED[kind]
    with pytest.raises(UserError) as error:
        table(text, **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_cells_of_failed_runs_are_counted_and_the_first_is_placed(table):
    runs = table("v,seed,acc\nfull,1,2.5\nfull,2,2\nno_x,1,failed\nno_x,2,3\nno_x,3,OOM\nfull,3,2\nno_x,4,2\n", baseline="full")
    assert (
        "'acc': cells that are no numbers ('failed' in 1, 'OOM' in 1; the first in row 3 below the header) are failed or "
        "missing runs, which no mean counts"
    ) in runs.notes


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_runs(tmp_path / "none.csv")


def test_a_search_of_optuna_warns_of_level_means():
    rng = np.random.default_rng(0)
    states = ["COMPLETE"] * 18 + ["PRUNED", "FAIL"]
    frame = pd.DataFrame({"number": range(20), "value": rng.random(20), "datetime_start": pd.Timestamp("2026-01-01")})
    frame = frame.assign(duration=pd.Timedelta("3s"), params_lr=rng.random(20), params_opt=["adam", "sgd"] * 10, state=states)
    with pytest.raises(UserError, match="--better lower"):
        runs_from_frame(frame)
    runs = runs_from_frame(frame, Given(better="lower"))
    assert (list(runs.factors), runs.searched, runs.table["value"].isna().sum()) == (["params_lr", "params_opt"], True, 2)
    assert any("log of a search" in note for note in runs.notes)


TRACKED = {
    "mlflow": {
        "run_id": list("pqrstuvw"), "status": ["FINISHED"] * 7 + ["FAILED"], "start_time": "2026-01-01",
        "metrics.acc": np.arange(8) / 8,
        "params.model": ["full", "no_bn"] * 4, "params.seed": np.arange(8) // 2, "params.lr": "0.1", "tags.mlflow.user": "me",
    },
    "wandb": {
        "Name": [f"sunny-{run}" for run in range(8)], "State": ["finished"] * 7 + ["crashed"], "Notes": "-", "User": "me",
        "Tags": "",
        "Created": [f"2026-01-0{run + 1}" for run in range(8)], "Runtime": range(10, 18), "model": ["full", "no_bn"] * 4,
        "seed": np.arange(8) // 2, "acc": np.arange(8) / 8, "_step": range(8),
    },
}  # fmt: skip


@pytest.mark.parametrize("tracker", TRACKED)
def test_exports_of_trackers(tracker):
    runs = runs_from_frame(pd.DataFrame(TRACKED[tracker]))
    assert (runs.measure.name, runs.reference, runs.replicate.rpartition(".")[2]) == ("acc", "full", "seed")
    found = run_comparisons.difference(runs, "no_bn", "full")
    assert (found.cells, found.lost, found.estimate.mean) == (3, 1, pytest.approx(1 / 8))
