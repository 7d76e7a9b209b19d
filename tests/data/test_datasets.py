"""The named data sets against published counts, and what a data set refuses to be."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from data_toys import FOLDER, NAMES, load_set, needs_files, toy
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from policygrad_metrics import data
from policygrad_metrics.data import folds, prepare, split

COUNTS = {
    "breast_cancer": (357, 212),
    "breast_cancer_36": (357, 36),
    "wine": (59, 71, 48),
    "iris": (50, 50, 50),
    "digits_rare": (1797 - 174, 174),
    "imbalanced5": (3000, 1000, 600, 250, 150),
    "rare_1": (9900, 100),
    "rare_1_clusters": (9900, 100),
    "rare_03": (19940, 60),
    "mammography": (10923, 260),
    "pima": (500, 268),
    "german_credit": (700, 300),
    "ecoli": (143, 77, 35, 20, 52),
    "page_blocks": (4913, 329, 28, 88, 115),
    "page_blocks_pictures": (5473 - 115, 115),
    "car": (1210, 384, 69, 65),
    "car_levels": (1210, 384, 69, 65),
    "winequality_red": (10, 53, 681, 638, 199, 18),
    "esl": (2, 12, 38, 100, 116, 135, 62, 19, 4),
    "lev": (93, 280, 403, 197, 27),
    "swd": (32, 352, 399, 217),
    "eucalyptus": (180, 107, 130, 214, 105),
    "tae": (49, 50, 52),
    "new_thyroid": (30, 150, 35),
    "machine_cpu": (45, 41, 39, 43, 41),
    "emotions": (173, 166, 264, 148, 168, 189),
    "beijing_pm25": (12120, 9391, 7122, 4133, 5938, 3053),
}
FEATURES = {  # columns without the target; Beijing: 6 weather, 4 of time, 1 wind direction
    "mammography": (6, 0),
    "pima": (8, 0),
    "german_credit": (7, 13),
    "ecoli": (7, 0),
    "page_blocks": (10, 0),
    "page_blocks_pictures": (10, 0),
    "car": (0, 6),
    "car_levels": (6, 0),
    "winequality_red": (11, 0),
    "esl": (4, 0),
    "lev": (4, 0),
    "swd": (10, 0),
    "eucalyptus": (14, 5),
    "tae": (1, 4),
    "new_thyroid": (5, 0),
    "machine_cpu": (6, 0),
    "emotions": (72, 0),
    "beijing_pm25": (10, 1),
    "mnist": (784, 0),
    "digits": (64, 0),
    "diabetes_levels": (10, 0),
}
TASKS = {
    "binary": "breast_cancer breast_cancer_36 digits_rare random mammography pima german_credit "
    "page_blocks_pictures rare_1 rare_1_clusters rare_03",
    "multiclass": "wine digits iris imbalanced5 ecoli page_blocks mnist",
    "ordinal": "diabetes_levels pm25 car car_levels winequality_red esl lev machine_cpu "
    "swd eucalyptus tae new_thyroid beijing_pm25",
    "multilabel": "multilabel emotions",
}


@pytest.mark.few(10)
@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_published_ones(name):
    assert load_set(name).counts == COUNTS[name]


@pytest.mark.few(8)
@pytest.mark.parametrize("name", FEATURES)
def test_features_are_the_published_ones(name):
    dataset = load_set(name)
    assert (len(dataset.numeric_names), len(dataset.categorical_names)) == FEATURES[name]


def test_tasks_cover_every_set():
    assert {n for names in TASKS.values() for n in names.split()} == set(data.available())


@pytest.mark.few(2)
@pytest.mark.parametrize(("task", "names"), TASKS.items())
def test_task_and_reward(task, names):
    rewards = {
        "binary": {"f1"},
        "multiclass": {"f1_macro"},
        "ordinal": {"f1_macro", "cohen_kappa_quadratic"},
        "multilabel": {"f1_samples"},
    }
    for name in names.split():
        dataset = load_set(name)
        assert dataset.task == task
        assert dataset.name == name
        assert dataset.reward in rewards[task]
        assert data.available()[name].removesuffix(" (needs a folder)") == dataset.title


def test_every_set_names_a_reward_that_exists():
    from policygrad_metrics.rewards import reward_names

    assert {load_set(name).reward for name in NAMES} <= set(reward_names())


def test_malignant_is_positive():
    bunch: Any = load_breast_cancer()
    dataset = data.load("breast_cancer")
    assert dataset.class_names[1] == "malignant"
    assert (dataset.y == (bunch.target_names[bunch.target] == "malignant")).all()


def test_random_is_the_published_set():
    # PEERS' run: logistic regression .548 at 0.5 under StratifiedKFold(10, random_state=2).
    dataset = data.load("random")
    scores = []
    for parts in folds(dataset, 10, seed=2):
        rest = np.concatenate([parts.train, parts.valid])
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(dataset.numeric[rest], dataset.y[rest])
        scores.append(f1_score(dataset.y[parts.test], model.predict(dataset.numeric[parts.test])))
    assert round(float(np.mean(scores)), 3) == 0.548


def test_levels_follow_values():
    dataset = data.load("pm25")
    slow = [sum(edge < value for edge in (35, 75, 115, 150, 250)) for value in dataset.values]
    assert dataset.y.tolist() == slow
    assert dataset.time_ordered


def test_synthetic_pm25_has_every_level_in_every_part():
    for seed in range(5):
        assert split(data.load("pm25", seed=seed), seed=0).notes == ()


def test_synthetic_pm25_lags_are_the_past():
    dataset = data.load("pm25")
    for lag in (3, 6, 12, 24):
        column = dataset.numeric[:, dataset.numeric_names.index(f"log_pm25_{lag}h_ago")]
        assert np.array_equal(column[lag:], np.log1p(dataset.values[:-lag]))


def test_synthetic_pm25_is_neither_trivial_nor_hopeless():
    dataset = data.load("pm25")
    arrays = prepare(dataset, split(dataset, seed=0))
    model = LogisticRegression(max_iter=2000).fit(arrays.x_train, arrays.y_train)
    score = f1_score(arrays.y_test, model.predict(arrays.x_test), average="macro")
    majority = f1_score(arrays.y_test, np.ones_like(arrays.y_test), average="macro")
    assert majority < 0.15
    assert 0.4 < score < 0.7


@pytest.mark.parametrize("name", ["pm25", "random", "imbalanced5", "multilabel"])
def test_synthetic_sets_say_so_and_follow_the_seed(name):
    first, again, other = (data.load(name, seed=seed) for seed in (3, 3, 4))
    assert "synthetic" in first.title.lower()
    assert any(note.startswith("synthetic") for note in first.notes)
    assert np.array_equal(first.numeric, again.numeric)
    assert np.array_equal(first.y, again.y)
    assert not np.array_equal(first.numeric, other.numeric)


def test_breast_cancer_36_follows_the_seed():
    first, again, other = (data.load("breast_cancer_36", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.numeric, again.numeric)
    assert not np.array_equal(first.numeric, other.numeric)
    assert first.counts == other.counts


@needs_files
def test_pima_zeros_are_missing():
    dataset = load_set("pima")
    gaps = dict(zip(dataset.numeric_names, np.isnan(dataset.numeric).sum(axis=0), strict=True))
    known = {"glucose": 5, "blood_pressure": 35, "skin_thickness": 227, "insulin": 374, "bmi": 11}
    assert gaps == {name: known.get(name, 0) for name in dataset.numeric_names}


@needs_files
def test_beijing_values_are_the_file_and_years_stay_in_order():
    dataset = load_set("beijing_pm25")
    with gzip.open(FOLDER / "beijing_pm25.csv.gz", "rt", encoding="utf-8") as file:
        pm25 = [row["pm2.5"] for row in csv.DictReader(file)]
    known = [hour for hour, cell in enumerate(pm25) if cell != "NA"]
    assert dataset.values.tolist() == [float(pm25[hour]) for hour in known]
    assert round(dataset.values.mean(), 1) == 98.6
    assert np.median(dataset.values) == 72


@needs_files
def test_repeated_rows_are_reported():
    assert "3335 rows repeat" in " ".join(load_set("mammography").notes)


@needs_files
def test_ecoli_says_which_classes_went():
    assert "'imL' (2), 'imS' (2), 'omL' (5)" in " ".join(load_set("ecoli").notes)


@needs_files
def test_car_levels_are_nearly_monotone():
    # The README: 84 pairs of rows break it. Better = dearer features lower, the rest higher.
    dataset = load_set("car_levels")
    signs = [-1 if name in ("buying", "maint") else 1 for name in dataset.numeric_names]
    points = dataset.numeric * signs
    worse = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    assert int((worse & (dataset.y[:, None] > dataset.y[None, :])).sum()) == 84


@pytest.mark.slow
@needs_files
def test_mnist_is_a_sample_of_the_training_images():
    dataset = load_set("mnist")
    with np.load(FOLDER / "mnist.npz", allow_pickle=False) as arrays:
        images, digits = arrays["x_train"].reshape(60000, -1), arrays["y_train"]
    digit_of = {image.tobytes(): digit for image, digit in zip(images, digits, strict=True)}
    rows = np.round(dataset.numeric * 255).astype(np.uint8)
    assert len({row.tobytes() for row in rows}) == len(rows) == 10000
    assert [digit_of[row.tobytes()] for row in rows] == dataset.y.tolist()


def test_files_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder was given.*folder=\.\.\."):
        data.load("car")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        data.load("car", folder=tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"'mnist.npz' is not in it.*folder="):
        data.load("mnist", folder=tmp_path)


def test_names_are_checked():
    with pytest.raises(ValueError, match="did you mean 'mammography'"):
        data.load("mamography")
    with pytest.raises(ValueError, match="seed must be a whole number"):
        data.load("pm25", seed=-1)


def test_import_is_light():
    code = (
        "import sys, policygrad_metrics.data as d; d.Dataset; "
        "sys.exit(any(m in sys.modules for m in ('sklearn', 'scipy', 'tensorflow', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- Dataset ---------------------------------------------------------------------------------

BAD_DATASETS = {
    "task='binari' is not known; did you mean 'binary'": {"task": "binari"},
    "title must be a text": {"title": ""},
    r"numeric must have shape \[60, 2\]": {"numeric": np.zeros([59, 2])},
    r"categorical must have shape \[60, 1\]": {"categorical": None},
    "infinite": {"numeric": np.full([60, 2], np.inf)},
    "categorical must hold texts": {"categorical": np.full([60, 1], None)},
    "whole numbers with 1 axes": {"y": np.zeros(60)},
    "at least two classes": {"y": np.zeros(60, int)},
    r"y must be in 0 \.\. 1, got 0 \.\. 2": {"y": np.arange(60) % 3},
    "binary: 2": {"class_names": ["a", "b", "c"]},
    "class_names must differ": {"class_names": ["a", "a"]},
    "share the names": {"categorical_names": ["u"]},
    "class_names must be a sequence": {"class_names": "ab"},
    "at least one feature": {
        "numeric": None,
        "numeric_names": [],
        "categorical": None,
        "categorical_names": [],
    },
    "given together": {"edges": [0.5]},
    "1 increasing numbers": {"edges": [0.5, 1.5], "values": np.zeros(60)},
    "60 finite numbers": {"edges": [0.5], "values": np.zeros(59)},
    "the level of values": {"edges": [0.5], "values": np.zeros(60)},
    "2 label columns but class_names 3": {
        "task": "multilabel",
        "y": np.zeros([60, 2], int),
        "class_names": ["a", "b", "c"],
    },
}


@pytest.mark.parametrize(("message", "changes"), BAD_DATASETS.items())
def test_dataset_refuses(message, changes):
    with pytest.raises(ValueError, match=message):
        toy(**changes)


def test_dataset_is_a_read_only_copy():
    numeric = np.zeros([60, 2])
    dataset = toy(numeric=numeric)
    numeric[0] = 5
    assert not dataset.numeric.any()
    with pytest.raises(ValueError, match="read-only"):
        dataset.numeric[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.__setattr__("name", "other")
