"""A text file as columns of cells, and how it is to be read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.layout import read_layout
from policygrad_metrics.data.missing import likely_codes, occurs, without_missing
from policygrad_metrics.data.text_file import read_text
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
        cells = zip(*layout.rows, strict=True)
        columns = dict(zip(layout.names, map(list, cells), strict=True))
        for name in how.text:
            choose("text", name, columns)
        columns, found = without_missing(columns, how.missing, as_is)
        columns, notes = plain_numbers(columns, layout.sep, how.decimal, as_is)
    except ValueError as error:
        raise ValueError(f"path={str(path)!r}: {error}") from error
    if how.missing:  # codes that were written otherwise, such as -200,0
        columns, more = without_missing(columns, how.missing, as_is)
        found += more
    notes = [*layout.notes, *notes]
    if found:
        counts = ", ".join(f"{cell!r} {count}" for cell, count in found.most_common(10))
        words = [cell for cell in found if cell.casefold() == "none"]
        kept = f"; in columns of text= (--text) {words[0]!r} is a text" if words else ""
        notes.append(f"cells that count as missing: {counts}{kept}.")
    lost = [code for code in how.missing if code and not occurs(code, found)]
    if lost:
        notes.append(
            f"no cell is {' or '.join(map(repr, lost))}, which missing= (--missing) names."
        )
    looked_at = {name: cells for name, cells in columns.items() if name not in as_is}
    return columns, notes + likely_codes(looked_at, how.missing)
