"""The target as labels: classes, levels cut from a number, or 0/1 columns."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.data.cells import to_number, to_numbers
from policygrad_metrics.data.order import known_order

MAX_CATEGORIES = 50
MAX_NUMERIC_CLASSES = 30

Bins = int | Sequence[float] | np.ndarray | None


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The label part of a `Dataset`: its fields have the names and meaning they have there."""

    y: np.ndarray
    class_names: tuple[str, ...]
    task: str
    reward: str
    edges: np.ndarray | None = None
    values: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return all but the notes, as arguments of a `Dataset`."""
        return {name: value for name, value in vars(self).items() if name != "notes"}


def number_text(number: float) -> str:
    """Return a number in its shortest exact form.

    >>> number_text(35.0), number_text(35.4)
    ('35', '35.4')
    """
    return repr(float(number)).removesuffix(".0")


def check_edges(argument: str, edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return `edges` as float64 `[K - 1]`.

    Raises:
        ValueError: They are not finite, increasing numbers.
    """
    try:
        array = np.array([] if isinstance(edges, str) else edges, np.float64)
    except (TypeError, ValueError):
        array = np.array([])
    increasing = array.ndim == 1 and np.isfinite(array).all() and (np.diff(array) > 0).all()
    if not increasing or not len(array):
        raise ValueError(
            f"{argument} must be a whole number >= 2 or finite, increasing upper ends such as "
            f"[35, 75, 115], got {array.tolist() if array.size else edges!r}."
        )
    return array


def quantile_edges(name: str, values: np.ndarray, levels: int) -> np.ndarray:
    """Return the ends that cut `values` into levels of about equal size, as `pandas.qcut` does.

    Raises:
        ValueError: Fewer than two levels, or so many equal values that two ends coincide.

    >>> quantile_edges("x", np.arange(9.0), 4)
    array([2., 4., 6.])
    >>> quantile_edges("x", np.array([-0.9, -0.5, -0.4, 0.0, 0.2, 0.6]), 4).tolist()
    [-0.475, -0.2, 0.15]
    """
    if levels < 2:
        raise ValueError(f"bins must be 2 or more levels, or a list of upper ends, got {levels}.")
    # Between two values the last digits are noise, which would stand in the names of the levels.
    exact = np.quantile(values, np.arange(1, levels) / levels)
    edges = np.array([float(f"{edge:.14g}") for edge in exact])
    if not (np.diff(edges) > 0).all():
        raise ValueError(
            f"bins={levels}: {name!r} has too many equal values for {levels} quantile levels "
            f"(ends {edges.tolist()}); ask for fewer, or list the upper ends."
        )
    return edges


def cut(
    name: str, values: np.ndarray, bins: Bins, class_names: Sequence[str] | None = None
) -> Labels:
    """Cut a number into levels: level = number of edges < value (an edge is in the lower level).

    Two levels make a binary task whose positive class is the upper one, more an ordinal one.

    Args:
        name: The column, for names and errors.
        values: Finite numbers `[N]`.
        bins: The upper ends of all levels but the last, or a whole number of quantile levels.
        class_names: Names of the levels; made of the ends if not given.

    Raises:
        ValueError: `bins` are not increasing numbers, or all values fall into one level.

    >>> cut("x", np.array([10.0, 35.0, 36.0, 80.0]), [35, 75]).y
    array([0, 0, 1, 2])
    """
    notes = []
    if bins is None or isinstance(bins, bool):
        raise ValueError(f"bins must be upper ends or a whole number of levels, got {bins!r}.")
    if isinstance(bins, (int, np.integer)):
        edges = quantile_edges(name, values, int(bins))
        ends = ", ".join(map(number_text, edges))
        notes.append(f"{name!r} was cut at its quantiles (of all rows): {ends}.")
    else:
        edges = check_edges("bins", bins)
    if class_names is None:
        ends = [number_text(edge) for edge in edges]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
        class_names = [f"<= {ends[0]}", *between, f"> {ends[-1]}"]
    y = np.searchsorted(edges, values, side="left")
    return _ordered(name, y, class_names, notes, edges=edges, values=values)


def _ordered(
    name: str, y: np.ndarray, class_names: Sequence[str], notes: Sequence[str], **others: Any
) -> Labels:
    """Levels as a binary or an ordinal task; says which have no row."""
    counts, notes = np.bincount(y, minlength=len(class_names)), [*notes]
    _check_two(name, int((counts > 0).sum()), class_names[int(counts.argmax())])
    empty = [level for level, count in zip(class_names, counts, strict=True) if not count]
    if empty:
        notes.append(f"levels of {name!r} without any row: {', '.join(map(repr, empty))}.")
    binary = len(class_names) == 2
    if binary:
        notes.append(f"the positive class is {class_names[1]!r}, {counts[1]} of {len(y)} rows.")
    return Labels(
        y=y,
        class_names=tuple(class_names),
        task="binary" if binary else "ordinal",
        reward="f1" if binary else "f1_macro",
        notes=tuple(notes),
        **others,
    )


def make_labels(
    name: str,
    cells: Sequence[str],
    bins: Bins,
    positive: object,
    order: Sequence[Any] = (),
    text: bool = False,
) -> Labels:
    """Return the labels of one target column without missing cells.

    Args:
        name: The column.
        cells: Texts `[N]`.
        bins: As in `cut`; None for classes.
        positive: The positive one of two classes; None for the rarer one.
        order: All classes in their order, lowest first; empty if it is well known or there is none.
        text: Whether the cells are texts, so that "01" is another class than "1".

    Raises:
        ValueError: As `read_table` says.
    """
    numbers = to_numbers(cells)
    if text and bins is None and numbers is not None:
        written = {*map(number_text, numbers)}
        numbers = numbers if written == set(cells) else None
    if order and (bins is not None or positive is not None):
        raise ValueError(
            f"order={list(order)} goes neither with bins, whose levels are in order, nor with "
            "positive, which is the last of two classes in order; leave one out."
        )
    if bins is not None:
        if positive is not None:
            raise ValueError(
                f"positive={positive!r} does not go with bins; cut at one end, bins=[75], and "
                "the level above it is the positive class."
            )
        return cut(name, _all_numbers(name, cells, numbers), bins)
    if numbers is not None:
        numbers = _all_numbers(name, cells, numbers)
        distinct, y = np.unique(numbers, return_inverse=True)
        if not order:
            _check_few_numbers(name, numbers, len(distinct))
        class_names = [number_text(number) for number in distinct]
    else:
        texts, y = np.unique(np.array(cells, dtype=object), return_inverse=True)
        class_names = [str(text) for text in texts]
        if len(class_names) > MAX_CATEGORIES:
            raise ValueError(
                f"target={name!r} has {len(class_names)} distinct texts, more than "
                f"{MAX_CATEGORIES} classes; is it the right column?"
            )
    _check_two(name, len(class_names), class_names[0])
    if order:
        return _reordered(name, y, class_names, _all_classes(name, class_names, order))
    if len(class_names) > 2:
        if positive is not None:
            raise ValueError(
                f"positive={positive!r} is for a target of two classes; {name!r} has "
                f"{len(class_names)}: {', '.join(map(repr, class_names))}. Leave it out."
            )
        known = None if numbers is not None else known_order(class_names)
        if known is not None:
            note = (
                f"the classes of {name!r} were put in their well-known order, lowest first: "
                f"{', '.join(map(repr, known))}; pass order= (--order) for another."
            )
            return _reordered(name, y, class_names, known, note)
        return Labels(y, tuple(class_names), "multiclass", "f1_macro")
    return _binary(name, y, class_names, positive)


def _all_classes(name: str, found: Sequence[str], order: Sequence[Any]) -> list[str]:
    """The classes of an order that was given, numbers written as they are found."""
    numbers = [to_number(str(label).strip()) for label in order]
    named = [
        str(label).strip() if number is None or str(label) in found else number_text(number)
        for label, number in zip(order, numbers, strict=True)
    ]
    lost = [label for label in found if label not in named]
    if lost or len(set(named)) < len(named):
        raise ValueError(
            f"order must hold all classes of {name!r}, each once; it is {named} and lacks {lost}."
        )
    return named


def _reordered(
    name: str, y: np.ndarray, found: Sequence[str], order: Sequence[str], *notes: str
) -> Labels:
    """Labels of classes that are numbered as they were found, numbered in their order."""
    return _ordered(name, np.array([order.index(label) for label in found])[y], order, notes)


def make_label_columns(columns: Mapping[str, Sequence[str]]) -> Labels:
    """Return several 0/1 columns as multi-label labels `[N, L]`.

    Raises:
        ValueError: A cell is neither 0 nor 1.
    """
    stacked = []
    for name, cells in columns.items():
        numbers = to_numbers(cells)
        if numbers is None or not np.isin(numbers, (0, 1)).all():
            wrong = next(cell for cell in cells if to_number(cell) not in (0, 1))
            raise ValueError(f"target column {name!r} must hold 0 and 1 only, got {wrong!r}.")
        stacked.append(numbers.astype(np.int64))
    return Labels(np.stack(stacked, axis=1), tuple(columns), "multilabel", "f1_samples")


def _binary(name: str, y: np.ndarray, class_names: list[str], positive: object) -> Labels:
    counts = np.bincount(y)
    if positive is None:
        chosen = int(counts[1] <= counts[0])
        rarer = "as many rows as the other" if counts[0] == counts[1] else "the rarer one"
        why = f"{rarer}; pass positive= (--positive) for the other"
    else:
        number = to_number(str(positive))
        text = str(positive) if number is None else number_text(number)
        matches = [i for i, n in enumerate(class_names) if n in (str(positive), text)]
        if not matches:
            raise ValueError(
                f"positive={positive!r} is not a class of {name!r}; its classes are "
                f"{class_names[0]!r} and {class_names[1]!r}."
            )
        chosen, why = matches[0], "as asked"
    note = (
        f"the positive class is {class_names[chosen]!r} ({why}), {counts[chosen]} of {len(y)} rows."
    )
    ordered = (class_names[1 - chosen], class_names[chosen])
    return Labels((y == chosen).astype(np.int64), ordered, "binary", "f1", notes=(note,))


def _all_numbers(name: str, cells: Sequence[str], numbers: np.ndarray | None) -> np.ndarray:
    if numbers is None or not np.isfinite(numbers).all():
        found = ((cell, to_number(cell)) for cell in cells)
        wrong = next(cell for cell, number in found if number is None or not np.isfinite(number))
        raise ValueError(f"target={name!r} must hold finite numbers here, got {wrong!r}.")
    return numbers


def _check_few_numbers(name: str, numbers: np.ndarray, distinct: int) -> None:
    # In a small file ten different numbers are already more likely a measurement than classes.
    limit = min(MAX_NUMERIC_CLASSES, max(10, len(numbers) // 10))
    if distinct > limit:
        quartiles = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75], method="lower"))
        ends = ", ".join(map(number_text, quartiles))
        raise ValueError(
            f"target={name!r} is a number with {distinct} distinct values, too many for classes; "
            f"pass the upper ends of its levels, such as bins=[{ends}] (its quartiles), or a "
            "number of quantile levels, bins=4."
        )


def _check_two(name: str, found: int, only: str) -> None:
    if found < 2:
        raise ValueError(
            f"target={name!r} has one class only, {only!r}; two are needed to learn anything "
            "(with bins, move the ends)."
        )
