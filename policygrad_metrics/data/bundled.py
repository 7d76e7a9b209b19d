"""Data sets that come with scikit-learn: nothing to download."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.dataset import Dataset, check_seed
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

    Raises:
        ValueError: The name is not known; the nearest known one is offered; or a bad seed.

    >>> load("breast_cancer").counts
    (357, 212)
    """
    choose("name", name, TITLES)
    return _LOADERS[name](check_seed(seed))


def _from(
    name: str,
    bunch: Any,
    y: np.ndarray,
    class_names: Sequence[str],
    task: str,
    reward: str,
    *notes: str,
) -> Dataset:
    return Dataset(
        name=name,
        title=TITLES[name],
        numeric=bunch.data,
        categorical=None,
        numeric_names=[str(feature) for feature in bunch.feature_names],
        categorical_names=(),
        y=y,
        class_names=class_names,
        task=task,
        reward=reward,
        notes=notes,
    )


def _breast_cancer(seed: int) -> Dataset:
    from sklearn.datasets import load_breast_cancer

    bunch: Any = load_breast_cancer()
    # scikit-learn codes malignant as 0; what one wants to find is the positive class here.
    y = 1 - bunch.target
    note = "the positive class is 'malignant', 212 of 569 rows."
    return _from("breast_cancer", bunch, y, ("benign", "malignant"), "binary", "f1", note)


def _breast_cancer_36(seed: int) -> Dataset:
    full = _breast_cancer(seed)
    malignant = np.flatnonzero(full.y == 1)
    chosen = np.random.default_rng(seed).choice(malignant, FEW_MALIGNANT, replace=False)
    rows = np.sort(np.concatenate([np.flatnonzero(full.y == 0), chosen]))
    note = f"{FEW_MALIGNANT} of {len(malignant)} malignant rows were kept, chosen by seed {seed}."
    return dataclasses.replace(
        full.take(rows), name="breast_cancer_36", title=TITLES["breast_cancer_36"], notes=(note,)
    )


def _wine(seed: int) -> Dataset:
    from sklearn.datasets import load_wine

    bunch: Any = load_wine()
    names = [str(name) for name in bunch.target_names]
    return _from("wine", bunch, bunch.target, names, "multiclass", "f1_macro")


def _iris(seed: int) -> Dataset:
    from sklearn.datasets import load_iris

    bunch: Any = load_iris()
    names = [str(name) for name in bunch.target_names]
    return _from("iris", bunch, bunch.target, names, "multiclass", "f1_macro")


def _digits(seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    names = [str(digit) for digit in range(10)]
    return _from("digits", bunch, bunch.target, names, "multiclass", "f1_macro")


def _digits_rare(seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    y = (bunch.target == RARE_DIGIT).astype(np.int64)
    note = f"the positive class is the digit {RARE_DIGIT}, {y.sum()} of {len(y)} rows."
    return _from("digits_rare", bunch, y, ("rest", str(RARE_DIGIT)), "binary", "f1", note)


def _diabetes_levels(seed: int) -> Dataset:
    from sklearn.datasets import load_diabetes

    bunch: Any = load_diabetes(scaled=False)
    labels = cut("progression", bunch.target, len(_CUT_LEVELS), _CUT_LEVELS)
    dataset = _from(
        "diabetes_levels",
        bunch,
        labels.y,
        labels.class_names,
        "ordinal",
        "cohen_kappa_quadratic",
        *labels.notes,
    )
    return dataclasses.replace(dataset, edges=labels.edges, values=labels.values)


_LOADERS: dict[str, Callable[[int], Dataset]] = {
    "breast_cancer": _breast_cancer,
    "breast_cancer_36": _breast_cancer_36,
    "wine": _wine,
    "digits_rare": _digits_rare,
    "digits": _digits,
    "iris": _iris,
    "diabetes_levels": _diabetes_levels,
}
