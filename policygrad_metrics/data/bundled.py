"""Data sets that come with scikit-learn: nothing to download."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from policygrad_metrics.data.dataset import Dataset, numeric_dataset
from policygrad_metrics.data.target import cut

RARE_DIGIT = 8
FEW_MALIGNANT = 36
_CUT_LEVELS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")

#: name -> one line.
TITLES = {
    "breast_cancer": "Breast cancer Wisconsin, malignant against benign",
    "breast_cancer_36": "Breast cancer Wisconsin thinned to 36 malignant against 357 benign",
    "wine": "Wine cultivars, 3 classes",
    "digits_rare": f"Handwritten digits 8x8, the {RARE_DIGIT} against the rest",
    "digits": "Handwritten digits 8x8, 10 classes",
    "iris": "Iris species, 3 classes",
    "diabetes_levels": "Diabetes progression after a year, cut into quarters",
}


def load(name: str, seed: int = 0) -> Dataset:
    """Return one of scikit-learn's bundled sets.

    Args:
        name: A key of `TITLES`.
        seed: Chooses the 36 malignant rows of "breast_cancer_36" and nothing else.

    >>> load("breast_cancer").counts
    (357, 212)
    """
    return _breast_cancer_36(seed) if name == "breast_cancer_36" else _LOADERS[name]()


def _bunch(name: str, **options: Any) -> Any:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(**options)


def _from(
    name: str, bunch: Any, y: np.ndarray, class_names: Sequence[str], **others: Any
) -> Dataset:
    features = [str(feature) for feature in bunch.feature_names]
    return numeric_dataset(
        name, TITLES[name], bunch.data, y, class_names, numeric_names=features, **others
    )


def _as_it_is(name: str) -> Dataset:
    bunch = _bunch(name)
    classes = [str(target) for target in bunch.target_names]
    return _from(name, bunch, bunch.target, classes, task="multiclass", reward="f1_macro")


def _breast_cancer() -> Dataset:
    bunch = _bunch("breast_cancer")
    # scikit-learn codes malignant as 0; what one wants to find is the positive class here.
    y = 1 - bunch.target
    notes = ("the positive class is 'malignant', 212 of 569 rows.",)
    classes = ("benign", "malignant")
    return _from("breast_cancer", bunch, y, classes, task="binary", reward="f1", notes=notes)


def _breast_cancer_36(seed: int) -> Dataset:
    full = _breast_cancer()
    malignant = np.flatnonzero(full.y == 1)
    chosen = np.random.default_rng(seed).choice(malignant, FEW_MALIGNANT, replace=False)
    rows = np.sort(np.concatenate([np.flatnonzero(full.y == 0), chosen]))
    note = f"{FEW_MALIGNANT} of {len(malignant)} malignant rows were kept, chosen by seed {seed}."
    return dataclasses.replace(
        full.take(rows), name="breast_cancer_36", title=TITLES["breast_cancer_36"], notes=(note,)
    )


def _digits_rare() -> Dataset:
    bunch = _bunch("digits")
    y = (bunch.target == RARE_DIGIT).astype(np.int64)
    notes = (f"the positive class is the digit {RARE_DIGIT}, {y.sum()} of {len(y)} rows.",)
    classes = ("rest", str(RARE_DIGIT))
    return _from("digits_rare", bunch, y, classes, task="binary", reward="f1", notes=notes)


def _diabetes_levels() -> Dataset:
    bunch = _bunch("diabetes", scaled=False)
    labels = cut("progression", bunch.target, len(_CUT_LEVELS), _CUT_LEVELS)
    fields = {**labels.fields(), "reward": "cohen_kappa_quadratic", "notes": labels.notes}
    return _from("diabetes_levels", bunch, **fields)


_LOADERS: dict[str, Callable[[], Dataset]] = {
    "breast_cancer": _breast_cancer,
    "wine": partial(_as_it_is, "wine"),
    "digits_rare": _digits_rare,
    "digits": partial(_as_it_is, "digits"),
    "iris": partial(_as_it_is, "iris"),
    "diabetes_levels": _diabetes_levels,
}
