"""A TOML file that names tables to compare on, each with its own options of reading.

    [[table]]
    csv = "air/hourly.csv.gz"
    target = "pm2.5"
    bins = [35, 75, 115]
    time-split = "date"
    missing = [-200]

    [[table]]
    name = "loans"
    csv = "credit.csv"
    target = "risk"
    positive = "bad"
    reward = "f1"
    subject-to = ["recall[bad]>=0.8"]

The keys are the options of `policygrad compare` that read a file, and `name`, `reward` and
`subject-to`. Those of the command, if given, hold for all tables. Paths are relative to the folder
of the TOML file.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Reading
from policygrad_metrics.data.table import table_name
from policygrad_metrics.data.target import number_text
from policygrad_metrics.study.table_file import TableFile

_KEY = "table"


def read_tables(path: str | os.PathLike[str]) -> tuple[TableFile, ...]:
    r"""Return the tables that a TOML file names.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no TOML, a key is not known (the nearest one is offered), lacks or has
            a value of another kind, or two tables have one name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "study.toml")
    ...     _ = file.write_text('[[table]]\ncsv = "a.csv"\ntarget = "y"\norder = [1, 2]')
    ...     (table,) = read_tables(file)
    >>> Path(table.path).name, table.target, table.order
    ('a.csv', ('y',), ('1', '2'))
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"tables={str(path)!r} (--tables): there is no such file.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error
    try:
        for key in content:
            choose("key", key, [_KEY])
        tables = content.get(_KEY)
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise ValueError("it must hold tables, each below a line [[table]].")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    found: dict[str, TableFile] = {}
    for number, table in enumerate(tables, start=1):
        try:
            one = _table(table, file.parent)
            name = one.name or table_name(one.path)
            if name in found:
                raise ValueError(
                    f"name={name!r} is that of an earlier table; give one of them another name."
                )
        except ValueError as error:
            raise ValueError(f"{path}, table {number}: {error}") from error
        found[name] = one
    return tuple(found.values())


def _table(table: Mapping[str, Any], folder: Path) -> TableFile:
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        choose("key", name, KEYS)
        values[name] = KEYS[name](name, value)
    for name in ("csv", "target"):
        if name not in values:
            raise ValueError(f"{name} is missing; a table needs csv and target.")
    fields = {field.name for field in dataclasses.fields(Reading)}
    reading = Reading(**{name: values.pop(name) for name in fields & values.keys()})
    return TableFile(str(folder / values.pop("csv")), **values, reading=reading)


def _wrong(key: str, allowed: str, value: Any) -> ValueError:
    return ValueError(f"{key} must be {allowed}, got {value!r}.")


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _wrong(key, 'a text, "a"', value)
    return number_text(value) if isinstance(value, float) else str(value)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, (bool, list, dict)) for one in values):
        raise _wrong(key, 'a text or a list of them, ["a", "b"]', value)
    return tuple(_text(key, one) for one in values)


def _kind(allowed: str, *kinds: type) -> Callable[[str, Any], Any]:
    """What takes a value of these types alone."""

    def read(key: str, value: Any) -> Any:
        if type(value) not in kinds:
            raise _wrong(key, allowed, value)
        return value

    return read


def _bins(key: str, value: Any) -> tuple[float, ...] | int:
    if isinstance(value, str) and value.removeprefix("quantiles:").isdecimal():
        return int(value.removeprefix("quantiles:"))
    if not isinstance(value, list) or any(type(one) not in (int, float) for one in value):
        raise _wrong(key, 'a list of upper ends, [35, 75], or "quantiles:N"', value)
    return tuple(float(one) for one in value)


#: Key of a table -> what makes its value.
KEYS: dict[str, Callable[[str, Any], Any]] = {
    "csv": _text,
    "name": _text,
    "target": _texts,
    "reward": _text,
    "subject_to": _texts,
    "bins": _bins,
    "time_split": _kind("true, or the name of the column to sort by", str, bool),
    "horizon": _kind("a whole number", int),
    "drop": _texts,
    "positive": _text,
    "order": _texts,
    "missing": _texts,
    "text": _texts,
    "sep": _text,
    "decimal": _text,
    "encoding": _text,
    "header": _kind("true or false", bool),
    "skip_lines": _kind("a whole number", int),
}
