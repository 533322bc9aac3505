import math
import re
import sys

import numpy as np
import pytest

from studies.data import csv_files, datasets, generators, splits
from studies.data.csv_files import read_csv
from studies.data.types import Data, Table, Validation
from studies.errors import UserError

PLAIN = {"validation_samples": 0, "normalize": "none", "noise": 0.0, "resample": False}
DISK = Data(name="disk", samples=100, test_samples=50, **PLAIN)
FOLDS = Validation(folds=5, repeats=1, stratified=False)


def changed(data, **changes):
    return Data(**{**data.__dict__, **changes})


@pytest.mark.parametrize("name", [name for name in generators.GENERATED if name not in generators.NUMERIC])
def test_generated_sets_have_two_balanced_classes_in_the_plane(name):
    table = generators.GENERATED[name](4000, np.random.default_rng(0))
    assert table.inputs.shape == (4000, 2)
    assert set(table.labels) == {0, 1}
    # 5 standard errors of a fair coin
    assert abs(table.labels.mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


def test_the_disk_has_half_the_square():
    table = generators.disk(1000, np.random.default_rng(0))
    radius = np.hypot(*(table.inputs - 0.5).T)
    assert ((radius < 1 / math.sqrt(2 * math.pi)) == (table.labels == 1)).all()


def test_linear_is_class_0_where_the_first_coordinate_is_larger():
    table = generators.linear(1000, np.random.default_rng(0))
    assert ((table.inputs[:, 0] > table.inputs[:, 1]) == (table.labels == 0)).all()


def test_xor_is_the_report_s_21_points():
    table = generators.xor()
    assert table.inputs.shape == (21, 2)
    diagonal = np.isclose(table.inputs[:, 0], table.inputs[:, 1])
    assert (diagonal == (table.labels == 0)).all()
    assert diagonal.sum() == 11
    assert np.allclose(table.inputs[~diagonal].sum(1), 1)


@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [("iris", 150, 4, 3), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2), ("digits", 1797, 64, 10)],
    ids=["iris", "wine", "breast_cancer", "digits"],
)
def test_real_sets(name, rows, features, classes):
    table = generators.FIXED[name]()
    assert table.inputs.shape == (rows, features)
    assert set(table.labels) == set(range(classes))


def test_folds_leave_every_row_out_once():
    pool = datasets.pools(DISK, 0, 0).train
    left_out = np.concatenate([out for _, out in splits.folds(pool, FOLDS, 0, 0)])
    assert sorted(left_out) == list(range(100))


def test_stratified_folds_keep_the_classes_in_proportion():
    data = Data(name="iris", samples=150, test_samples=0, **PLAIN)
    for fold in range(5):
        split = splits.split(data, Validation(5, 1, stratified=True), 0, 0, fold)
        assert np.bincount(split.validation.labels).tolist() == [10, 10, 10]


@pytest.mark.parametrize(("resample", "same"), [(True, False), (False, True)], ids=["new data every repeat", "one data set"])
def test_repeats_draw_new_data_only_where_asked(resample, same):
    data = changed(DISK, resample=resample)
    first, second = (datasets.pools(data, 0, repeat) for repeat in (0, 1))
    assert np.array_equal(first.train.inputs, second.train.inputs) is same
    assert np.array_equal(first.test.inputs, second.test.inputs) is same
    one, other = (splits.folds(pool.train, FOLDS, 0, repeat)[0][1] for repeat, pool in enumerate((first, second)))
    assert not np.array_equal(one, other)


def test_seeds_change_the_data_and_training_and_test_differ():
    assert not np.array_equal(datasets.pools(DISK, 0, 0).train.inputs, datasets.pools(DISK, 1, 0).train.inputs)
    pool = datasets.pools(DISK, 0, 0)
    assert not np.array_equal(pool.train.inputs[:50], pool.test.inputs)


def test_held_out_rows_of_a_fixed_set_are_apart_and_in_proportion():
    data = Data(name="iris", samples=90, test_samples=30, **{**PLAIN, "validation_samples": 30})
    pools = datasets.pools(data, 0, 0)
    assert [np.bincount(table.labels).tolist() for table in pools] == [[30, 30, 30], [10, 10, 10], [10, 10, 10]]
    rows = [tuple(row) for table in pools for row in table.inputs]
    everything = generators.FIXED["iris"]().inputs
    assert sorted(rows) == sorted(tuple(row) for row in everything)
    for table in pools:  # a row keeps its number, from 1
        assert (everything[table.rows - 1] == table.inputs).all()


@pytest.mark.parametrize("normalize", ["feature", "global"])
def test_normalisation_uses_training_rows_only(normalize):
    data = Data(name="wine", samples=178, test_samples=0, **{**PLAIN, "normalize": normalize})
    plain = splits.split(changed(data, normalize="none"), FOLDS, 0, 0, 0)
    split = splits.split(data, FOLDS, 0, 0, 0)
    axis = 0 if normalize == "feature" else None
    assert np.allclose(split.train.inputs.mean(axis), 0, atol=1e-12)
    assert np.allclose(split.train.inputs.std(axis), 1)
    mean, sd = plain.train.inputs.mean(axis), plain.train.inputs.std(axis)
    assert np.allclose(split.validation.inputs, (plain.validation.inputs - mean) / sd)


def test_a_constant_feature_is_only_centred():
    # some pixels of the digits are always white
    data = Data(name="digits", samples=1797, test_samples=0, **{**PLAIN, "normalize": "feature"})
    split = splits.split(data, FOLDS, 0, 0, 0)
    assert np.isfinite(split.train.inputs).all()
    assert (split.train.inputs[:, 0] == 0).all()


def test_noise_moves_a_share_of_training_labels_to_another_class_and_no_others():
    data = Data(name="iris", samples=150, test_samples=0, **{**PLAIN, "noise": 0.25})
    clean = splits.split(changed(data, noise=0.0), FOLDS, 0, 0, 0)
    noisy = splits.split(data, FOLDS, 0, 0, 0)
    assert (clean.train.labels != noisy.train.labels).sum() == 30
    assert set(noisy.train.labels) == {0, 1, 2}
    assert np.array_equal(clean.validation.labels, noisy.validation.labels)


@pytest.fixture
def csv(tmp_path):
    def write(content):
        path = tmp_path / "data.csv"
        if content is not None:
            path.write_text(content)
        return path

    return write


def csv_data(path, target="y"):
    """The `[data]` section of all rows of a file."""
    rows = len(csv_files.read_csv(path, target).labels)
    return Data("csv", rows, 0, 0, "none", 0.0, False, path=str(path), target=target, content=datasets.identify(path))


def test_a_csv_file_with_named_classes(csv):
    table = csv_files.read_csv(csv("a,kind,b\n1,no,2.5\n3,yes,-4e1\n5,no,0\n"), "kind")
    assert table.inputs.tolist() == [[1, 2.5], [3, -40], [5, 0]]
    assert table.labels.tolist() == [0, 1, 0]


def test_spaces_and_blank_lines_and_a_byte_order_mark_of_a_csv_file_mean_nothing(csv):
    path = csv("")
    path.write_text(" a ,y\n\n1, no\n 3,no \n\n2,yes\n\n", encoding="utf-8-sig")
    table = csv_files.read_csv(path, "y")
    assert table.inputs.tolist() == [[1], [3], [2]]
    assert table.labels.tolist() == [0, 0, 1]


def test_a_file_that_changes_after_the_check_is_not_trained_on(csv):
    path = csv("a,y\n1,b\n2,c\n")
    data = csv_data(path)
    assert datasets.read_whole(data).labels.tolist() == [0, 1]
    path.write_text("a,y\n1,c\n2,b\n3,b\n")
    with pytest.raises(UserError, match="is not the file that the study began with"):
        datasets.read_whole(data)


@pytest.mark.parametrize("value", [0.1, 0.3, 7.3, 0.0, -1e-300, 1.7e9, 1700000000123456789.0, -3e38])
@pytest.mark.parametrize("rows", [80, 97])
def test_a_constant_feature_is_only_centred_whatever_its_mean_rounds_to(value, rows):
    normalise = splits._normalisation(np.full((rows, 1), value), "feature")
    above = value + max(1.0, abs(value) / 2**20)
    assert normalise(np.array([[value], [above]]))[:, 0].tolist() == [0, above - value]


def test_what_varies_beside_a_large_constant_is_normalised_as_without_it():
    varying = np.random.default_rng(0).integers(-(2**10), 2**10, (200, 1)) / 2**10
    expected = (varying - varying.mean()) / varying.std()
    for offset in (1.0, 1.7e9, 2.0**42):  # the sums are exact, and means are as exact as float64 is there
        normalised = splits._normalisation(varying + offset, "feature")(varying + offset)
        np.testing.assert_allclose(normalised, expected, rtol=0, atol=1e-12 + np.spacing(offset))


def test_noise_finds_another_class_where_all_rows_are_of_one():
    rng = np.random.default_rng(0)
    data = Data("disk", 2, 0, 0, "none", 0.5, False)
    while True:
        seed = int(rng.integers(1000))
        if datasets.pools(data, seed, 0).train.labels.max() == 0:
            break
    noisy = splits.split(data, Validation(0, 1, False), seed, 0, 0)
    assert sorted(noisy.train.labels) == [0, 1]


LONG = "x" * 28 + "..." + "x" * 28  # of 100,000 letters
BAD_CSV = {
    "missing": (None, "there is no file"),
    "empty": ("", "is not a CSV file with a header"),
    "header only": ("a,y\n", "0 rows and 2 columns were found"),
    "target only": ("y\n1\n2\n", "2 rows and 1 columns were found"),
    "no such column": ("a,z\n1,0\n2,1\n", "there is no column 'y'"),
    "empty cell": ("a,y\n1,0\n,1\n", "missing cells in column 'a' (row 2 below the header: ''): fill them"),
    "a short row": ("a,b,y\n1,2,0\n3\n", "missing cells in column 'b' (row 2 below the header: '')"),
    "NaN": ("a,y\n1,0\nnan,1\n", "missing cells in column 'a' (row 2 below the header: 'nan')"),
    "infinite": ("a,y\n1,0\ninf,1\n", "infinite or above 3.4e38 in column 'a' (row 2 below the header: 'inf')"),
    "too large for float32": ("a,y\n1,0\n1e308,1\n", "infinite or above 3.4e38 in column 'a'"),
    "too large for float64": ("a,y\n1,0\n1e400,1\n", "infinite or above 3.4e38 in column 'a'"),
    "text": ("a,y\n1,0\nred,1\n", "texts in column 'a' (row 2 below the header: 'red'): encode these columns"),
    "truth values": ("a,y\nTrue,0\nFalse,1\n", "texts in column 'a' (row 1 below the header: 'True', and 1 more)"),
    "decimal commas": ("a;y\n3,5;0\n-1,25;1\n", "with commas in column 'a' (row 1 below the header: '3,5', and 1 more)"),
    "commas between thousands": ('a,y\n"1,234",0\n"-1,234,567.5",1\n', "with commas in column 'a' (row 1 below"),
    "another separator": ("a b y\n1 2 0\n3 4 1\n", "one column was found: columns are separated by commas, semicolons, tabs"),
    "one class": ("a,y\n1,0\n2,0\n", "column 'y' has '0' only"),
    "measured target": ("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(60)), "60 of them in 60 rows"),
    "one class in two ways": ("a,y\n1,1\n2,1.0\n3,2\n", "column 'y' has '1', '1.0'; write them alike"),
    "ragged": ("a,y\n1,0\n1,2,3,4\n", "is not a CSV file"),
    "a field more than names": ("a,y\n1,2,0\n3,4,1\n", "is not a CSV file"),
    "a name twice": ("a,y,y\n1,0,0\n2,1,1\n", "a name of its own: 'y' was given twice"),
    "a feature's name twice": ("a,a,y\n1,0,0\n2,1,1\n", "a name of its own: 'a' was given twice"),
    "an index without a name": (",a,y\n0,1,0\n1,2,1\n", "column 1 has no name: is it an index?"),
    "no header": ("3.6,8.7,0\n4.5,8.2,1\n", "looks like data, '3.6', '8.7', '0': put a line of 3 names above it"),
    "no header, and a number twice": ("1,0,0\n4,8,1\n", "the first line looks like data"),
    "no header, and a missing cell": ("?,8.7,0\n4.5,8.2,1\n", "looks like data, '?', '8.7', '0': put a line of 3 names"),
    "no header, a missing cell and names": ("5.1,NA,setosa\n4.9,3,setosa\n6.7,3,virginica\n", "the first line looks like data"),
    "no header, and numbers that count": ("1,2,3\n4.5,8.2,3\n5.5,8.1,4\n", "the first line looks like data"),
    "no header, and numbers that count from 0": ("0,1\n1,0\n0,1\n", "the first line looks like data"),
    "no header, and classes by name": ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.7,3.1,virginica\n", "looks like data"),
    "a cell that is long": ("a,y\n1,0\n" + "x" * 10**5 + ",1\n", f"{LONG!r}"),
    "a name that is long": ("x" * 10**5 + ",z\n1,0\n2,1\n", f"allowed: {LONG}, z"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD_CSV.values(), ids=BAD_CSV)
def test_bad_csv_files_are_told(csv, content, message):
    path = csv(content)
    for target in ("y", "0", "class") if "no header" in message or "looks like" in message else ("y",):
        with pytest.raises(UserError, match=re.escape(message)) as told:
            csv_files.read_csv(path, target)
        assert len(str(told.value)) < len(str(path)) + 400


MARKS = ["", " ", "NA", "n/a", "N.A.", "NaN", "-nan", "null", "NULL", "nil", "None", "?", "<NA>", "#N/A", "#DIV/0!", "#REF!",
         "-", "--", ".", "...", "*", "NaT", "(null)", "#NA", "#N/A N/A", "-1.#IND", "1.#QNAN", "-NaN", "n.d.", "\\N",
         "\N{EN DASH}", "\N{EM DASH}", "\N{HORIZONTAL ELLIPSIS}"]  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_what_is_missing_is_no_class(csv, mark):
    message = f"column 'y' names none in 2 (row 3 below the header: {mark.strip()!r})"
    with pytest.raises(UserError, match=re.escape(message)):
        csv_files.read_csv(csv(f"a,y\n1,yes\n2,no\n3,{mark}\n4,yes\n5,{mark}\n"), "y")


@pytest.mark.parametrize(
    "name", ["+", "none", "native", "N", "0", "-1", "<=50K", "value", "nanny", "a.n.", "nd", "n", "\\n", "1"]
)
def test_what_only_looks_like_such_a_mark_is_a_class(csv, name):
    assert name in csv_files.read_csv(csv(f"a,y\n1,{name}\n2,other\n"), "y").classes


def test_all_faults_of_a_file_are_told_at_once(csv):
    content = ",sex,sex,deck,age,fare,y\n0,m,f,C,3,1,a\n1,m,f,,x,inf,a\n2,f,f,B,,2,?\n"
    with pytest.raises(UserError) as told:
        csv_files.read_csv(csv(content), "y")
    for fault in (
        "column 1 has no name",
        "'sex' was given twice",
        "missing cells in column 'deck' (row 2 below the header: ''), 'age' (row 3 below the header: '')",
        "infinite or above 3.4e38 in column 'fare' (row 2 below the header: 'inf')",
        "texts in column 'sex' (row 1 below the header: 'm', and 2 more), 'sex' (row 1 below the header: 'f', and 2 more), "
        "'deck' (row 1 below the header: 'C', and 1 more), 'age' (row 2 below the header: 'x')",
        "column 'y' names none in 1 (row 3 below the header: '?')",
        "column 'y' has 'a' only",
    ):
        assert fault in str(told.value), str(told.value)
    assert "\n" not in str(told.value)


def test_of_many_faulty_columns_the_first_are_told(csv):
    names = [f"c{place}" for place in range(30)]
    with pytest.raises(UserError, match=r"'c7' .* and 22 more: encode") as told:
        csv_files.read_csv(csv(",".join([*names, "y"]) + "\n" + ",".join(["red"] * 30 + ["a"]) + "\n"), "y")
    assert "'c8'" not in str(told.value)


READABLE = {
    "semicolons": "a;b;y\n1;2.5;0\n2;3;1\n",
    "tabs": "a\tb\ty\n1\t2.5\t0\n2\t3\t1\n",
    "bars": "a|b|y\n1|2.5|0\n2|3|1\n",
    "quotes": '"a","b","y"\r\n"1","2.5","0"\r\n"2","3","1"\r\n',
    "a byte order mark": "\ufeffa,b,y\n1,2.5,0\n2,3,1\n",
    "a byte order mark and quotes": '\ufeff"a",b,y\n1,2.5,0\n2,3,1\n',
    "spaces": "a , b, y\n 1 ,2.5 , 0\n2, 3,1 \n",
}


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_a_csv_file_of_another_notation(csv, content):
    read = csv_files.read_csv(csv(content), "y")
    assert read.inputs.tolist() == [[1, 2.5], [2, 3]]
    assert read.labels.tolist() == [0, 1]
    assert read.features == ("a", "b")


@pytest.mark.parametrize(
    ("header", "features"),
    [("0,1,2", ("0", "1")), ("EU,NA,kind", ("EU", "NA")), ("1999,2000,kind", ("1999", "2000")), ("1,2,kind", ("1", "2"))],
    ids=["as pandas writes it", "a mark among names", "years", "numbers and a name"],
)
def test_names_may_be_numbers(csv, header, features):
    path = csv(f"{header}\n5.5,7,a\n6.5,8,b\n")
    assert csv_files.read_csv(path, header.split(",")[-1]).features == features


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        (["10", "2", "1", "2"], ("1", "2", "10")),
        (["1e2", "-1", "3.5"], ("-1", "3.5", "1e2")),
        (["other", "10", "9", "none"], ("9", "10", "none", "other")),
        (["virginica", "setosa"], ("setosa", "virginica")),
    ],
    ids=["numbers", "decimals", "numbers and texts", "texts"],
)
def test_classes_have_the_names_of_the_file_and_numbers_their_order(csv, given, classes):
    read = csv_files.read_csv(csv("x,grade\n" + "".join(f"{place},{name}\n" for place, name in enumerate(given))), "grade")
    assert (read.target, read.classes) == ("grade", classes)
    assert [read.classes[label] for label in read.labels] == given


def test_numbers_of_any_length_are_those_of_python(csv):
    given = [
        "0.1",
        "1.7976931348623157e+30",
        "123456789012345678901234567890",
        "1700000000123456789",
        "-2.2250738585072014e-308",
    ]
    read = csv_files.read_csv(csv("x,y\n" + "".join(f"{number},{place % 2}\n" for place, number in enumerate(given))), "y")
    assert read.inputs[:, 0].tolist() == [float(number) for number in given]


@pytest.mark.parametrize(
    ("name", "features", "target", "classes"),
    [
        ("disk", ("x0", "x1"), "class", ("0", "1")),
        ("xor", ("x0", "x1"), "class", ("0", "1")),
        ("iris", ("sepal length (cm)", "sepal width (cm)"), "species", ("setosa", "versicolor", "virginica")),
        ("breast_cancer", ("mean radius", "mean texture"), "diagnosis", ("malignant", "benign")),
        ("digits", ("pixel_0_0", "pixel_0_1"), "digit", tuple("0123456789")),
    ],
    ids=["disk", "xor", "iris", "breast_cancer", "digits"],
)
def test_every_data_set_has_names(name, features, target, classes):
    samples = 100 if name == "disk" else 0
    schema = datasets.schema(Data(name, samples, 0, 0, "none", 0.0, False), 0)
    assert (schema.name, schema.features[:2], schema.target, schema.classes) == (name, features, target, classes)
    assert len(schema.counts) == len(classes)


COUNTS = {  # rows of each class, then test rows, validation rows, and rows of the pool, of which 0 means the rest
    "all rows": ([50, 50, 50], 0, 0, 0),
    "ties": ([50, 50, 50], 31, 17, 71),
    "ties of few rows": ([7, 7, 7, 7, 7], 6, 7, 12),
    "unequal": ([3, 90, 41, 17], 13, 9, 50),
    "rare classes": ([2, 100, 5], 4, 4, 0),
    "many classes": (list(range(2, 32)), 100, 0, 200),
    "two": ([1001, 17], 250, 0, 0),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("counts", "test", "validation", "samples"), COUNTS.values(), ids=COUNTS)
def test_the_rows_of_each_class_in_the_pool_are_those_of_scikit_learn(csv, counts, test, validation, samples, seed):
    path = csv("x,y\n" + "".join(f"{place},{place}\n" * count for place, count in enumerate(counts)))
    data = changed(csv_data(path), test_samples=test, validation_samples=validation)
    data = changed(data, samples=samples or sum(counts) - test - validation)
    assumed = datasets.training_pool(data, datasets.schema(data, seed), seed)
    assert np.bincount(assumed.labels).tolist() == np.bincount(datasets.pools(data, seed, 0).train.labels).tolist()


@pytest.mark.parametrize("name", generators.NAMES[:-1])
def test_the_sets_of_rows_have_the_sizes_of_the_section(name):
    samples = 14 if name == "xor" else 60
    data = Data(name, samples, 3, 4, "none", 0.0, False, task="regression" if name in generators.NUMERIC else "classification")
    if name == "digits":
        data = changed(data, validation_samples=30, test_samples=40)
    pools = datasets.pools(data, 1, 0)
    assert [len(table.labels) for table in pools] == [samples, data.validation_samples, data.test_samples]
    assert len(datasets.training_pool(data, datasets.schema(data, 1), 1).labels) == samples


@pytest.mark.parametrize(
    ("counts", "test"), [([1, 30], 5), ([30, 30, 30], 2), ([5, 5], 9)], ids=["one row", "a small part", "a small rest"]
)
def test_classes_that_cannot_be_in_proportion_are_told_before_rows_are_divided(csv, counts, test):
    path = csv("x,y\n" + "".join(f"{place},{place}\n" * count for place, count in enumerate(counts)))
    data = changed(csv_data(path), test_samples=test, samples=sum(counts) - test)
    message = f"data: {test} of {sum(counts)} rows cannot have the classes in proportion: that takes two rows of each class"
    with pytest.raises(UserError, match=re.escape(message)):
        datasets.training_pool(data, datasets.schema(data, 0), 0)
    with pytest.raises(UserError, match=re.escape(message)):
        datasets.pools(data, 0, 0)


def test_counts_need_no_scikit_learn(csv, monkeypatch):
    data = changed(csv_data(csv("x,y\n" + "1,a\n2,b\n" * 20)), samples=30, test_samples=10)
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)  # an import raises
    assert np.bincount(datasets.training_pool(data, datasets.schema(data, 0), 0).labels).tolist() == [15, 15]
    with pytest.raises(ImportError):
        datasets.pools(data, 0, 0)


def test_a_file_is_read_once_for_all_repeats(csv, monkeypatch):
    data = csv_data(csv("a,y\n1,b\n2,c\n3,b\n4,c\n"))
    calls = []
    monkeypatch.setattr(csv_files, "read_csv", lambda *given: calls.append(given) or read_csv(*given))
    kept = {id(datasets.pools(data, 0, repeat).train.inputs) for repeat in range(5)}
    datasets.pools(changed(data, samples=2), 1, 0)
    assert len(calls) == len(kept) == 1


def test_doubtful_data_are_told(csv):
    rows = [(100 + place, 1.7e9, place % 7 + 0.5, 0.1, "ab"[place % 2]) for place in range(14)]
    rows += [(200, 1.7e9, 0.5, 0.1, "a"), (201, 1.7e9, 0.5, 0.1, "b")]
    path = csv("id,stamp,u,v,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    assert datasets.doubts(csv_data(path)) == [
        "constant, so without use: column 'stamp', 'v'",
        "another whole number in every row: column 'id'; remove it if it is an identifier or a time",
    ]
    path.write_text("u,v,y\n" + "".join(f"{place % 7 + 0.5},{place},{'ab'[place % 2]}\n" for place in (0, 1, 2, 7, 0, 2, 9)))
    repeated = "rows with the features of an earlier row: {}; copies may lie on both sides of a split"
    assert datasets.doubts(csv_data(path)) == [repeated.format("2 of 7")]
    path.write_text("u,y\n1.5,a\n1.5,b\n2.5,a\n1.5,a\n")
    assert datasets.doubts(csv_data(path)) == [repeated.format("2 of 4, 1 of them in another class")]
    path.write_text("u,y\n1.5,Yes\n2.5,yes\n3.5,no one\n4.5,no  one\n5.5,other\n")
    assert datasets.doubts(csv_data(path)) == [
        "classes that differ in case or blanks alone: 'Yes', 'yes' of 'y'",
        "classes that differ in case or blanks alone: 'no  one', 'no one' of 'y'",
    ]
    path.write_text("u,v,w,y\n9007199254740993,1e20,1.5,a\n9007199254740992,2e20,2.5,b\n3,3e20,3.5,b\n3,4e20,4.5,b\n")
    assert "whole numbers from 2^53, which may differ in the file and are equal as float64: column 'u'" in datasets.doubts(
        csv_data(path)
    )
    assert datasets.doubts(DISK) == []


def test_binary_is_no_csv(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a CSV file"):
        csv_files.read_csv(path, "y")


def test_a_table_takes_rows():
    table = Table(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]), np.array([7, 3, 5]))
    taken = table.take(np.array([2, 0]))
    assert (taken.inputs.tolist(), taken.rows.tolist()) == ([[4, 5], [0, 1]], [5, 7])
    assert table.inputs_of(np.array([5, 7, 3])).tolist() == [[4, 5], [0, 1], [2, 3]]


@pytest.mark.parametrize("stratified", [False, True], ids=["plain", "stratified"])
@pytest.mark.parametrize(("samples", "folds"), [(10, 2), (23, 5), (24, 5), (40, 10), (101, 3)])
def test_the_sizes_of_folds_are_those_of_scikit_learn(samples, folds, stratified):
    pool = datasets.pools(changed(DISK, name="moons", samples=samples, test_samples=0), 0, 0).train
    drawn = splits.folds(pool, Validation(folds, 1, stratified), 0, 0)
    assert [splits.fold_size(samples, folds, fold) for fold in range(folds)] == [len(left_out) for _, left_out in drawn]
    assert splits.training_sizes(samples, folds) == {len(kept) for kept, _ in drawn}


def test_without_folds_all_rows_of_the_pool_train():
    assert splits.training_sizes(10, 0) == {10}


def test_a_column_that_changes_its_type_far_down_is_read_as_one(csv):
    rows = 150_000  # several of the parts in which pandas reads
    lines = [f"{place},{place % 2}\n" for place in range(rows)]
    lines[-2] = "0.1,0\n"
    read = csv_files.read_csv(csv("x,y\n" + "".join(lines)), "y")
    assert read.inputs[[0, 7, -2, -1], 0].tolist() == [0, 7, 0.1, rows - 1]
    lines[-3:] = ["red,0\n", "1e5x,1\n", "2.50,1\n"]
    message = f"texts in column 'x' (row {rows - 2} below the header: 'red', and 1 more)"
    with pytest.raises(UserError, match=re.escape(message)):
        csv_files.read_csv(csv("x,y\n" + "".join(lines)), "y")


def test_rows_of_equal_features_are_counted_among_many(csv):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 30, (500, 2))
    data = csv_data(csv("u,v,y\n" + "".join(f"{u + 0.5},{v + 0.5},{place % 2}\n" for place, (u, v) in enumerate(rows))))
    copies = len(rows) - len(set(map(tuple, rows.tolist())))
    assert any(f"an earlier row: {copies} of 500, " in doubt for doubt in datasets.doubts(data))
