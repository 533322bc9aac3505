import math

import numpy as np
import pytest

from studies import datasets
from studies.data import Data, Table, Validation
from studies.errors import UserError

PLAIN = {"validation_samples": 0, "normalize": "none", "noise": 0.0, "resample": False}
DISK = Data(name="disk", samples=100, test_samples=50, **PLAIN)
FOLDS = Validation(folds=5, repeats=1, stratified=False)


def changed(data, **changes):
    return Data(**{**data.__dict__, **changes})


@pytest.mark.parametrize("name", datasets.GENERATED)
def test_generated_sets_have_two_balanced_classes_in_the_plane(name):
    table = datasets.GENERATED[name](4000, np.random.default_rng(0))
    assert table.inputs.shape == (4000, 2)
    assert set(table.labels) == {0, 1}
    # 5 standard errors of a fair coin
    assert abs(table.labels.mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


def test_the_disk_has_half_the_square():
    table = datasets.disk(1000, np.random.default_rng(0))
    radius = np.hypot(*(table.inputs - 0.5).T)
    assert ((radius < 1 / math.sqrt(2 * math.pi)) == (table.labels == 1)).all()


def test_linear_is_class_0_where_the_first_coordinate_is_larger():
    table = datasets.linear(1000, np.random.default_rng(0))
    assert ((table.inputs[:, 0] > table.inputs[:, 1]) == (table.labels == 0)).all()


def test_xor_is_the_report_s_21_points():
    table = datasets.xor()
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
    table = datasets.FIXED[name]()
    assert table.inputs.shape == (rows, features)
    assert set(table.labels) == set(range(classes))


def test_folds_leave_every_row_out_once():
    pool = datasets.pools(DISK, 0, 0).train
    left_out = np.concatenate([out for _, out in datasets.folds(pool, FOLDS, 0, 0)])
    assert sorted(left_out) == list(range(100))


def test_stratified_folds_keep_the_classes_in_proportion():
    data = Data(name="iris", samples=150, test_samples=0, **PLAIN)
    for fold in range(5):
        split = datasets.split(data, Validation(5, 1, stratified=True), 0, 0, fold)
        assert np.bincount(split.validation.labels).tolist() == [10, 10, 10]


@pytest.mark.parametrize(("resample", "same"), [(True, False), (False, True)], ids=["new data every repeat", "one data set"])
def test_repeats_draw_new_data_only_where_asked(resample, same):
    data = changed(DISK, resample=resample)
    first, second = (datasets.pools(data, 0, repeat) for repeat in (0, 1))
    assert np.array_equal(first.train.inputs, second.train.inputs) is same
    assert np.array_equal(first.test.inputs, second.test.inputs) is same
    one, other = (datasets.folds(pool.train, FOLDS, 0, repeat)[0][1] for repeat, pool in enumerate((first, second)))
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
    everything = [tuple(row) for row in datasets.FIXED["iris"]().inputs]
    assert sorted(rows) == sorted(everything)


@pytest.mark.parametrize("normalize", ["feature", "global"])
def test_normalisation_uses_training_rows_only(normalize):
    data = Data(name="wine", samples=178, test_samples=0, **{**PLAIN, "normalize": normalize})
    plain = datasets.split(changed(data, normalize="none"), FOLDS, 0, 0, 0)
    split = datasets.split(data, FOLDS, 0, 0, 0)
    axis = 0 if normalize == "feature" else None
    assert np.allclose(split.train.inputs.mean(axis), 0, atol=1e-12)
    assert np.allclose(split.train.inputs.std(axis), 1)
    mean, sd = plain.train.inputs.mean(axis), plain.train.inputs.std(axis)
    assert np.allclose(split.validation.inputs, (plain.validation.inputs - mean) / sd)


def test_a_constant_feature_is_only_centred():
    # some pixels of the digits are always white
    data = Data(name="digits", samples=1797, test_samples=0, **{**PLAIN, "normalize": "feature"})
    split = datasets.split(data, FOLDS, 0, 0, 0)
    assert np.isfinite(split.train.inputs).all()
    assert (split.train.inputs[:, 0] == 0).all()


def test_noise_moves_a_share_of_training_labels_to_another_class_and_no_others():
    data = Data(name="iris", samples=150, test_samples=0, **{**PLAIN, "noise": 0.25})
    clean = datasets.split(changed(data, noise=0.0), FOLDS, 0, 0, 0)
    noisy = datasets.split(data, FOLDS, 0, 0, 0)
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


def test_a_csv_file_with_named_classes(csv):
    table = datasets.read_csv(csv("a,kind,b\n1,no,2.5\n3,yes,-4e1\n5,no,0\n"), "kind")
    assert table.inputs.tolist() == [[1, 2.5], [3, -40], [5, 0]]
    assert table.labels.tolist() == [0, 1, 0]


def test_spaces_and_blank_lines_and_a_byte_order_mark_of_a_csv_file_mean_nothing(csv):
    path = csv("")
    path.write_text(" a ,y\n\n1, no\n 3,no \n\n2,yes\n\n", encoding="utf-8-sig")
    table = datasets.read_csv(path, "y")
    assert table.inputs.tolist() == [[1], [3], [2]]
    assert table.labels.tolist() == [0, 0, 1]


def test_a_file_that_changes_after_the_check_is_not_trained_on(csv):
    path = csv("a,y\n1,b\n2,c\n")
    data = Data("csv", 2, 0, 0, "none", 0.0, False, path=str(path), target="y", content=datasets.identify(path))
    assert datasets.whole(data).labels.tolist() == [0, 1]
    path.write_text("a,y\n1,c\n2,b\n")
    with pytest.raises(UserError, match="is not the file that the study began with"):
        datasets.whole(data)


@pytest.mark.parametrize("value", [0.1, 0.3, 7.3, 0.0, -1e-300])
def test_a_constant_feature_is_only_centred_whatever_its_mean_rounds_to(value):
    normalise = datasets._normalisation(np.full((80, 1), value), "feature")
    assert np.abs(normalise(np.array([[value], [value + 1]]))[:, 0] - [0, 1]).max() < 1e-12


def test_noise_finds_another_class_where_all_rows_are_of_one():
    rng = np.random.default_rng(0)
    data = Data("disk", 2, 0, 0, "none", 0.5, False)
    while True:
        seed = int(rng.integers(1000))
        if datasets.pools(data, seed, 0).train.labels.max() == 0:
            break
    noisy = datasets.split(data, Validation(0, 1, False), seed, 0, 0)
    assert sorted(noisy.train.labels) == [0, 1]


BAD_CSV = {
    "missing": (None, "there is no file"),
    "empty": ("", "is not a CSV file with a header"),
    "header only": ("a,y\n", "0 rows"),
    "target only": ("y\n1\n2\n", "1 columns"),
    "no such column": ("a,z\n1,0\n2,1\n", "there is no column 'y'"),
    "empty cell": ("a,y\n1,0\n,1\n", "row 2 below the header, column 'a'"),
    "NaN": ("a,y\n1,0\nnan,1\n", "has 'nan'"),
    "infinite": ("a,y\n1,0\ninf,1\n", "has 'inf'"),
    "text": ("a,y\n1,0\nred,1\n", "has 'red'"),
    "one class": ("a,y\n1,0\n2,0\n", "has '0' only"),
    "no class": ("a,y\n1,0\n2,\n", "row 2 below the header, column 'y'"),
    "measured target": ("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(60)), "60 of them in 60 rows"),
    "ragged": ("a,y\n1,0\n1,2,3,4\n", "is not a CSV file"),
    "a field more than names": ("a,y\n1,2,0\n3,4,1\n", "is not a CSV file"),
    "a name twice": ("a,y,y\n1,0,0\n2,1,1\n", "a name of its own: 'y' was given twice"),
    "an index without a name": (",a,y\n0,1,0\n1,2,1\n", "is that an index"),
    "too large for float32": ("a,y\n1,0\n1e308,1\n", "has '1e308'"),
    "missing class": ("a,y\n1,b\n2,NaN\n", "row 2 below the header, column 'y' of .* has 'NaN'"),
    "blank class": ("a,y\n1,b\n2, \n", "row 2 below the header, column 'y' of .* has ''"),
}


@pytest.mark.parametrize(("content", "message"), BAD_CSV.values(), ids=BAD_CSV)
def test_bad_csv_files_are_told(csv, content, message):
    with pytest.raises(UserError, match=message):
        datasets.read_csv(csv(content), "y")


def test_binary_is_no_csv(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a CSV file"):
        datasets.read_csv(path, "y")


def test_a_table_takes_rows():
    table = Table(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    assert table.take(np.array([2, 0])).inputs.tolist() == [[4, 5], [0, 1]]
