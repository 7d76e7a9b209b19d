"""A study of one table that was given by keyword arguments, sorted by what they are of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Reading
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile


def read_arguments(
    caller: str, source: Any, target: str | Sequence[str], how: Mapping[str, Any]
) -> StudySettings:
    """Return the settings of a study of the table alone.

    Args:
        caller: Name of the function that was called, for errors.
        source: A CSV file, a Parquet file, a frame of pandas, polars or Arrow, or a dict of
            columns.
        target: The column to predict, or several 0/1 columns.
        how: Fields of `TableFile`, of `StudySettings` and of `data.Reading`.

    Raises:
        ValueError: An argument is not known or out of range.

    >>> asked = read_arguments("compare_table", "a.csv", "y", {"seeds": 3, "positive": "bad"})
    >>> asked.seeds, asked.files[0].target, asked.files[0].positive
    (3, ('y',), 'bad')
    """
    fields = {
        record: {field.name for field in dataclasses.fields(record)}
        for record in (StudySettings, Reading, TableFile)
    }
    own: dict[Any, dict[str, Any]] = {record: {} for record in fields}
    for name, value in how.items():
        choose(f"argument of {caller}", name, sorted(set().union(*fields.values())))
        own[next(record for record, names in fields.items() if name in names)][name] = value
    reading = own[TableFile].pop("reading", Reading(**own[Reading]))
    if target is None:
        raise ValueError("target= must name the column to predict; it is None.")
    several = isinstance(target, Sequence) and not isinstance(target, str)
    targets = tuple(target) if several else (str(target),)  # pandas has names that are numbers
    file = TableFile(source, targets, **own[TableFile], reading=reading)
    return StudySettings(**{**own[StudySettings], "data": (), "files": (file,)})
