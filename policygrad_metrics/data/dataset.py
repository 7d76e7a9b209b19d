"""One data set as arrays: features, labels, and what a comparison must know."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose

#: What a target can be.
TASKS = ("binary", "multiclass", "ordinal", "multilabel")


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Features and labels of one classification task, N rows, checked and read-only.

    Args:
        name: Short name for file names and tables.
        title: One line for tables and reports; synthetic sets say so here.
        numeric: float64 `[N, F1]`, NaN = missing.
        categorical: str objects `[N, F2]`, "" = missing.
        numeric_names: F1 column names.
        categorical_names: F2 column names.
        y: int64 `[N]`, labels 0 .. K-1 (binary: 1 is the positive class; ordinal: in order);
            multi-label: 0 or 1, `[N, L]`.
        class_names: K names, multi-label: L names.
        task: "binary", "multiclass", "ordinal" or "multilabel".
        reward: Name of the reward that the set is made for.
        edges: The K - 1 inner ends of the levels, if the labels were cut from numbers; a value
            equal to an edge is in the lower level: level = number of edges < value.
        values: float64 `[N]`, the numeric target before cutting (given exactly if `edges` is).
        time_ordered: The rows are in order of time: split them by time.
        horizon: Of a series: how many rows before a row the last label is that is known when it is
            predicted; None if none is.
        last: Like `y`: the label last known at each row, where rows of the series are gone.
        notes: What was missing, dropped or handled, and what to beware of; shown to the user.
        subject_to: Constraints of a comparison on it, as texts such as "precision>=0.9".

    Raises:
        ValueError: The parts do not fit together; the message names the one at fault.

    >>> dataset = Dataset("toy", "Three points", [[0.0], [1.0], [2.0]], None, ["x"], [],
    ...                   [0, 1, 1], ["no", "yes"], "binary", "f1")
    >>> dataset.counts
    (1, 2)
    """

    name: str
    title: str
    numeric: Any
    categorical: Any
    numeric_names: Sequence[str]
    categorical_names: Sequence[str]
    y: Any
    class_names: Sequence[str]
    task: str
    reward: str
    edges: Any = None
    values: Any = None
    time_ordered: bool = False
    horizon: int | None = None
    last: Any = None
    notes: Sequence[str] = ()
    subject_to: Sequence[str] = ()

    def __post_init__(self) -> None:
        choose("task", self.task, TASKS)
        for field in ("name", "title", "reward"):
            if not isinstance(getattr(self, field), str) or not getattr(self, field):
                raise ValueError(
                    f"{field} must be a text that is not empty, got {getattr(self, field)!r}."
                )
        for field in ("numeric_names", "categorical_names", "class_names", "notes", "subject_to"):
            object.__setattr__(self, field, _texts(field, getattr(self, field)))
        y = _labels(self.y, self.task, self.class_names)
        numeric, categorical = _features(self, len(y))
        edges, values = _levels(self.edges, self.values, y, self.class_names)
        last = None if self.last is None else _labels(self.last, self.task, self.class_names)
        arrays = {"y": y, "numeric": numeric, "categorical": categorical}
        for field, array in {**arrays, "edges": edges, "values": values, "last": last}.items():
            if array is not None:
                array.flags.writeable = False
            object.__setattr__(self, field, array)

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        features = len(self.numeric_names) + len(self.categorical_names)
        return (
            f"<Dataset {self.name}: {len(self)} rows, {features} features, {self.task}, "
            f"{dict(zip(self.class_names, self.counts, strict=True))}, reward {self.reward}>"
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of each class; multi-label: rows that carry each label."""
        if self.task == "multilabel":
            return tuple(self.y.sum(axis=0).tolist())
        return tuple(np.bincount(self.y, minlength=len(self.class_names)).tolist())

    @property
    def last_labels(self) -> np.ndarray | None:
        """The label last known at each row, `[N]`: that of `horizon` rows before, or the first."""
        if self.horizon is None or self.last is not None:
            return self.last
        return self.y[np.maximum(np.arange(len(self)) - self.horizon, 0)]

    def take(self, rows: Any) -> Dataset:
        """Return the data set of these rows, in this order; without a horizon, as rows may be gone.

        Args:
            rows: Whole numbers or truth values `[N]`, as for indexing an array.
        """
        return dataclasses.replace(
            self,
            numeric=self.numeric[rows],
            categorical=self.categorical[rows],
            y=self.y[rows],
            values=None if self.values is None else self.values[rows],
            horizon=None,
            last=None,
        )


def numeric_dataset(
    name: str, title: str, features: Any, y: Any, class_names: Sequence[str], **others: Any
) -> Dataset:
    """Return a data set whose features are all numbers, named x1, x2, ... unless told otherwise.

    Args:
        name: As for `Dataset`.
        title: As for `Dataset`.
        features: `[N, F]`.
        y: As for `Dataset`.
        class_names: As for `Dataset`.
        **others: Other fields of `Dataset`: `task`, `reward`, `notes` and so on.
    """
    fields = {
        "numeric_names": [f"x{i}" for i in range(1, np.shape(features)[1] + 1)],
        "categorical": None,
        "categorical_names": (),
        **others,
    }
    return Dataset(name=name, title=title, numeric=features, y=y, class_names=class_names, **fields)


def _texts(field: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{field} must be a sequence of texts, got {names!r}.")
    if field != "notes":
        check_different(field, names)
    return tuple(names)


def check_different(name: str, values: Sequence[str], way_out: str = "") -> None:
    """Raise a ValueError if a text occurs twice."""
    repeated = sorted({value for value in values if list(values).count(value) > 1})
    if repeated:
        listed = ", ".join(repeated)
        raise ValueError(f"{name} must differ from each other; repeated: {listed}{way_out}.")


def _labels(y: Any, task: str, class_names: Sequence[str]) -> np.ndarray:
    labels, K = np.asarray(y), len(class_names)
    axes = 2 if task == "multilabel" else 1
    if labels.ndim != axes or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            f"y must be whole numbers with {axes} axes for task={task!r}, got {labels.dtype} of "
            f"shape {labels.shape}; encode labels as 0 .. K-1 (multi-label: 0 or 1)."
        )
    if task == "multilabel":
        if labels.shape[1] != K:
            raise ValueError(f"y has {labels.shape[1]} label columns but class_names {K} names.")
        top = 1
    else:
        top = K - 1
        if (task == "binary" and K != 2) or K < 2:
            raise ValueError(f"class_names must be 2 or more (binary: 2), got {class_names}.")
        if labels.min() == labels.max():
            raise ValueError("y must hold at least two classes, got only one.")
    if labels.min() < 0 or labels.max() > top:
        raise ValueError(f"y must be in 0 .. {top}, got {labels.min()} .. {labels.max()}.")
    return labels.astype(np.int64)


def _features(dataset: Dataset, N: int) -> tuple[np.ndarray, np.ndarray]:
    numeric, categorical = (
        np.array(np.empty([N, 0]) if given is None else given, kind)
        for given, kind in ((dataset.numeric, np.float64), (dataset.categorical, object))
    )
    names = {"numeric": dataset.numeric_names, "categorical": dataset.categorical_names}
    for field, array in (("numeric", numeric), ("categorical", categorical)):
        if array.shape != (N, len(names[field])):
            raise ValueError(
                f"{field} must have shape [{N}, {len(names[field])}] (rows of y, {field}_names), "
                f"got {list(array.shape)}."
            )
    if np.isinf(numeric).any():
        raise ValueError("numeric must be finite, or NaN for missing; it holds an infinite value.")
    if not all(isinstance(cell, str) for cell in categorical.flat):
        raise ValueError('categorical must hold texts only, "" for missing.')
    if not any(names.values()):
        raise ValueError("a data set needs at least one feature, got none.")
    both = sorted(set(names["numeric"]) & set(names["categorical"]))
    if both:
        raise ValueError(f"numeric_names and categorical_names share the names {both}.")
    return numeric, categorical


def _levels(
    edges: Any, values: Any, y: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if edges is None and values is None:
        return None, None
    if edges is None or values is None:
        raise ValueError("edges and values must be given together, or neither of them.")
    edges, values = np.array(edges, np.float64), np.array(values, np.float64)
    if edges.shape != (len(class_names) - 1,) or not (np.diff(edges) > 0).all():
        raise ValueError(
            f"edges must be {len(class_names) - 1} increasing numbers (one fewer than "
            f"class_names), got {edges.tolist()}."
        )
    if values.shape != y.shape or not np.isfinite(values).all():
        raise ValueError(f"values must be {len(y)} finite numbers, got shape {values.shape}.")
    if not np.array_equal(np.searchsorted(edges, values, side="left"), y):
        raise ValueError("y must be the level of values: the number of edges < value.")
    return edges, values
