"""Frames of pandas, polars and Arrow as columns of cells, as text files have them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics.data.reading import Reading


def is_frame(source: Any) -> bool:
    """Return whether a table is given as such, and not by its path."""
    return not isinstance(source, str | os.PathLike)


def as_read(source: Any, reading: Reading) -> tuple[Any, Reading]:
    """Return a frame as it is, that of a Parquet file, or the path of a text file; and how to read.

    What a frame holds as texts stays texts.

    Args:
        source: A frame, or a path.
        reading: How it is to be read.
    """
    if not is_frame(source) and Path(source).suffix.lower() == ".parquet":
        source = read_parquet(source)
    if is_frame(source):
        texts = dict.fromkeys((*reading.text, *text_columns(source)))
        reading = dataclasses.replace(reading, text=tuple(texts))
    return source, reading


def frame_cells(frame: Any) -> dict[str, list[str]]:
    """Return the columns of a frame as texts that read as the same values, missing ones as "".

    Args:
        frame: A frame of pandas, polars, Arrow or another library that narwhals knows, or a
            mapping of columns.

    Raises:
        TypeError: It is neither.
        ValueError: Columns of a mapping have different lengths.

    >>> frame_cells({"x": [1.5, None], "kind": np.array(["a", "b"])})
    {'x': ['1.5', ''], 'kind': ['a', 'b']}
    """
    return {name: [*map(_cell, values)] for name, values in _columns(frame).items()}


def text_columns(frame: Any) -> list[str]:
    """Return the columns that hold texts, even if these look like numbers.

    >>> text_columns({"zip": ["01234", "98765"], "x": [1, 2]})
    ['zip']
    """
    return [
        name
        for name, values in _columns(frame).items()
        if any(isinstance(one, str) for one in values)
        and all(isinstance(one, str) or _cell(one) == "" for one in values)
    ]


def read_parquet(path: str | os.PathLike[str]) -> Any:
    """Return the frame of a Parquet file, by polars or pyarrow, whichever is installed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Neither is installed, or it is no Parquet file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file.")
    try:
        if find_spec("polars"):
            import polars  # pyright: ignore[reportMissingImports]

            return polars.read_parquet(str(path))
        if find_spec("pyarrow"):
            import pyarrow.parquet  # pyright: ignore[reportMissingImports]

            return pyarrow.parquet.read_table(path)
    except OSError:
        raise
    except Exception as error:  # both have errors of their own
        raise ValueError(f"path={str(path)!r} cannot be read as Parquet: {error}") from error
    raise ValueError(
        f"path={str(path)!r} is a Parquet file, which needs pyarrow or polars: pip install "
        "pyarrow; or write it as CSV."
    )


def _columns(frame: Any) -> dict[str, Sequence[Any]]:
    if isinstance(frame, Mapping):
        single = [name for name, values in frame.items() if np.ndim(np.asarray(values, object)) < 1]
        if single:
            raise ValueError(
                f"column {single[0]!r} of the dict is one value, {frame[single[0]]!r}: give a list "
                "of a value for each row, [...]."
            )
        found = {str(name): np.asarray(values, object).tolist() for name, values in frame.items()}
        if len({*map(len, found.values())}) > 1:
            sizes = ", ".join(f"{name!r} {len(values)}" for name, values in found.items())
            raise ValueError(f"columns must have as many rows each; they have {sizes}.")
        return found
    try:
        import narwhals.stable.v1 as nw
    except ImportError as error:
        raise TypeError(
            f"a {type(frame).__name__} is read with narwhals: pip install narwhals; or give the "
            "path of a file, or a dict of columns."
        ) from error
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise TypeError(
            "a table must be the path of a file, a frame of pandas, polars or Arrow, or a dict of "
            f"columns; got {type(frame).__name__} (of a lazy frame give what collect() returns)."
        ) from error
    # pandas has names that are numbers, by which narwhals would take rows.
    found = {str(one.name): one.to_list() for one in table.iter_columns()}
    if len(found) < len(table.columns):
        raise ValueError(
            f"column names must differ as texts, too; they are {list(table.columns)}. Rename them."
        )
    return found


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    text = str(value.item() if isinstance(value, np.generic) else value)
    return "" if text in ("None", "nan", "NaT", "<NA>") else text
