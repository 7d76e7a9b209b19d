"""Settings as the words of a command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from policygrad_metrics.data import Reading
from policygrad_metrics.data.target import number_text
from policygrad_metrics.data.text_file import csv_text


def join_names(names: Iterable[str]) -> str:
    """Return a comma-separated list; a name with a comma is quoted.

    >>> join_names(["No", "a,b"])
    'No,"a,b"'
    """
    return csv_text([names]).removesuffix("\n")


def option(name: str, value: str) -> list[str]:
    """Return an option as words; a value that begins with a dash stays one.

    >>> option("--bins", "-5,0"), option("--seeds", "3")
    (['--bins=-5,0'], ['--seeds', '3'])
    """
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def options(record: Any, *names: str) -> list[str]:
    """Return fields of a record as options; those that are None, False or empty are left out.

    >>> import types
    >>> record = types.SimpleNamespace(batch_size=8, refit=True, drop=("a", "b,c"), folds=None)
    >>> options(record, "batch_size", "refit", "drop", "folds")
    ['--batch-size', '8', '--refit', '--drop', 'a,"b,c"']
    """
    words = []
    for name in names:
        value, flag = getattr(record, name), f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, tuple) and value:
            words += option(flag, join_names(map(_text, value)))
        elif value is not None and value is not False and value != ():
            words += option(flag, _text(value))
    return words


def reading_words(reading: Reading) -> list[str]:
    """Return how a file is read as options.

    >>> reading_words(Reading(missing=("-200", "NR"), sep=";", header=False))
    ['--missing=-200,NR', '--sep', ';', '--no-header']
    """
    words = options(reading, *(field.name for field in dataclasses.fields(reading)))
    return words + (["--no-header"] if reading.header is False else [])


def _text(value: Any) -> str:
    return number_text(value) if isinstance(value, float) else str(value)
