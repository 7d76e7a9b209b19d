"""The suites: lists of data sets, each with the reward it is made for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Dataset, available, load
from policygrad_metrics.data.splits import split


@dataclasses.dataclass(frozen=True)
class Suite:
    """A list of data sets to compare on; no rows are in two data sets of one metric.

    Args:
        bundled: Words of the sets that need no download. A reward after a colon is another one
            than the data set's own.
        files: Words of those that are read from a folder.
        settings: Fields of `StudySettings` that are not given.
        published: Published figures, shown beside ours: data set -> method, score and where it is
            from.
    """

    bundled: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: Mapping[str, list[tuple[str, float, str]]] = dataclasses.field(default_factory=dict)


_ANYLOSS = "AnyLoss (Han et al. 2024)"

#: name -> suite. To add one, add its record here and a word to the help of `--suite`.
SUITES = {
    "standard": Suite(
        bundled=(
            "breast_cancer",
            "breast_cancer_36",
            "digits_rare",
            "random",
            "wine",
            "iris:accuracy",
            "digits:accuracy",
            "imbalanced5",
            "diabetes_levels",
            "pm25:exact_bin",
            "multilabel",
        ),
        files=(
            "mammography",
            "pima",
            "german_credit",
            "page_blocks",
            "ecoli",
            "winequality_red",
            "car_levels",
            "esl",
            "lev",
            "machine_cpu",
            "emotions",
            "beijing_pm25",
            "mnist:accuracy",
        ),
    ),
    # The folds are those of StratifiedKFold(10, shuffle=True, random_state=2); a linear model, one
    # step an epoch over all rows. The figures are F1 at the threshold 1/2.
    "published": Suite(
        bundled=("random", "breast_cancer", "breast_cancer_36"),
        settings={
            "folds": 10,
            "seeds": 10,
            "seed": 2,
            "hidden": (),
            "epochs": 1000,
            "batch_size": 1_000_000,
            "learning_rate": 0.01,
            "methods": (
                "logistic_regression",
                "cross_entropy",
                "weighted_cross_entropy",
                "keras_mean_squared_error",
                "soft_f1",
                "sol",
                "anyloss",
                "reinforce_leave_one_out",
                "policy_gradient_pure",
                "policy_gradient",
            ),
        },
        published={
            "random": [
                ("anyloss", 0.637, _ANYLOSS),
                ("sol", 0.634, f"{_ANYLOSS}, of SOL, linear; 0.636 for its MLP"),
                ("cross_entropy", 0.624, f"{_ANYLOSS}, of cross-entropy on rows balanced by SMOTE"),
            ],
            "breast_cancer": [
                ("cross_entropy", 0.9734, f"{_ANYLOSS}, linear, 1000 full-batch steps"),
                ("anyloss", 0.9709, f"{_ANYLOSS}, linear, 1000 full-batch steps"),
                ("keras_mean_squared_error", 0.9337, f"{_ANYLOSS}, linear, 1000 full-batch steps"),
            ],
        },
    ),
    # The splits are as large as those of TOC-UCO (2026), which are not published. The other reward
    # is asked for by --reward quadratic_kappa.
    "ordinal": Suite(
        files=(
            "swd",
            "eucalyptus",
            "tae",
            "new_thyroid",
            "esl",
            "lev",
            "car",
            "winequality_red",
        ),
        settings={
            "reward": "amae",
            "seeds": 30,
            "test_share": 0.3,
            "methods": (
                "majority",
                "logistic_regression",
                "cross_entropy",
                "weighted_cross_entropy",
                "sord",
                "oll",
                "cdw",
                "slace",
                "corn",
                "clm",
                "cumulative_link",
                "level_mae",
                "level_mse",
                "soft_kappa",
                "policy_gradient",
                "clm_policy_gradient",
                "cumulative_link_policy_gradient",
                "boosting_cross_entropy",
                "boosting_policy_gradient",
            ),
        },
    ),
    # The other reward is asked for by --reward roc_auc.
    "ranking": Suite(
        bundled=("rare_1", "rare_1_clusters", "rare_03"),
        files=("mammography", "german_credit", "page_blocks_pictures"),
        settings={
            "reward": "average_precision",
            "seeds": 10,
            "methods": (
                "logistic_regression",
                "gradient_boosting",
                "cross_entropy",
                "focal",
                "pairwise_logistic",
                "smooth_ap",
                "auc_margin",
                "policy_gradient",
            ),
        },
    ),
}
#: A suite takes only some rows of a set of more numbers than this: of the images alone.
MOST_NUMBERS = 3_000_000


def words_of(suite: str, data_dir: str | None) -> tuple[str, ...]:
    """Return the data sets of a suite, `name` or `name:reward`.

    Args:
        suite: A key of `SUITES`.
        data_dir: Folder of the data sets that are read from files; None leaves them out.

    Raises:
        ValueError: The suite is not known, or all its sets are read from files and no folder is
            given.

    >>> len(words_of("standard", None)), len(words_of("standard", "folder"))
    (11, 24)
    """
    found = SUITES[choose("suite", suite, SUITES)]
    if data_dir is not None:
        return found.bundled + found.files
    if not found.bundled:
        raise ValueError(
            f"suite={suite!r} reads all its data sets from files ({', '.join(found.files)}) and no "
            "folder was given; give data_dir=, on the command line --data-dir FOLDER."
        )
    return found.bundled


def check_word(word: str) -> None:
    """Raise a ValueError if a word names no data set; the reward is checked with its data."""
    choose("data", word.partition(":")[0], available())


def load_word(word: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
    """Return the data set of a word, with the reward that the word asks for.

    >>> load_word("iris:accuracy", None).reward
    'accuracy'
    """
    name, _, reward = word.partition(":")
    dataset = load(name, folder=data_dir)
    return dataclasses.replace(dataset, name=word, reward=reward) if reward else dataset


def thinned(dataset: Dataset) -> Dataset:
    """Return the data set, or a random part of the rows of a very large one."""
    features = len(dataset.numeric_names) + len(dataset.categorical_names)
    share = MOST_NUMBERS / (len(dataset) * features)
    if dataset.time_ordered or share >= 0.9:
        return dataset
    kept = split(dataset, 0, fractions=(share, (1 - share) / 2, (1 - share) / 2)).train
    note = f"{len(kept)} of {len(dataset)} rows were kept, chosen at random and stratified."
    thin = dataset.take(np.sort(kept))
    return dataclasses.replace(thin, notes=(*thin.notes, note))
