"""Constraints in a comparison: texts with names of classes, and by how much labels break them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.rewards.constraints import PredictedRate, get_constraint
from policygrad_metrics.rewards.inequalities import Constraints, number_of

#: Digits after the point of what a constraint is broken by: a rate at its bound is kept.
_DIGITS = 12


def read_constraints(
    texts: Sequence[str], task: str, class_names: Sequence[str]
) -> Constraints | None:
    """Return the constraints that labels of a data set are to keep; None if there are none.

    Args:
        texts: Such as "precision>=0.9", or with a class of the data set, "recall[malignant]>=0.8".
        task: "binary", "multiclass", "ordinal" or "multilabel".
        class_names: Of the data set; multi-label: of its label columns.

    Raises:
        ValueError: A text is no constraint, is on groups of examples, names a class that the data
            set has not, or is on a rate that such labels do not have.

    >>> found = read_constraints(["recall[malignant]>=0.8"], "binary", ["benign", "malignant"])
    >>> found.items[0].reward.labels
    (1,)
    """
    if not texts:
        return None
    multilabel = task == "multilabel"

    for text in texts:
        _check_rate(text, multilabel, class_names)
    found = Constraints.of(texts, number_of(class_names))
    found = found.for_multilabel() if multilabel else found
    columns, K = (len(class_names), 2) if multilabel else (1, len(class_names))
    try:
        found.excess(tf.ones([1, columns, K, K], tf.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"subject_to={tuple(texts)!r} (--subject-to): {error}") from error
    return found


def _check_rate(text: str, multilabel: bool, class_names: Sequence[str]) -> None:
    """Raise if a constraint is on groups, or on the share of a class that it does not name."""
    name = f"subject_to={text!r} (--subject-to)"
    if re.match(r"\s*\w+_gap\b", text):
        raise ValueError(
            f"{name} is on groups of examples, which a comparison does not know. Train with "
            'PolicyGradientLoss(subject_to=at_most("recall_gap", 0.05, groups=G)) instead.'
        )
    found = get_constraint(text)
    if not isinstance(found.reward, PredictedRate):
        return
    if multilabel:
        raise ValueError(
            f"{name} is the share of one class, which label columns have not; give precision or "
            "recall of a label in brackets."
        )
    if found.pos_label is None and len(class_names) > 2:
        raise ValueError(
            f"{name} is the share of one class of several: name it in brackets, "
            f"{found.name}[{class_names[0]}]{found.sense}{found.bound:g}."
        )


def broken_by(constraints: Constraints | None, confusion: Sequence[Any]) -> float | None:
    """Return by how much the worst constraint is broken, 0 or less if all are kept.

    Args:
        constraints: What `read_constraints` gives; None gives None.
        confusion: Counts `[K][K]`, rows the truth; multi-label: one `[2][2]` per label.

    >>> found = read_constraints(["precision>=0.9"], "binary", ["no", "yes"])
    >>> broken_by(found, [[5, 1], [2, 4]]), broken_by(found, [[5, 0], [2, 4]])
    (0.1, -0.1)
    """
    if constraints is None:
        return None
    counts = np.asarray(confusion, np.float64)
    counts = counts.reshape(1, -1, *counts.shape[-2:])
    return round(float(tf.reduce_max(constraints.excess(tf.constant(counts)))), _DIGITS)
