"""A user's CSV file as a `Dataset`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import to_numbers
from policygrad_metrics.data.dataset import Dataset
from policygrad_metrics.data.dates import look_like_other_dates, with_dates
from policygrad_metrics.data.faults import Faults
from policygrad_metrics.data.frames import as_read, frame_cells, is_frame
from policygrad_metrics.data.missing import refuse_likely_codes
from policygrad_metrics.data.order import ordered_categories
from policygrad_metrics.data.reading import Reading, coded_cells, read_cells
from policygrad_metrics.data.series import Columns, Series, lagged, last_known
from policygrad_metrics.data.target import (
    MAX_CATEGORIES,
    Bins,
    Labels,
    make_label_columns,
    make_labels,
)
from policygrad_metrics.data.written import odd_cells, refuse_odd_cells

MIN_ROWS = 30
_OTHER_DATES = (
    " Of dates in ISO 8601, such as 2014-12-31 23:00, month, weekday and hour are features: "
    "pandas.to_datetime reads other ways of writing them."
)


def read_table(
    path: Any,
    target: str | Sequence[str],
    *,
    bins: Bins = None,
    series: Series | None = None,
    drop: str | Sequence[str] = (),
    positive: object = None,
    reading: Reading | None = None,
    order: Sequence[Any] = (),
) -> Dataset:
    r"""Read a table; say in `notes` what was missing, dropped or decided.

    A column is numeric if every cell that is not missing reads as a number, and categorical if few
    do; in between the cells at fault are told. Of dates in ISO 8601 month, weekday and hour become
    columns. Constant columns and categorical ones of more than 50 distinct texts are dropped.

    Args:
        path: A CSV file, compressed if it ends in .gz; a .parquet file; or a frame of pandas,
            polars or Arrow, or a dict of columns.
        target: The column to predict; texts or few distinct numbers are classes (two: "binary",
            reward "f1"; more: "multiclass", "f1_macro"). Several names: 0/1 columns of a
            multi-label task, reward "f1_samples".
        bins: Cut a numeric target into levels: the increasing upper ends of all levels but the
            last (a value equal to an end is in the lower level), or how many quantile levels.
            Task "ordinal", reward "f1_macro"; one end: "binary", the upper level is positive.
        series: If the rows are a series: what tells the time, and how far ahead is predicted.
        drop: Columns to leave out.
        positive: The positive one of two classes; without it the rarer one.
        reading: How the file is read: missing codes, separators, encoding.
        order: All classes in their order, lowest first: task "ordinal", reward "f1_macro" (two:
            "binary", the second is positive). Texts in a well-known order, such as low, medium,
            high, need none (see `order.known_order`).

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: Not a table of text, no such column, numbers and texts in one column, fewer
            than 30 rows, a target of one class only or of too many numbers without `bins`, or no
            features left. Several faults are listed in one message.

    >>> import tempfile
    >>> rows = [f"{hour},{'NW' if hour % 3 else 'SE'},{hour * 5 % 90}" for hour in range(40)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "air.csv")
    ...     _ = file.write_text("\n".join(["hour,wind,pm2.5", *rows]), encoding="utf-8")
    ...     read_table(file, "pm2.5", bins=[35, 75], series=Series("hour"))
    <Dataset air: 40 rows, 1 features, ordinal, {'<= 35': 20, '35 to 75': 16, '> 75': 4}, ...>
    """
    targets = [target] if isinstance(target, str) else list(target)
    dropped = [drop] if isinstance(drop, str) else list(drop)
    if not isinstance(target, str) and (bins is not None or positive is not None or order):
        raise ValueError(
            "bins, positive and order go with one target column, not with a list of them."
        )
    name, shown = table_name(path), _shown(path)
    path, reading = as_read(path, reading or Reading())
    columns, notes = _cells_of(path, reading, dropped)
    order, text, faults = order or _order_in(path, target), reading.text, Faults(shown)
    time = series.column if series is not None else None
    _check_columns(faults, columns, targets, dropped, time)
    columns = {name: cells for name, cells in columns.items() if name not in dropped}
    odd = _odd_columns(faults, columns, targets, reading, time)
    if series is not None:
        with faults.noted():
            columns, more = series.sort(columns)
            notes += more
    known = np.array([all(cells) for cells in zip(*(columns[n] for n in targets), strict=True)])
    labels = None
    if not {*odd} & {*targets}:
        with faults.noted():
            if isinstance(target, str):
                cells = _known_cells(columns, target, known)
                labels = make_labels(target, cells, bins, positive, order, target in text)
            else:
                labels = make_label_columns({n: _known_cells(columns, n, known) for n in target})
    faults.stop()
    assert labels is not None
    columns.pop(time or "", None)
    columns, labels, last, more = _rows_to_predict(columns, targets, known, labels, series)
    numeric, categorical, told = _features(columns, text)
    notes += [*more, *labels.notes, *told]
    _check_enough(shown, targets, len(labels.y), len(numeric) + len(categorical), notes)
    return Dataset(
        name=name,
        title=f"{name}, target {', '.join(targets)}",
        numeric=np.stack([*numeric.values()], axis=1) if numeric else None,
        categorical=np.stack([*categorical.values()], axis=1) if categorical else None,
        numeric_names=tuple(numeric),
        categorical_names=tuple(categorical),
        **labels.fields(),
        time_ordered=series is not None,
        horizon=series.horizon if series is not None else None,
        last=last,
        notes=(*notes, *_repeats(numeric, categorical, len(labels.y))),
    )


def table_name(path: Any) -> str:
    """Return the name of the data set that a file holds; "table" for a frame.

    >>> table_name("data/air.csv.gz")
    'air'
    """
    if is_frame(path):
        return "table"
    return Path(path).name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")


def _shown(path: Any) -> str:
    return "the frame" if is_frame(path) else f"path={str(path)!r}"


def _cells_of(path: Any, reading: Reading, dropped: Sequence[str]) -> tuple[Columns, list[str]]:
    if is_frame(path):
        return coded_cells(frame_cells(path), reading)
    return read_cells(path, reading, dropped)


def _order_in(frame: Any, target: str | Sequence[str]) -> Sequence[Any]:
    """The order that an ordered categorical column of a frame to predict brings along."""
    if not isinstance(target, str) or not is_frame(frame) or isinstance(frame, Mapping):
        return ()
    return ordered_categories(frame[target]) or () if target in frame.columns else ()


def _odd_columns(
    faults: Faults, columns: Columns, targets: Sequence[str], reading: Reading, time: str | None
) -> Collection[str]:
    """Note cells that are no values, and return the columns that hold texts among numbers."""
    odd = odd_cells({n: cells for n, cells in columns.items() if n not in {*reading.text, time}})
    with faults.noted():
        refuse_odd_cells(columns, odd)
    with faults.noted():
        asked = {name: columns[name] for name in targets if name not in reading.text}
        refuse_likely_codes(asked, reading.missing)
    return odd


def _check_enough(
    shown: str, targets: Sequence[str], rows: int, features: int, notes: Sequence[str]
) -> None:
    if rows < MIN_ROWS:
        raise ValueError(
            f"{shown} has {rows} rows with a target, fewer than the {MIN_ROWS} that "
            "training, validation and test parts need. " + " ".join(notes)
        )
    if not features:
        raise ValueError(
            f"{shown}: no feature is left beside target={', '.join(targets)!r}. " + " ".join(notes)
        )


def _check_columns(
    faults: Faults,
    columns: Columns,
    targets: list[str],
    dropped: list[str],
    time: str | None,
) -> None:
    if not targets or len(set(targets)) != len(targets):
        raise ValueError(f"target must be a column or a list of different ones, got {targets}.")
    times = [time] if time is not None else []
    for argument, names in (
        ("target", targets),
        ("drop", dropped),
        ("time column (--time-split)", times),
    ):
        for name in names:
            with faults.noted():
                choose(argument, name, columns)
    clash = sorted(set(targets) & {*dropped, *times})
    with faults.noted():
        if clash:
            raise ValueError(f"target={clash[0]!r} cannot also be in drop or tell the time.")
    faults.stop()


def _known_cells(columns: Columns, name: str, known: np.ndarray) -> list[str]:
    """Return a target's cells in the rows that have a target."""
    if not known.any():
        raise ValueError(f"target={name!r} is missing in all {len(known)} rows.")
    return list(itertools.compress(columns[name], known))


def _rows_to_predict(
    columns: Columns,
    targets: Sequence[str],
    known: np.ndarray,
    labels: Labels,
    series: Series | None,
) -> tuple[Columns, Labels, np.ndarray | None, list[str]]:
    """Return features, labels, last known labels and notes of the rows that can be predicted.

    Args:
        columns: Features and targets of all rows.
        targets: The targets.
        known: Whether a row has a target.
        labels: Of those rows.
        series: What the rows are.
    """
    notes = []
    if not known.all():
        missing = int((~known).sum())
        notes.append(f"{missing} of {len(known)} rows were dropped: their target is missing.")
    rows, last = np.flatnonzero(known), None
    horizon = series.horizon if series is not None else None
    if horizon is None:
        features = {name: cells for name, cells in columns.items() if name not in targets}
    else:
        features = lagged(columns, targets, horizon)
        before = last_known(known, horizon)
        early = int((before[rows] < 0).sum())
        rows = rows[early:]
        last = labels.y[np.searchsorted(np.flatnonzero(known), before[rows])]
        notes.append(
            f"features are those of {horizon} rows before, and the target there is one; the first "
            f"{early} rows with a target were left out, as none is known so long before."
        )
    places = np.searchsorted(np.flatnonzero(known), rows)
    values = None if labels.values is None else labels.values[places]
    kept = {name: [cells[row] for row in rows] for name, cells in features.items()}
    return kept, dataclasses.replace(labels, y=labels.y[places], values=values), last, notes


def _features(
    features: Mapping[str, Sequence[str]], text: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    numeric: dict[str, np.ndarray] = {}
    categorical: dict[str, np.ndarray] = {}
    missing, constant = [], []
    features, notes = with_dates(features)
    for name, cells in features.items():
        numbers = None if name in text else to_numbers(cells)
        texts = len(set(cells) - {""})
        if (numbers is not None and len(np.unique(numbers)) < 2) or len(set(cells)) < 2:
            constant.append(name)
            continue
        if numbers is None and texts > MAX_CATEGORIES:
            notes.append(
                f"categorical column {name!r} was dropped: {texts} distinct texts, more than "
                f"{MAX_CATEGORIES}." + _OTHER_DATES * look_like_other_dates(cells)
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
                    f"{name!r} counts the rows; unless it means something, drop it (--drop)."
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
        f"{repeats} {'row repeats' if repeats == 1 else 'rows repeat'} the features of an earlier "
        "one: equal rows can come to lie in training and test parts."
    ]
