"""The columns that a trained model reads, and new rows as the arrays that it was trained on."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.core.records import as_tuples
from policygrad_metrics.data import Dataset, Reading
from policygrad_metrics.data.cells import to_number, to_numbers
from policygrad_metrics.data.dates import source_of, with_parts


@dataclasses.dataclass(frozen=True)
class Schema:
    """What the columns of a table are, as plain values.

    Args:
        name: Of the data set.
        target: The columns that are predicted.
        task: As for `Dataset`.
        class_names: The same.
        numeric: Columns of numbers, in the order of the prepared features.
        categorical: Columns of texts.
        columns: All columns of the table that the model was trained on.
        horizon: Of a series: how many rows after a row the label is that is predicted from it.
        reading: How the file is read.
    """

    name: str
    target: tuple[str, ...]
    task: str
    class_names: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    columns: tuple[str, ...]
    horizon: int | None
    reading: Reading

    @classmethod
    def of(
        cls, dataset: Dataset, target: Sequence[str], columns: Sequence[str], reading: Reading
    ) -> Schema:
        """Return the schema of a data set that was read from a table with these columns."""
        # Of a series with a horizon the target of the earlier row is a feature.
        own = {f"{name}, {dataset.horizon} rows before": name for name in target}
        numeric, categorical = (
            tuple(own.get(name, name) for name in names)
            for names in (dataset.numeric_names, dataset.categorical_names)
        )
        return cls(
            dataset.name,
            tuple(target),
            dataset.task,
            tuple(dataset.class_names),
            numeric,
            categorical,
            tuple(columns),
            dataset.horizon,
            reading,
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Schema:
        """Return the schema that `dataclasses.asdict` and JSON made a record of."""
        return cls(**with_reading(record))

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that the model reads."""
        return (*self.numeric, *self.categorical)

    def new_columns(self, names: Sequence[str]) -> list[str]:
        """Return the columns that the training table had not."""
        return [name for name in names if name not in self.columns]

    def arrays(
        self, columns: Mapping[str, Sequence[str]], before: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers float64 `[N, F1]` and texts `[N, F2]` of new rows.

        Args:
            columns: Name -> cells; in any order, and with others.
            before: How many rows came before, for errors.

        Raises:
            ValueError: A column is missing, or holds texts instead of numbers or the other way
                round.
        """
        columns = with_parts(columns, self.features)
        self._check_columns(columns)
        rows = len(next(iter(columns.values())))
        numeric = np.empty([rows, len(self.numeric)])
        texts = np.empty([rows, len(self.categorical)], object)
        faults = []
        for place, name in enumerate(self.numeric):
            numbers = to_numbers(columns[name])
            if numbers is None:
                faults.append(_texts_in(name, columns[name], before))
            else:
                numeric[:, place] = numbers
        if faults:
            raise ValueError(" ".join(faults))
        for place, name in enumerate(self.categorical):
            texts[:, place] = columns[name]
        return numeric, texts

    def _check_columns(self, columns: Mapping[str, Sequence[str]]) -> None:
        lost = list(dict.fromkeys(source_of(one) for one in self.features if one not in columns))
        if not lost:
            return
        read = list(dict.fromkeys(map(source_of, self.features)))
        others = [name for name in columns if name not in (*read, *self.features)]
        near = {name: difflib.get_close_matches(name, others, n=1) for name in lost}
        hints = [f"{name!r} may be {found[0]!r}" for name, found in near.items() if found]
        raise ValueError(
            f"columns are missing: {', '.join(map(repr, lost))}. The model reads "
            f"{', '.join(map(repr, read))}, in any order"
            + (f"; {', '.join(hints)}" if hints else "")
            + ". Name them so in the first line; leave the cells of what is not known empty."
        )


def with_reading(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record of JSON, its lists as tuples and its `reading` as such."""
    fields = as_tuples(record)
    return {**fields, "reading": Reading(**fields["reading"])}


def _texts_in(name: str, cells: Sequence[str], before: int) -> str:
    wrong = [(row, cell) for row, cell in enumerate(cells) if cell and to_number(cell) is None]
    row, cell = wrong[0]
    return (
        f"column {name!r} held numbers when the model was trained, and holds texts in "
        f"{len(wrong)} of {len(cells)} rows, first {cell!r} (row {before + row + 1} below the "
        f"header): if that stands for a missing value, say missing=[{cell!r}] "
        f"(--missing '{cell}')."
    )
