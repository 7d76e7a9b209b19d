"""Targets as scikit-learn has them, to the label numbers of a policy and back."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.special
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from policygrad_metrics.data.order import known_order, no_order, ordered_categories
from policygrad_metrics.policies import (
    BinnedRegression,
    CumulativeLink,
    Policy,
    Sigmoid,
    Softmax,
    get_policy,
)


@dataclasses.dataclass(frozen=True)
class Target:
    """What was learnt about a target.

    Args:
        classes: the classes, sorted or in an order that was given; column numbers 0 .. L-1 if
            multi-label.
        multilabel: whether targets are 0/1 indicators `[N, L]`.
        flipped: whether the positive one of two classes is the first.
    """

    classes: np.ndarray
    multilabel: bool = False
    flipped: bool = False

    @classmethod
    def of(cls, y: Any, classes: Any, pos_label: Any = None) -> Target:
        """The target of label columns, or of classes in the order that they have.

        Args:
            y: targets.
            classes: what `classes_in_order` returned.
            pos_label: the positive one of two classes; None for the second.

        Raises:
            ValueError: there are fewer than two classes, several targets a row, or `pos_label`
                is not one of two classes.
        """
        if _is_indicator(y):
            _as_indicators(y)
            if pos_label is not None:
                raise ValueError(
                    f"pos_label is for two classes; it is {pos_label!r} and y is a multi-label "
                    "indicator. Leave it None."
                )
            return cls(np.arange(y.shape[1]), multilabel=True)
        if len(classes) < 2:
            found = f"one class, {classes.tolist()[0]!r}" if len(classes) else "none"
            raise ValueError(
                f"y must hold at least two classes; it holds {found}. A reward of one class says "
                "nothing."
            )
        if pos_label is not None and (len(classes) != 2 or pos_label not in classes.tolist()):
            raise ValueError(
                f"pos_label must be None or one of two classes; it is {pos_label!r} and the "
                f"classes are {classes.tolist()}."
            )
        return cls(classes, flipped=pos_label is not None and pos_label == classes[0])

    @property
    def num_classes(self) -> int:
        """K of the policy."""
        return 2 if self.multilabel else len(self.classes)

    @property
    def label_columns(self) -> int | None:
        """L if multi-label."""
        return len(self.classes) if self.multilabel else None

    def encode(self, y: Any) -> np.ndarray:
        """Targets as label numbers, int64 `[N]` or `[N, L]`; a positive class is 1.

        Raises:
            ValueError: `y` is of another kind, or holds classes that were not seen in `fit`.
        """
        if _is_indicator(y) != self.multilabel:
            wanted = f"0/1 indicators [N, {len(self.classes)}]" if self.multilabel else "labels [N]"
            raise ValueError(f"y must hold {wanted} as before; it has shape {np.shape(y)}.")
        if self.multilabel:
            if y.shape[1] != len(self.classes):
                raise ValueError(
                    f"y must have {len(self.classes)} label columns as before; it has {y.shape[1]}."
                )
            return _as_indicators(y)
        y = _one_column(y)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"y holds the classes {unknown.tolist()}, which are none of the classes "
                f"{self.classes.tolist()}. Fit on rows of all classes; partial_fit must be given "
                "all of them at its first call."
            )
        ranks = np.argsort(self.classes)
        codes = ranks[np.searchsorted(self.classes, y, sorter=ranks)]
        return 1 - codes if self.flipped else codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Label numbers as targets."""
        codes = np.asarray(codes).astype(np.int64)
        if self.multilabel:
            return codes
        return self.classes[1 - codes if self.flipped else codes]

    def log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Log-probabilities `[N, K]` in the order of `classes`, or `[N, L]` of each label."""
        log_probs = scipy.special.log_softmax(logits, axis=-1)
        if self.multilabel:
            return log_probs[..., 1]
        return log_probs[:, ::-1] if self.flipped else log_probs

    def log_odds(self, logits: np.ndarray) -> np.ndarray:
        """Of the second of two classes `[N]`, of each label `[N, L]`, or the logits `[N, K]`."""
        if self.num_classes > 2:
            return logits
        odds = logits[..., 1] - logits[..., 0]
        return -odds if self.flipped else odds


def classes_in_order(
    y: Any, classes: Any = None, user: str | None = None, *, given: Any = None, seen: Any = None
) -> np.ndarray | None:
    """The classes: in the order that is given or well known where it is needed, else sorted.

    Args:
        y: targets `[N]`; label columns have no classes: None.
        classes: all classes in their order, or None.
        user: what needs the order, for errors; None if nothing does.
        given: `y` before it became an array: an ordered pandas categorical has an order.
        seen: the classes that were seen before, if those of `y` may be too few.

    Raises:
        ValueError: `classes` lack one of `y` or hold one twice; or the order is needed and not
            known.

    Warns:
        UserWarning: A well-known order is taken.

    >>> classes_in_order(["2", "10", "1"]).tolist()
    ['1', '10', '2']
    """
    if _is_indicator(y):
        if classes is not None:
            raise ValueError(
                f"classes is for one class a row; it is {classes!r} and y is a multi-label "
                "indicator. Leave it None."
            )
        return None
    found = np.unique(_one_column(y, warn=True) if seen is None else seen)
    if classes is not None and len(found) > 1:
        return _all_classes(classes, found)
    categories = None if user is None else ordered_categories(given)
    if categories is not None and len(categories) > 2:
        return _all_classes(categories, found)
    if user is None or len(found) < 3 or found.dtype.kind in "biuf":
        return found
    order = known_order([str(name) for name in found])
    if order is None:
        raise no_order(user, "y", found.tolist())
    if order != found.tolist():
        warnings.warn(
            f"{user} depends on the order of the classes. It is taken to be {order}, lowest first; "
            f"so are classes_ and the columns of predict_proba, which scikit-learn's log_loss and "
            f"roc_auc_score take to be sorted. Say so by classes={order}, or give another order.",
            stacklevel=2,
        )
    return np.array(order, found.dtype)


def _all_classes(classes, found):
    array = np.asarray(classes)
    if found.dtype == object:
        array = array.astype(object)
    # Of a missing one there is no order, and no comparison.
    if array.ndim != 1 or None in [*array] or len(np.unique(array)) < len(array):
        raise ValueError(
            f"classes must be all classes in their order, each once; they are {classes!r}."
        )
    lost = np.setdiff1d(found, array).tolist()
    if lost:
        raise ValueError(
            f"classes must hold all classes of y; they are {array.tolist()}, and y also holds "
            f"{lost}. (VotingClassifier, StackingClassifier and cross_val_predict of probabilities "
            "number classes by the alphabet before they fit: give them numbers as y.)"
        )
    return array


@dataclasses.dataclass(frozen=True)
class OwnLabels:
    """A metric of label numbers, made of one that reads the targets as they are.

    Args:
        function: `f(y_true, y_pred) -> float`.
        target: how targets are numbered (`decode`).
    """

    function: Callable[..., float]
    target: Any

    def __call__(self, y_true: np.ndarray, y_pred: np.ndarray, **options: Any) -> float:
        decode = self.target.decode
        return self.function(decode(y_true), decode(y_pred), **options)

    @property
    def __signature__(self) -> inspect.Signature:
        # Whether weights can be given is the function's to say.
        return inspect.signature(self.function)


def choose_policy(policy: str | Policy, target: Target) -> Policy:
    """The policy for a target; "auto" is sigmoid for two classes and label columns, else softmax.

    Raises:
        ValueError: the policy's name is not known, or it does not fit the target.
    """
    if policy == "auto":
        return Sigmoid() if target.num_classes == 2 else Softmax()
    policy = get_policy(policy)
    fits = {
        Sigmoid: target.num_classes == 2,
        Softmax: not target.multilabel,
        CumulativeLink: not target.multilabel,
    }
    if not fits.get(type(policy), False):
        kind = "multi-label columns" if target.multilabel else f"K={target.num_classes} classes"
        raise ValueError(
            f'policy {policy.name!r} cannot label {kind}; use "auto", which is '
            f"{choose_policy('auto', target).name!r} here."
        )
    return policy


def output_columns(policy: Policy, target: Any) -> int:
    """How many columns a network must give a policy."""
    if isinstance(policy, BinnedRegression):
        return policy.output_columns
    if isinstance(policy, Sigmoid):
        return target.label_columns or 1
    return target.num_classes - (1 if isinstance(policy, CumulativeLink) else 0)


def _is_indicator(y):
    return type_of_target(y, input_name="y") == "multilabel-indicator"


def _as_indicators(y):
    """Label columns as int64 `[N, L]`; scikit-learn takes any two numbers for an indicator."""
    y = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
    values = np.unique(y)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"y must hold 0/1 indicators where it has several columns; it holds {values.tolist()}. "
            "Write 1 where a label is there and 0 where it is not."
        )
    return y.astype(np.int64)


def _one_column(y, warn=False):
    check_classification_targets(y)
    return column_or_1d(y, warn=warn)
