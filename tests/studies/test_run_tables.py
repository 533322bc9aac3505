"""Tables of runs that something else made: the roles of their columns, refusals, and numbers of hand-made tables."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from studies.analysis import run_comparisons
from studies.analysis.estimates import resolvable
from studies.analysis.summary_tests import welch
from studies.data.runs.given import Given
from studies.data.runs.remarks import SHOWN_BY, describe
from studies.data.runs.runs import read_runs, runs_from_frame
from studies.errors import UserError

TABLES = Path(__file__).parents[1] / "tables"
GIVEN = {
    "03_folds": Given(baseline="SVM"),
    "08_failures": Given(better="lower", baseline="exact"),
    "10_semicolons": Given(repeat="Durchlauf", measure="Genauigkeit", better="higher"),
    "11_methods_as_columns": Given(better="lower"),
}
PARTS = {  # roles by column: of the table as it was made long
    "01_seeds_and_datasets": {"method": "factor", "dataset": "block", "seed": "replicate", "params_m": "attribute",
    "acc": "measure"},
    "02_full_ran_on_more": {"component_disabled": "factor", "benchmark": "block", "seed": "replicate", "f1": "measure"},
    "03_folds": {"Model": "factor", "Fold": "replicate", "n_train": "size", "n_val": "size", "AUC": "measure",
    "Brier": "measure"},
    "04_gridsearchcv": {
        "param_C": "factor", "param_kernel": "factor", "param_shrinking": "constant", "params": "alias", "split": "replicate",
        "test_score": "measure",
    },
    "05_plus_minus": {"Variant": "factor", "F1 (macro)": "measure", "F1 (macro) (sd)": "sd", "n_runs": "n"},
    "06_one_number_each": {"Configuration": "factor", "Accuracy (%)": "measure", "Val loss": "measure",
    "Params (M)": "attribute"},
    "07_leave_one_out": {
        "use_gnn": "factor", "use_physics_loss": "factor", "use_prior": "factor", "run_seed": "replicate", "f1": "measure",
        "dice": "alias", "loss": "measure",
    },
    "08_failures": {"solver": "factor", "instance": "replicate", "cost": "measure", "state": "status"},
    "09_duplicates": {"model": "factor", "seed": "constant", "top1": "measure"},
    "10_semicolons": {"Variante": "factor", "Durchlauf": "replicate", "Genauigkeit": "measure"},
    "11_methods_as_columns": {"method": "variant", "row": "replicate", "value": "measure"},
    "12_identical": {"config": "factor", "item": "replicate", "error_px": "measure"},
}  # fmt: skip
MEASURES = {
    "01_seeds_and_datasets": ("acc", "higher", "full"),
    "02_full_ran_on_more": ("f1", "higher", "full"),
    "03_folds": ("AUC", "higher", "SVM"),
    "04_gridsearchcv": ("test_score", "higher", ""),
    "05_plus_minus": ("F1 (macro)", "higher", "Full model"),
    "06_one_number_each": ("Accuracy (%)", "higher", "Full"),
    "07_leave_one_out": ("f1", "higher", "use_gnn=True, use_physics_loss=True, use_prior=True"),
    "08_failures": ("cost", "lower", "exact"),
    "09_duplicates": ("top1", "higher", "base"),
    "10_semicolons": ("Genauigkeit", "higher", "Basis"),
    "11_methods_as_columns": ("value", "lower", "ours"),
    "12_identical": ("error_px", "lower", "full"),
}
DIFFERENCES = [  # table, variant or level, reference, mean, t, p
    ("01_seeds_and_datasets", "w/o attention", "full", -0.020592, -10.5035, 0.000464539),
    ("01_seeds_and_datasets", "w/o augmentation", "full", 0.002336, 1.44691, 0.221471),
    ("01_seeds_and_datasets", "w/o pretraining", "full", -0.048632, -21.9613, 2.54413e-05),
    ("02_full_ran_on_more", "no_memory", "full", -0.0319556, -9.66522, 0.0105359),
    ("02_full_ran_on_more", "no_gate", "full", 0.00227778, 2.41076, 0.137459),
    ("03_folds", "MLP", "SVM", 0.01595, 1.97796, 0.07932),
    ("03_folds", "MLP", "Forest", -0.00292, -0.320544, 0.755874),
    ("03_folds", "Forest", "SVM", 0.01887, 1.53097, 0.160136),
    ("04_gridsearchcv", "linear", "rbf", 0.0266667, 2.13809, 0.0993007),
    ("05_plus_minus", "- attention", "Full model", -0.031, -2.9371, 0.0206233),
    ("05_plus_minus", "- residual", "Full model", -0.006, -0.727607, 0.488071),
    ("05_plus_minus", "- both", "Full model", -0.068, -4.4702, 0.00508364),
    ("07_leave_one_out", "use_gnn", "", -0.023425, -7.36093, 0.00518256),
    ("07_leave_one_out", "use_physics_loss", "", -0.0029, -0.595569, 0.593402),
    ("07_leave_one_out", "use_prior", "", 0.00905, 1.61033, 0.205708),
    ("08_failures", "heuristic", "exact", 5.0575, 5.52329, 0.000179824),
    ("08_failures", "robust", "exact", 3.21, 27.0502, 2.41944e-08),
    ("10_semicolons", "ohne Attention", "Basis", -1.255, -6.13535, 0.00870769),
]


def read(name, **options):
    return read_runs(TABLES / f"{name}.csv", Given(**options) if options else GIVEN.get(name, Given()))


def compare(runs, one, other=""):
    """The difference of two variants, of two levels of the kernel, or of the full model without one part."""
    if one.startswith("use_"):
        one = runs.reference.replace(f"{one}=True", f"{one}=False")
    column = "variant" if one in runs.variants else "param_kernel"
    return run_comparisons.difference(runs, one, other or runs.reference, column)


@pytest.fixture
def table(tmp_path):
    """Runs of a table that is given as a text."""

    def read_text(text, encoding="utf-8", **options):
        path = tmp_path / "runs.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_runs(path, Given(**options))

    return read_text


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_columns(name):
    found = {column: role.kind for column, role in read(name).roles.items()}
    assert found.items() >= PARTS[name].items()


@pytest.mark.parametrize("name", MEASURES)
def test_measure_direction_and_baseline(name):
    runs = read(name)
    assert (runs.measure.name, runs.measure.better, runs.reference) == MEASURES[name]
    assert all(describe(runs))


@pytest.mark.parametrize(("name", "one", "other", "mean", "t", "p"), DIFFERENCES, ids=lambda each: str(each))
def test_differences_of_the_answers(name, one, other, mean, t, p):
    found = compare(read(name), one, other).estimate
    assert (found.mean, found.mean / found.error, found.p) == pytest.approx((mean, t, p), rel=2e-5)


MEANS = {
    "01_seeds_and_datasets": {
        "full": 0.774576,
        "w/o attention": 0.753984,
        "w/o augmentation": 0.776912,
        "w/o pretraining": 0.725944,
    },
    "02_full_ran_on_more": {"full": 0.880844, "no_gate": 0.883122, "no_memory": 0.848889},
    "09_duplicates": {"base": 76.1, "cut": 76.8, "mix": 77.0},
}


@pytest.mark.parametrize("name", MEANS)
def test_means_over_what_all_share(name):
    assert run_comparisons.shared_means(read(name))["mean"].to_dict() == pytest.approx(MEANS[name], abs=6e-7)


def test_the_mean_of_all_is_that_of_more_data_sets():
    assert run_comparisons.shared_means(read("02_full_ran_on_more"))["mean_of_all"]["full"] == pytest.approx(0.759819, abs=6e-7)


def test_level_means_of_a_grid():
    runs = read("04_gridsearchcv")
    assert runs.factors == {"param_C": ("0.1", "1", "10"), "param_kernel": ("rbf", "linear")}
    assert run_comparisons.shared_means(runs, "param_C")["mean"].to_list() == pytest.approx([0.913333, 0.96, 0.96], abs=6e-7)
    kernels = run_comparisons.shared_means(runs, "param_kernel")["mean"].to_dict()
    assert kernels == pytest.approx({"linear": 0.957778, "rbf": 0.931111}, abs=6e-7)


SHARES = {"01_seeds_and_datasets": (False, 0.0), "03_folds": (True, 1 / 9), "04_gridsearchcv": (True, 1 / 4)}


@pytest.mark.parametrize("name", SHARES)
def test_folds_and_their_share_of_test_rows(name):
    runs = read(name)
    assert (runs.fold, runs.test_share) == (SHARES[name][0], pytest.approx(SHARES[name][1]))


NO_TEST = [("06_one_number_each", "No BN", -6.5), ("09_duplicates", "cut", 0.7), ("09_duplicates", "mix", 0.9)]


@pytest.mark.parametrize(("name", "one", "mean"), NO_TEST)
def test_one_run_each_has_differences_and_no_test(name, one, mean):
    found = compare(read(name), one)
    assert (found.test, found.estimate.mean) == (run_comparisons.UNTESTED, pytest.approx(mean))
    assert pd.isna(found.estimate.p)


def test_another_measure_of_the_same_table():
    runs = read("06_one_number_each", measure="Val loss")
    assert runs.measure.better == "lower"
    assert [compare(runs, one).estimate.mean for one in runs.variants[1:]] == pytest.approx([0.07, 0.21, -0.01])


def test_identical_values_have_no_p_and_equal_differences_that_of_a_sign_test():
    runs = read("12_identical")
    same, shifted = compare(runs, "no_scale"), compare(runs, "no_sub")
    assert (same.test, pd.isna(same.estimate.p)) == (run_comparisons.IDENTICAL, True)
    assert (shifted.test, shifted.estimate.mean, shifted.estimate.p) == (run_comparisons.SIGN, pytest.approx(0.06), 0.0078125)


COLUMNS = [
    ("", "no_graph", 0.0294575, 0.104368),
    ("row", "no_graph", 0.0294575, 0.00112615),
    ("", "no_3d", -4.3e-05, 0.997968),
    ("row", "no_3d", -4.3e-05, 0.99487),
]


@pytest.mark.parametrize(("repeat", "one", "mean", "p"), COLUMNS)
def test_rows_without_a_key_pair_only_where_the_user_says_so(repeat, one, mean, p):
    runs = read("11_methods_as_columns", better="lower", repeat=repeat)
    found = compare(runs, one)
    assert (found.test, found.estimate.mean, found.estimate.p) == (
        run_comparisons.PAIRED if repeat else run_comparisons.UNPAIRED,
        pytest.approx(mean),
        pytest.approx(p, rel=2e-5),
    )
    assert repeat or any("no_graph 0.81" in line for line in runs.notes)


def test_runs_that_failed_are_counted_and_in_no_mean():
    runs = read("08_failures")
    found = compare(runs, "robust")
    assert (found.cells, found.lost) == (8, 4)
    assert run_comparisons.shared_means(runs)["failed"].to_dict() == {"exact": 0, "heuristic": 0, "robust": 4}
    assert any("robust 4 of 12" in line for line in runs.notes)


NOTES = [
    ("01_seeds_and_datasets", "5 data sets, by the mean of each, not their 100 cells"),
    ("02_full_ran_on_more", "6 blocks have full only"),
    ("02_full_ran_on_more", "3 data sets, by the mean of each, not their 27 cells: few"),
    ("05_plus_minus", "Welch's, unpaired"),
    ("06_one_number_each", "nothing tells these differences from chance"),
    ("09_duplicates", "6 rows, 3 of them unique: repeated rows are no replication"),
]


@pytest.mark.parametrize(("name", "words"), NOTES)
def test_notes(name, words):
    assert any(words in line for line in describe(read(name)))


ASKED = [
    ("03_folds", {}, "--baseline MLP"),
    ("08_failures", {"baseline": "exact"}, "--better lower"),
    ("11_methods_as_columns", {}, "--better lower"),
]


@pytest.mark.parametrize(("name", "options", "remedy"), ASKED)
def test_what_is_asked_for(name, options, remedy):
    with pytest.raises(UserError) as error:
        read_runs(TABLES / f"{name}.csv", Given(**options))
    assert f"ablation judge {TABLES / name}.csv" in str(error.value)
    assert remedy in str(error.value)
    assert "\n" not in str(error.value)


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


def test_many_rows_and_many_columns():
    rng, number = np.random.default_rng(0), 60_000
    frame = pd.DataFrame(
        {"method": ["full", "no_a", "no_b"] * (number // 3), "item": np.arange(number) // 3, "acc": rng.random(number)}
    )
    assert run_comparisons.difference(runs_from_frame(frame), "no_a", "full").cells == number // 3
    wide = pd.concat([frame[:60], pd.DataFrame(rng.random((60, 200))).add_prefix("c")], axis=1)
    assert runs_from_frame(wide).measure.name == "acc"


def test_failed_runs_of_one_variant_leave_the_others_their_means(table):
    runs = table("variant,seed,acc\nfull,1,.9\nfull,2,.8\nno_x,1,OOM\nno_x,2,FAIL\n")
    assert run_comparisons.shared_means(runs)["mean"].to_dict() == pytest.approx({"full": 0.85, "no_x": math.nan}, nan_ok=True)
    assert run_comparisons.difference(runs, "no_x", "full").test == run_comparisons.UNTESTED


@pytest.mark.parametrize(("one", "other"), [((1.0, 0.3, 5), (1.4, 0.5, 8)), ((0.0, 2.0, 2), (1.0, 0.1, 30))])
def test_welch_is_that_of_scipy(one, other):
    found, expected = welch(one, other), stats.ttest_ind_from_stats(*one, *other, equal_var=False)
    assert (found.mean / found.error, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.ci_low < found.mean < found.ci_high


def test_levels_of_unpaired_runs_have_welch_s_test_at_equal_other_factors(table):
    cells = {("sgd", "bn"): [0.80, 0.82, 0.81], ("sgd", "none"): [0.70, 0.76], ("adam", "bn"): [0.84, 0.85, 0.83],
             ("adam", "none"): [0.75, 0.78, 0.74]}  # fmt: skip
    lines = [f"{opt},{norm},{value}\n" for (opt, norm), values in cells.items() for value in values]
    runs = table("optimizer,norm,acc\n" + "".join(lines))
    found = run_comparisons.difference(runs, "sgd", "adam", "optimizer")
    # (0.81 + 0.73 - 0.84 - 0.756667) / 2, the mean over both norms; a quarter of the sum of sd^2 / n
    parts = {key: np.var(values, ddof=1) / len(values) / 4 for key, values in cells.items()}
    freedom = sum(parts.values()) ** 2 / sum(part**2 / (len(cells[key]) - 1) for key, part in parts.items())
    t = found.estimate.mean / math.sqrt(sum(parts.values()))
    assert found.estimate.mean == pytest.approx(-0.0283333, abs=1e-7)
    assert (found.test, found.estimate.freedom) == (run_comparisons.UNPAIRED, pytest.approx(freedom))
    assert found.estimate.p == pytest.approx(2 * stats.t.sf(abs(t), freedom))


def test_levels_of_single_runs_have_a_difference_and_no_test(table):
    runs = table("optimizer,norm,acc\nsgd,bn,.8\nsgd,none,.7\nadam,bn,.84\nadam,none,.75\n")
    found = run_comparisons.difference(runs, "sgd", "adam", "optimizer")
    assert (found.test, found.estimate.mean) == (run_comparisons.UNTESTED, pytest.approx(-0.045))


@pytest.mark.parametrize("name", ["Acc (mean ± std)", "Accuracy mean ± sd over 5 seeds", "acc +/- stderr"])
def test_a_column_of_means_and_spreads_is_the_measure_though_its_name_has_both(table, name):
    runs = table(f"method,{name}\nfull,0.81 ± 0.02\nno_x,0.79 ± 0.03\n", n=5)
    factor = math.sqrt(5) if "stderr" in name else 1
    assert (runs.measure.column, runs.table["sd"].to_list()) == (name, [0.02 * factor, 0.03 * factor])


def test_a_line_of_dashes_below_the_names_is_no_variant(table):
    runs = table("| method | acc |\n|:---|---:|\n| full | 0.9 |\n| no_x | 0.8 |\n")
    assert runs.variants == ("full", "no_x")
    assert any("one of dashes, as in Markdown" in line for line in describe(runs))


def test_one_block_that_a_variant_lacks_is_said_as_one(table):
    lines = "".join(f"{block},{name},{0.8 + place / 100}\n" for block in "AB" for place, name in enumerate(["full", "no_x"]))
    runs = table(f"dataset,method,acc\n{lines}A,no_y,0.7\n")
    assert "1 block has full, no_x only (B): each comparison uses the blocks that both have" in describe(runs)


def test_half_an_interval_is_no_standard_deviation(table):
    runs = table("method,acc (95% CI)\nfull,0.81 ± 0.02\nno_x,0.79 ± 0.03\n")
    assert run_comparisons.difference(runs, "no_x", "full").test == run_comparisons.UNTESTED
    assert any("half an interval, which is no standard deviation" in line for line in describe(runs))


@pytest.mark.parametrize(("one", "other"), [((1.0, 0.0, 5), (2.0, 0.0, 5)), ((1.0, math.nan, 1), (2.0, 0.1, 5))])
def test_welch_without_a_spread_has_no_p(one, other):
    assert np.isnan(welch(one, other).p)


def test_numbers_of_runs_that_would_show_a_difference():
    assert [f"{count} " in SHOWN_BY and f"{resolvable(1, count):.1f} sd" in SHOWN_BY for count in (5, 10, 20)] == [True] * 3
