"""The suites: lists of data sets, each with the reward it is made for."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.records import as_tuples
from policygrad_metrics.data import Dataset, available, load
from policygrad_metrics.data.splits import split


@dataclasses.dataclass(frozen=True)
class Suite:
    """A list of data sets to compare on; no rows are in two data sets of one metric.

    Args:
        bundled: Words of the sets that need no download. A reward after a colon is another one
            than the data set's own.
        files: Words of those that are read from a folder.
        settings: Fields of `StudySettings` that are not given.
        published: Published figures, shown beside ours: data set -> method, score and where it is
            from.
    """

    bundled: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: Mapping[str, Sequence[tuple[str, float, str]]] = dataclasses.field(
        default_factory=dict
    )


def _read() -> dict[str, Suite]:
    file = resources.files("policygrad_metrics.study").joinpath("suites.toml")
    entries = as_tuples(tomllib.loads(file.read_text(encoding="utf-8")))
    return {name: Suite(**entry) for name, entry in entries.items()}


#: The suites of the data file `suites.toml`, by name.
SUITES = _read()
#: A suite takes only some rows of a set of more numbers than this: of the images alone.
MOST_NUMBERS = 3_000_000


def words_of(suite: str, data_dir: str | None) -> tuple[str, ...]:
    """Return the data sets of a suite, `name` or `name:reward`.

    Args:
        suite: A key of `SUITES`.
        data_dir: Folder of the data sets that are read from files; None leaves them out.

    Raises:
        ValueError: The suite is not known, or all its sets are read from files and no folder is
            given.

    >>> len(words_of("standard", None)), len(words_of("standard", "folder"))
    (11, 24)
    """
    found = SUITES[choose("suite", suite, SUITES)]
    if data_dir is not None:
        return found.bundled + found.files
    if not found.bundled:
        raise ValueError(
            f"suite={suite!r} reads all its data sets from files ({', '.join(found.files)}) and no "
            "folder was given; give data_dir=, on the command line --data-dir FOLDER."
        )
    return found.bundled


def check_word(word: str) -> None:
    """Raise a ValueError if a word names no data set; the reward is checked with its data."""
    choose("data", word.partition(":")[0], available())


def load_word(word: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
    """Return the data set of a word, with the reward that the word asks for.

    >>> load_word("iris:accuracy", None).reward
    'accuracy'
    """
    name, _, reward = word.partition(":")
    dataset = load(name, folder=data_dir)
    return dataclasses.replace(dataset, name=word, reward=reward) if reward else dataset


def thinned(dataset: Dataset) -> Dataset:
    """Return the data set, or a random part of the rows of a very large one."""
    features = len(dataset.numeric_names) + len(dataset.categorical_names)
    share = MOST_NUMBERS / (len(dataset) * features)
    if dataset.time_ordered or share >= 0.9:
        return dataset
    kept = split(dataset, 0, fractions=(share, (1 - share) / 2, (1 - share) / 2)).train
    note = f"{len(kept)} of {len(dataset)} rows were kept, chosen at random and stratified."
    thin = dataset.take(np.sort(kept))
    return dataclasses.replace(thin, notes=(*thin.notes, note))
