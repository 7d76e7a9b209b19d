"""What is to be trained on which table, read before anything heavy is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Dataset, Reading
from policygrad_metrics.data.frames import as_read
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be trained, read and checked.

    Args:
        file: The table.
        reading: How it is read, the texts of a frame included.
        dataset: The same, read.
        settings: How it is trained.
        method: What was asked for.
        how: The other arguments of `train_table`.
    """

    file: TableFile
    reading: Reading
    dataset: Dataset
    settings: StudySettings
    method: str
    how: Mapping[str, Any]


def read_request(
    source: Any, targets: tuple[str, ...], method: str, how: Mapping[str, Any]
) -> Request:
    """Read the table, and sort the arguments of `train_table`; the errors are its own."""
    fields = {
        record: {field.name for field in dataclasses.fields(record)}
        for record in (StudySettings, Reading, TableFile)
    }
    for name in how:
        choose("argument of train_table", name, sorted(set().union(*fields.values())))
    own: dict[Any, dict[str, Any]] = {record: {} for record in fields}
    for name, value in how.items():
        own[next(record for record, names in fields.items() if name in names)][name] = value
    source, reading = as_read(source, own[TableFile].pop("reading", Reading(**own[Reading])))
    file = TableFile(source, targets, **own[TableFile], reading=reading)
    asked = {"seeds": 1, **own[StudySettings], "data": (), "files": (file,), "methods": (method,)}
    settings = StudySettings(**asked)
    (dataset,) = settings.datasets()
    return Request(file, reading, dataset, settings, method, how)
