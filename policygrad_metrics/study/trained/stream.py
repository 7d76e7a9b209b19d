"""Labels of a file that may be larger than memory."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Reading
from policygrad_metrics.data.frames import as_read, frame_cells, is_frame
from policygrad_metrics.data.reading import coded_cells, read_blocks
from policygrad_metrics.study.trained.drift import Drift
from policygrad_metrics.study.trained.table import TrainedTable

#: Most lines of a summary that tell of drifted columns.
_MOST = 10


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What became of a file.

    Args:
        rows: How many were labelled.
        counts: Label -> rows.
        new: Columns that the training table had not.
        drift: A line for each column that differs from the training rows.
    """

    rows: int
    counts: dict[str, int]
    new: tuple[str, ...]
    drift: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return it in words."""
        counts = ", ".join(f"{label} {count}" for label, count in self.counts.items())
        told = [f"{self.rows} row{'s' * (self.rows != 1)} ({counts})"]
        if self.new:
            told.append(f"columns that the training table had not: {', '.join(self.new)}")
        told += [f"drift of {line}" for line in self.drift[:_MOST]]
        if len(self.drift) > _MOST:
            told.append(f"{len(self.drift) - _MOST} more columns have drifted")
        if not self.drift:
            told.append("no column has drifted from the training rows")
        return told


def label_file(
    model: TrainedTable,
    source: Any,
    out: TextIO,
    *,
    keep: Sequence[str] = (),
    said: Callable[[int], None] = lambda rows: None,
    **reading: Any,
) -> Labelled:
    """Write labels and probabilities of a file's rows as CSV, in their order.

    Args:
        model: The model.
        source: A CSV file, which is read block by block; a Parquet file, or a frame.
        out: Where to write.
        keep: Columns of the source to write in front.
        said: Is told how many rows are done.
        reading: Fields of `data.Reading` that differ from the training table's.

    Raises:
        ValueError: A column is missing or of another type, or the file cannot be read.
        OSError: The same.
    """
    schema = model.schema
    drift, counts, columns = Drift(model.ranges), np.zeros(len(schema.class_names), int), {}
    writer = csv.writer(out, lineterminator="\n")
    how = dataclasses.replace(schema.reading, **reading)
    for before, columns in _blocks(source, how, schema.categorical):
        if not before:
            for name in keep:
                choose("keep (--keep)", name, columns)
        numeric, texts = schema.arrays(columns, before)
        if not before:
            writer.writerow([*keep, *_header(model)])
        drift.add(numeric, texts)
        chances = model.decider.probabilities(numeric, texts)
        labels = model.decider.decide(chances)
        kept = [columns[name] for name in keep]
        writer.writerows(_rows(model, kept, chances, labels))
        each = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(counts))
        counts += each.sum(axis=0)
        said(drift.rows)
    named = zip(schema.class_names, counts.tolist(), strict=True)
    new = schema.new_columns([*columns])
    return Labelled(drift.rows, dict(named), tuple(new), tuple(drift.lines()))


def _blocks(
    source: Any, reading: Reading, texts: Sequence[str]
) -> Iterator[tuple[int, dict[str, list[str]]]]:
    source, _ = as_read(source, Reading())
    if is_frame(source):
        yield 0, coded_cells(frame_cells(source), reading)[0]
        return
    yield from read_blocks(Path(source), reading, texts)


def _header(model: TrainedTable) -> list[str]:
    schema = model.schema
    labels = schema.task == "multilabel"
    when = "" if labels or schema.horizon is None else f", {schema.horizon} rows after"
    names = [f"{name}{when}" for name in schema.target]
    return [*names, *(f"P({name})" for name in schema.class_names)]


def _rows(
    model: TrainedTable, kept: Sequence[Sequence[str]], chances: np.ndarray, labels: np.ndarray
) -> Iterator[list[Any]]:
    schema = model.schema
    if schema.task == "binary":
        chances = np.stack([1.0 - chances, chances], axis=1)
    names = np.array(schema.class_names)
    shown = labels if labels.ndim == 2 else names[labels][:, None]
    for row, (label, chance) in enumerate(zip(shown.tolist(), chances.tolist(), strict=True)):
        yield [*(cells[row] for cells in kept), *label, *(f"{one:.6g}" for one in chance)]
