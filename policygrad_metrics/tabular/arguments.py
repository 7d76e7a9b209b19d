"""What the estimators accept, checked before any work."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import check_number, check_truth, check_whole
from policygrad_metrics.estimators import get_estimator


def check_hidden(hidden: Any) -> Any:
    """Sizes of layers as a tuple of ints, or the function itself.

    Raises:
        ValueError: it is neither.

    >>> check_hidden([64, 32])
    (64, 32)
    >>> check_hidden("64")
    Traceback (most recent call last):
    ValueError: hidden must be sizes of layers such as (64, 64), or a function ...; it is '64'.
    """
    if callable(hidden):
        return hidden
    sizes = [hidden] if isinstance(hidden, numbers.Integral) else hidden
    if not isinstance(sizes, (list, tuple)) or not all(
        isinstance(size, numbers.Integral) and not isinstance(size, bool) and int(size) > 0
        for size in sizes
    ):
        raise ValueError(
            "hidden must be sizes of layers such as (64, 64), or a function (n_features, "
            f"n_outputs) -> keras.Model; it is {hidden!r}."
        )
    return tuple(int(size) for size in sizes)


def check_training(estimator: Any) -> None:
    """Check the arguments of training that all estimators have.

    Raises:
        ValueError: one of them is not allowed; the error names it.
    """
    check_whole("patience", estimator.patience, 1)
    check_truth("early_stopping", estimator.early_stopping)
    if not isinstance(estimator.verbose, (bool, np.bool_)):
        check_whole("verbose", estimator.verbose, 0)
    check_number("cross_entropy", estimator.cross_entropy, zero=True)
    check_number("validation_fraction", estimator.validation_fraction, most=0.5)
    if estimator.gradient_estimator != "auto":
        get_estimator(estimator.gradient_estimator)


def full_class_weight(
    class_weight: Any, classes: Sequence[Any], label_columns: int | None = None
) -> Any:
    """Return `class_weight` as scikit-learn reads it, with 1 for the classes that it leaves out.

    Args:
        class_weight: "balanced", a dict by class, or for label columns a list of one dict each.
        classes: of a target, or of each label column.
        label_columns: how many, None if there is one target a row.

    Raises:
        ValueError: it is something else, names what is no class, or holds a weight below 0.

    >>> full_class_weight({"ill": 5.0}, ["ill", "well"])
    {'ill': 5.0, 'well': 1.0}
    >>> full_class_weight({"ill": 5.0, "wel": 2.0}, ["ill", "well"])
    Traceback (most recent call last):
    ValueError: class_weight holds ['wel'], which are none of the classes ['ill', 'well'].
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        return class_weight
    columns: Any = [class_weight] if label_columns is None else class_weight
    fits = isinstance(columns, list) and len(columns) == (label_columns or 1)
    if not fits or not all(isinstance(weights, dict) for weights in columns):
        wanted = "a dict of weights by class"
        if label_columns is not None:
            wanted = f"a list of {label_columns} dicts by class 0 and 1, one for each label column"
        raise ValueError(
            f'class_weight must be None, "balanced" or {wanted}; it is {class_weight!r}.'
        )
    for weights in columns:
        unknown = [label for label in weights if label not in classes]
        # A class that a fold of the rows happens to lack is fine; a slip of the pen leaves one out.
        if unknown and not all(label in weights for label in classes):
            raise ValueError(
                f"class_weight holds {unknown}, which are none of the classes {list(classes)}."
            )
        for label, weight in weights.items():
            check_number(f"class_weight[{label!r}]", weight, zero=True)
    full = [{label: weights.get(label, 1.0) for label in classes} for weights in columns]
    return full[0] if label_columns is None else full
