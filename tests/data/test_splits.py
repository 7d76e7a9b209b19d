"""Splits and preparation: every row once, seeds, time, and nothing learnt from the test."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import pytest
from data_toys import FILE_SETS, NAMES, load_set, needs_files, toy
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from policygrad_metrics import data
from policygrad_metrics.data import Dataset, Split, folds, prepare, split
from policygrad_metrics.data.splits import check_folds


def _parts(parts: Split) -> list[np.ndarray]:
    return [parts.train, parts.valid, parts.test]


@pytest.mark.parametrize("name", NAMES)
def test_every_split_is_a_partition_with_every_class_in_training(name):
    dataset = data.load(name)
    for seed in range(3):
        parts = split(dataset, seed)
        assert sorted(np.concatenate(_parts(parts)).tolist()) == list(range(len(dataset)))
        assert min(dataset.take(parts.train).counts) > 0


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    seed=st.integers(0, 10**6),
    shares=st.tuples(*[st.floats(0.1, 1)] * 3),
)
def test_stratified_parts_are_within_one_row_of_their_share(counts, seed, shares):
    counts[0] += 30  # so that no part is empty
    K = len(counts)
    dataset = Dataset(
        *("toy", "Toy", np.zeros([sum(counts), 1]), None, ["x"], []),
        *(np.repeat(np.arange(K), counts), [str(k) for k in range(K)], "ordinal", "f1_macro"),
    )
    shares = np.array(shares) / sum(shares)
    parts = split(dataset, seed, fractions=shares.tolist())
    for k, count in enumerate(counts):
        found = np.array([(dataset.y[rows] == k).sum() for rows in _parts(parts)])
        assert found[0] >= 1
        # One more where the training part was given the only row it had to have.
        assert (np.abs(found - count * shares) < 1 + (found[0] == 1) + 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
def test_all_seeds_split_into_parts_of_the_same_size(name):
    dataset = data.load(name)
    sizes = {tuple(map(len, _parts(split(dataset, seed)))) for seed in range(4)}
    assert len(sizes) == 1
    if dataset.task != "multilabel":
        counts = {tuple(dataset.take(split(dataset, seed).test).counts) for seed in range(4)}
        assert len(counts) == 1


def test_split_follows_the_seed_only():
    dataset = data.load("wine")
    first, again, other = split(dataset, 5), split(dataset, 5), split(dataset, 6)
    for one, same in zip(_parts(first), _parts(again), strict=True):
        assert np.array_equal(one, same)
    assert not np.array_equal(first.test, other.test)


def test_every_row_is_tested_by_some_seed():
    dataset = toy()
    tested = np.unique(np.concatenate([split(dataset, seed).test for seed in range(40)]))
    assert len(tested) == len(dataset)  # a row is spared 40 times with probability .8^40 = 1e-4


def test_time_split_is_contiguous_and_ignores_the_seed():
    dataset = data.load("pm25")
    for parts in (split(dataset, 0), split(dataset, 9)):
        train, valid, test = _parts(parts)
        assert (len(train), len(valid), len(test)) == (4800, 1600, 1600)
        assert np.array_equal(np.concatenate([train, valid, test]), np.arange(8000))


def test_time_split_reports_missing_levels():
    dataset = toy(time_ordered=True)  # the rare class comes last
    assert split(dataset, 0).notes == (
        "the training part has no row of 'yes'.",
        "the validation part has no row of 'yes'.",
    )


def test_shuffled_split_refuses_a_training_part_without_a_label():
    y = np.zeros([60, 3], int)
    y[:, 0] = np.arange(60) % 2
    y[7, 1] = 1
    y[10:14, 2] = 1  # five rows of rare label sets, which are split together
    names = ["often", "once", "seldom"]
    dataset = toy(task="multilabel", y=y, class_names=names, reward="f1_samples")
    caught = 0
    for seed in range(40):
        try:
            assert 7 in split(dataset, seed).train
        except ValueError as error:
            assert "the training part of 'toy' has no row of 'once'" in str(error)  # noqa: PT017
            caught += 1
    assert 0 < caught < 40


def test_one_row_class_goes_to_training():
    dataset = toy(rare=1)
    parts = split(dataset, 3)
    assert 59 in parts.train
    assert "the test part has no row of 'yes'." in parts.notes


@pytest.mark.parametrize(
    "fractions", [(0.6, 0.4), (0.6, 0.4, 0.0), (0.6, 0.3, 0.3), (1.2, -0.1, -0.1)]
)
def test_fractions_are_checked(fractions):
    with pytest.raises(ValueError, match="fractions must be three positive shares"):
        split(toy(), 0, fractions=fractions)


def test_empty_part_and_bad_seed():
    with pytest.raises(ValueError, match=r"seed=0: the validation part of the 60 rows"):
        split(toy(time_ordered=True), 0, fractions=(0.98, 0.001, 0.019))
    with pytest.raises(ValueError, match=r"seed must be a whole number, 0 or more; it is 1\.5"):
        split(toy(), cast(int, 1.5))


def test_folds_are_those_of_scikit_learn():
    dataset = data.load("breast_cancer_36")
    made = folds(dataset, 10, seed=2)
    oracle = StratifiedKFold(10, shuffle=True, random_state=2)
    for parts, (_, test) in zip(made, oracle.split(dataset.y, dataset.y), strict=True):
        assert np.array_equal(parts.test, test)
        assert sorted(np.concatenate(_parts(parts)).tolist()) == list(range(len(dataset)))
        rare = [int(dataset.y[rows].sum()) for rows in _parts(parts)]
        assert rare[2] in (3, 4)
        assert rare[1] in (6, 7)
    again = folds(dataset, 10, seed=2)
    assert all(np.array_equal(a.valid, b.valid) for a, b in zip(made, again, strict=True))


def test_folds_of_label_sets():
    dataset = data.load("multilabel")
    tests = [parts.test for parts in folds(dataset, 4, seed=0)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(len(dataset)))


def test_folds_refuse():
    with pytest.raises(ValueError, match="'yes' has 6: use 6 folds at most"):
        folds(toy(), 7, 0)
    with pytest.raises(ValueError, match="ordered by time; use split"):
        folds(toy(time_ordered=True), 3, 0)
    with pytest.raises(ValueError, match="k must be a whole number, 2 or more; it is 1"):
        folds(toy(), 1, 0)


def test_folds_of_a_class_of_one_row_are_refused_with_the_ways_out():
    with pytest.raises(ValueError, match=r"'yes' has 1: take a random split .*--folds\), or leave"):
        check_folds(toy(rare=1), 5)


# ---- prepare ---------------------------------------------------------------------------------


def _spoiled(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """Return the data set with wild, missing and unheard-of cells in these rows."""
    numeric, categorical = dataset.numeric.copy(), dataset.categorical.copy()
    numeric[rows] = np.where(rows[:, None] % 2, 1e6, np.nan)
    categorical[rows] = "unheard of"
    return dataclasses.replace(dataset, numeric=numeric, categorical=categorical)


@pytest.mark.parametrize("name", ["toy", "pm25", "breast_cancer", "digits_rare", "german_credit"])
def test_nothing_is_learnt_from_validation_or_test_rows(name):
    dataset = toy() if name == "toy" else load_set(name)
    parts = split(dataset, 0)
    clean = prepare(dataset, parts)
    spoiled = prepare(_spoiled(dataset, parts.test), parts)
    assert clean.feature_names == spoiled.feature_names
    assert clean.x_train.tobytes() == spoiled.x_train.tobytes()
    assert clean.x_valid.tobytes() == spoiled.x_valid.tobytes()
    assert clean.x_test.tobytes() != spoiled.x_test.tobytes()
    spoiled = prepare(_spoiled(dataset, parts.valid), parts)
    assert clean.x_train.tobytes() == spoiled.x_train.tobytes()
    assert clean.x_test.tobytes() == spoiled.x_test.tobytes()
    # The check can fail: training rows do matter.
    spoiled = prepare(_spoiled(dataset, parts.train[:5]), parts)
    assert clean.x_test.tobytes() != spoiled.x_test[:, : clean.x_test.shape[1]].tobytes()


@pytest.mark.few(10)
@pytest.mark.parametrize("name", [*NAMES, *FILE_SETS])
def test_prepared_arrays(name):
    dataset = load_set(name)
    parts = split(dataset, 1)
    arrays = prepare(dataset, parts)
    assert len(set(arrays.feature_names)) == len(arrays.feature_names)
    for x, y, rows in (
        (arrays.x_train, arrays.y_train, parts.train),
        (arrays.x_valid, arrays.y_valid, parts.valid),
        (arrays.x_test, arrays.y_test, parts.test),
    ):
        assert x.dtype == np.float32
        assert x.shape == (len(rows), len(arrays.feature_names))
        assert np.abs(x).max() <= 10
        assert np.isfinite(x).all()
        assert np.array_equal(y, dataset.y[rows])


def test_prepare_by_hand():
    # Training rows 0 .. 3. u: median of 1, 2, 6 is 2, so 1, 2, 6, 2 with mean 2.75 and variance
    # 3.6875. v: 1, 3, 1, 3 with mean 2, variance 1. u is missing in one of four: mean .25,
    # variance .1875. kind: "", "a", "b".
    numeric = [[1, 1], [2, 3], [6, 1], [np.nan, 3], [np.nan, np.nan], [2.75, 1e9]]
    dataset = Dataset(
        *("toy", "Toy", numeric, [["a"], ["b"], [""], ["a"], ["c"], [""]], ["u", "v"], ["kind"]),
        *([0, 1, 0, 1, 0, 1], ["no", "yes"], "binary", "f1"),
    )
    arrays = prepare(dataset, Split(np.arange(4), np.array([4]), np.array([5])))
    assert arrays.feature_names == (
        *("u", "v", "u is missing"),
        *("kind is missing", "kind=a", "kind=b"),
    )
    u, gap = 3.6875**0.5, 0.1875**0.5
    valid = [[-0.75 / u, (1 + 3) / 2 - 2, 0.75 / gap, 0, 0, 0]]
    np.testing.assert_allclose(arrays.x_valid, valid, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(arrays.x_test, [[0, 10, -0.25 / gap, 1, 0, 0]], rtol=1e-6)


def test_awkward_training_columns():
    # Without a value, constant, huge, tiny: finite and without warnings all the same.
    N = 40
    numeric = np.ones([N, 4])
    numeric[:30, 0] = np.nan
    numeric[:, 2] = 1e300 * np.exp(-np.arange(N))
    numeric[:, 3] = 1e-300 * np.arange(N) ** 9
    dataset = Dataset(
        *("toy", "Toy", numeric, None, list("abcd"), [], np.arange(N) % 2, ["no", "yes"]),
        *("binary", "f1"),
    )
    arrays = prepare(dataset, Split(np.arange(30), np.arange(30, 35), np.arange(35, N)))
    for x in (arrays.x_train, arrays.x_valid, arrays.x_test):
        assert np.isfinite(x).all()
        assert np.abs(x).max() <= 10


@pytest.mark.slow
@needs_files
def test_heavy_tails_are_tamed():
    # On page_blocks the treatment must not be worse than plain scaling for a linear model.
    dataset = load_set("page_blocks")
    treated, plain = [], []
    for seed in range(3):
        parts = split(dataset, seed)
        arrays = prepare(dataset, parts)
        scaler = StandardScaler().fit(dataset.numeric[parts.train])
        model = LogisticRegression(max_iter=3000)
        for scores, train, test in (
            (treated, arrays.x_train, arrays.x_test),
            (plain, *(scaler.transform(dataset.numeric[r]) for r in (parts.train, parts.test))),
        ):
            chosen = model.fit(train, arrays.y_train).predict(test)
            scores.append(f1_score(arrays.y_test, chosen, average="macro"))
    assert np.mean(treated) > np.mean(plain)
