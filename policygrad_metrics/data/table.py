"""A user's CSV file as a `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import time_rank, to_numbers
from policygrad_metrics.data.dataset import Dataset
from policygrad_metrics.data.reading import Reading, read_cells
from policygrad_metrics.data.target import (
    MAX_CATEGORIES,
    Bins,
    make_label_columns,
    make_labels,
)

MIN_ROWS = 30


def read_table(
    path: str | os.PathLike[str],
    target: str | Sequence[str],
    *,
    bins: Bins = None,
    time_order: str | None = None,
    drop: str | Sequence[str] = (),
    positive: object = None,
    reading: Reading | None = None,
) -> Dataset:
    r"""Read a CSV file with a header row; say in `notes` what was missing, dropped or decided.

    A column is numeric if every cell that is not missing reads as a number, else categorical.
    Missing are empty cells, NA, N/A, NaN, nan, null, NULL, n/a and ?. Constant columns and
    categorical ones of more than 50 distinct texts are dropped.

    Args:
        path: UTF-8, comma-separated; compressed if it ends in .gz.
        target: The column to predict; texts or few distinct numbers are classes (two: "binary",
            reward "f1"; more: "multiclass", "f1_macro"). Several names: 0/1 columns of a
            multi-label task, reward "f1_samples".
        bins: Cut a numeric target into levels: the increasing upper ends of all levels but the
            last (a value equal to an end is in the lower level), or how many quantile levels.
            Task "ordinal", reward "f1_macro"; one end: "binary", the upper level is positive.
        time_order: A column of numbers or ISO dates; rows are sorted by it and must then be
            split by time. It is not a feature.
        drop: Columns to leave out.
        positive: The positive one of two classes; without it the rarer one.
        reading: How the file is read.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: Not a UTF-8 CSV table, no such column, fewer than 30 rows, a target of one
            class only or of too many numbers without `bins`, or no features left.

    >>> import tempfile
    >>> rows = [f"{hour},{'NW' if hour % 3 else 'SE'},{hour * 5 % 90}" for hour in range(40)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "air.csv")
    ...     _ = file.write_text("\n".join(["hour,wind,pm2.5", *rows]), encoding="utf-8")
    ...     read_table(file, "pm2.5", bins=[35, 75], time_order="hour")
    <Dataset air: 40 rows, 1 features, ordinal, {'<= 35': 20, '35 to 75': 16, '> 75': 4}, ...>
    """
    targets = [target] if isinstance(target, str) else list(target)
    dropped = [drop] if isinstance(drop, str) else list(drop)
    if not isinstance(target, str) and (bins is not None or positive is not None):
        raise ValueError("bins and positive go with one target column, not with a list of them.")
    columns, read_notes = read_cells(path, reading)
    _check_columns(columns, targets, dropped, time_order)

    columns, notes = _without_unlabelled(columns, targets)
    notes = read_notes + notes
    N = len(columns[targets[0]])
    if N < MIN_ROWS:
        raise ValueError(
            f"path={str(path)!r} has {N} rows with a target, fewer than the {MIN_ROWS} that "
            "training, validation and test parts need."
        )
    if isinstance(target, str):
        labels = make_labels(target, columns[target], bins, positive)
    else:
        labels = make_label_columns({name: columns[name] for name in targets})
    notes += labels.notes
    features = {n: columns[n] for n in columns if n not in {*targets, *dropped, time_order}}
    numeric, categorical, feature_notes = _features(features)
    notes += feature_notes
    if not numeric and not categorical:
        raise ValueError(
            f"path={str(path)!r}: no feature is left beside target={target!r}. " + " ".join(notes)
        )
    if time_order is not None:
        notes.append(f"rows are in order of {time_order!r}, which is not a feature.")
    name = Path(path).name.removesuffix(".gz").removesuffix(".csv")
    dataset = Dataset(
        name=name,
        title=f"{name}, target {', '.join(targets)}",
        numeric=np.stack([*numeric.values()], axis=1) if numeric else None,
        categorical=np.stack([*categorical.values()], axis=1) if categorical else None,
        numeric_names=tuple(numeric),
        categorical_names=tuple(categorical),
        **labels.fields(),
        time_ordered=time_order is not None,
        notes=(*notes, *_repeats(numeric, categorical, N)),
    )
    return dataset.take(time_rank(time_order, columns[time_order])) if time_order else dataset


def _check_columns(
    columns: dict[str, list[str]], targets: list[str], dropped: list[str], time_order: str | None
) -> None:
    if not targets or len(set(targets)) != len(targets):
        raise ValueError(f"target must be a column or a list of different ones, got {targets}.")
    for argument, names in (("target", targets), ("drop", dropped)):
        for name in names:
            choose(argument, name, columns)
    if time_order is not None:
        choose("time_order", time_order, columns)
    clash = sorted(set(targets) & {*dropped, time_order})
    if clash:
        raise ValueError(f"target={clash[0]!r} cannot also be in drop or time_order.")


def _without_unlabelled(
    columns: dict[str, list[str]], targets: list[str]
) -> tuple[dict[str, list[str]], list[str]]:
    known = [all(cells) for cells in zip(*(columns[name] for name in targets), strict=True)]
    missing = known.count(False)
    if not missing:
        return columns, []
    kept = {
        name: [cell for cell, keep in zip(cells, known, strict=True) if keep]
        for name, cells in columns.items()
    }
    return kept, [f"{missing} of {len(known)} rows were dropped: their target is missing."]


def _features(
    features: dict[str, list[str]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    numeric: dict[str, np.ndarray] = {}
    categorical: dict[str, np.ndarray] = {}
    notes, missing, constant = [], [], []
    for name, cells in features.items():
        numbers = to_numbers(cells)
        texts = len(set(cells) - {""})
        if (numbers is not None and len(np.unique(numbers)) < 2) or len(set(cells)) < 2:
            constant.append(name)
            continue
        if numbers is None and texts > MAX_CATEGORIES:
            notes.append(
                f"categorical column {name!r} was dropped: {texts} distinct texts, more than "
                f"{MAX_CATEGORIES}."
            )
            continue
        absent = cells.count("")
        if numbers is None:
            categorical[name] = np.array(cells, dtype=object)
        else:
            numeric[name] = numbers
            infinite = int(np.isnan(numbers).sum()) - absent
            absent += infinite
            if infinite:
                notes.append(f"{infinite} infinite cells of {name!r} count as missing.")
            if np.array_equal(numbers, numbers[0] + np.arange(len(numbers))):
                notes.append(
                    f"{name!r} counts the rows; unless it means something, pass it in drop."
                )
        missing += [f"{name!r} {absent}"] if absent else []
    if constant:
        notes.insert(
            0, f"columns of one value only were dropped: {', '.join(map(repr, constant))}."
        )
    if missing:
        notes.insert(0, f"missing cells by column: {', '.join(missing)}.")
    return numeric, categorical, notes


def _repeats(
    numeric: dict[str, np.ndarray], categorical: dict[str, np.ndarray], N: int
) -> list[str]:
    """Say how many rows have the features of an earlier one, as a split may part them."""
    # Numbers go by their bits, so that NaN equals NaN.
    bits = [array.view(np.int64).tolist() for array in numeric.values()]
    texts = [array.tolist() for array in categorical.values()]
    repeats = N - len(set(zip(*bits, *texts, strict=True)))
    if not repeats:
        return []
    return [
        f"{repeats} rows repeat the features of an earlier one: equal rows can come to lie in "
        "training and test parts."
    ]
