"""Data sets for comparisons: named ones, CSV files, splits and preparation.

    dataset = load("digits_rare")  # or read_table("air.csv", "pm2.5", bins=[35, 75])
    parts = split(dataset, seed=0)
    arrays = prepare(dataset, parts)  # x_train, y_train, x_valid, ..., fitted on training rows

A `Dataset` also names the reward that it is made for and says in `notes` what was done to it.
"""

import os

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.data import bundled, real, synthetic
from policygrad_metrics.data.dataset import TASKS, Dataset
from policygrad_metrics.data.prepare import Preparation, Prepared, prepare
from policygrad_metrics.data.reading import Reading
from policygrad_metrics.data.series import Series
from policygrad_metrics.data.splits import Split, folds, split
from policygrad_metrics.data.table import read_table

__all__ = [
    "TASKS",
    "Dataset",
    "Preparation",
    "Prepared",
    "Reading",
    "Series",
    "Split",
    "available",
    "folds",
    "load",
    "prepare",
    "read_table",
    "split",
]


def available() -> dict[str, str]:
    """Return name -> one line for every data set, those first that need no folder.

    >>> available()["random"]
    "Synthetic 'Random' set of the AnyLoss study, 2 features, about 10 % positive"
    """
    files = {name: f"{title} (needs a folder)" for name, title in real.TITLES.items()}
    return {**bundled.TITLES, **synthetic.TITLES, **files}


def load(name: str, *, seed: int = 0, folder: str | os.PathLike[str] | None = None) -> Dataset:
    """Return the data set of that name.

    Args:
        name: A key of `available()`.
        seed: Whole number >= 0 that makes a synthetic set, or chooses rows where a set is a
            sample; the others are the same for every seed.
        folder: Where the files of the sets are that are read from files.

    Raises:
        ValueError: The name is not known; the nearest known one is offered.
        FileNotFoundError: The set is read from a file, and it or the folder is missing.

    >>> load("iris").counts
    (50, 50, 50)
    >>> load("breast_cancer36")
    Traceback (most recent call last):
    ValueError: name='breast_cancer36' is not known; did you mean 'breast_cancer_36'? ...
    """
    choose("name", name, available())
    check_whole("seed", seed, 0)
    if name in bundled.TITLES:
        return bundled.load(name, seed)
    if name in synthetic.TITLES:
        return synthetic.load(name, seed)
    return real.load(name, folder, seed)
