"""Every named data set behind one `load`."""

from __future__ import annotations

import os

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.data import bundled, real, synthetic
from policygrad_metrics.data.dataset import Dataset


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
