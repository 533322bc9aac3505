"""Tables of runs that something else made: the roles of their columns, refusals, and numbers of hand-made tables."""

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
