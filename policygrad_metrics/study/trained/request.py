"""What is to be trained on which table, read before anything heavy is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from policygrad_metrics.data import Dataset, Reading, folds
from policygrad_metrics.data.frames import as_read, frame_cells, is_frame
from policygrad_metrics.data.reading import read_blocks
from policygrad_metrics.study.one_table import read_arguments
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be trained, read and checked.

    Args:
        file: The table.
        reading: How it is read, the texts of a frame included.
        columns: The names of all columns of the table.
        dataset: The same, read.
        settings: How it is trained.
        method: What was asked for.
        how: The other arguments of `train_table`.
    """

    file: TableFile
    reading: Reading
    columns: tuple[str, ...]
    dataset: Dataset
    settings: StudySettings
    method: str
    how: Mapping[str, Any]


def read_request(
    source: Any, target: str | Sequence[str], method: str, how: Mapping[str, Any]
) -> Request:
    """Read the table, and sort the arguments of `train_table`; the errors are its own."""
    if "seeds" in how:
        raise ValueError(
            "seeds= is of a comparison, and train_table makes one model: give its seed=, and "
            "folds= to judge it by more than one split."
        )
    asked = {**how, "seeds": how.get("folds") or 1, "methods": (method,)}
    settings = read_arguments("train_table", source, target, asked)
    file: Any = settings.files[0]
    if "optimizer" in how:
        how = {**how, "optimizer": settings.optimizer}  # as text, which the card prints
    (dataset,) = settings.datasets()
    if settings.folds is not None and dataset.time_ordered:
        raise ValueError(
            f"folds={settings.folds} (--folds) shuffles the rows, and those of {dataset.name!r} "
            "are a series: leave it out, and the last rows test."
        )
    if settings.folds is not None:
        folds(dataset, settings.folds, settings.seed)  # raises now what would stop the training
    frame, reading = as_read(file.path, file.reading)
    columns = frame_cells(frame) if is_frame(frame) else next(read_blocks(frame, reading))[1]
    return Request(file, reading, tuple(columns), dataset, settings, method, how)
