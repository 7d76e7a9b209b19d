"""A text file as columns of cells, and how it is to be read."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.layout import Layout, read_layout
from policygrad_metrics.data.missing import likely_codes, occurs, without_missing
from policygrad_metrics.data.text_file import csv_text, read_text, text_blocks
from policygrad_metrics.data.written import plain_numbers


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a text file is read; the fields are options of the commands, None is to be found out.

    Args:
        missing: What else stands for missing, beside empty cells, NA, None, - and their like:
            numbers such as "-200", texts such as "NR"; "CO=-200" is for the column CO alone, and
            "" says that no other number stands for it, however far it is from all others.
        text: Columns of texts, even if these look like numbers or like missing values.
        sep: What separates the cells: a character, or "tab", "space".
        decimal: The decimal mark, "." or ",".
        encoding: How the text is written, by default UTF-8.
        header: Whether the first row names the columns.
        skip_lines: How many lines stand above it.

    Raises:
        ValueError: A field is out of range.
    """

    missing: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skip_lines: int | None = None

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal (--decimal) must be '.' or ',', got {self.decimal!r}.")
        if self.skip_lines is not None and self.skip_lines < 0:
            raise ValueError(
                f"skip_lines (--skip-lines) must be 0 lines or more, got {self.skip_lines}."
            )


def read_cells(
    path: str | os.PathLike[str], reading: Reading | None = None, unused: Sequence[str] = ()
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns of a text file, name -> cells, and notes of what was found out.

    Missing cells are "", and numbers are as Python writes them if their column is written one way
    throughout. A column without a name (the index of a data frame) is named "column 1" and so on.

    Args:
        path: The file, compressed if its name ends in .gz.
        reading: How it is read.
        unused: Columns that are not looked at; they come back as they are written.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It is no table of text; the message names the line and the way out.
    """
    path, how = Path(path), reading or Reading()
    as_is = (*how.text, *unused)
    content = read_text(path, how.encoding)
    try:
        layout = read_layout(content, sep=how.sep, header=how.header, skip_lines=how.skip_lines)
        for name in how.text:
            choose("text", name, layout.names)
        columns, found, notes = _cells(layout, how, as_is)
    except ValueError as error:
        raise ValueError(f"path={str(path)!r}: {error}") from error
    notes = [*layout.notes, *notes]
    if found:
        notes.append(_missing_note(found))
    lost = [code for code in how.missing if code and not occurs(code, found)]
    if lost:
        notes.append(
            f"no cell is {' or '.join(map(repr, lost))}, which missing= (--missing) names."
        )
    looked_at = {name: cells for name, cells in columns.items() if name not in as_is}
    return columns, notes + likely_codes(looked_at, how.missing)


def coded_cells(
    columns: Mapping[str, list[str]], reading: Reading
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns of a frame without its missing codes, and a note of how many these were.

    Args:
        columns: Name -> cells.
        reading: Its missing codes, and its columns of texts.
    """
    kept, found = without_missing(columns, reading.missing, reading.text)
    return kept, [_missing_note(found)] if found else []


def _missing_note(found: Counter[str]) -> str:
    counts = ", ".join(f"{cell!r} {count}" for cell, count in found.most_common(10))
    words = [cell for cell in found if cell.casefold() == "none"]
    kept = f"; in columns of text= (--text) {words[0]!r} is a text" if words else ""
    return f"cells that count as missing: {counts}{kept}."


def read_blocks(
    path: str | os.PathLike[str], reading: Reading, texts: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Yield the columns of some rows after the other, so that a file may be larger than memory.

    Rows of empty cells are rows here, so that what is made of the rows stands beside them.

    Args:
        path: The file, compressed if its name ends in .gz.
        reading: How it is read; its first line names the columns unless `header` is False.
        texts: Columns of texts beside those of `reading`, in which missing values are known.

    Yields:
        How many rows were before, and columns as those of `read_cells`.

    Raises:
        FileNotFoundError, OSError, ValueError: As for `read_cells`.
    """
    path, rows, names = Path(path), 0, ""
    how = dataclasses.replace(reading, header=reading.header is not False)
    for block in text_blocks(path, reading.encoding):
        if rows and not block.strip():
            continue
        try:
            layout = read_layout(
                names + block,
                sep=how.sep,
                header=how.header,
                skip_lines=how.skip_lines,
                keep_empty=True,
            )
            columns, _, _ = _cells(layout, how, how.text, texts)
        except ValueError as error:
            where = f", in the block behind row {rows} (lines are counted from there)" * bool(rows)
            raise ValueError(f"path={str(path)!r}{where}: {error}") from error
        yield rows, columns
        rows += len(layout.rows)
        names = csv_text([layout.names], layout.sep)
        how = dataclasses.replace(how, sep=layout.sep, header=True, skip_lines=0)
    if not names:
        raise ValueError(f"path={str(path)!r}: it holds nothing; a header row and data are needed.")


def _cells(
    layout: Layout, how: Reading, as_is: Sequence[str], texts: Sequence[str] = ()
) -> tuple[dict[str, list[str]], Counter[str], list[str]]:
    """The columns, which missing values were found, and notes on ways of writing numbers."""
    cells = zip(*layout.rows, strict=True)
    columns = dict(zip(layout.names, map(list, cells), strict=True))
    columns, found = without_missing(columns, how.missing, as_is)
    columns, notes = plain_numbers(columns, layout.sep, how.decimal, (*as_is, *texts))
    if how.missing:  # codes that were written otherwise, such as -200,0
        columns, more = without_missing(columns, how.missing, as_is)
        found += more
    return columns, found, notes
