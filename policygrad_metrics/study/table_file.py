"""A file of the user's own in a comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from policygrad_metrics.data import Dataset, Reading, Series, read_table
from policygrad_metrics.data.frames import is_frame
from policygrad_metrics.study.words import join_names, option, options, reading_words


class Source(Protocol):
    """A file of the user's own to compare on."""

    keeps_predictions: ClassVar[bool]

    def read(self) -> Dataset:
        """Return the data set."""
        ...

    def words(self) -> list[str]:
        """Return how the command that reads it begins."""
        ...

    def fixed(self) -> dict[str, Any]:
        """Return what all runs of one directory must share, beside the study's settings."""
        ...


@dataclasses.dataclass(frozen=True)
class TableFile:
    """A table to compare on; the fields are arguments of `data.read_table`.

    Args:
        path: The file, as the person wrote it; or a frame, see `data.read_table`.
        target: The target column, or several 0/1 columns.
        bins: Upper ends of levels, a number of quantile levels, or None.
        time_split: False; True for rows that are in order of time; or the column to sort by.
        drop: Columns to leave out.
        positive: The positive one of two classes.
        order: All classes in their order, lowest first; empty if it is well known or there is none.
        horizon: Of a series: how many rows before a row it is predicted, see `data.Series`.
        reward: What is maximised on this table; None for the one of `read_table`.
        name: What to call the data set; None for the file's name.
        reading: How the file is read.
        subject_to: Constraints on this table, as texts; empty for those of the study.

    Raises:
        ValueError: A horizon is given without a time split.
    """

    path: Any
    target: tuple[str, ...]
    bins: tuple[float, ...] | int | None = None
    time_split: str | bool = False
    drop: tuple[str, ...] = ()
    positive: str | None = None
    order: tuple[str, ...] = ()
    horizon: int | None = None
    reward: str | None = None
    name: str | None = None
    reading: Reading = dataclasses.field(default_factory=Reading)
    subject_to: tuple[str, ...] = ()
    keeps_predictions: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.horizon is not None and not self.time_split:
            raise ValueError(
                "horizon is for a series; give time_split (--time-split) as well, or leave it out."
            )

    def read(self) -> Dataset:
        """Return the data set; the errors are those of `read_table`, with the path."""
        column = self.time_split if isinstance(self.time_split, str) else None
        try:
            found = read_table(
                self.path,
                self.target[0] if len(self.target) == 1 else self.target,
                bins=self.bins,
                series=Series(column, self.horizon) if self.time_split else None,
                drop=self.drop,
                positive=self.positive,
                reading=self.reading,
                order=self.order,
            )
        except ValueError as error:
            if is_frame(self.path) or f"path={self.path!r}" in str(error):
                raise
            raise ValueError(f"path={self.path!r}: {error}") from error
        own = {"name": self.name, "reward": self.reward, "subject_to": self.subject_to}
        return dataclasses.replace(found, **{key: value for key, value in own.items() if value})

    def words(self, *others: str) -> list[str]:
        """Return how the command that reads it begins.

        Args:
            others: Paths of further files that are read alike.
        """
        paths = ["FRAME" if is_frame(self.path) else self.path]
        words = ["policygrad", "compare", *option("--csv", join_names([*paths, *others]))]
        words += options(self, "target")
        if isinstance(self.bins, int):
            words += ["--bins", f"quantiles:{self.bins}"]
        else:
            words += options(self, "bins")
        words += options(self, "time_split", "horizon", "drop", "positive", "order")
        return words + reading_words(self.reading)

    def fixed(self) -> dict[str, Any]:
        return {}


def command_words(files: Sequence[Source]) -> list[str] | None:
    """Return how the command that reads these files begins; None if no options say so.

    >>> command_words([TableFile("a.csv", ("y",)), TableFile("b.csv", ("y",))])
    ['policygrad', 'compare', '--csv', 'a.csv,b.csv', '--target', 'y']
    """
    if not files:
        return ["policygrad", "compare"]
    first, *others = files
    if not isinstance(first, TableFile):
        return None if others else first.words()
    paths = []
    for other in others:
        if not isinstance(other, TableFile) or is_frame(other.path) or is_frame(first.path):
            return None
        if dataclasses.replace(other, path=first.path) != first:
            return None
        paths.append(other.path)
    own = first.name or first.reward or first.subject_to
    return first.words(*paths) if is_frame(first.path) or not own else None
